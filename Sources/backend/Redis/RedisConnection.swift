// An open connection: authenticated, on its database, over TLS when the address says so.
import NIOCore
import NIOPosix
import NIOSSL

struct RedisConnection: Sendable {
    private let channel: any Channel

    var isOpen: Bool { channel.isActive }

    /// Connects and says who we are; a server that refuses us is as far away as one that is down.
    static func open(_ options: RedisOptions) async throws -> RedisConnection {
        let password = try options.password()
        let bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connectTimeout(options.timeout)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let tls = options.tls {
                        try channel.pipeline.syncOperations.addHandler(
                            try RedisServerName.handler(tls, name: options.serverName))
                    }
                    try channel.pipeline.syncOperations.addHandler(try RedisPipeline(timeout: options.timeout))
                }
            }
        let channel = try await bootstrap.connect(host: options.address.host, port: options.address.port).get()
        let connection = RedisConnection(channel: channel)
        do {
            try await connection.introduce(options.address, password)
        } catch {
            connection.close()
            throw error
        }
        return connection
    }

    /// Sends a command and waits for its answer; an answer that says no is one, too.
    func send(_ command: RedisCommand) async throws -> RedisReply {
        let answer = channel.eventLoop.makePromise(of: RedisReply.self)
        // A connection that has been closed has nobody left who would look at the command.
        channel.writeAndFlush(RedisRequest(command: command, answer: answer)).whenFailure { answer.fail($0) }
        return try await answer.futureResult.get()
    }

    func close() { channel.close(promise: nil) }

    private func introduce(_ address: RedisAddress, _ password: String?) async throws {
        if let password {
            let user = address.user.map { [RedisCommand.Word.text($0)] } ?? []
            try await require(["AUTH"] + user + [.text(password)])
        }
        if address.database != 0 { try await require(["SELECT", .number(Int64(address.database))]) }
        try await require(["PING"])
    }

    private func require(_ words: [RedisCommand.Word]) async throws {
        if case .error(let words) = try await send(RedisCommand(words)) { throw RedisFailure.refused(words) }
    }
}
