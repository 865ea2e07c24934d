// The rows of `upstream NAME { … }`.

extension Upstream {
    static let row = Directive<MainSettings>(
        row: DirectiveRow(
            name: "upstream", blocks: [.main], form: "NAME { … }", arity: 1...1, repeats: true, opensBlock: true,
            summary: "A group of endpoints to forward to, in turns"),
        read: { statement, _, reader throws(Diagnostic) in try reader.readUpstream(statement) },
        write: { _ in [] })

    static let rows: [Directive<Upstream>] = [
        Directive(
            row: DirectiveRow(
                name: "server", blocks: [.upstream],
                form: "ADDRESS[:PORT] | unix:PATH [weight=N] [max_fails=N] [fail_timeout=TIME] [down]",
                arity: 1 ... .max,
                repeats: true, summary: "An endpoint; a name with several addresses is one for each"),
            read: { statement, upstream, reader throws(Diagnostic) in
                let endpoints = try reader.endpoints(statement)
                if upstream.endpoints.contains(where: { $0.name == endpoints[0].name }) {
                    throw statement.arguments[0].error(
                        "duplicate server \"\(statement.arguments[0].shown)\"",
                        suggestion: "weight=N gives it more requests")
                }
                guard upstream.endpoints.count + endpoints.count <= Upstream.maximumEndpoints else {
                    throw statement.error("an upstream can have at most \(Upstream.maximumEndpoints) endpoints")
                }
                upstream.endpoints += endpoints
            },
            write: { upstream in
                // A name with several addresses was one line.
                var lines: [WrittenLine] = []
                for endpoint in upstream.endpoints where lines.last?.arguments.first != Syntax.quoted(endpoint.name) {
                    lines.append(WrittenLine(endpoint.written))
                }
                return lines
            }),
        .setting(
            "keepalive", in: [.upstream], .count(0...100_000), \.keepalive,
            "Idle connections that each worker keeps to each endpoint; 0: none"),
        .setting(
            "keepalive_timeout", in: [.upstream], .time(.milliseconds(1) ... .seconds(86_400)), \.keepaliveTimeout,
            "How long an idle connection to an endpoint is kept"),
        .setting(
            "keepalive_requests", in: [.upstream], .count(1...1_000_000_000), \.keepaliveRequests,
            "Requests of one connection to an endpoint"),
        HealthCheck.row,
    ]
}

extension Endpoint {
    fileprivate var written: [String] {
        [
            Syntax.quoted(name), "weight=\(weight)", "max_fails=\(maxFails)",
            "fail_timeout=\(Units.text(time: failTimeout))",
        ] + (isDown ? ["down"] : [])
    }

    fileprivate mutating func read(_ parameter: Argument) throws(Diagnostic) {
        if let weight = parameter.value(of: "weight") {
            self.weight = try Units.count(weight, 1...65_535)
        } else if let fails = parameter.value(of: "max_fails") {
            maxFails = try Units.count(fails, 0...1_000_000)
        } else if let time = parameter.value(of: "fail_timeout") {
            failTimeout = try Units.time(time, .milliseconds(1) ... .seconds(86_400))
        } else if parameter.text == "down" {
            isDown = true
        } else {
            let name = String(parameter.shown.prefix { $0 != "=" })
            if ["resolve", "backup", "max_conns", "slow_start", "route", "service", "drain"].contains(name) {
                throw parameter.error("\"\(name)\" of \"server\" is not supported yet")
            }
            throw parameter.error(
                "unknown parameter \"\(parameter.shown)\" of \"server\"",
                suggestion: Spelling.suggestion(for: name, among: ["weight", "max_fails", "fail_timeout", "down"]))
        }
    }
}

extension ConfigurationReader {
    fileprivate mutating func readUpstream(_ statement: Statement) throws(Diagnostic) {
        let name = statement.arguments[0]
        guard let place = HostAndPort(name.text, defaultPort: 80), !place.hasPort else {
            throw name.error(
                "\"\(name.shown)\" is no name for an upstream: letters, digits, \"-\", \"_\" and \".\" are allowed")
        }
        if let earlier = configuration.upstreams.first(where: { $0.name == name.text }) {
            throw name.error("duplicate upstream \"\(name.shown)\": the first one is at \(earlier.position.text)")
        }
        var upstream = Upstream(name: name.text, position: statement.position)
        let before = errorCount
        read(statement.block ?? [], in: .upstream, at: statement.position, rows: Upstream.rows, into: &upstream)
        configuration.upstreams.append(upstream)
        configuration.namedUpstreams += 1
        guard errorCount == before else { return }
        if upstream.endpoints.isEmpty { throw statement.error("upstream \"\(name.shown)\" has no \"server\"") }
        if upstream.endpoints.allSatisfy(\.isDown) {
            throw statement.error("every server of upstream \"\(name.shown)\" is down")
        }
    }

    fileprivate func endpoints(_ statement: Statement) throws(Diagnostic) -> [Endpoint] {
        var endpoints = try endpoints(at: statement.arguments[0])
        for parameter in statement.arguments.dropFirst() {
            for index in endpoints.indices { try endpoints[index].read(parameter) }
        }
        return endpoints
    }

    /// The endpoints behind `host:port` or `unix:path`; a host without a port is reached at port 80.
    func endpoints(at word: Argument) throws(Diagnostic) -> [Endpoint] {
        if let path = try unixPath(word) { return [Endpoint(name: "unix:\(path)", address: .unix(path))] }
        guard let place = HostAndPort(word.text, defaultPort: 80) else {
            throw word.error(
                "\"\(word.shown)\" is not an address: host, host:port, [IPv6]:port or unix:PATH is expected")
        }
        let addresses = place.addresses
        guard !addresses.isEmpty else {
            throw word.error("the host name \"\(word.isSecret ? "***" : place.host)\" has no address")
        }
        return addresses.map { Endpoint(name: word.text, address: .socket($0)) }
    }
}
