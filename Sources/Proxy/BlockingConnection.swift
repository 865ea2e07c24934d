// A connection of a thread that has nothing else to do: each call waits, until a deadline, and looks up now and then whether
// the thread is still wanted.
import Bytes
import Configuration
import Reactor
import Transport

/// Why there is no connection any more, in words and without secrets.
struct ConnectionFailure: Error {
    let text: String
    /// The thread is not wanted any more.
    var isStop = false
}

/// What a thread that listens to a source is told.
enum SourceCommand: Sendable {
    /// What it sent was taken up: there may be more.
    case taken
    /// Do not wait for a better time to try again: there is news.
    case hurry
    case stop
}

struct BlockingConnection: ~Copyable {
    enum Arrival { case bytes, ended, late }

    /// How often a wait is interrupted to look whether the thread is wanted.
    private static let sliceMilliseconds: Int32 = 500
    private static let connectMilliseconds: Int32 = 5_000

    private let stream: Stream
    private let commands: Mailbox<SourceCommand>
    /// Until when the calls below may wait.
    var deadline = Instant(nanoseconds: 0)

    /// Tries every address of the host. With TLS it is believed by these authorities, in PEM; nil: by the system's.
    static func open(
        host: String, port: UInt16, isTLS: Bool, authorities: [UInt8]?, _ commands: Mailbox<SourceCommand>
    ) throws(ConnectionFailure) -> BlockingConnection {
        let addresses = HostResolution.addresses(of: host).map { SocketAddress(address: $0, port: port) }
        var last = ConnectionFailure(text: "\(host) has no address")
        for address in addresses {
            do throws(ConnectionFailure) {
                let socket = try connect(address)
                if isTLS { return try secure(socket, host, authorities, commands) }
                return BlockingConnection(Stream(socket), commands)
            } catch {
                last = error
            }
        }
        throw last
    }
    private static func connect(_ address: SocketAddress) throws(ConnectionFailure) -> Socket {
        let socket: Socket
        do throws(SocketError) {
            socket = try Socket.connect(address)
        } catch {
            throw ConnectionFailure(text: "\(address.text): \(error.text)")
        }
        guard socket.waitWritable(milliseconds: connectMilliseconds) else {
            throw ConnectionFailure(text: "\(address.text): timed out")
        }
        let error = socket.connectError
        guard error == 0 else {
            throw ConnectionFailure(text: "\(address.text): \(SocketError(number: error).text)")
        }
        return socket
    }
    private static func secure(
        _ socket: consuming Socket, _ host: String, _ authorities: [UInt8]?, _ commands: Mailbox<SourceCommand>
    ) throws(ConnectionFailure) -> BlockingConnection {
        let stream: Stream
        do throws(TLSError) {
            let context = try TLSContext.client(authorities: authorities)
            guard let session = context.connect(on: socket, host: host, isAddress: IPAddress(host) != nil) else {
                throw TLSError(subject: .context, reason: "no session can be made")
            }
            stream = Stream(socket, tls: session)
        } catch {
            throw ConnectionFailure(text: "TLS: \(error.reason)")
        }
        var connection = BlockingConnection(stream, commands)
        connection.deadline = EventLoop.monotonic.after(seconds: 5)
        try connection.handshake()
        return connection
    }
    private init(_ stream: consuming Stream, _ commands: Mailbox<SourceCommand>) {
        self.stream = stream
        self.commands = commands
    }

    private func handshake() throws(ConnectionFailure) {
        while true {
            switch stream.handshake() {
            case .bytes: return
            case .blocked: guard try wait(toWrite: false) else { throw ConnectionFailure(text: "timed out") }
            case .closed, .failed:
                let reason = stream.verifyError()
                throw ConnectionFailure(text: reason.isEmpty ? "the TLS handshake failed" : "certificate: \(reason)")
            }
        }
    }
    func send(_ bytes: [UInt8]) throws(ConnectionFailure) {
        var sent = 0
        while sent < bytes.count {
            switch stream.write(bytes.span.extracting(sent..<bytes.count)) {
            case .bytes(let n): sent += n
            case .blocked: guard try wait(toWrite: true) else { throw ConnectionFailure(text: "timed out") }
            case .closed, .failed: throw ConnectionFailure(text: "the connection was closed")
            }
        }
    }
    /// Appends what comes next.
    func receive(into input: inout ByteBuffer) throws(ConnectionFailure) -> Arrival {
        input.reserve(16 * 1024)
        while true {
            var free = input.free
            switch stream.read(into: &free) {
            case .bytes(let n):
                input.commit(n)
                return .bytes
            case .blocked: guard try wait(toWrite: false) else { return .late }
            case .closed: return .ended
            case .failed: throw ConnectionFailure(text: "the connection broke")
            }
        }
    }
    /// False: the time is up.
    private func wait(toWrite: Bool) throws(ConnectionFailure) -> Bool {
        while true {
            for command in commands.takeAll() {
                if case .stop = command { throw ConnectionFailure(text: "stopped", isStop: true) }
            }
            let now = EventLoop.monotonic
            guard now < deadline else { return false }
            let left = (deadline.nanoseconds - now.nanoseconds) / 1_000_000 + 1
            let slice = min(Int32(clamping: left), Self.sliceMilliseconds)
            let isReady =
                toWrite
                ? stream.socket.waitWritable(milliseconds: slice) : stream.socket.waitReadable(milliseconds: slice)
            if isReady { return true }
        }
    }
}

/// The pauses between attempts: 1 s, 2 s, 4 s … 30 s, each shortened by chance, so that many gateways do not come at once.
struct Backoff {
    private static let longestMilliseconds: UInt64 = 30_000
    private var failures: UInt64 = 0
    private var random = SystemRandomNumberGenerator()

    mutating func succeeded() { failures = 0 }
    mutating func nextMilliseconds() -> Int32 {
        let whole = min(Self.longestMilliseconds, 1000 << min(failures, 5))
        failures += 1
        return Int32(whole / 2 + UInt64.random(in: 0...whole / 2, using: &random))
    }
}

extension Mailbox where Message == SourceCommand {
    /// Sleeps for so long, or until there is a reason to go on. True: the thread is not wanted any more.
    func pause(milliseconds: Int32, until wanted: (SourceCommand) -> Bool) -> Bool {
        let end = Instant(nanoseconds: EventLoop.monotonic.nanoseconds + UInt64(milliseconds) * 1_000_000)
        while true {
            for command in takeAll() {
                if case .stop = command { return true }
                if wanted(command) { return false }
            }
            let now = EventLoop.monotonic
            guard now < end else { return false }
            sleep(milliseconds: Int32((end.nanoseconds - now.nanoseconds) / 1_000_000 + 1))
        }
    }
}
