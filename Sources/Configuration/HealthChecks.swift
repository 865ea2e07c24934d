// `health_check` of an upstream: how its endpoints are asked whether they can serve, without waiting for a request to fail.

package struct HealthCheck: Sendable, Equatable, Hashable {
    package enum Kind: Sendable, Equatable, Hashable {
        /// GET of that path; these statuses are good ones.
        case http(path: String, expected: ClosedRange<Int>)
        /// grpc.health.v1.Health/Check about that service; empty: the server as a whole.
        case grpc(service: String)
        /// A connection can be made.
        case tcp
    }
    package var kind = Kind.http(path: "/", expected: 200...399)
    package var interval: Duration = .seconds(5)
    /// Each wait is longer by a random time up to this, so that many gateways do not ask at once.
    package var jitter: Duration = .zero
    package var timeout: Duration = .seconds(1)
    /// Checks in a row that take an endpoint out of service, and that put it back.
    package var fails = 1
    package var passes = 1

    package init() {}
}

extension HealthCheck {
    private static let names = [
        "type", "uri", "expect", "grpc_service", "interval", "jitter", "timeout", "fails", "passes",
    ]

    static let row = Directive<Upstream>(
        row: DirectiveRow(
            name: "health_check", blocks: [.upstream],
            form:
                "[type=http|grpc|tcp] [uri=PATH] [expect=STATUS[-STATUS]] [grpc_service=NAME] [interval=TIME] [jitter=TIME] "
                + "[timeout=TIME] [fails=N] [passes=N]",
            arity: 0 ... .max,
            summary:
                "Asks every server of the group at intervals (5s) whether it can serve, by GET of \"uri\" (/, any status of 200 "
                + "to 399), by the health protocol of gRPC, or by connecting; after \"fails\" (1) bad answers in a row it gets no "
                + "requests, after \"passes\" (1) good ones it does again"),
        read: { statement, upstream, _ throws(Diagnostic) in
            upstream.healthCheck = try HealthCheck(statement.arguments)
        },
        write: { upstream in upstream.healthCheck.map { [WrittenLine($0.written)] } ?? [] })

    private init(_ arguments: [Argument]) throws(Diagnostic) {
        var type = "http"
        for parameter in arguments {
            if let word = parameter.value(of: "type") {
                guard ["http", "grpc", "tcp"].contains(word.text) else {
                    throw word.error("\"\(word.shown)\" is not one of http, grpc, tcp")
                }
                type = word.text
            }
        }
        var path = "/"
        var expected = 200...399
        var service = ""
        for parameter in arguments {
            let name = String(parameter.shown.prefix { $0 != "=" })
            let kinds = ["uri": "http", "expect": "http", "grpc_service": "grpc"]
            if let kind = kinds[name], kind != type {
                throw parameter.error("\"\(name)\" is of no use with \"type=\(type)\"")
            }
            if parameter.value(of: "type") != nil { continue }
            if let word = parameter.value(of: "uri") {
                path = try Self.path(word)
            } else if let word = parameter.value(of: "expect") {
                expected = try Self.statuses(word)
            } else if let word = parameter.value(of: "grpc_service") {
                service = try Self.service(word)
            } else if let word = parameter.value(of: "interval") {
                interval = try Units.time(word, .milliseconds(100) ... .seconds(3600))
            } else if let word = parameter.value(of: "jitter") {
                jitter = try Units.time(word, .zero ... .seconds(3600))
            } else if let word = parameter.value(of: "timeout") {
                timeout = try Units.time(word, .milliseconds(10) ... .seconds(60))
            } else if let word = parameter.value(of: "fails") {
                fails = try Units.count(word, 1...100)
            } else if let word = parameter.value(of: "passes") {
                passes = try Units.count(word, 1...100)
            } else {
                if ["port", "mandatory", "persistent", "match", "keepalive_time", "grpc_status"].contains(name) {
                    throw parameter.error("\"\(name)\" of \"health_check\" is not supported")
                }
                throw parameter.error(
                    "unknown parameter \"\(parameter.shown)\" of \"health_check\"",
                    suggestion: Spelling.suggestion(for: name, among: Self.names))
            }
        }
        kind = type == "tcp" ? .tcp : type == "grpc" ? .grpc(service: service) : .http(path: path, expected: expected)
    }
    private static func path(_ word: Argument) throws(Diagnostic) -> String {
        guard word.text.hasPrefix("/"), word.text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "#") })
        else {
            throw word.error("\"\(word.shown)\" is not a path: it begins with \"/\" and holds no blanks or \"#\"")
        }
        return word.text
    }
    private static func service(_ word: Argument) throws(Diagnostic) -> String {
        guard word.text.utf8.count <= 1024, word.text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else {
            throw word.error("\"\(word.shown)\" is not the name of a service")
        }
        return word.text
    }
    private static func statuses(_ word: Argument) throws(Diagnostic) -> ClosedRange<Int> {
        let ends = word.text.split(separator: "-", omittingEmptySubsequences: false).map { Units.decimal(String($0)) }
        guard ends.count <= 2, let first = ends[0], let last = ends[ends.count - 1], (200...599).contains(first),
            (first...max(first, 599)).contains(last)
        else { throw word.error("\"\(word.shown)\" is no status of 200 to 599, nor two with \"-\" between") }
        return first...last
    }

    private var written: [String] {
        var words: [String] = []
        switch kind {
        case .http(let path, let expected):
            let statuses =
                expected.count == 1 ? "\(expected.lowerBound)" : "\(expected.lowerBound)-\(expected.upperBound)"
            words = ["type=http", Syntax.quoted("uri=\(path)"), "expect=\(statuses)"]
        case .grpc(let service):
            words = ["type=grpc"] + (service.isEmpty ? [] : [Syntax.quoted("grpc_service=\(service)")])
        case .tcp: words = ["type=tcp"]
        }
        return words + [
            "interval=\(Units.text(time: interval))", "jitter=\(Units.text(time: jitter))",
            "timeout=\(Units.text(time: timeout))", "fails=\(fails)", "passes=\(passes)",
        ]
    }
}
