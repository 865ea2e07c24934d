// The checks of an explained request that concern no credential: message, server, path, location, what a preflight may do, and
// what is admitted last.
import Bytes
import Configuration
import HTTP
import Policy

extension Explainer {
    /// Where a directive was said that holds in the block at `place`.
    func demands(_ directive: String, at place: SourcePosition) -> [Explanation.Demand] {
        configuration.places.places(of: directive, at: place).map { Explanation.Demand(directive, $0) }
    }
    func string(_ bytes: borrowing Span<UInt8>) -> String {
        String(decoding: bytes.indices.map { bytes[$0] }, as: UTF8.self)
    }

    func describeMessage(
        _ outcome: ExplainedOutcome, _ request: ExplainedRequest, _ explanation: inout Explanation
    ) {
        let listener = configuration.listeners[request.listener]
        var address = listener.address.text + (listener.isTLS ? " ssl" : "")
        if let proxy = request.proxy { address += ", from \(request.address.text) by way of \(proxy.text)" }
        let fallback = configuration.locations[Int(snapshot.limits[request.listener].route)]
        let limits = fallback.limits
        let sizes = ["client_header_line_size", "client_header_size", "client_header_count"]
        let listen = Explanation.Step(
            .listener, [Explanation.Demand("listen", listener.position)], got: address)
        let message = Explanation.Step(
            .message, sizes.flatMap { demands($0, at: fallback.position) },
            expected:
                "a head of RFC 9112: lines up to \(limits.lineSize) bytes, in all up to \(limits.headSize), up to "
                + "\(limits.fieldCount) fields",
            got: outcome.malformation.map { "\($0.reason)" }
                ?? "\(request.method) \(request.target) HTTP/1.1, "
                + (head.fields.count == 1 ? "1 field" : "\(head.fields.count) fields"))
        explanation.append([listen, message], failing: outcome.isRouted ? nil : .message)
    }

    mutating func describeRoute(
        _ outcome: ExplainedOutcome, _ request: ExplainedRequest, _ explanation: inout Explanation
    ) {
        let location = configuration.locations[outcome.route]
        let isInvalid = head.target.isPathInvalid
        explanation.host = string(head.bytes.extracting(head.host))
        var steps = [serverStep(location, request)]
        steps.append(
            Explanation.Step(
                .path, expected: "valid escapes, no \"..\" above the root",
                got: isInvalid
                    ? string(head.bytes.extracting(head.targetRange))
                    : "\(string(head.target.matchingPath(in: head.bytes)))"))
        steps.append(
            Explanation.Step(
                .location, [Explanation.Demand(location.match == .fallback ? "server" : "location", location.position)],
                got: Self.describe(location)))
        steps.append(guardStep(location, outcome, request))
        if outcome.isPreflight { steps.append(preflightStep(location)) }
        var failing: Explanation.Check?
        switch outcome.refusal {
        case .pathInvalid: failing = .path
        case .pathAmbiguous: failing = .pathGuard
        case .originDenied where outcome.isPreflight: failing = .origin
        default: break
        }
        explanation.append(steps, failing: failing)
    }

    private func serverStep(_ location: Location, _ request: ExplainedRequest) -> Explanation.Step {
        let server = configuration.servers[location.server]
        let listener = configuration.listeners[request.listener]
        let host = string(head.bytes.extracting(head.hostName)).lowercased()
        let isNamed = server.names.contains {
            if case .exact(let name) = $0 { name == Array(host.utf8) } else { false }
        }
        let isDefault = listener.defaultServer == location.server
        let names = server.names.map(\.written).joined(separator: " ")
        let reason =
            isNamed
            ? "by its name" : isDefault ? "the default server of this address" : "by a wildcard or an expression"
        return Explanation.Step(
            .server,
            demands("server_name", at: server.position) + [Explanation.Demand("server", server.position)],
            expected: names.isEmpty ? nil : names, got: "\"\(host)\": \(reason)")
    }

    private static func describe(_ location: Location) -> String {
        switch location.match {
        case .exact: "\(location.name): the path exactly"
        case .prefix(_, let stops): "\(location.name): the longest prefix" + (stops ? ", before all expressions" : "")
        case .pattern: "\(location.name): the first expression that matches"
        case .fallback: "no location matches: the server itself"
        }
    }

    private mutating func guardStep(
        _ location: Location, _ outcome: ExplainedOutcome, _ request: ExplainedRequest
    ) -> Explanation.Step {
        var step = Explanation.Step(
            .pathGuard, demands("path_guard", at: location.position),
            expected: location.pathGuard ? "one access, however servers read the path" : "off")
        if outcome.refusal == .pathAmbiguous {
            step.got = readings(location, request)
        } else if outcome.refusal != .pathInvalid {
            step.got = head.target.isPlain ? "a plain path" : "no reading has another access"
        }
        return step
    }
    /// The ways of reading the path that lead to another location, with that location.
    private mutating func readings(_ location: Location, _ request: ExplainedRequest) -> String {
        let path = string(head.target.matchingPath(in: head.bytes))
        var all = [path.lowercased()]
        var readings = PathReadings()
        readings.begin(head.target.matchingPath(in: head.bytes))
        while case .reading = readings.next() {
            let reading = string(readings.current)
            all += [reading, reading.lowercased()]
        }
        var found: [String] = []
        for reading in all where found.count < 4 {
            guard let other = self.location(of: reading, request), other.access != location.access else { continue }
            let shown = "\(reading) (\(other.name))"
            if !found.contains(shown) { found.append(shown) }
        }
        return found.isEmpty ? "it can be read in too many ways" : "it is also read as " + found.joined(separator: ", ")
    }
    /// Where a request with that path would go; nil when no request has it.
    private mutating func location(of path: String, _ request: ExplainedRequest) -> Location? {
        var other = RequestHead()
        var copy = request
        copy.target = path
        let limits = snapshot.limits[request.listener].http
        guard case .complete = other.parse(copy.bytes.span, limits: limits) else { return nil }
        switch snapshot.table.match(other, listener: request.listener) {
        case .route(let index, _), .refused(_, let index): return configuration.locations[index]
        }
    }

    private func preflightStep(_ location: Location) -> Explanation.Step {
        let rules = location.crossOrigin
        let origins = rules?.origins.map(\.written).joined(separator: " ") ?? ""
        let methods = rules?.methods.joined(separator: " ") ?? ""
        return Explanation.Step(
            .origin, demands("cors", at: location.position),
            expected: rules?.passesPreflights == true
                ? "preflights are the upstream's" : "origins \(origins), methods \(methods)",
            got: "origin \(field("origin")), method \(field("access-control-request-method"))")
    }
    /// The value of a field, or that there is none.
    func field(_ name: String) -> String {
        guard let range = head.value(named: Array(name.utf8).span) else { return "absent" }
        return string(head.bytes.extracting(range))
    }

    // What is admitted

    func describeAdmission(_ outcome: ExplainedOutcome, _ explanation: inout Explanation) {
        let location = configuration.locations[outcome.route]
        var steps: [Explanation.Step] = []
        if location.access.providers.isEmpty && !outcome.isAsked {
            steps.append(
                Explanation.Step(.credential, demands("auth", at: location.position), expected: "none: auth off"))
        }
        steps.append(
            Explanation.Step(
                .method, expected: "any but CONNECT and TRACE",
                got: head.bytes.isEmpty ? nil : string(head.bytes.extracting(head.methodRange))))
        let limit = location.limits.bodySize
        steps.append(
            Explanation.Step(
                .body, demands("client_max_body_size", at: location.position),
                expected: limit == 0 ? "any size" : "at most \(limit) bytes",
                got: head.framing == .chunked ? "chunked, counted as it comes" : "\(head.contentLength) bytes"))
        if head.hasUpgrade { steps.append(upgradeStep(outcome)) }
        steps.append(actionStep(location))
        guard (explanation.failed == nil && outcome.dependsOn == nil) || outcome.wouldDeny != nil else {
            for step in steps {
                var later = step
                later.result = .notReached
                later.got = nil
                explanation.steps.append(later)
            }
            return
        }
        // An allowed preflight is answered before all this.
        if outcome.isPreflight && outcome.isAnswered { return }
        explanation.append(steps, failing: outcome.refusal.map { Explanation.Check(failedWith: $0, nil) })
    }

    private func upgradeStep(_ outcome: ExplainedOutcome) -> Explanation.Step {
        var step = Explanation.Step(.upgrade)
        switch handshake(snapshot.routes[outcome.route]) {
        case .none: step.got = "no WebSocket: the field does not travel on"
        case .asked: step.got = "a WebSocket"
        case .refused:
            step.expected = "GET without a body, Sec-WebSocket-Version 13, one Sec-WebSocket-Key of 16 bytes in base64"
        }
        return step
    }
    private func actionStep(_ location: Location) -> Explanation.Step {
        switch location.action {
        case .notFound:
            return Explanation.Step(
                .action, [Explanation.Demand(location.match == .fallback ? "server" : "location", location.position)],
                expected: "\"proxy_pass\" or \"return\"", got: "neither")
        case .answer(let status, _):
            return Explanation.Step(
                .action, demands("return", at: location.position), got: "answered with status \(status)")
        case .identityKeys:
            return Explanation.Step(
                .action, demands("identity_jwks", at: location.position), got: "answered with status 200")
        case .proxy(let proxy):
            return Explanation.Step(
                .action, demands("proxy_pass", at: location.position),
                got: "forwarded to \(configuration.upstreams[proxy.upstream].name)")
        }
    }
}
