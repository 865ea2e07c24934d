// TLS to upstreams: settings of this worker, sessions that go on, and what is said of a handshake that fails.
import Bytes
import Configuration
import Connections
import Policy
import Reactor
import Telemetry
import Transport

/// One worker's TLS settings, each made once. They live as long as the configuration names them; one that an exchange of an
/// older configuration still asks for is made anew.
struct SecuredUpstreams: ~Copyable {
    private struct Known {
        /// Nameless.
        let tls: UpstreamTLS
        let isFramed: Bool
        let context: SlotID
    }
    private var known: [Known] = []
    private var contexts = SlotTable<TLSContext>(capacity: 4096)

    /// Makes what is new ready, so that no request waits for files of authorities, and forgets what is not named any more.
    mutating func adopt(_ upstreams: [Upstream]) {
        known.removeAll { known in
            if upstreams.contains(where: { $0.tls?.nameless == known.tls && $0.isFramed == known.isFramed }) {
                return false
            }
            contexts.destroy(known.context)
            return true
        }
        for upstream in upstreams { if let tls = upstream.tls { _ = context(tls.nameless, upstream.isFramed) } }
    }
    mutating func connect(
        on socket: borrowing Socket, _ tls: UpstreamTLS, isFramed: Bool, resuming session: ResumableSession?
    ) -> TLSSession? {
        guard let id = context(tls.nameless, isFramed) else { return nil }
        return contexts[id].connect(on: socket, to: UpstreamSecurity(tls, isFramed: isFramed), resuming: session)
    }
    /// - Parameter tls: nameless.
    private mutating func context(_ tls: UpstreamTLS, _ isFramed: Bool) -> SlotID? {
        if let known = known.first(where: { $0.isFramed == isFramed && $0.tls == tls }) { return known.context }
        guard let made = try? TLSContext.towards(UpstreamSecurity(tls, isFramed: isFramed)),
            let id = contexts.insert(made)
        else { return nil }
        known.append(Known(tls: tls, isFramed: isFramed, context: id))
        return id
    }
}

extension UpstreamSecurity {
    init(_ tls: UpstreamTLS, isFramed: Bool) {
        self.init(
            name: tls.name, isAddress: tls.isAddress, sendsName: tls.sendsName, isVerified: tls.isVerified,
            authorities: tls.authorities?.bytes, certificate: tls.certificate?.bytes, privateKey: tls.key?.bytes,
            allowsTLS12: tls.allowsTLS12, allowsTLS13: tls.allowsTLS13, isFramed: isFramed)
    }
}

extension Worker {
    /// Nil: there is no memory, or the settings cannot be made.
    mutating func stream(_ socket: consuming Socket, to endpoint: Int32) -> Stream? {
        guard let tls = pool.endpoints[Int(endpoint)].tls else { return Stream(socket) }
        let isFramed = pool.endpoints[Int(endpoint)].isFramed
        let known = pool.session(of: endpoint)
        guard let session = secured.connect(on: socket, tls, isFramed: isFramed, resuming: known) else { return nil }
        return Stream(socket, tls: session)
    }

    /// There is no connection: nobody listens, or no handshake came about. Not one byte of a request was sent.
    mutating func connectFailed(_ id: SlotID) {
        guard let failure = upstreams[id].handshakeFailure() else { return upstreamGone(id, .upstreamUnavailable) }
        counters.tally.upstreamHandshakeFailures &+= 1
        let name = pool.endpoints[Int(upstreams[id].endpoint)].name
        let kind: LocalResponse = failure.isUntrusted ? .upstreamUntrusted : .upstreamHandshake
        let log = snapshots[current].configuration.errorLog
        if LogSeverity.error.rawValue <= log.level.rawValue,
            case .write(let suppressed) = limiter.admit(
                Int(kind.rawValue), now: loop.now)
        {
            var line = LogLine(.error, wallSeconds: loop.wallSeconds)
            line.append("\(kind.code): \(failure.reason), upstream: ")
            line.append(name.span)
            line.append(suppressed: suppressed)
            logLines.add(line.finish(), to: log.target)
        }
        upstreamGone(id, kind)
    }
    mutating func noteHandshake(_ id: SlotID) {
        counters.tally.upstreamHandshakes &+= 1
        if upstreams[id].wasResumed() { counters.tally.upstreamResumptions &+= 1 }
    }
    /// A request over TLS is over: later connections may go on with the session, and whether there is something left to read
    /// only OpenSSL knows.
    mutating func settle(_ id: SlotID) {
        if upstreams[id].requests == 1, let session = upstreams[id].resumable() {
            pool.keep(session, of: upstreams[id].endpoint)
        }
        if !upstreams[id].isFramed && !upstreams[id].isReusable {
            _ = upstreams[id].receive(into: &input, &buffers)
        }
    }
}
