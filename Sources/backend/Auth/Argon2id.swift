// Argon2id (RFC 9106) from libargon2. Unsafe: the C functions take pointers to our arrays for the length of the call only.
import CArgon2
import Foundation

enum Argon2id {
    /// What a hash costs: memory in KiB, passes over it, and lanes.
    struct Costs: Equatable {
        let memoryKiB: UInt32
        let passes: UInt32
        let lanes: UInt32
    }

    /// What stands in a hash: its costs, and the name of the pepper that it was made with.
    struct Parameters: Equatable {
        let costs: Costs
        let keyID: String?
    }

    /// The minimum that OWASP's password storage rules ask for: 19 MiB, two passes, one lane.
    static let current = Costs(memoryKiB: 19 * 1024, passes: 2, lanes: 1)

    /// More than these would let one line of a file stop every login.
    private static let strongest = Costs(memoryKiB: 1 << 20, passes: 16, lanes: 16)
    private static let keyMark = ",keyid="
    private static let saltSizeBytes = 16
    private static let hashSizeBytes = 32

    /// The PHC string of a password under a new random salt, which names a key where one had a part in it.
    static func hash(_ password: [UInt8], keyID: String? = nil) -> String {
        let salt = [UInt8](Data.random(count: saltSizeBytes))
        let size = argon2_encodedlen(
            current.passes, current.memoryKiB, current.lanes, UInt32(saltSizeBytes), UInt32(hashSizeBytes), Argon2_id)
        var text = [CChar](repeating: 0, count: size)
        let status = unsafe argon2id_hash_encoded(
            current.passes, current.memoryKiB, current.lanes, password, password.count, salt, salt.count,
            hashSizeBytes, &text, text.count)
        // All that remains is that 19 MiB cannot be had: there is no safe answer without a hash.
        precondition(status == ARGON2_OK.rawValue, "Argon2 failed with \(status)")
        let hash = String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        guard let keyID else { return hash }
        var parts = hash.split(separator: "$", omittingEmptySubsequences: false).map(String.init)
        parts[3] += keyMark + keyID
        return parts.joined(separator: "$")
    }

    /// Whether the password is the one that was hashed; compares in constant time.
    static func verify(_ password: [UInt8], against hash: String) -> Bool {
        // The library knows nothing of names of keys.
        var parts = hash.split(separator: "$", omittingEmptySubsequences: false).map(String.init)
        if parts.count == 6, let mark = parts[3].range(of: keyMark) { parts[3].removeSubrange(mark.lowerBound...) }
        let bare = parts.joined(separator: "$")
        return unsafe argon2id_verify(bare, password, password.count) == ARGON2_OK.rawValue
    }

    /// The parameters of `$argon2id$v=19$m=…,t=…,p=…[,keyid=…]$salt$hash`, or nil when it is not such a string or too costly.
    static func parameters(of hash: String) -> Parameters? {
        let parts = hash.split(separator: "$", omittingEmptySubsequences: false)
        guard parts.count == 6, parts[0].isEmpty, parts[1] == "argon2id", parts[2] == "v=19" else { return nil }
        let costs = parts[3].split(separator: ",", omittingEmptySubsequences: false)
        guard 3...4 ~= costs.count, costs[0].hasPrefix("m="), costs[1].hasPrefix("t="), costs[2].hasPrefix("p="),
            let memory = UInt32(costs[0].dropFirst(2)), let passes = UInt32(costs[1].dropFirst(2)),
            let lanes = UInt32(costs[2].dropFirst(2)), 1...strongest.lanes ~= lanes, 1...strongest.passes ~= passes,
            8 * lanes...strongest.memoryKiB ~= memory, isBase64(parts[4], atLeast: 11), isBase64(parts[5], atLeast: 22)
        else { return nil }
        let keyID = costs.count == 4 ? costs[3].dropFirst(keyMark.count - 1) : nil
        guard keyID.map({ !$0.isEmpty && costs[3] == "keyid=\($0)" }) ?? true else { return nil }
        return Parameters(
            costs: Costs(memoryKiB: memory, passes: passes, lanes: lanes), keyID: keyID.map(String.init))
    }

    /// Base64 without padding, with the least length that 8 bytes of salt or 16 of hash have.
    private static func isBase64(_ text: Substring, atLeast length: Int) -> Bool {
        text.utf8.count >= length
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "/"):
                    true
                default: false
                }
            }
    }
}
