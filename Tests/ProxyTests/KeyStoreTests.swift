// Keys on disk: they come back as they were, and only to whom they belong.
import Configuration
import Foundation
import JOSE
import Reactor
import Testing

@testable import Proxy

struct KeyStoreTests {
    private let folder: StateFolder
    private let document = Array(
        "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"a\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}"
            .utf8)

    init() throws {
        let path = FileManager.default.temporaryDirectory.appending(path: "gateway-state-\(UUID().uuidString)")
        folder = try StateFolder(path.path())
    }
    private func store(
        _ url: String = "https://id.example.com/jwks", issuer: String? = "https://id.example.com",
        provider: String = "main"
    ) throws -> KeyStore {
        KeyStore(folder, provider: provider, issuer: issuer, KeySource(.keys, try WebAddress(url)))
    }
    private var files: [String] { (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? [] }
    private func mode(_ name: String) throws -> Int? {
        try FileManager.default.attributesOfItem(atPath: folder.path + name)[.posixPermissions] as? Int
    }

    @Test func `what was kept is read, by who kept it alone`() throws {
        let store = try store()
        #expect(store.read() == .nothing)
        #expect(store.keep(document, fetchedAt: 1_795_000_000) == nil)
        let expected = KeyStore.Reading.keys(
            KeyStore.Kept(set: try JSONWebKeySet.parse(document), fetchedAt: 1_795_000_000))
        #expect(store.read() == expected)
        #expect(try self.store("https://id.example.com/other").read() == .nothing)
        #expect(try self.store(issuer: "https://evil.example.com").read() == .nothing)
        #expect(try self.store(provider: "other").read() == .nothing)
        store.remove()
        #expect(store.read() == .nothing)
    }

    @Test func `files are closed to others and replaced whole`() throws {
        let store = try store()
        _ = store.keep(document, fetchedAt: 1)
        _ = store.keep(document, fetchedAt: 2)
        #expect(files.count == 1 && files[0].hasPrefix("main-") && files[0].hasSuffix(".keys"))
        #expect(try mode("/" + files[0]) == 0o600 && mode("") == 0o700)
    }

    @Test func `a file that was moved to another source's name is recognised`() throws {
        let first = try store(), second = try store("https://id.example.com/other")
        _ = first.keep(document, fetchedAt: 1)
        let name = files[0]
        _ = second.keep(document, fetchedAt: 1)
        let other = try #require(files.first { $0 != name })
        try FileManager.default.removeItem(atPath: folder.path + "/" + other)
        try FileManager.default.moveItem(atPath: folder.path + "/" + name, toPath: folder.path + "/" + other)
        #expect(isUnusable(second.read()))
    }

    @Test func `whatever byte is changed, the file is not believed`() throws {
        let store = try store()
        _ = store.keep(document, fetchedAt: 1_795_000_000)
        let path = folder.path + "/" + files[0]
        let good = try Data(contentsOf: URL(filePath: path))
        for i in good.indices {
            var bad = good
            bad[i] ^= 1
            try bad.write(to: URL(filePath: path))
            #expect(isUnusable(store.read()), "byte \(i)")
        }
        for count in [0, 1, 80, good.count - 1] {
            try good.prefix(count).write(to: URL(filePath: path))
            #expect(isUnusable(store.read()), "\(count) bytes")
        }
        try (good + Data([0x20])).write(to: URL(filePath: path))
        #expect(isUnusable(store.read()))
        try good.write(to: URL(filePath: path))
        #expect(!isUnusable(store.read()))
    }

    @Test func `a file that others may write, a link or a folder is not believed`() throws {
        let store = try store()
        _ = store.keep(document, fetchedAt: 1)
        let path = folder.path + "/" + files[0]
        try FileManager.default.setAttributes([.posixPermissions: 0o666], ofItemAtPath: path)
        #expect(isUnusable(store.read()))
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
        try FileManager.default.moveItem(atPath: path, toPath: folder.path + "/elsewhere")
        try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: folder.path + "/elsewhere")
        #expect(isUnusable(store.read()))
        try FileManager.default.removeItem(atPath: path)
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
        #expect(isUnusable(store.read()))
        #expect(store.keep(document, fetchedAt: 1) != nil, "and cannot be replaced")
    }

    @Test func `a folder that is open to others is closed, a file is no folder`() throws {
        try FileManager.default.setAttributes([.posixPermissions: 0o777], ofItemAtPath: folder.path)
        _ = try StateFolder(folder.path)
        #expect(try mode("") == 0o700)
        let file = folder.path + "/file"
        try Data().write(to: URL(filePath: file))
        #expect(throws: StateError.self) { _ = try StateFolder(file) }
        #expect(throws: StateError.self) { _ = try StateFolder(folder.path + "/a/b") }
    }

    private func isUnusable(_ reading: KeyStore.Reading) -> Bool {
        if case .unusable = reading { true } else { false }
    }
}
