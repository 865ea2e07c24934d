// What failed logins are counted by, and how many of them lock for how long.
import Foundation

/// Hashes: names that nobody has may be passwords typed into the wrong field.
struct LoginCounters: Sendable {
    struct Rule: Sendable {
        let failures: Int
        /// A stranger's failures must not keep the owner of a name out for long.
        let longestSeconds: Int64
    }

    static let pairRule = Rule(failures: 10, longestSeconds: 3600)
    static let nameRule = Rule(failures: 50, longestSeconds: 900)
    static let firstPauseSeconds: Int64 = 30
    /// Failures this old are forgotten.
    static let memoryMilliseconds: Int64 = 86_400_000
    /// Each is some 60 bytes; names are the attacker's choice.
    static let limit = 100_000

    /// The name with the network that the attempt came from.
    let pair: Data
    let name: Data

    init(_ attempt: LoginAttempt) {
        pair = Data(sha256Of: "pair\0\(attempt.name)\0\(AddressRate.network(of: attempt.address))")
        name = Data(sha256Of: "name\0\(attempt.name)")
    }
}
