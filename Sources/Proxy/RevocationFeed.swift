// Listens to the feed of one `revocation` block on a thread of its own: a long poll over HTTP, again and again. A feed may
// lie, stall or flood; every bound is here.
import Bytes
import Configuration
import Connections
import HTTP
import Policy
import Reactor

/// What a thread that listens to a source has to report.
struct RevocationReport: Sendable {
    enum Source: Int, Sendable, CaseIterable { case feed, redis }
    enum Outcome: Sendable {
        /// The source is alive, and said this.
        case heard(RevocationDocument)
        /// The feed does not know where we were: everything is read again.
        case resync
        /// In words, without secrets.
        case failed(String)
    }
    let name: String
    let source: Source
    /// A thread that was told to stop may still report.
    let generation: Int
    let outcome: Outcome
    /// The thread waits until what it said was taken up.
    var isMessage = false
}

struct RevocationFeed: ~Copyable {
    /// How long the feed may keep an answer back when there is nothing new.
    private static let longestWaitSeconds: Int64 = 25
    /// What an answer may take beyond that.
    private static let graceSeconds: UInt64 = 10
    private static let bodyLimit = 16 * 1024 * 1024

    private enum Answer { case page(RevocationDocument), unknownCursor }

    private let name: String
    private let address: WebAddress
    private let authorities: [UInt8]?
    private let request: (before: String, after: String)
    private let waitSeconds: Int64
    private let generation: Int
    private let commands: Mailbox<SourceCommand>
    private let results: Mailbox<ControlMessage>
    private var cursor: String?
    /// The first answer is wanted at once: until it is here nobody knows whether the feed is alive.
    private var wasHeard = false
    private var reader: RevocationReader
    private var backoff = Backoff()
    private var input = ByteBuffer(capacity: 64 * 1024)
    private var body = ByteBuffer(capacity: 64 * 1024)

    /// Starts a thread that listens until it is told to stop.
    static func start(
        _ revocation: Revocation, _ address: WebAddress, cursor: String?, generation: Int,
        _ commands: Mailbox<SourceCommand>, _ results: Mailbox<ControlMessage>
    ) {
        Thread.start(name: "revocations") {
            var feed = RevocationFeed(revocation, address, cursor, generation, commands, results)
            feed.run()
        }
    }
    private init(
        _ revocation: Revocation, _ address: WebAddress, _ cursor: String?, _ generation: Int,
        _ commands: Mailbox<SourceCommand>, _ results: Mailbox<ControlMessage>
    ) {
        name = revocation.name
        self.address = address
        authorities = revocation.authorities?.certificates
        self.cursor = cursor
        self.generation = generation
        self.commands = commands
        self.results = results
        reader = RevocationReader(revocation: revocation.name)
        // The feed must be heard well before it counts as stale.
        waitSeconds = max(1, min(Self.longestWaitSeconds, revocation.maxAge.components.seconds / 2))
        let target = address.target + (address.target.contains("?") ? "&" : "?")
        var fields = "Host: \(address.authority)\r\nAccept: application/json\r\nAccept-Encoding: identity\r\n"
        if let id = revocation.clientID, let secret = revocation.clientSecret {
            // RFC 6749 section 2.3.1: both are encoded as in a form first.
            let pair = Array("\(Self.encoded(id)):\(Self.encoded(secret))".utf8)
            fields += "Authorization: Basic \(Self.base64(pair))\r\n"
        }
        request = ("GET \(target)wait=", " HTTP/1.1\r\n\(fields)\r\n")
    }

    private mutating func run() {
        while true {
            do throws(ConnectionFailure) {
                try converse()
            } catch {
                if error.isStop { return }
                report(.failed(error.text))
                let isStopped = commands.pause(milliseconds: backoff.nextMilliseconds()) {
                    if case .hurry = $0 { true } else { false }
                }
                if isStopped { return }
            }
        }
    }
    private func report(_ outcome: RevocationReport.Outcome, isMessage: Bool = false) {
        results.post(
            .revocations(
                RevocationReport(
                    name: name, source: .feed, generation: generation, outcome: outcome, isMessage: isMessage)))
    }

    /// One connection, for as many polls as it lives.
    private mutating func converse() throws(ConnectionFailure) {
        var connection = try BlockingConnection.open(
            host: address.host, port: address.port, isTLS: address.isTLS, authorities: authorities, commands)
        input.clear()
        var polls = 0
        while true {
            let started = EventLoop.monotonic
            connection.deadline = started.after(seconds: UInt64(waitSeconds) + Self.graceSeconds)
            var goesOn = false
            let answer: Answer
            do throws(ConnectionFailure) {
                let position = cursor.map { "&since=\(Self.encoded($0))" } ?? ""
                let patience = wasHeard ? waitSeconds : 0
                try connection.send(Array((request.before + "\(patience)" + position + request.after).utf8))
                answer = try receive(connection, &goesOn)
            } catch {
                // A connection that rested may be closed by the time it is used again.
                if polls > 0, input.isEmpty, !error.isStop { return }
                throw error
            }
            polls += 1
            backoff.succeeded()
            if try take(answer, since: started) { return }
            guard goesOn, input.isEmpty else { return }
        }
    }
    /// True: to be asked again over another connection, after a while.
    private mutating func take(_ answer: Answer, since started: Instant) throws(ConnectionFailure) -> Bool {
        switch answer {
        case .unknownCursor:
            guard cursor != nil else { throw ConnectionFailure(text: "status 404 or 410 instead of 200") }
            cursor = nil
            report(.resync)
            return false
        case .page(let page):
            let isNew = page.cursor != cursor
            cursor = page.cursor
            report(.heard(page), isMessage: true)
            // One page at a time: what is not taken up yet waits at the feed.
            let isStopped = commands.pause(milliseconds: .max) { if case .taken = $0 { true } else { false } }
            if isStopped { throw ConnectionFailure(text: "stopped", isStop: true) }
            defer { wasHeard = true }
            if isNew || !wasHeard || EventLoop.monotonic >= started.after(seconds: 1) { return false }
            // A feed that answers at once though it has nothing new is asked once a second.
            if commands.pause(milliseconds: 1000, until: { if case .hurry = $0 { true } else { false } }) {
                throw ConnectionFailure(text: "stopped", isStop: true)
            }
            return false
        }
    }

    // MARK: the exchange

    private mutating func receive(
        _ connection: borrowing BlockingConnection, _ goesOn: inout Bool
    ) throws(ConnectionFailure) -> Answer {
        var head = ResponseHead()
        var decoder = BodyDecoder()
        var hasHead = false
        body.clear()
        while true {
            let arrival = try connection.receive(into: &input)
            if arrival == .late { throw ConnectionFailure(text: "no whole answer in time") }
            if !hasHead, try parse(&head) {
                hasHead = true
                decoder = BodyDecoder(head.framing, length: head.contentLength)
            }
            if hasHead, try take(&decoder, isOpen: arrival == .bytes) { break }
            if arrival == .ended { throw ConnectionFailure(text: "the answer was cut short") }
        }
        goesOn = !head.wantsClose && head.framing != .untilClose
        if head.status != 200 { return .unknownCursor }
        do throws(RevocationDocumentError) {
            return .page(try Self.page(body, &reader))
        } catch {
            throw ConnectionFailure(text: "the answer cannot be used: \(error.reason)")
        }
    }
    private static func page(
        _ body: borrowing ByteBuffer, _ reader: inout RevocationReader
    ) throws(RevocationDocumentError) -> RevocationDocument { try reader.page(body.bytes) }

    private mutating func parse(_ head: inout ResponseHead) throws(ConnectionFailure) -> Bool {
        while true {
            switch head.parse(input.bytes, isHEAD: false) {
            case .incomplete:
                guard input.count <= 64 * 1024 else { throw ConnectionFailure(text: "the answer has no end of a head") }
                return false
            case .failed(let error): throw ConnectionFailure(text: "not a valid HTTP answer: \(error.reason)")
            case .complete(let n):
                input.consume(n)
                if head.isInterim { continue }
                guard [200, 404, 410].contains(head.status) else {
                    throw ConnectionFailure(text: "status \(head.status) instead of 200")
                }
                guard head.value(named: Array("content-encoding".utf8).span) == nil else {
                    throw ConnectionFailure(text: "the answer is compressed though that was not asked for")
                }
                guard head.contentLength <= Int64(Self.bodyLimit) else {
                    throw ConnectionFailure(text: "the answer is too large")
                }
                return true
            }
        }
    }
    /// True when the body is whole.
    private mutating func take(_ decoder: inout BodyDecoder, isOpen: Bool) throws(ConnectionFailure) -> Bool {
        while true {
            switch decoder.next(input.bytes) {
            case .data(let n):
                guard body.count + n <= Self.bodyLimit else {
                    throw ConnectionFailure(text: "the answer is too large")
                }
                Self.copy(n, of: input, to: &body)
                input.consume(n)
            case .skip(let n), .trailer(let n): input.consume(n)
            case .end: return true
            case .incomplete: return !isOpen && decoder.isUntilClose
            case .malformed(let error): throw ConnectionFailure(text: "not a valid HTTP answer: \(error.reason)")
            }
        }
    }

    private static func copy(_ n: Int, of input: borrowing ByteBuffer, to body: inout ByteBuffer) {
        body.append(input.prefix(n))
    }

    // MARK: spelling

    /// Everything but the unreserved characters of RFC 3986 section 2.3 as `%XX`.
    static func encoded(_ text: String) -> String {
        var out = ""
        for byte in text.utf8 {
            switch byte {
            case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                out.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                let digits = String(byte, radix: 16, uppercase: true)
                out += digits.utf8.count == 1 ? "%0\(digits)" : "%\(digits)"
            }
        }
        return out
    }
    /// RFC 4648 section 4.
    static func base64(_ bytes: [UInt8]) -> String {
        var text = ""
        for character in Base64URL.encode(bytes.span) {
            text.append(character == "-" ? "+" : character == "_" ? "/" : character)
        }
        while text.utf8.count % 4 != 0 { text += "=" }
        return text
    }
}
