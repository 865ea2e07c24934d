// Reads the members of a JWK Set and judges each key: what it lacks, and whether it may verify signatures.
import Bytes
import JSON

struct JSONWebKeyReader: ~Copyable {
    /// The members of one key that matter here.
    fileprivate struct Members {
        var keyType: String?, curve: String?, id: String?, algorithm: String?, use: String?
        var n: String?, e: String?, x: String?, y: String?, k: String?
        var operations: [String]?
        var isPrivate = false
        var isMistyped = false
    }

    /// What became of one key.
    private enum Outcome {
        case key(JSONWebKey)
        /// Of a kind that nobody asked us to know (RFC 7517 section 5).
        case foreign
        case unusable(String)
    }

    /// Bytes of a `kid`: the same bound as for tokens, else no token could name the key.
    private static let maximumIDBytes = 256

    /// Whether secrets are taken: only from a document that nobody else sees.
    private let takesSecrets: Bool
    private var reader = JSONReader(depth: 16, members: JSONWebKeySet.maximumMembers)

    init(takesSecrets: Bool) { self.takesSecrets = takesSecrets }

    mutating func readSet(_ document: borrowing Span<UInt8>) throws(JOSEError) -> JSONWebKeySet {
        var set: JSONWebKeySet?
        reader.begin()
        guard try next(document).kind == .beginObject else { throw .notKeySet }
        var event = try next(document)
        while event.kind == .name {
            let isKeys = event.equals("keys", in: document)
            let value = try next(document)
            if isKeys {
                guard value.kind == .beginArray else { throw .notKeySet }
                set = try readKeys(document)
            } else {
                try skip(value, document)
            }
            event = try next(document)
        }
        // Whatever follows the object is an error that only the last step finds.
        _ = try next(document)
        guard let set else { throw .notKeySet }
        return set
    }

    private mutating func readKeys(_ document: borrowing Span<UInt8>) throws(JOSEError) -> JSONWebKeySet {
        var set = JSONWebKeySet()
        var count = 0
        var value = try next(document)
        while value.kind != .endArray {
            guard count < JSONWebKeySet.maximumKeys else { throw .tooManyKeys }
            count += 1
            if value.kind == .beginObject {
                let members = try readMembers(document)
                switch judge(members) {
                case .key(let key): set.keys.append(key)
                case .foreign: if let id = members.id { set.foreignIDs.append(id) }
                case .unusable(let reason):
                    let name = members.id.map { "key \"\($0.prefix(64))\"" } ?? "key number \(count)"
                    set.skipped.append("\(name) \(reason)")
                }
            } else {
                try skip(value, document)
                set.skipped.append("key number \(count) is not an object")
            }
            value = try next(document)
        }
        return set
    }

    private mutating func readMembers(_ document: borrowing Span<UInt8>) throws(JOSEError) -> Members {
        var members = Members()
        var event = try next(document)
        while event.kind == .name {
            let name = event.text(of: document)
            let value = try next(document)
            switch name {
            case "d", "p", "q", "dp", "dq", "qi", "oth": members.isPrivate = true
            case "key_ops" where value.kind == .beginArray:
                members.operations = try readOperations(document)
                event = try next(document)
                continue
            default:
                if !members.set(name, value.kind == .string ? value.text(of: document) : nil) {
                    members.isMistyped = true
                }
            }
            try skip(value, document)
            event = try next(document)
        }
        return members
    }

    private mutating func readOperations(_ document: borrowing Span<UInt8>) throws(JOSEError) -> [String] {
        var operations: [String] = []
        var value = try next(document)
        while value.kind != .endArray {
            if value.kind == .string { operations.append(value.text(of: document)) }
            try skip(value, document)
            value = try next(document)
        }
        return operations
    }

    private func judge(_ members: Members) -> Outcome {
        guard let keyType = members.keyType else { return .unusable("has no \"kty\"") }
        // A secret in a public document is known to everybody: a token that verifies with it proves nothing.
        if members.isPrivate || (members.k != nil && !(takesSecrets && keyType == "oct")) {
            return .unusable("is a private or secret key in a public key set")
        }
        if members.isMistyped { return .unusable("has a member of the wrong type") }
        if members.use.map({ $0 != "sig" }) ?? false { return .unusable("is for encryption (\"use\")") }
        if members.operations.map({ !$0.contains("verify") }) ?? false {
            return .unusable("is not for verifying (\"key_ops\")")
        }
        if (members.id?.utf8.count ?? 0) > Self.maximumIDBytes {
            return .unusable("has a \"kid\" of more than 256 bytes")
        }
        var requested: RequestedAlgorithm?
        if let name = members.algorithm {
            guard let known = RequestedAlgorithm(name: name) else { return .foreign }
            requested = known
        }
        switch Self.material(members, keyType) {
        case .success(let material):
            guard let material else { return .foreign }
            // RFC 9864's names say the curve, which `crv` says too.
            if let requested, !requested.fits(material) { return .unusable(JSONWebKey.mismatch) }
            let key = JSONWebKey(material, id: members.id, algorithm: requested?.algorithm)
            if let reason = key.unusableReason { return .unusable(reason) }
            return .key(key)
        case .failure(let problem): return .unusable(problem.reason)
        }
    }

    private struct Problem: Error { var reason: String }

    /// Nil for a type or curve that no algorithm here uses.
    private static func material(
        _ members: Members, _ keyType: String
    ) -> Result<JSONWebKey.Material?, Problem> {
        do throws(Problem) {
            switch (keyType, members.curve) {
            case ("RSA", _):
                return .success(.rsa(modulus: try number(members.n, "n"), exponent: try number(members.e, "e")))
            case ("EC", let name):
                guard let curve = name.flatMap(EllipticCurve.init(name:)) else { return .success(nil) }
                return .success(
                    .ec(curve, x: try bytes(members.x, "x", curve.width), y: try bytes(members.y, "y", curve.width)))
            case ("oct", _): return .success(.secret(try bytes(members.k, "k")))
            case ("OKP", "Ed25519"): return .success(.ed25519(try bytes(members.x, "x", 32)))
            case ("OKP", "Ed448"): return .success(.ed448(try bytes(members.x, "x", 57)))
            default: return .success(nil)
            }
        } catch {
            return .failure(error)
        }
    }

    private static func bytes(_ text: String?, _ name: String, _ count: Int? = nil) throws(Problem) -> [UInt8] {
        guard let text else { throw Problem(reason: "has no \"\(name)\"") }
        var buffer = ByteBuffer(capacity: text.utf8.count)
        guard Base64URL.decode(Array(text.utf8).span, into: &buffer), !buffer.isEmpty else {
            throw Problem(reason: "has a \"\(name)\" that is not base64url")
        }
        if let count, buffer.count != count {
            throw Problem(reason: "has a \"\(name)\" that is not \(count) bytes long")
        }
        return Array(copying: buffer.bytes)
    }

    /// RFC 7518 section 2 forbids leading zeros; issuers that write one mean the same number.
    private static func number(_ text: String?, _ name: String) throws(Problem) -> [UInt8] {
        Array(try bytes(text, name).drop { $0 == 0 })
    }

    private mutating func next(_ document: borrowing Span<UInt8>) throws(JOSEError) -> JSONEvent {
        do throws(JSONError) { return try reader.next(document) } catch { throw JOSEError(error) }
    }
    private mutating func skip(_ value: JSONEvent, _ document: borrowing Span<UInt8>) throws(JOSEError) {
        do throws(JSONError) { try reader.skip(value, document) } catch { throw JOSEError(error) }
    }
}

extension JSONWebKeyReader.Members {
    /// Takes one member; false when it has to be a string and is none (nil).
    fileprivate mutating func set(_ name: String, _ value: String?) -> Bool {
        switch name {
        case "kty": keyType = value
        case "crv": curve = value
        case "kid": id = value
        case "alg": algorithm = value
        case "use": use = value
        case "n": n = value
        case "e": e = value
        case "x": x = value
        case "y": y = value
        case "k": k = value
        case "key_ops": return false
        default: return true
        }
        return value != nil
    }
}

extension JSONWebKey {
    /// RFC 7518 section 3.3 asks for 2048 bits; beyond 8192 one verification takes half a millisecond.
    static let modulusBits = 2048...8192

    static let mismatch = "has an \"alg\" that does not fit its type, curve or size"

    /// Why this key must not verify anything; nil when it may.
    var unusableReason: String? {
        if case .rsa(let modulus, let exponent) = material {
            let bits = modulus.count * 8 - (modulus.first?.leadingZeroBitCount ?? 0)
            guard Self.modulusBits.contains(bits) else { return "is an RSA key of \(bits) bits; 2048 to 8192 are used" }
            guard modulus.last.map({ $0 & 1 == 1 }) ?? false else { return "has an even RSA modulus" }
            // Below 65537 forgeries of sloppy padding checks begin; above 2^32 only the time to verify grows.
            let value = exponent.count > 5 ? .max : exponent.reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
            guard value >= 65537, value <= 1 << 32, value & 1 == 1 else {
                return "has an RSA exponent that is not an odd number from 65537 to 2^32"
            }
        }
        if case .secret(let bytes) = material, bytes.count < SignatureAlgorithm.hs256.digestBytes {
            return "is a secret of \(bytes.count) bytes; 32 is the least (HS256)"
        }
        if SmallOrderPoint.isKey(material) { return "is a point of small order, which takes signatures of anybody" }
        if let algorithm, !algorithm.fits(material) { return Self.mismatch }
        if case .secret = material { return nil }
        return PublicKey.importing(material) == nil ? "is not a valid public key" : nil
    }
}

extension JOSEError {
    init(_ error: JSONError) {
        switch error {
        case .duplicate: self = .duplicateMember
        case .members: self = .tooManyKeys
        case .syntax, .encoding, .depth: self = .notJSON
        }
    }
}
