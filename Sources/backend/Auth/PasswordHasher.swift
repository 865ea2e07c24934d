// Runs Argon2id beside the event loops: two hashes at a time, a short queue, and a refusal when that is full.
import Foundation
import Synchronization

final class PasswordHasher: Sendable {
    /// Each hash holds 19 MiB and a core for some 20 ms: two keep a small machine responsive.
    private static let threads = 2
    /// At two threads the last in the queue waits well under a second; who would wait longer is told to come back.
    private static let queueLimit = 64

    private let queue: OperationQueue
    private let waiting = Mutex(0)
    /// The hash of a password that nobody knows, for names that nobody has: the answer takes as long (OWASP).
    private let decoy: String

    init() {
        queue = OperationQueue()
        queue.maxConcurrentOperationCount = Self.threads
        queue.name = "argon2id"
        decoy = Argon2id.hash(Array(UUID().uuidString.utf8))
    }

    /// Whether the password fits the hash; with no hash the same work is done and the answer is no.
    func verify(_ password: [UInt8], against hash: String?) async throws(Problem) -> Bool {
        let decoy = decoy
        return try await run { Argon2id.verify(password, against: hash ?? decoy) && hash != nil }
    }

    /// A new hash with the current parameters.
    func hash(_ password: [UInt8]) async throws(Problem) -> String {
        try await run { Argon2id.hash(password) }
    }

    /// Whether a hash was made with other parameters than today's.
    func isOutdated(_ hash: String) -> Bool {
        Argon2id.parameters(of: hash) != Argon2id.current
    }

    private func run<Answer: Sendable>(_ work: @escaping @Sendable () -> Answer) async throws(Problem) -> Answer {
        let admitted = waiting.withLock { waiting in
            guard waiting < Self.queueLimit else { return false }
            waiting += 1
            return true
        }
        guard admitted else { throw .overloaded }
        defer { waiting.withLock { $0 -= 1 } }
        return await withCheckedContinuation { continuation in
            queue.addOperation { continuation.resume(returning: work()) }
        }
    }
}
