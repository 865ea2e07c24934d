// Runs the steps of templates: fields for upstreams and clients, texts of `return`, lines of access logs.
import Bytes
import Connections
import HTTP
import Policy
import Reactor
import Telemetry
import Transport

extension Worker {
    /// Appends what the steps say to `added`.
    @inline(__always)
    mutating func write(_ program: ProgramRange, of id: SlotID) {
        let client = exchanges[id].client, head = exchanges[id].head, snapshot = exchanges[id].snapshot
        if program.isSimple && exchanges[id].source == .none {
            runSteps(
                program, snapshots[snapshot], exchanges[id], heads[head], clients[client], authenticator, to: &added)
        } else {
            writeAll(program, of: id)
        }
    }
    /// The same with steps that need more than the request.
    private mutating func writeAll(_ program: ProgramRange, of id: SlotID) {
        let snapshot = exchanges[id].snapshot
        var field = FieldMark()
        for i in Int(program.start)..<Int(program.start + program.count) {
            let step = snapshots[snapshot].steps[i]
            if !field.takes(step, snapshots[snapshot].text, &added) { write(step, of: id) }
        }
    }
    /// `add_header`: some statuses get it only where `always` was said.
    mutating func writeResponseFields(_ route: Route, status: Int, of id: SlotID) {
        if route.crossOrigin >= 0 { writeCrossOrigin(route, of: id) }
        if !route.responseFieldsAlways.isEmpty { write(route.responseFieldsAlways, of: id) }
        if route.responseFields.isEmpty { return }
        switch status {
        case 200, 201, 204, 206, 301, 302, 303, 304, 307, 308: write(route.responseFields, of: id)
        default: break
        }
    }

    /// Where the block speaks for the location. A refused preflight gets none of its fields, nor does an upstream's answer to
    /// one.
    private mutating func writeCrossOrigin(_ route: Route, of id: SlotID) {
        let snapshot = exchanges[id].snapshot
        if exchanges[id].isPreflight || route.responseFilter == snapshots[snapshot].responseFilter { return }
        snapshots[snapshot].crossOrigin.append(
            heads[exchanges[id].head], block: Int(route.crossOrigin),
            isRefusal: exchanges[id].reason != nil && exchanges[id].upstreamStatus == 0, to: &added)
    }

    /// Appends the value of one variable.
    mutating func write(_ step: TemplateStep, of id: SlotID) {
        let client = exchanges[id].client, head = exchanges[id].head, snapshot = exchanges[id].snapshot
        if exchanges[id].source != .none && writeSourced(step.kind, of: id) { return }
        if step.kind.isSimple {
            appendValue(
                step, snapshots[snapshot], exchanges[id], heads[head], clients[client], authenticator, to: &added)
        } else {
            writeRare(step.kind, of: id)
        }
    }
}

extension TemplateStep.Kind {
    /// The upstream does not get that credential, so no variable brings it there.
    func isConcealed(isAuthenticated: Bool, isPreflight: Bool) -> Bool {
        isPreflight || self == .tokenField && isAuthenticated
    }

    /// A request, its connection and its identity tell the value.
    var isSimple: Bool {
        switch self {
        case .text, .fieldStart, .fieldEnd, .host, .httpHost, .requestMethod, .request, .requestURI, .uri, .args,
            .isArgs, .scheme, .serverProtocol, .requestID, .requestLength, .contentLength, .contentType, .requestField,
            .tokenField, .credentialField, .cookie, .remoteAddress, .forwardedFor, .forwardedProto, .forwardedHost,
            .authSubject, .authPermissions, .authProvider, .claim:
            true
        default: false
        }
    }
}

/// Where the field began that is being written, to take it back when its value stays empty.
struct FieldMark {
    private var start = 0
    private var valueStart = 0

    /// True for the steps that are no variable.
    @inline(__always)
    mutating func takes(_ step: TemplateStep, _ text: borrowing ByteBuffer, _ out: inout ByteBuffer) -> Bool {
        switch step.kind {
        case .text: appendText(step, text, to: &out)
        case .fieldStart:
            start = out.count
            appendText(step, text, to: &out)
            valueStart = out.count
        case .fieldEnd: if out.count == valueStart { out.truncate(to: start) } else { out.append("\r\n") }
        default: return false
        }
        return true
    }
}

private func runSteps(
    _ program: ProgramRange, _ snapshot: borrowing Snapshot, _ exchange: borrowing Exchange,
    _ head: borrowing RequestHead, _ client: borrowing ServerConnection, _ authenticator: borrowing Authenticator,
    to out: inout ByteBuffer
) {
    var field = FieldMark()
    for i in Int(program.start)..<Int(program.start + program.count) {
        let step = snapshot.steps[i]
        if !field.takes(step, snapshot.text, &out) {
            appendValue(step, snapshot, exchange, head, client, authenticator, to: &out)
        }
    }
}

/// Appends the value of a simple step's variable.
private func appendValue(
    _ step: TemplateStep, _ snapshot: borrowing Snapshot, _ exchange: borrowing Exchange,
    _ head: borrowing RequestHead, _ client: borrowing ServerConnection, _ authenticator: borrowing Authenticator,
    to out: inout ByteBuffer
) {
    switch step.kind {
    case .remoteAddress, .forwardedFor: out.append(client.address.bytes)
    case .scheme, .forwardedProto: out.append(client.isTLS ? "https" : "http")
    case .requestID: exchange.requestID.append(to: &out)
    case .authSubject: authenticator.writeSubject(exchange.principal, to: &out)
    case .authPermissions: snapshot.authorization.writePermissions(of: exchange.principal, authenticator, to: &out)
    case .authProvider: authenticator.writeProvider(exchange.principal, to: &out)
    case .claim: authenticator.writeClaim(Int(step.start), of: exchange.principal, to: &out)
    case .requestField: appendNamedVariable(step, snapshot.text, head, to: &out)
    case .tokenField, .credentialField, .cookie:
        if !step.kind.isConcealed(isAuthenticated: exchange.principal.isKnown, isPreflight: exchange.isPreflight) {
            appendNamedVariable(step, snapshot.text, head, to: &out)
        }
    default: appendRequestVariable(step.kind, head, to: &out)
    }
}

/// The text of a step.
@inline(__always)
func appendText(_ step: TemplateStep, _ text: borrowing ByteBuffer, to out: inout ByteBuffer) {
    out.append(text.bytes.extracting(Int(step.start)..<Int(step.start + step.count)))
}

/// Variables that a request's head alone tells.
func appendRequestVariable(
    _ kind: TemplateStep.Kind, _ head: borrowing RequestHead, to out: inout ByteBuffer
) {
    let bytes = head.bytes
    switch kind {
    case .host: for i in head.hostName { out.append(byte: lowerCase(bytes[i])) }
    case .httpHost, .forwardedHost: out.append(bytes.extracting(head.host))
    case .requestMethod: out.append(bytes.extracting(head.methodRange))
    case .requestURI: head.appendTarget(to: &out)
    case .uri: out.append(head.target.path(in: bytes))
    case .args: head.appendQuery(to: &out)
    case .isArgs: if head.showsQuery { out.append("?") }
    case .serverProtocol: out.append(head.protocolName)
    case .request:
        out.append(bytes.extracting(head.methodRange))
        out.append(" ")
        head.appendTarget(to: &out)
        out.append(" ")
        out.append(head.protocolName)
    case .requestLength: out.append(decimal: UInt64(bytes.count))
    case .contentLength: if let range = head.value(of: .contentLength) { out.append(bytes.extracting(range)) }
    case .contentType: if let range = head.value(of: .contentType) { out.append(bytes.extracting(range)) }
    default: break
    }
}

/// `$http_NAME` and `$cookie_NAME`.
func appendNamedVariable(
    _ step: TemplateStep, _ text: borrowing ByteBuffer, _ head: borrowing RequestHead, to out: inout ByteBuffer
) {
    let name = text.bytes.extracting(Int(step.start)..<Int(step.start + step.count))
    let bytes = head.bytes
    if step.kind != .cookie {
        if let range = head.value(named: name) { out.append(bytes.extracting(range)) }
        return
    }
    guard let cookies = head.value(of: .cookie) else { return }
    var i = cookies.lowerBound
    while i < cookies.upperBound {
        while i < cookies.upperBound, bytes[i] == UInt8(ascii: " ") || bytes[i] == UInt8(ascii: ";") { i += 1 }
        var end = i
        while end < cookies.upperBound, bytes[end] != UInt8(ascii: ";") { end += 1 }
        if end - i > name.count, bytes[i + name.count] == UInt8(ascii: "="), isSame(bytes, i, name) {
            return out.append(bytes.extracting(i + name.count + 1..<end))
        }
        i = end
    }
}
private func isSame(_ bytes: Span<UInt8>, _ start: Int, _ name: Span<UInt8>) -> Bool {
    for j in 0..<name.count where bytes[start + j] != name[j] { return false }
    return true
}
@inline(__always)
private func lowerCase(_ byte: UInt8) -> UInt8 { byte &- 65 < 26 ? byte | 0x20 : byte }

extension Worker {
    /// Variables of answers, times and connections: for logs, so their cost is a log's.
    private mutating func writeRare(_ kind: TemplateStep.Kind, of id: SlotID) {
        let client = exchanges[id].client
        switch kind {
        case .remotePort: added.append(decimal: UInt64(clients[client].address.port))
        case .connection:
            added.append(decimal: UInt64(UInt32(bitPattern: client.index)) << 32 | UInt64(client.generation))
        case .connectionRequests: added.append(decimal: UInt64(clients[client].requests))
        case .status: added.append(decimal: UInt64(exchanges[id].status), width: 3)
        case .bodyBytesSent, .bytesSent: added.append(decimal: exchanges[id].bodySent)
        case .requestTime: LogNumber.appendSeconds(spent(since: exchanges[id].started), to: &added)
        case .upstreamAddress: added.append(upstreamName(of: id).span)
        case .upstreamStatus:
            if exchanges[id].upstreamStatus > 0 { added.append(decimal: UInt64(exchanges[id].upstreamStatus)) }
        case .upstreamResponseTime: appendSeconds(since: exchanges[id].upstreamStarted, until: loop.now)
        case .upstreamConnectTime:
            if let end = exchanges[id].upstreamConnected {
                appendSeconds(since: exchanges[id].upstreamStarted, until: end)
            }
        case .tlsProtocol: for byte in clients[client].protocolName().utf8 { added.append(byte: byte) }
        case .tlsCipher: for byte in clients[client].cipherName().utf8 { added.append(byte: byte) }
        case .tlsServerName: clients[client].append(.serverName, to: &added)
        case .tlsReused: clients[client].append(.isReused, to: &added)
        case .tlsClientSubject: clients[client].append(.clientSubject, to: &added)
        case .tlsClientIssuer: clients[client].append(.clientIssuer, to: &added)
        case .tlsClientSerial: clients[client].append(.clientSerial, to: &added)
        case .tlsClientVerify: clients[client].append(.clientVerify, to: &added)
        case .timeISO8601: CivilTime(wallSeconds: loop.wallSeconds).appendISO8601(to: &added)
        case .timeLocal: CivilTime(wallSeconds: loop.wallSeconds).appendCommonLogTime(to: &added)
        case .milliseconds: LogNumber.appendSeconds(UInt64(EventLoop.wallMilliseconds) * 1_000_000, to: &added)
        case .authResult: added.append(authResult(of: id))
        case .authReason: added.append(authReason(of: id))
        case .authCache: added.append(authCache(of: id).name)
        case .serverName, .serverAddress, .serverPort: writeServer(kind, of: id)
        default: break
        }
    }
    private mutating func appendSeconds(since start: Instant?, until end: Instant) {
        guard let start else { return }
        LogNumber.appendSeconds(end.nanoseconds &- start.nanoseconds, to: &added)
    }
    private mutating func writeServer(_ kind: TemplateStep.Kind, of id: SlotID) {
        let listener = Int(clients[exchanges[id].client].listener)
        let text = serverText(kind, snapshots[exchanges[id].snapshot].configuration, listener, route(of: id))
        for byte in text.utf8 { added.append(byte: byte) }
    }
}
