// Tells gateways what was revoked, in the order of the commits, and lets them wait for more: a long poll.
import Foundation
import GRDB
import Logging
import ServiceLifecycle
import Synchronization

/// What one poll answers.
struct RevocationPage: Sendable, Encodable {
    /// Where the next poll goes on.
    let cursor: String
    let revocations: [Revocation]
}

/// Lives as long as the process. Shuts down before the listener, whose end waits for the answers that are held back here.
final class RevocationFeed: TransactionObserver, Service {
    private struct Waiter {
        /// The number of the cursor that it knows.
        let number: Int64
        let deadline: ContinuousClock.Instant
        /// True: there is news.
        let continuation: CheckedContinuation<Bool, Never>
    }
    private struct State {
        var waiters: [UInt64: Waiter] = [:]
        var lastWaiter: UInt64 = 0
        /// Grows with every commit of a revocation.
        var commits: UInt64 = 0
        /// The transaction that is being written has one.
        var isWritten = false
        var isClosed = false
    }

    /// A page of this size is a few MB; gateways take up to 50 000 entries.
    private static let pageLimit = 10_000
    /// More listeners than this are answered at once, and ask again after a second.
    private static let waiterLimit = 1_000
    /// How late a poll ends, and how late is seen what another process committed, or Redis did.
    private static let pause = Duration.milliseconds(200)

    private let store: any SessionStore
    private let logger: Logger
    private let state = Mutex(State())

    init(store: any SessionStore, database: Database, logger: Logger) {
        self.store = store
        self.logger = logger
        database.pool.add(transactionObserver: self)
    }

    /// How many wait now.
    var waiting: Int { state.withLock(\.waiters.count) }

    /// What was committed behind the cursor; with none, everything that is still needed, at once. Nothing new is said
    /// after `wait` at the latest. nil: the cursor is of another database, or of a future that a backup has undone.
    ///
    /// A cursor whose entry was swept is as good as any: what was swept had expired, and nobody needs it.
    func page(since presented: String?, wait: Duration) async throws -> RevocationPage? {
        let deadline = ContinuousClock.now + wait
        while true {
            let commits = state.withLock(\.commits)
            let end = try await store.feedEnd()
            var cursor = FeedCursor(database: end.database, number: 0)
            if let presented {
                guard let known = FeedCursor(presented: presented), known.database == end.database,
                    known.number <= end.number
                else { return nil }
                cursor = known
            }
            let found = try await store.revocations(after: cursor.number, limit: Self.pageLimit)
            if let last = found.last {
                cursor = FeedCursor(database: cursor.database, number: last.cursor)
                return RevocationPage(cursor: cursor.text, revocations: found.map(\.revocation))
            }
            guard presented != nil, await isNews(after: cursor, commits, until: deadline) else {
                return RevocationPage(cursor: cursor.text, revocations: [])
            }
        }
    }

    // MARK: waiting

    /// Waits for the next commit; false when none came in time, or when this is no time to wait.
    private func isNews(
        after cursor: FeedCursor, _ commits: UInt64, until deadline: ContinuousClock.Instant
    ) async -> Bool {
        guard ContinuousClock.now < deadline else { return false }
        return await withCheckedContinuation { continuation in
            let answer: Bool? = state.withLock { state in
                if state.isClosed || state.waiters.count >= Self.waiterLimit { return false }
                // It came while the page was read.
                if state.commits != commits { return true }
                state.lastWaiter += 1
                state.waiters[state.lastWaiter] = Waiter(
                    number: cursor.number, deadline: deadline, continuation: continuation)
                return nil
            }
            if let answer { continuation.resume(returning: answer) }
        }
    }

    /// Lets those go on for whom it is true.
    private func release(withNews isNews: Bool, those isMeant: (Waiter) -> Bool) {
        let released = state.withLock { state in
            let released = state.waiters.filter { isMeant($0.value) }
            for number in released.keys { state.waiters[number] = nil }
            return released
        }
        for waiter in released.values { waiter.continuation.resume(returning: isNews) }
    }

    func run() async throws {
        while !Task.isShuttingDownGracefully, !Task.isCancelled {
            try? await cancelWhenGracefulShutdown { try await Task.sleep(for: Self.pause) }
            let now = ContinuousClock.now
            release(withNews: false) { $0.deadline <= now }
            guard waiting > 0 else { continue }
            do {
                let last = try await store.feedEnd().number
                release(withNews: true) { $0.number < last }
            } catch {
                logger.error("the feed of revocations cannot be read", metadata: ["error": "\(error)"])
            }
        }
        state.withLock { $0.isClosed = true }
        release(withNews: false) { _ in true }
    }

    // MARK: commits of this process, told by the database on its writer's queue

    func observes(eventsOfKind kind: DatabaseEventKind) -> Bool {
        if case .insert(let table) = kind { table == "revocations" } else { false }
    }

    func databaseDidChange(with event: DatabaseEvent) { state.withLock { $0.isWritten = true } }

    func databaseDidCommit(_ connection: GRDB.Database) {
        guard takeWritten() else { return }
        state.withLock { $0.commits += 1 }
        release(withNews: true) { _ in true }
    }

    func databaseDidRollback(_ connection: GRDB.Database) { _ = takeWritten() }

    private func takeWritten() -> Bool {
        state.withLock { state in
            defer { state.isWritten = false }
            return state.isWritten
        }
    }
}
