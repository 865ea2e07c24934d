// Argon2id (RFC 9106) from libargon2. Unsafe: the C functions take pointers to our arrays for the length of the call only.
import CArgon2
import Foundation

enum Argon2id {
    /// What a hash costs: memory in KiB, passes over it, and lanes.
    struct Parameters: Equatable {
        let memoryKiB: UInt32
        let passes: UInt32
        let lanes: UInt32
    }

    /// The minimum that OWASP's password storage rules ask for: 19 MiB, two passes, one lane.
    static let current = Parameters(memoryKiB: 19 * 1024, passes: 2, lanes: 1)

    /// More than these would let one line of a file stop every login.
    private static let strongest = Parameters(memoryKiB: 1 << 20, passes: 16, lanes: 16)
    private static let saltSizeBytes = 16
    private static let hashSizeBytes = 32

    /// The PHC string of a password under a new random salt.
    static func hash(_ password: [UInt8]) -> String {
        let salt = [UInt8](Data.random(count: saltSizeBytes))
        let size = argon2_encodedlen(
            current.passes, current.memoryKiB, current.lanes, UInt32(saltSizeBytes), UInt32(hashSizeBytes), Argon2_id)
        var text = [CChar](repeating: 0, count: size)
        let status = unsafe argon2id_hash_encoded(
            current.passes, current.memoryKiB, current.lanes, password, password.count, salt, salt.count,
            hashSizeBytes, &text, text.count)
        // All that remains is that 19 MiB cannot be had: there is no safe answer without a hash.
        precondition(status == ARGON2_OK.rawValue, "Argon2 failed with \(status)")
        return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// Whether the password is the one that was hashed; compares in constant time.
    static func verify(_ password: [UInt8], against hash: String) -> Bool {
        unsafe argon2id_verify(hash, password, password.count) == ARGON2_OK.rawValue
    }

    /// The parameters of `$argon2id$v=19$m=…,t=…,p=…$salt$hash`, or nil when it is not such a string or too costly.
    static func parameters(of hash: String) -> Parameters? {
        let parts = hash.split(separator: "$", omittingEmptySubsequences: false)
        guard parts.count == 6, parts[0].isEmpty, parts[1] == "argon2id", parts[2] == "v=19" else { return nil }
        let costs = parts[3].split(separator: ",", omittingEmptySubsequences: false)
        guard costs.count == 3, costs[0].hasPrefix("m="), costs[1].hasPrefix("t="), costs[2].hasPrefix("p="),
            let memory = UInt32(costs[0].dropFirst(2)), let passes = UInt32(costs[1].dropFirst(2)),
            let lanes = UInt32(costs[2].dropFirst(2)), 1...strongest.lanes ~= lanes, 1...strongest.passes ~= passes,
            8 * lanes...strongest.memoryKiB ~= memory, isBase64(parts[4], atLeast: 11), isBase64(parts[5], atLeast: 22)
        else { return nil }
        return Parameters(memoryKiB: memory, passes: passes, lanes: lanes)
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
