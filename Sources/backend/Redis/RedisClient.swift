// Asks Redis over one connection, which is opened when it is needed and anew when it was lost.
import Foundation
import Logging
import NIOCore
import Synchronization

actor RedisClient {
    private static let firstPauseMilliseconds = 50
    /// Redis that is back is noticed within it.
    private static let longestPauseMilliseconds = 1000
    private static let attempts = "backend_redis_connections_total"

    private let options: RedisOptions
    private let logger: Logger
    private let metrics: MetricRegistry
    private let isUp = Atomic(false)
    private var connection: RedisConnection?
    private var opening: Task<RedisConnection, any Error>?
    private var failures = 0
    /// What was said of the server already.
    private var weaknesses: [String] = []
    /// Until then nobody tries again; what was tried last failed with this.
    private var pause: (end: ContinuousClock.Instant, reason: RedisFailure)?

    init(_ options: RedisOptions, logger: Logger, metrics: MetricRegistry) {
        self.options = options
        self.logger = logger
        self.metrics = metrics
        metrics.counter(
            Self.attempts, "Connections to Redis by what became of them.",
            labels: ["ok", "failed"].map { "result=\"\($0)\"" })
        metrics.gauge("backend_redis_up", "Whether the last thing heard of Redis was good.") { [weak self] in
            self?.isUp.load(ordering: .relaxed) == true ? 1 : 0
        }
    }

    /// Sends a command; throws a `RedisFailure`, also when the server says no.
    func send(_ words: [RedisCommand.Word]) async throws -> RedisReply {
        let connection = try await openConnection()
        let reply: RedisReply
        do {
            reply = try await connection.send(RedisCommand(words))
        } catch let failure as RedisFailure {
            throw failure
        } catch {
            // The channel was closed before the command came to it.
            throw RedisFailure.unreachable("\(error)")
        }
        guard case .error(let words) = reply else { return reply }
        // The server is starting, or has become a replica: the right one may stand behind the address by now.
        if ["LOADING", "READONLY", "MASTERDOWN"].contains(where: words.hasPrefix) { connection.close() }
        throw RedisFailure.refused(words)
    }

    func close() {
        opening?.cancel()
        connection?.close()
        connection = nil
    }

    private func openConnection() async throws -> RedisConnection {
        if let connection {
            if connection.isOpen { return connection }
            self.connection = nil
            isUp.store(false, ordering: .relaxed)
            logger.warning("the connection to Redis was lost", metadata: ["redis": "\(options.address)"])
        }
        if let opening { return try await opening.value }
        if let pause, ContinuousClock.now < pause.end { throw pause.reason }
        let task = Task { try await self.attempt() }
        opening = task
        return try await task.value
    }

    /// One attempt, whose outcome all get who ask meanwhile.
    private func attempt() async throws -> RedisConnection {
        defer { opening = nil }
        do {
            let opened = try await RedisConnection.open(options)
            connection = opened
            succeeded()
            await judge(opened)
            return opened
        } catch {
            throw failed(error)
        }
    }

    private func succeeded() {
        if failures > 0 {
            logger.notice("Redis answers again", metadata: ["redis": "\(options.address)"])
        }
        failures = 0
        pause = nil
        isUp.store(true, ordering: .relaxed)
        metrics.add(Self.attempts, label: "result=\"ok\"")
    }

    /// Says once what the server may lose, though it is not for us to refuse it.
    private func judge(_ connection: RedisConnection) async {
        let found = await connection.weaknesses()
        guard found != weaknesses else { return }
        weaknesses = found
        for weakness in found {
            logger.warning(
                "Redis may lose what it acknowledged",
                metadata: ["redis": "\(options.address)", "setting": "\(weakness)"])
        }
    }

    private func failed(_ error: any Error) -> RedisFailure {
        let reason = error as? RedisFailure ?? .unreachable("\(error)")
        // Once for each outage: every request would say it again.
        if failures == 0 {
            logger.error("Redis cannot be used", metadata: ["redis": "\(options.address)", "error": "\(reason)"])
        }
        let longest = min(Self.longestPauseMilliseconds, Self.firstPauseMilliseconds << min(failures, 10))
        failures += 1
        // Shortened by chance: several backends must not come back in step.
        let milliseconds = Int.random(in: longest / 2...longest)
        pause = (.now + .milliseconds(milliseconds), reason)
        isUp.store(false, ordering: .relaxed)
        metrics.add(Self.attempts, label: "result=\"failed\"")
        return reason
    }
}
