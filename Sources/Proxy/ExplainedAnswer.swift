// What goes out for an explained request: the gateway's own answer, or the head that an upstream gets.
import Bytes
import Configuration
import Connections
import HTTP
import Policy

extension Explainer {
    /// Every request has an id of its own; this one stands for all.
    private static let requestID: RequestID = {
        var ids = RequestIDs(worker: 0, counter: 0)
        return ids.next()
    }()

    mutating func answer(
        _ outcome: ExplainedOutcome, _ request: ExplainedRequest, _ explanation: inout Explanation
    ) {
        let route = snapshot.routes[outcome.route]
        explanation.wouldRefuse = outcome.wouldDeny
        if let refusal = outcome.refusal {
            explanation.verdict = .refused(refusal)
            refuse(refusal, route, outcome, request)
        } else if let provider = outcome.dependsOn {
            explanation.verdict = .depends(provider: provider)
            return
        } else if outcome.isAnswered {
            explanation.verdict = .answered
            if outcome.isPreflight {
                answerPreflight(route, request)
            } else {
                guard answerReturn(route, outcome, request) else {
                    explanation.verdict = .refused(.internalError)
                    refuse(.internalError, route, outcome, request)
                    explanation.response = Self.text(responses.bytes)
                    return
                }
            }
        } else {
            explanation.verdict = .forwarded
            explanation.forwarded = forward(route, outcome, request)
            let upstream = configuration.upstreams[Int(route.upstream)]
            explanation.upstream = upstream.name
            explanation.endpoints = upstream.endpoints.map { $0.isDown ? "\($0.name) (down)" : $0.name }
            return
        }
        explanation.response = Self.text(responses.bytes)
    }

    /// The id of the request is shown as zeros.
    private static func text(_ bytes: Span<UInt8>) -> String {
        var id = ByteBuffer(capacity: RequestID.textLength)
        requestID.append(to: &id)
        let shown = String(decoding: id.bytes.indices.map { id.bytes[$0] }, as: UTF8.self)
        let zeros = String(repeating: "0", count: RequestID.textLength)
        return String(decoding: bytes.indices.map { bytes[$0] }, as: UTF8.self).replacing(shown, with: zeros)
    }

    // Answers of the gateway's own, as `ExchangeFailure.swift` makes them

    private mutating func refuse(
        _ kind: LocalResponse, _ route: Route, _ outcome: ExplainedOutcome, _ request: ExplainedRequest
    ) {
        if kind != .insufficientScope { missing.clear() }
        var form = form(route, request, closes: closes(route) || kind.closesConnection)
        form.format = AnswerFormat(for: head)
        added.clear()
        writeResponseFields(route, status: form.format.sentStatus(kind.status), kind, outcome, request)
        _ = makeRefusal(kind, form, snapshot, route, missing: missing, adding: added, by: &responses)
    }
    private mutating func answerReturn(
        _ route: Route, _ outcome: ExplainedOutcome, _ request: ExplainedRequest
    ) -> Bool {
        var form = form(route, request, closes: closes(route))
        form.isKeySet = route.isKeySet
        if route.status >= 400 { form.format = AnswerFormat(for: head) }
        added.clear()
        write(route.answerText, status: Int(route.status), nil, outcome, request)
        copy(added, to: &text)
        added.clear()
        if outcome.places.isUnusual {
            added.append(outcome.places.contains(.query) ? "Cache-Control: no-store\r\n" : "Cache-Control: private\r\n")
        }
        writeResponseFields(route, status: Int(route.status), nil, outcome, request)
        return makeAnswer(Int(route.status), text, form, adding: added, by: &responses) != nil
    }
    private mutating func answerPreflight(_ route: Route, _ request: ExplainedRequest) {
        var outcome = ExplainedOutcome(route: Int(route.location))
        outcome.isPreflight = true
        added.clear()
        writeResponseFields(route, status: 204, nil, outcome, request)
        snapshot.crossOrigin.appendPreflight(head, block: Int(route.crossOrigin), to: &added)
        makeEmptyAnswer(204, form(route, request, closes: closes(route)), adding: added, by: &responses)
    }
    private func form(_ route: Route, _ request: ExplainedRequest, closes: Bool) -> ResponseForm {
        var form = ResponseForm(wallSeconds: request.now)
        form.isHEAD = head.isHEAD
        form.minor = head.minor
        form.closes = closes
        form.detail = route.detail == 0 ? .none : route.detail == 1 ? .code : .full
        form.requestID = Self.requestID
        return form
    }
    /// As `ServerConnection` decides for the first request of a connection whose body has not come yet.
    private func closes(_ route: Route) -> Bool {
        head.bytes.isEmpty || head.wantsClose || route.keepaliveNanoseconds == 0 || route.keepaliveRequests <= 1
            || head.expectsContinue
            || head.framing == .length && head.contentLength > Int64(ConnectionLimits.discarded)
    }

    private mutating func writeResponseFields(
        _ route: Route, status: Int, _ refusal: LocalResponse?, _ outcome: ExplainedOutcome, _ request: ExplainedRequest
    ) {
        if route.crossOrigin >= 0 && !outcome.isPreflight && route.responseFilter != snapshot.responseFilter {
            snapshot.crossOrigin.append(
                head, block: Int(route.crossOrigin), isRefusal: refusal != nil, to: &added)
        }
        write(route.responseFieldsAlways, status: status, refusal, outcome, request)
        switch status {
        case 200, 201, 204, 206, 301, 302, 303, 304, 307, 308:
            write(route.responseFields, status: status, refusal, outcome, request)
        default: break
        }
    }

    // What an upstream gets

    private mutating func forward(
        _ route: Route, _ outcome: ExplainedOutcome, _ request: ExplainedRequest
    ) -> String {
        added.clear()
        write(route.requestFields, status: 0, nil, outcome, request)
        if outcome.isAuthenticated {
            write(route.identityFields, status: 0, nil, outcome, request)
            if route.identityToken >= 0 {
                // Whoever sees one can use it.
                let field = snapshot.mints[Int(route.identityToken)].fieldStart
                added.append(field.span)
                added.append("***\r\n")
            }
        }
        if head.hasUpgrade && handshake(route) == .asked {
            added.append("Upgrade: websocket\r\nConnection: Upgrade\r\n")
        } else if head.takesTrailers() {
            added.append("TE: trailers\r\nConnection: TE\r\n")
        }
        let filter =
            outcome.isAuthenticated
            ? route.authenticatedFilter : outcome.isPreflight ? route.preflightFilter : route.requestFilter
        var queue = ByteQueue()
        var pool = BufferPool()
        sendRequestHead(
            head, snapshot, route, filter, matchedPrefix: outcome.matchedPrefix, adding: added, to: &queue, &pool)
        let text = Self.text(queue.bytes)
        queue.release(to: &pool)
        return text
    }

    // Templates, as `TemplateWriter.swift` fills them in

    private mutating func write(
        _ program: ProgramRange, status: Int, _ refusal: LocalResponse?, _ outcome: ExplainedOutcome,
        _ request: ExplainedRequest
    ) {
        var field = FieldMark()
        for i in Int(program.start)..<Int(program.start + program.count) {
            let step = snapshot.steps[i]
            if field.takes(step, snapshot.text, &added) { continue }
            if step.kind.isSimple {
                writeSimple(step, outcome, request)
            } else {
                writeRare(step.kind, status: status, refusal, outcome, request)
            }
        }
    }
    private mutating func writeSimple(
        _ step: TemplateStep, _ outcome: ExplainedOutcome, _ request: ExplainedRequest
    ) {
        let who = outcome.principals.first
        switch step.kind {
        case .remoteAddress: append(request.address.text)
        case .scheme: append(configuration.listeners[request.listener].isTLS ? "https" : "http")
        case .forwardedFor: writeChain(request)
        case .forwardedProto:
            append(request.chain?.isSecure ?? configuration.listeners[request.listener].isTLS ? "https" : "http")
        case .forwardedHost:
            let host = request.chain?.host ?? 0..<0
            added.append(head.bytes.extracting(host.isEmpty ? head.host : host))
        case .requestID: Self.requestID.append(to: &added)
        case .authSubject: authenticator.writeSubject(who, to: &added)
        case .authPermissions: snapshot.authorization.writePermissions(of: who, authenticator, to: &added)
        case .authProvider: authenticator.writeProvider(who, to: &added)
        case .claim: authenticator.writeClaim(Int(step.start), of: who, to: &added)
        case .requestField: appendNamedVariable(step, snapshot.text, head, to: &added)
        case .tokenField, .credentialField, .cookie:
            if !step.kind.isConcealed(isAuthenticated: who.isKnown, isPreflight: outcome.isPreflight) {
                appendNamedVariable(step, snapshot.text, head, to: &added)
            }
        default: appendRequestVariable(step.kind, head, to: &added)
        }
    }
    private mutating func writeChain(_ request: ExplainedRequest) {
        guard let chain = request.chain, let proxy = request.proxy, chain.client != nil else {
            return append(request.address.text)
        }
        chain.append(from: head, to: &added)
        append(", " + proxy.text)
    }
    /// What only the moment tells (ports, durations, addresses of upstreams) is shown as a question mark.
    private mutating func writeRare(
        _ kind: TemplateStep.Kind, status: Int, _ refusal: LocalResponse?, _ outcome: ExplainedOutcome,
        _ request: ExplainedRequest
    ) {
        switch kind {
        case .status: append("\(status)")
        case .authReason: added.append(refusal?.code ?? "-")
        case .serverName, .serverAddress, .serverPort:
            append(serverText(kind, configuration, request.listener, snapshot.routes[outcome.route]))
        case .timeISO8601: CivilTime(wallSeconds: request.now).appendISO8601(to: &added)
        case .timeLocal: CivilTime(wallSeconds: request.now).appendCommonLogTime(to: &added)
        default: added.append("?")
        }
    }
    private mutating func append(_ text: String) { added.append(Array(text.utf8).span) }
}
