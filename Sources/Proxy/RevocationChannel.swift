// Listens to a channel of a Redis server on a thread of its own. What is published while the connection is down is lost: a
// feed beside the channel, or the next message of the same, has to bring it.
import Bytes
import Configuration
import Policy
import Reactor

struct RevocationChannel: ~Copyable {
    /// A server that is alive answers a PING within this.
    private static let answerNanoseconds: UInt64 = 3_000_000_000

    private let name: String
    private let channel: RedisChannel
    private let authorities: [UInt8]?
    private let generation: Int
    private let pingNanoseconds: UInt64
    private let commands: Mailbox<SourceCommand>
    private let results: Mailbox<ControlMessage>
    private var reader: RevocationReader
    private var backoff = Backoff()
    private var input = ByteBuffer(capacity: 64 * 1024)

    /// Starts a thread that listens until it is told to stop.
    static func start(
        _ revocation: Revocation, _ channel: RedisChannel, generation: Int, _ commands: Mailbox<SourceCommand>,
        _ results: Mailbox<ControlMessage>
    ) {
        Thread.start(name: "redis") {
            var listener = RevocationChannel(revocation, channel, generation, commands, results)
            listener.run()
        }
    }
    private init(
        _ revocation: Revocation, _ channel: RedisChannel, _ generation: Int, _ commands: Mailbox<SourceCommand>,
        _ results: Mailbox<ControlMessage>
    ) {
        name = revocation.name
        self.channel = channel
        authorities = revocation.authorities?.certificates
        self.generation = generation
        self.commands = commands
        self.results = results
        reader = RevocationReader(revocation: revocation.name)
        // The server must be heard well before it counts as stale.
        pingNanoseconds = min(4_000_000_000, UInt64(revocation.maxAge.components.seconds) * 1_000_000_000 / 4)
    }

    private mutating func run() {
        while true {
            do throws(ConnectionFailure) {
                try converse()
            } catch {
                if error.isStop { return }
                report(.failed(error.text))
                if commands.pause(milliseconds: backoff.nextMilliseconds(), until: { _ in false }) { return }
            }
        }
    }
    private func report(_ outcome: RevocationReport.Outcome, isMessage: Bool = false) {
        results.post(
            .revocations(
                RevocationReport(
                    name: name, source: .redis, generation: generation, outcome: outcome, isMessage: isMessage)))
    }

    private mutating func converse() throws(ConnectionFailure) {
        var connection = try BlockingConnection.open(
            host: channel.host, port: channel.port, isTLS: channel.isTLS, authorities: authorities, commands)
        guard var replies = RedisReplies() else { throw ConnectionFailure(text: "no memory") }
        connection.deadline = EventLoop.monotonic.after(seconds: 5)
        var expected = 0
        var opening: [UInt8] = []
        if let password = channel.password {
            opening += Self.command(["AUTH"] + (channel.user.map { [$0] } ?? []) + [password])
            expected += 1
        }
        if channel.database != 0 {
            opening += Self.command(["SELECT", String(channel.database)])
            expected += 1
        }
        opening += Self.command(["SUBSCRIBE", channel.channel])
        try connection.send(opening)
        // What the server says before the subscription is about these commands.
        while expected >= 0 {
            switch try answer(&replies, connection) {
            case .error(let words): throw ConnectionFailure(text: "refused: \(words.prefix(200))")
            case .status, .texts, .other: expected -= 1
            }
        }
        backoff.succeeded()
        report(.heard(RevocationDocument()))
        try listen(&replies, &connection)
    }
    private mutating func answer(
        _ replies: inout RedisReplies, _ connection: borrowing BlockingConnection
    ) throws(ConnectionFailure) -> RedisReply {
        while true {
            if let reply = try replies.next() { return reply }
            guard try receive(&replies, connection) else { throw ConnectionFailure(text: "no answer in time") }
        }
    }
    /// False: nothing came until the deadline.
    private mutating func receive(
        _ replies: inout RedisReplies, _ connection: borrowing BlockingConnection
    ) throws(ConnectionFailure) -> Bool {
        input.clear()
        switch try connection.receive(into: &input) {
        case .ended: throw ConnectionFailure(text: "the server closed the connection")
        case .late: return false
        case .bytes:
            guard replies.feed(input.bytes) else { throw ConnectionFailure(text: "a message is too large") }
            return true
        }
    }

    private mutating func listen(
        _ replies: inout RedisReplies, _ connection: inout BlockingConnection
    ) throws(ConnectionFailure) {
        var isAsked = false
        while true {
            while let reply = try replies.next() {
                isAsked = false
                try take(reply)
            }
            let patience = isAsked ? Self.answerNanoseconds : pingNanoseconds
            connection.deadline = Instant(nanoseconds: EventLoop.monotonic.nanoseconds + patience)
            if try receive(&replies, connection) { continue }
            if isAsked { throw ConnectionFailure(text: "the server does not answer") }
            try connection.send(Self.command(["PING"]))
            isAsked = true
        }
    }
    private mutating func take(_ reply: RedisReply) throws(ConnectionFailure) {
        switch reply {
        case .error(let words): throw ConnectionFailure(text: "refused: \(words.prefix(200))")
        case .texts(let texts) where texts.count == 3 && texts[0] == Array("message".utf8):
            do throws(RevocationDocumentError) {
                let text = texts[2]
                let document = try reader.entries(text.span)
                report(.heard(document), isMessage: true)
            } catch {
                // One bad message says nothing about the next.
                return report(.failed("a message cannot be used: \(error.reason)"))
            }
            // One message at a time: what is not taken up yet waits in the socket.
            let isStopped = commands.pause(milliseconds: .max) { if case .taken = $0 { true } else { false } }
            if isStopped { throw ConnectionFailure(text: "stopped", isStop: true) }
        case .texts, .status, .other: report(.heard(RevocationDocument()))
        }
    }

    /// A command as a list of bulk strings (RESP).
    static func command(_ words: [String]) -> [UInt8] {
        var bytes = Array("*\(words.count)\r\n".utf8)
        for word in words { bytes += Array("$\(word.utf8.count)\r\n\(word)\r\n".utf8) }
        return bytes
    }
}
