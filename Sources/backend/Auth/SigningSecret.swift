// A secret with a name: it signs HS256 tokens, and whoever verifies them must hold it too; or it is the pepper of passwords.
import Foundation

struct SigningSecret: Sendable {
    /// RFC 7518 §3.2: as long as the hash at least.
    static let leastBytes = 32

    /// The `kid` of its tokens. It is chosen, never computed: a hash of the secret would let others try guesses.
    let name: String
    let bytes: [UInt8]

    init(name: String, bytes: [UInt8]) throws(StartupFailure) {
        guard bytes.count >= Self.leastBytes else {
            throw StartupFailure(
                "the secret has \(bytes.count) bytes and needs \(Self.leastBytes) or more: make it with "
                    + "`openssl rand -hex 32`")
        }
        guard (1...64).contains(name.utf8.count), name.utf8.allSatisfy(Self.isPlain) else {
            throw StartupFailure(
                "\"\(name)\", the name of the secret, must be of 1 to 64 letters, digits, \".\", \"_\" and \"-\"")
        }
        self.name = name
        self.bytes = bytes
    }

    /// Reads the file's one line, as the gateway's `secret ${file:PATH}` does; it is named after the file.
    init(file path: String) throws(StartupFailure) {
        try FileReading.requirePrivate(path)
        var bytes = try FileReading.bytes(of: path)
        for end in "\n\r".utf8 where bytes.last == end { bytes.removeLast() }
        do throws(StartupFailure) {
            try self.init(
                name: URL(fileURLWithPath: path).deletingPathExtension().lastPathComponent, bytes: bytes)
        } catch {
            throw StartupFailure("\(path): \(error)")
        }
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }
}

extension KeyRing {
    /// The first of these files signs; the others were first before, and still verify.
    init(secrets paths: [String], type: String = SigningKey.accessTokenType) async throws(StartupFailure) {
        var keys: [SigningKey] = []
        for path in paths {
            let key = try await SigningKey(secret: SigningSecret(file: path), type: type)
            guard !keys.contains(where: { $0.verification.id == key.verification.id }) else {
                throw StartupFailure("\(path): there is another secret of the name \(key.verification.id)")
            }
            keys.append(key)
        }
        self.init(
            active: keys.first, activeSince: paths.first.flatMap(FileReading.modified), next: nil,
            retired: keys.dropFirst().map { Retired(key: $0.verification, until: .max) })
    }
}
