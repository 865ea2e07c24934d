// Runs Argon2id on threads of its own: two hashes at a time, a short queue, and a refusal when that is full.
import Dispatch
import Foundation
import Synchronization

/// Lives as long as the process: its threads never end.
final class PasswordHasher: Sendable {
    /// Each hash holds 19 MiB and a core for some 20 ms: two keep a small machine responsive. They are threads and not
    /// operations of a queue, because those would take the threads that every other request runs on.
    private static let threadCount = 2
    /// At two threads the last in the queue waits well under a second; who would wait longer is told to come back.
    private static let queueLimit = 64

    private let queue = Mutex<[@Sendable () -> Void]>([])
    private let arrivals = DispatchSemaphore(value: 0)
    private let hashing: PasswordHashing

    init(_ hashing: PasswordHashing) {
        self.hashing = hashing
        for _ in 0..<Self.threadCount {
            Thread.detachNewThread { [self] in
                while true { takeNext()() }
            }
        }
    }

    private func takeNext() -> @Sendable () -> Void {
        arrivals.wait()
        return queue.withLock { $0.removeFirst() }
    }

    /// Whether the password fits the hash; with no hash, for names that nobody has, the answer takes as long (OWASP).
    func verify(_ password: [UInt8], against hash: String?) async throws(Problem) -> Bool {
        try await run { [hashing] in hashing.verify(password, against: hash) }
    }

    /// How many wait for a thread now.
    var waiting: Int { queue.withLock(\.count) }

    /// A new hash, with today's parameters and pepper.
    func hash(_ password: [UInt8]) async throws(Problem) -> String {
        try await run { [hashing] in hashing.hash(password) }
    }

    /// Whether a hash was made with other parameters or another pepper than today's.
    func isOutdated(_ hash: String) -> Bool { hashing.isOutdated(hash) }

    /// The name of the hash's pepper, when it is none of ours.
    func missingPepper(of hash: String) -> String? { hashing.missingPepper(of: hash) }

    private func run<Answer: Sendable>(_ work: @escaping @Sendable () -> Answer) async throws(Problem) -> Answer {
        let answer: Answer? = await withCheckedContinuation { continuation in
            let admitted = queue.withLock { queue in
                guard queue.count < Self.queueLimit else { return false }
                queue.append { continuation.resume(returning: work()) }
                return true
            }
            if admitted { arrivals.signal() } else { continuation.resume(returning: nil) }
        }
        guard let answer else { throw .overloaded }
        return answer
    }
}
