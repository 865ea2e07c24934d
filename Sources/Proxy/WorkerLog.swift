// The end of every exchange: counted and logged exactly once, whatever happened.
import Bytes
import Configuration
import Connections
import HTTP
import Policy
import Reactor
import Telemetry
import Transport

extension Worker {
    /// The exchange is over; its head, its identity and its snapshot are let go.
    mutating func log(_ id: SlotID) {
        let route = route(of: id)
        if exchanges[id].call != .none { leaveUpstream(id) }
        if !exchanges[id].secrets.isEmpty { maskSecrets(of: id) }
        counters.request(
            route: Int(exchanges[id].route), status: Int(exchanges[id].status),
            nanoseconds: spent(since: exchanges[id].started))
        if route.accessLog >= 0 { writeAccess(id, Int(route.accessLog)) }
        if exchanges[id].reason != nil { writeReason(id) }
        let client = exchanges[id].client
        if clients.contains(client) { clients[client].exchange = .none }
        let stream = exchanges[id].stream
        if stream != .none && streams.contains(stream) { streams[stream].exchange = .none }
        letGoPrincipals(id)
        if exchanges[id].long != .none { endLong(id) }
        if exchanges[id].source != .none { sources.destroy(exchanges[id].source) }
        endWaiting(id)
        authenticator.forget(&exchanges[id].settled)
        let snapshot = exchanges[id].snapshot
        heads.give(exchanges[id].head)
        exchanges.destroy(id)
        snapshots[snapshot].exchanges -= 1
        if snapshots[snapshot].exchanges == 0 && snapshot != current { snapshots.destroy(snapshot) }
    }

    /// Whatever was known of who asks is forgotten.
    mutating func letGoPrincipals(_ id: SlotID) {
        letGo(exchanges[id].principals)
        exchanges[id].principals = .anonymous
        exchanges[id].wasCached = false
    }
    mutating func letGo(_ principals: PrincipalSet) {
        for i in 0..<Int(principals.count) { authenticator.release(principals[i]) }
    }

    private mutating func writeAccess(_ id: SlotID, _ log: Int) {
        let snapshot = exchanges[id].snapshot
        let target = snapshots[snapshot].accessLogs[log].target
        let program = snapshots[snapshot].logPrograms[log]
        logLines.begin()
        if case .json = snapshots[snapshot].accessLogs[log].format {
            writeJSON(id)
        } else {
            for i in Int(program.start)..<Int(program.start + program.count) {
                let step = snapshots[snapshot].steps[i]
                if step.kind == .text {
                    appendText(step, snapshots[snapshot].text, to: &logLines.line)
                    continue
                }
                added.clear()
                write(step, of: id)
                appendEscaped(added, isTarget: step.kind.holdsTarget, to: &logLines.line)
            }
            logLines.line.append("\n")
        }
        logLines.end(target)
    }
    private mutating func writeJSON(_ id: SlotID) {
        let client = exchanges[id].client
        var record = AccessRecord()
        record.wallSeconds = loop.wallSeconds
        record.wallMilliseconds = Int(EventLoop.wallMilliseconds % 1000)
        record.remotePort = address(of: id).port
        record.status = Int(exchanges[id].status)
        record.requestBytes = UInt64(heads[exchanges[id].head].size) &+ exchanges[id].bodyReceived
        record.sentBytes = exchanges[id].bodySent
        record.sentBodyBytes = exchanges[id].bodySent
        record.requestTime = Int64(clamping: spent(since: exchanges[id].started))
        record.upstreamConnectTime = interval(exchanges[id].upstreamStarted, exchanges[id].upstreamConnected)
        record.upstreamHeaderTime = interval(exchanges[id].upstreamStarted, exchanges[id].upstreamAnswered)
        record.upstreamResponseTime = interval(exchanges[id].upstreamStarted, loop.now)
        record.upstreamStatus = Int(exchanges[id].upstreamStatus)
        record.upstreamTries = Int(exchanges[id].tries)
        record.connection = UInt64(UInt32(bitPattern: client.index)) << 32 | UInt64(client.generation)
        record.connectionRequests = UInt64(clients[client].requests)
        record.isTLS = clients[client].isTLS
        record.protocolName = heads[exchanges[id].head].protocolName
        record.tlsProtocol = tlsWord(clients[client].isTLS ? clients[client].protocolName() : "")
        record.authResult = authResult(of: id)
        record.reason = authReason(of: id)
        record.authCache = authCache(of: id)
        record.source = exchanges[id].upstreamStatus > 0 ? "upstream" : exchanges[id].status > 0 ? "gateway" : "-"
        added.clear()
        exchanges[id].requestID.append(to: &added)
        text.clear()
        authenticator.writeSubject(exchanges[id].principal, to: &text)
        let route = snapshots[exchanges[id].snapshot].configuration.locations[Int(exchanges[id].route)].name
        appendRecord(
            record, heads[exchanges[id].head], address(of: id), id: added, subject: text,
            route: Array(route.utf8), upstream: upstreamName(of: id), provider: providerName(of: id),
            to: &logLines.line)
    }
    private func interval(_ start: Instant?, _ end: Instant?) -> Int64 {
        guard let start, let end else { return -1 }
        return Int64(clamping: end.nanoseconds &- start.nanoseconds)
    }
    /// A refusal in the error log: why, and of what; at most ten lines a second for each reason.
    private mutating func writeReason(_ id: SlotID) {
        guard let reason = exchanges[id].reason else { return }
        let log = snapshots[exchanges[id].snapshot].configuration.errorLog
        let severity: LogSeverity = reason.status >= 500 ? .error : .info
        guard severity.rawValue <= log.level.rawValue else { return }
        guard case .write(let suppressed) = limiter.admit(Int(reason.rawValue), now: loop.now) else {
            counters.tally.logLinesSuppressed &+= 1
            return
        }
        var line = LogLine(severity, wallSeconds: loop.wallSeconds)
        line.append("\(reason.code): \(reason.detail), client: ")
        appendRequest(heads[exchanges[id].head], of: address(of: id), to: &line)
        let upstream = upstreamName(of: id)
        if !upstream.isEmpty {
            line.append(", upstream: ")
            line.append(upstream.span)
        }
        if exchanges[id].demand >= 0 && exchanges[id].wouldDeny == nil {
            let location = Int(route(of: id).location)
            let access = snapshots[exchanges[id].snapshot].configuration.locations[location].access
            if let position = access.position(ofDemand: Int(exchanges[id].demand)) {
                line.append(", demanded by \(position.text)")
            }
        }
        line.append(suppressed: suppressed)
        logLines.add(line.finish(), to: log.target)
    }

    // MARK: words

    mutating func authReason(of id: SlotID) -> StaticString {
        (exchanges[id].wouldDeny ?? exchanges[id].reason)?.code ?? "-"
    }
    mutating func authResult(of id: SlotID) -> StaticString {
        if route(of: id).provider < 0 { return "off" }
        if exchanges[id].isPreflight && exchanges[id].reason == nil { return "off" }
        if exchanges[id].wouldDeny != nil { return "would_deny" }
        let long = exchanges[id].long
        if long != .none, longExchanges[long].wasRefused, exchanges[id].reason?.status != 403 { return "refused" }
        if exchanges[id].reason?.status == 403 { return "denied" }
        if exchanges[id].principal.isKnown { return "ok" }
        switch exchanges[id].reason {
        case .keysUnavailable, .introspectionUnavailable, .authServiceUnavailable: return "unavailable"
        default: return "refused"
        }
    }
    mutating func authCache(of id: SlotID) -> CacheUse {
        guard exchanges[id].principal.isKnown else { return .none }
        return exchanges[id].wasCached ? .hit : .miss
    }
    mutating func upstreamName(of id: SlotID) -> [UInt8] {
        let peer = Int(exchanges[id].peer)
        let group = Int(route(of: id).upstream)
        guard peer >= 0, group >= 0 else { return [] }
        return pool.endpoints[Int(snapshots[exchanges[id].snapshot].endpoints[group][peer])].name
    }
    /// Who knew the credential, or else the first who was asked.
    private mutating func providerName(of id: SlotID) -> [UInt8] {
        if exchanges[id].principal.isKnown, let name = authenticator.name(of: exchanges[id].principal.provider) {
            return Array(name.utf8)
        }
        let provider = route(of: id).provider
        guard provider >= 0 else { return [] }
        return Array(snapshots[exchanges[id].snapshot].configuration.providers[Int(provider)].name.utf8)
    }
}

extension TemplateStep.Kind {
    /// The value may hold a query with secrets in it.
    var holdsTarget: Bool { self == .request || self == .requestURI || self == .args || self == .requestField }
}

private func appendEscaped(_ value: borrowing ByteBuffer, isTarget: Bool, to line: inout ByteBuffer) {
    if value.isEmpty { return line.append("-") }
    if isTarget {
        Redaction.appendTarget(value.bytes, .text, to: &line)
    } else {
        Redaction.append(value.bytes, .text, to: &line)
    }
}
private func appendRequest(
    _ head: borrowing RequestHead, of client: ClientAddress, to line: inout LogLine
) {
    line.append(client.bytes)
    if head.methodRange.isEmpty { return }
    line.append(", request: \"")
    line.append(head.bytes.extracting(head.methodRange))
    line.append(" ")
    line.append(target: head.bytes.extracting(head.targetRange))
    line.append("\"")
}
private func appendRecord(
    _ record: AccessRecord, _ head: borrowing RequestHead, _ client: ClientAddress,
    id: borrowing ByteBuffer, subject: borrowing ByteBuffer, route: [UInt8], upstream: [UInt8], provider: [UInt8],
    to line: inout ByteBuffer
) {
    let bytes = head.bytes
    let agent = head.value(of: .userAgent) ?? 0..<0
    let referer = head.value(of: .referer) ?? 0..<0
    let texts = AccessTexts(
        remoteAddress: client.bytes, method: bytes.extracting(head.methodRange),
        target: bytes.extracting(head.targetRange), host: bytes.extracting(head.host),
        userAgent: bytes.extracting(agent), referer: bytes.extracting(referer), requestID: id.bytes,
        route: route.span, upstream: upstream.span, provider: provider.span, subject: subject.bytes)
    record.appendJSON(texts, to: &line)
}
private func tlsWord(_ name: String) -> StaticString {
    switch name {
    case "TLSv1.3": "TLSv1.3"
    case "TLSv1.2": "TLSv1.2"
    default: "-"
    }
}
/// `$server_name`, `$server_addr`, `$server_port`.
func serverText(
    _ kind: TemplateStep.Kind, _ configuration: GatewayConfiguration, _ listener: Int, _ route: Route
) -> String {
    if kind == .serverName {
        let server = configuration.servers[configuration.locations[Int(route.location)].server]
        for name in server.names { if case .exact(let bytes) = name { return String(decoding: bytes, as: UTF8.self) } }
        return ""
    }
    guard case .socket(let address) = configuration.listeners[listener].address else { return "" }
    return kind == .serverPort ? "\(address.port)" : address.address.text
}
