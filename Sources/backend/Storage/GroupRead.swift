// Lets reads that come at the same time share one snapshot: taking one costs more than what a short read does in it.
import GRDB
import Synchronization

/// For reads by a key, which are over at once; a long one would hold up the others.
final class GroupRead: Sendable {
    private typealias Read = @Sendable (Result<GRDB.Database, any Error>) -> Void

    private struct Queue {
        var reads: [Read] = []
        /// A group is being read; the next one is taken when it is done.
        var isReading = false
    }

    private let pool: DatabasePool
    private let queue = Mutex(Queue())

    init(_ pool: DatabasePool) {
        self.pool = pool
    }

    /// Reads in a snapshot that holds everything that was committed before this was called.
    func read<Answer: Sendable>(
        _ value: @escaping @Sendable (GRDB.Database) throws -> Answer
    ) async throws -> Answer {
        try await withCheckedThrowingContinuation { continuation in
            let starts = queue.withLock { queue in
                queue.reads.append { connection in
                    continuation.resume(with: Result { try value(connection.get()) })
                }
                defer { queue.isReading = true }
                return !queue.isReading
            }
            if starts { readGroup() }
        }
    }

    /// The group is closed before its snapshot is taken: whoever comes later may have seen a later commit.
    private func readGroup() {
        let group = queue.withLock { queue in
            defer { queue.reads = [] }
            queue.isReading = !queue.reads.isEmpty
            return queue.reads
        }
        guard !group.isEmpty else { return }
        pool.asyncRead { [self] connection in
            for read in group { read(connection) }
            readGroup()
        }
    }
}
