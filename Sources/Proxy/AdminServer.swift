// Metrics and health for operators: a few requests a minute, answered by the control thread.
import Bytes
import Configuration
import Connections
import HTTP
import Policy
import Reactor
import Telemetry
import Transport

struct AdminServer: ~Copyable {
    /// Operators and their collectors; more at once is somebody else.
    private static var clientLimit: Int { 64 }
    private static var idleNanoseconds: UInt64 { 10_000_000_000 }

    enum Request {
        case metrics(SlotID), health(SlotID), readiness(SlotID), identityKeys(SlotID)
        /// Keys of a provider are to be fetched now; `purging`: and the ones that are here forgotten.
        case keys(SlotID, provider: String, purging: Bool)
        /// Something is to be revoked, for one block or all.
        case revoke(SlotID, block: String?, body: [UInt8])
    }
    /// The body of a request that is arriving.
    private struct Arriving {
        let client: SlotID
        /// For one `revocation` block; nil: all.
        let block: String?
        var body: [UInt8] = []
    }
    /// Bytes of a body.
    private static var bodyLimit: Int { 1 << 20 }
    /// Clients that wait for the keys of a provider, and what came of its sources so far.
    private struct KeyWait {
        let client: SlotID
        let provider: String
        var lines = ""
        var hasFailed = false
    }

    private let listener: Transport.Listener?
    private let descriptor: Int32
    private var clients = SlotTable<ServerConnection>(capacity: AdminServer.clientLimit)
    private var head = RequestHead()
    private var input = ByteBuffer(capacity: 16 * 1024)
    private var buffers = BufferPool()
    private var responses = LocalResponseWriter()
    /// Clients that wait for a page of metrics, the workers that have not answered yet, and until when they may.
    private var waiting: [SlotID] = []
    private var missing: Set<Int> = []
    private var collectsUntil: Instant?
    private var keyWaits: [KeyWait] = []
    private var arriving: [Arriving] = []

    /// There is no admin address.
    init() {
        listener = nil
        descriptor = -1
    }
    init(_ socket: consuming Socket) {
        descriptor = socket.descriptor
        listener = Transport.Listener(socket)
    }
    borrowing func register(with loop: borrowing EventLoop) {
        if descriptor >= 0 { loop.register(descriptor, Token(.listener, .none)) }
    }

    mutating func accept(_ loop: inout EventLoop) {
        guard let accepted = listener?.accept() else { return }
        switch consume accepted {
        case .stream(let stream, let peer):
            let connection = ServerConnection(stream, address: ClientAddress(peer), listener: 0)
            guard let id = clients.insert(connection) else { return }
            loop.register(clients[id].descriptor, Token(.client, id))
            let end = Instant(nanoseconds: loop.now.nanoseconds + Self.idleNanoseconds)
            clients[id].deadline = loop.timers.add(Token(.client, id), end)
        case .none: break
        case .exhausted: break
        }
    }
    mutating func late(_ id: SlotID, _ loop: inout EventLoop) {
        if clients.contains(id) { close(id, &loop) }
    }
    /// The request that came in, if one did.
    mutating func ready(_ id: SlotID, _ readiness: Readiness, _ loop: inout EventLoop) -> Request? {
        guard clients.contains(id) else { return nil }
        if readiness.isFailed {
            close(id, &loop)
            return nil
        }
        clients[id].note(readiness)
        if readiness.isWritable { flush(id, &loop) }
        guard clients.contains(id), readiness.isReadable else { return nil }
        return read(id, &loop)
    }
    private mutating func read(_ id: SlotID, _ loop: inout EventLoop) -> Request? {
        while true {
            switch clients[id].receive(into: &input, &buffers) {
            case .nothing: return nil
            case .closed, .failed:
                close(id, &loop)
                return nil
            case .bytes: break
            }
            switch take(id, &loop) {
            case .starved: if !clients[id].canProceed { return nil }
            case .over: return nil
            case .asked(let request): return request
            }
        }
    }
    /// What came of the bytes of one receipt.
    private enum Taken { case starved, over, asked(Request) }
    private mutating func take(_ id: SlotID, _ loop: inout EventLoop) -> Taken {
        while true {
            switch clients[id].next(in: &input, head: &head, limits: HTTPLimits()) {
            case .head:
                if head.method == .post, let block = revokedBlock() {
                    guard beginRevoke(id, block, &loop) else { return .over }
                } else {
                    return request(id, &loop).map { .asked($0) } ?? .over
                }
            case .starved, .paused:
                clients[id].keep(&input, &buffers)
                return .starved
            case .malformed(let error):
                head.clear()
                refuse(id, LocalResponse(error), &loop)
                return .over
            case .body(let n):
                guard takeBody(id, n, &loop) else { return .over }
            case .end:
                guard let i = arriving.firstIndex(where: { $0.client == id }) else { return closed(id, &loop) }
                let whole = arriving.remove(at: i)
                return .asked(.revoke(id, block: whole.block, body: whole.body))
            // Streams are not offered here.
            case .overrun, .streams: return closed(id, &loop)
            }
        }
    }
    private mutating func closed(_ id: SlotID, _ loop: inout EventLoop) -> Taken {
        close(id, &loop)
        return .over
    }
    private mutating func request(_ id: SlotID, _ loop: inout EventLoop) -> Request? {
        // One request on each connection: bodies and pipelines have no place here.
        clients[id].closeAfterResponse()
        if head.method == .post { return action(id, &loop) }
        guard head.method == .get || head.method == .head else {
            refuse(id, .methodNotAllowed, &loop)
            return nil
        }
        if isPath("/metrics") { return .metrics(id) }
        if isPath("/healthz") { return .health(id) }
        if isPath("/readyz") { return .readiness(id) }
        if isPath("/jwks.json") { return .identityKeys(id) }
        refuse(id, .notFound, &loop)
        return nil
    }

    // MARK: bodies

    /// `/revoke` (nil inside) or `/revoke/NAME`; nil: another path.
    private func revokedBlock() -> String?? {
        let bytes = head.target.path(in: head.bytes)
        let path = String(decoding: bytes.indices.map { bytes[$0] }, as: UTF8.self)
        if path == "/revoke" { return .some(nil) }
        guard path.hasPrefix("/revoke/"), path.utf8.count > 8 else { return nil }
        return .some(String(path.dropFirst(8)))
    }
    private mutating func beginRevoke(_ id: SlotID, _ block: String?, _ loop: inout EventLoop) -> Bool {
        clients[id].closeAfterResponse()
        guard checkMeant(id, &loop) else { return false }
        guard head.contentLength <= Int64(Self.bodyLimit) else {
            refuse(id, .bodyTooLarge, &loop)
            return false
        }
        if head.framing == .none {
            answer(id, status: 400, type: "text/plain", body: Array("there is no body\n".utf8), &loop)
            return false
        }
        if head.expectsContinue {
            clients[id].sendContinue(&buffers)
            flush(id, &loop)
        }
        arriving.append(Arriving(client: id, block: block))
        return clients.contains(id)
    }
    private mutating func takeBody(_ id: SlotID, _ n: Int, _ loop: inout EventLoop) -> Bool {
        guard let i = arriving.firstIndex(where: { $0.client == id }) else {
            close(id, &loop)
            return false
        }
        guard arriving[i].body.count + n <= Self.bodyLimit else {
            refuse(id, .bodyTooLarge, &loop)
            return false
        }
        for k in 0..<n { arriving[i].body.append(byte(k)) }
        input.consume(n)
        return true
    }
    private func byte(_ i: Int) -> UInt8 { input.bytes[i] }

    // MARK: actions

    /// What changes something. No page of another site can ask for it: a browser sends the field only after asking us, which
    /// is refused, and tells where a page comes from (a page whose host's name was made to lead here included).
    private mutating func action(_ id: SlotID, _ loop: inout EventLoop) -> Request? {
        guard let action = keyAction() else {
            refuse(
                id, isPath("/metrics") || isPath("/healthz") || isPath("/readyz") ? .methodNotAllowed : .notFound, &loop
            )
            return nil
        }
        guard head.contentLength <= 0, head.framing == .none || head.framing == .length else {
            refuse(id, .bodyTooLarge, &loop)
            return nil
        }
        guard checkMeant(id, &loop) else { return nil }
        return .keys(id, provider: action.provider, purging: action.purges)
    }
    private mutating func checkMeant(_ id: SlotID, _ loop: inout EventLoop) -> Bool {
        if isMeant { return true }
        answer(
            id, status: 403, type: "text/plain",
            body: Array("say \"Gateway-Admin: 1\", and not from a browser\n".utf8), &loop)
        return false
    }
    private var isMeant: Bool {
        let value = head.value(named: Array("gateway-admin".utf8).span)
        guard let value, value.count == 1, head.bytes[value.lowerBound] == UInt8(ascii: "1") else { return false }
        return head.value(named: Array("origin".utf8).span) == nil
            && head.value(named: Array("sec-fetch-site".utf8).span) == nil
    }
    /// `/jwks/PROVIDER/refresh` or `/jwks/PROVIDER/purge`
    private func keyAction() -> (provider: String, purges: Bool)? {
        let bytes = head.target.path(in: head.bytes)
        let path = String(decoding: bytes.indices.map { bytes[$0] }, as: UTF8.self)
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 4, parts[0].isEmpty, parts[1] == "jwks", parts[3] == "refresh" || parts[3] == "purge"
        else { return nil }
        return (String(parts[2]), parts[3] == "purge")
    }

    private func isPath(_ text: StaticString) -> Bool {
        let path = head.target.path(in: head.bytes)
        return path.count == text.utf8CodeUnitCount && path.matches(0, text)
    }

    // MARK: answers

    private mutating func refuse(_ id: SlotID, _ kind: LocalResponse, _ loop: inout EventLoop) {
        var form = ResponseForm(wallSeconds: loop.wallSeconds)
        form.closes = true
        form.detail = .full
        form.isHEAD = head.isHEAD
        _ = responses.refuse(kind, form, Challenges([[]]), location: 0)
        responses.write(to: &clients[id].output, &buffers)
        finish(id, &loop)
    }
    mutating func answer(
        _ id: SlotID, status: Int, type: StaticString, body: [UInt8], isLate: Bool = false, _ loop: inout EventLoop
    ) {
        guard clients.contains(id) else { return }
        clients[id].output.reserve(body.count + 256, &buffers)
        var text = ByteBuffer(capacity: 256)
        text.append("HTTP/1.1 ")
        text.append(decimal: UInt64(status), width: 3)
        text.append(" ")
        text.append(StatusPhrase.of(status))
        text.append("\r\nDate: ")
        CivilTime(wallSeconds: loop.wallSeconds).appendHTTPDate(to: &text)
        text.append("\r\nContent-Type: ")
        text.append(type)
        text.append("\r\nCache-Control: no-store\r\nConnection: close\r\nContent-Length: ")
        text.append(decimal: UInt64(body.count))
        text.append("\r\n\r\n")
        clients[id].output.append(text.bytes)
        // By the time of a late answer another head may have come.
        if isLate || !head.isHEAD { clients[id].output.append(body.span) }
        finish(id, &loop)
    }
    private mutating func finish(_ id: SlotID, _ loop: inout EventLoop) {
        _ = clients[id].answered(closing: true)
        flush(id, &loop)
    }
    private mutating func flush(_ id: SlotID, _ loop: inout EventLoop) {
        switch clients[id].flush(&buffers) {
        case .emptied: if clients[id].isClosing, clients[id].endOutput() { close(id, &loop) }
        case .blocked: break
        case .broken: close(id, &loop)
        }
    }
    private mutating func close(_ id: SlotID, _ loop: inout EventLoop) {
        if let deadline = clients[id].deadline { loop.timers.remove(deadline) }
        arriving.removeAll { $0.client == id }
        clients[id].release(&buffers)
        clients.destroy(id)
    }

    // MARK: keys

    mutating func waitForKeys(_ id: SlotID, of provider: String) {
        keyWaits.append(KeyWait(client: id, provider: provider))
        // A fetch has its own end, which comes before the client would be called idle.
    }
    /// What came of one source of a provider.
    mutating func noteKeys(_ line: String, isFailure: Bool, of provider: String) {
        for i in keyWaits.indices where keyWaits[i].provider == provider {
            keyWaits[i].lines += line + "\n"
            if isFailure { keyWaits[i].hasFailed = true }
        }
    }
    /// All sources have been asked.
    mutating func answerKeys(of provider: String, _ loop: inout EventLoop) {
        for wait in keyWaits where wait.provider == provider {
            answer(
                wait.client, status: wait.hasFailed ? 502 : 200, type: "text/plain; charset=utf-8",
                body: Array(wait.lines.utf8), isLate: true, &loop)
        }
        keyWaits.removeAll { $0.provider == provider }
    }

    // MARK: metrics

    /// True: the workers must be asked; false: they have been already.
    mutating func wait(_ id: SlotID, workers: Int, until end: Instant) -> Bool {
        waiting.append(id)
        guard collectsUntil == nil else { return false }
        missing = Set(0..<workers)
        collectsUntil = end
        return true
    }
    mutating func collected(_ worker: Int) { missing.remove(worker) }
    /// Whom to answer now: when all workers have, or the time is up.
    mutating func takeWaiting(now: Instant) -> [SlotID] {
        guard let end = collectsUntil, missing.isEmpty || now >= end else { return [] }
        defer {
            waiting = []
            collectsUntil = nil
        }
        return waiting
    }
}

extension ControlPlane {
    mutating func adminReady(_ id: SlotID, _ readiness: Readiness) {
        switch admin.ready(id, readiness, &loop) {
        case nil: break
        case .health(let client):
            admin.answer(client, status: 200, type: "text/plain", body: Array("ok\n".utf8), &loop)
        case .identityKeys(let client): answerIdentityKeys(client)
        case .readiness(let client):
            let lack = keyGauges.allSatisfy { $0.keys > 0 } ? revocations.isReady ? "" : "revocations" : "keys"
            admin.answer(
                client, status: lack.isEmpty ? 200 : 503, type: "text/plain",
                body: Array((lack.isEmpty ? "ready\n" : "waiting for \(lack)\n").utf8), &loop)
        case .revoke(let client, let block, let body): revoke(client, block: block, body)
        case .keys(let client, let provider, let isPurge): renewKeys(provider, purging: isPurge, for: client)
        case .metrics(let client):
            let end = Instant(nanoseconds: loop.now.nanoseconds + Self.collectNanoseconds)
            if admin.wait(client, workers: workers.count + (asksServices ? 1 : 0), until: end) {
                for worker in workers { worker.post(.collect) }
                if asksServices { lookups.post(.collect) }
            }
        }
    }
    /// A page for everybody who waits for one.
    mutating func answerMetrics(isLate: Bool) {
        let clients = admin.takeWaiting(now: loop.now)
        if clients.isEmpty { return }
        let page = Exposition.render(
            totals, process: gauges, keySets: keyGauges, lookups: lookupGauges, revocations: revocations.gauges,
            health: health.gauges, wallSeconds: loop.wallSeconds)
        for client in clients {
            admin.answer(client, status: 200, type: Exposition.contentType, body: page, &loop)
        }
    }
}
