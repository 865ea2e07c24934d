// The last good keys of one source on disk, for a start while the source is down. One file for each source: a line with
// when they were fetched and a checksum, then the key set as it came. The checksum covers who they are of, so a file
// that is damaged, or of another issuer or address, is recognised.
import Bytes
import Configuration
import JOSE
import Reactor

struct KeyStore: Sendable, Equatable {
    private static let mark = "gateway-keys-1"
    /// Bytes of the first line.
    private static let lineLimit = 128

    private let folder: StateFolder
    private let name: String
    /// Whose keys they are, and from where.
    private let subject: [UInt8]

    init(_ folder: StateFolder, provider: String, issuer: String?, _ source: KeySource) {
        self.folder = folder
        let kind = source.kind == .keys ? "jwks" : "discovery"
        // No part holds a NUL, so no two subjects are one text.
        subject = Array([provider, issuer ?? "", kind, source.address.url].map { $0 + "\0" }.joined().utf8)
        name = "\(provider)-\(Self.checksum(of: subject).prefix(16)).keys"
    }

    /// What was kept.
    struct Kept: Equatable {
        let set: JSONWebKeySet
        let fetchedAt: Int64
    }
    enum Reading: Equatable {
        case keys(Kept)
        case nothing
        /// In words.
        case unusable(String)
    }

    /// Nil, or why it could not be kept. Sleeps until the disk has it.
    func keep(_ document: [UInt8], fetchedAt: Int64) -> String? {
        let line = "\(Self.mark) \(fetchedAt) \(checksum(fetchedAt, document))\n"
        do throws(StateError) {
            try folder.replace(name, with: Array(line.utf8) + document)
            return nil
        } catch {
            return error.text
        }
    }
    func read() -> Reading {
        let bytes: [UInt8]
        do throws(StateError) {
            bytes = try folder.read(name, maximumBytes: JSONWebKeySet.maximumBytes + Self.lineLimit)
        } catch {
            return error.isAbsence ? .nothing : .unusable(error.text)
        }
        guard let end = bytes.firstIndex(of: UInt8(ascii: "\n")), end < Self.lineLimit else { return .damaged }
        let words = String(decoding: bytes[..<end], as: UTF8.self).split(
            separator: " ", omittingEmptySubsequences: false)
        let document = Array(bytes[(end + 1)...])
        guard words.count == 3, words[0] == Self.mark, let fetchedAt = Int64(words[1]), fetchedAt > 0,
            words[2] == checksum(fetchedAt, document), let set = try? KeyFetch.parse(document)
        else { return .damaged }
        return .keys(Kept(set: set, fetchedAt: fetchedAt))
    }
    func remove() { folder.remove(name) }

    private func checksum(_ fetchedAt: Int64, _ document: [UInt8]) -> String {
        Self.checksum(of: subject + Array("\(fetchedAt)\0".utf8) + document)
    }
    private static func checksum(of bytes: [UInt8]) -> String {
        SHA256().hash(bytes.span).bytes.map { byte in
            let digits = Array("0123456789abcdef")
            return "\(digits[Int(byte >> 4)])\(digits[Int(byte & 15)])"
        }.joined()
    }
}

extension KeyStore.Reading {
    fileprivate static let damaged = KeyStore.Reading.unusable("it is damaged, or of another issuer or address")
}
