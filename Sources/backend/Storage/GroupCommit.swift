// Lets writes that come at the same time share one commit, and so one wait for the disk.
import GRDB
import Synchronization

/// Each write is on disk when its caller goes on, and one that fails changes nothing; the others of its group are not
/// concerned. Alone it is an ordinary transaction.
final class GroupCommit: Sendable {
    /// One caller that waits.
    private struct Write: Sendable {
        /// Does the work, again when its group failed; returns how the caller is told once it is on disk.
        let run: @Sendable (GRDB.Database) throws -> @Sendable () -> Void
        let fail: @Sendable (any Error) -> Void
    }

    private struct Queue {
        var writes: [Write] = []
        /// The writer has been asked to come.
        var isCalled = false
    }

    /// No group holds the writer longer than a few milliseconds: others need it too.
    private static let groupLimit = 64

    private let pool: DatabasePool
    private let queue = Mutex(Queue())

    init(_ pool: DatabasePool) {
        self.pool = pool
    }

    /// Runs the updates in a transaction of the writer, alone or with others.
    func write<Answer: Sendable>(
        _ updates: @escaping @Sendable (GRDB.Database) throws -> Answer
    ) async throws -> Answer {
        try await withCheckedThrowingContinuation { continuation in
            let write = Write(
                run: { connection in
                    let answer = try updates(connection)
                    return { continuation.resume(returning: answer) }
                }, fail: { continuation.resume(throwing: $0) })
            let calls = queue.withLock { queue in
                queue.writes.append(write)
                defer { queue.isCalled = true }
                return !queue.isCalled
            }
            if calls { callWriter() }
        }
    }

    /// Whatever arrives until the writer comes is in the group.
    private func callWriter() {
        pool.asyncWriteWithoutTransaction { [self] connection in
            let group = queue.withLock { queue in
                let group = Array(queue.writes.prefix(Self.groupLimit))
                queue.writes.removeFirst(group.count)
                return group
            }
            Self.commit(group, connection)
            let hasMore = queue.withLock { queue in
                queue.isCalled = !queue.writes.isEmpty
                return queue.isCalled
            }
            // Behind whoever else waits for the writer.
            if hasMore { callWriter() }
        }
    }

    /// All in one transaction; when that fails, each in one of its own, so that only who is to blame is told so.
    private static func commit(_ group: [Write], _ connection: GRDB.Database) {
        var outcomes: [@Sendable () -> Void] = []
        var hasBegun = false
        do {
            try connection.inTransaction(.immediate) {
                hasBegun = true
                for write in group { outcomes.append(try write.run(connection)) }
                return .commit
            }
            for outcome in outcomes { outcome() }
        } catch {
            guard hasBegun, group.count > 1 else {
                // Another process holds the file, and would let each wait anew.
                for write in group { write.fail(error) }
                return
            }
            for write in group { commit([write], connection) }
        }
    }
}
