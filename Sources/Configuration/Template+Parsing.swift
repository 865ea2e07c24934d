// Text with `$variables` from an argument, and the names of all variables.

/// When in the life of a request a variable gets its value; a template is filled in at one of these points.
enum VariableStage: Int, Sendable {
    case request, forwarding, response, log

    /// For messages.
    var place: String {
        switch self {
        case .request: "when a request has come in"
        case .forwarding: "when a request is forwarded"
        case .response: "when the head of an answer is written"
        case .log: "in an access log"
        }
    }
}

extension Template {
    /// Parses an argument that is filled in at `stage`; what a reference brought is text, whatever it contains. `captures`: names
    /// of groups that may be used; nil: that is seen later.
    static func parse(
        _ argument: Argument, at stage: VariableStage, captures: Set<String>? = []
    ) throws(Diagnostic) -> Template {
        var pieces: [Piece] = []
        for piece in argument.pieces {
            switch piece {
            case .literal(let text): pieces.append(.text(Array(text.utf8)))
            case .written(let text): pieces += try parse(written: text, of: argument, at: stage, captures)
            }
        }
        return Template(joining: pieces)
    }

    /// Adjoining texts become one.
    init(joining pieces: [Piece]) {
        self.init([])
        for piece in pieces {
            if case .text(let more) = piece, case .text(let before)? = self.pieces.last {
                self.pieces[self.pieces.count - 1] = .text(before + more)
            } else if piece != .text([]) {
                self.pieces.append(piece)
            }
        }
    }

    private static func parse(
        written: String, of argument: Argument, at stage: VariableStage, _ captures: Set<String>?
    ) throws(Diagnostic) -> [Piece] {
        var pieces: [Piece] = []
        var rest = written[...]
        while let dollar = rest.firstIndex(of: "$") {
            pieces.append(.text(Array(rest[..<dollar].utf8)))
            rest = rest[rest.index(after: dollar)...]
            let isBraced = rest.first == "{"
            if isBraced { rest = rest.dropFirst() }
            let name = rest.prefix { $0 == "_" || $0.isASCII && ($0.isLetter || $0.isNumber) }
            rest = rest.dropFirst(name.count)
            let offset = written.unicodeScalars.distance(from: written.startIndex, to: dollar)
            let place = argument.place(of: "\(isBraced ? "${" : "$")\(name)", at: offset)
            guard !name.isEmpty, !isBraced || rest.first == "}" else {
                throw place.error(
                    "\"$\" must be followed by the name of a variable", suggestion: "\"\\u{24}\" is a dollar sign")
            }
            if isBraced { rest = rest.dropFirst() }
            pieces.append(.variable(try variable(String(name), place, at: stage, captures)))
        }
        pieces.append(.text(Array(rest.utf8)))
        return pieces
    }

    private static func variable(
        _ name: String, _ place: Argument, at stage: VariableStage, _ captures: Set<String>?
    ) throws(Diagnostic) -> Variable {
        let isCapture = captures?.contains(name) ?? false
        guard let variable = Variable(named: name) else {
            if isCapture { return .capture(name) }
            if let sentence = UnsupportedDirectives.sentence(forVariable: name) { throw place.error(sentence) }
            if captures == nil { return .capture(name) }
            throw place.error(
                "unknown variable \"$\(name)\"",
                suggestion: Spelling.nearest(to: name, among: Variable.named.map(\.name) + (captures ?? [])).map {
                    "did you mean \"$\($0)\"?"
                })
        }
        if isCapture {
            throw place.error(
                "\"$\(name)\" is a variable of every request: give the group of the expression another name")
        }
        guard variable.stage.rawValue <= stage.rawValue else {
            throw place.error("\"$\(name)\" never has a value \(stage.place): it exists only \(variable.stage.place)")
        }
        return variable
    }

    /// The same where nobody is known: what only a verified identity fills is empty.
    var withoutIdentity: Template {
        Template(joining: pieces.filter { if case .variable(let variable) = $0 { !variable.isIdentity } else { true } })
    }
    /// Nothing but a verified identity decides what it says.
    package var isIdentityAlone: Bool {
        pieces.allSatisfy { if case .variable(let variable) = $0 { variable.isIdentity } else { true } }
    }
    var needsIdentity: Bool { withoutIdentity != self }
}

extension Argument {
    /// The part of this word that a message is about; the whole word when escapes or references shift the columns.
    fileprivate func place(of part: String, at offset: Int) -> Argument {
        guard pieces.count == 1, length == text.unicodeScalars.count + (isQuoted ? 2 : 0), !text.contains("\n") else {
            return self
        }
        var place = Argument(part, position: position)
        place.position.column += offset + (isQuoted ? 1 : 0)
        return place
    }
}

extension Variable {
    struct Named: Sendable {
        var name: String
        var variable: Variable
        var stage: VariableStage

        init(_ name: String, _ variable: Variable, _ stage: VariableStage = .request) {
            self.name = name
            self.variable = variable
            self.stage = stage
        }
    }

    /// Every variable with a fixed name.
    static let named: [Named] = [
        Named("host", .host), Named("http_host", .httpHost), Named("request_method", .requestMethod),
        Named("request", .request), Named("request_uri", .requestURI), Named("uri", .uri), Named("args", .args),
        Named("query_string", .args), Named("is_args", .isArgs), Named("scheme", .scheme),
        Named("server_protocol", .serverProtocol), Named("request_id", .requestID),
        Named("request_length", .requestLength), Named("content_length", .contentLength),
        Named("content_type", .contentType), Named("remote_addr", .remoteAddress), Named("remote_port", .remotePort),
        Named("server_addr", .serverAddress), Named("server_port", .serverPort), Named("server_name", .serverName),
        Named("connection", .connection), Named("connection_requests", .connectionRequests),
        Named("ssl_protocol", .tlsProtocol), Named("ssl_cipher", .tlsCipher),
        Named("ssl_server_name", .tlsServerName), Named("ssl_session_reused", .tlsReused),
        Named("ssl_client_s_dn", .tlsClientSubject), Named("ssl_client_i_dn", .tlsClientIssuer),
        Named("ssl_client_serial", .tlsClientSerial), Named("ssl_client_verify", .tlsClientVerify),
        Named("proxy_host", .proxyHost, .forwarding),
        Named("status", .status, .response), Named("request_time", .requestTime, .response),
        Named("bytes_sent", .bytesSent, .log), Named("body_bytes_sent", .bodyBytesSent, .log),
        Named("upstream_addr", .upstreamAddress, .response), Named("upstream_status", .upstreamStatus, .response),
        Named("upstream_connect_time", .upstreamConnectTime, .response),
        Named("upstream_response_time", .upstreamResponseTime, .log), Named("time_iso8601", .timeISO8601),
        Named("time_local", .timeLocal), Named("msec", .milliseconds), Named("auth_subject", .authSubject),
        Named("auth_permissions", .authPermissions), Named("auth_provider", .authProvider),
        Named("auth_result", .authResult), Named("auth_reason", .authReason), Named("auth_cache", .authCache),
        Named("hostname", .hostname), Named("pid", .processID),
    ]

    /// A variable by its name without `$`; `http_NAME` and `cookie_NAME` exist for every NAME.
    init?(named name: String) {
        if let known = Self.named.first(where: { $0.name == name }) {
            self = known.variable
        } else if name.hasPrefix("http_"), name.utf8.count > 5 {
            self = .requestField(
                name.utf8.dropFirst(5).map {
                    $0 == UInt8(ascii: "_") ? UInt8(ascii: "-") : $0 | ($0 >= 0x41 && $0 <= 0x5a ? 0x20 : 0)
                })
        } else if name.hasPrefix("cookie_"), name.utf8.count > 7 {
            self = .cookie(Array(name.utf8.dropFirst(7)))
        } else if name.hasPrefix("jwt_claim_"), name.utf8.count > 10 {
            self = .claim(ClaimPath([String(name.dropFirst(10))]))
        } else {
            return nil
        }
    }

    /// The name without `$`.
    package var name: String {
        switch self {
        case .requestField(let field):
            "http_" + String(decoding: field.map { $0 == UInt8(ascii: "-") ? UInt8(ascii: "_") : $0 }, as: UTF8.self)
        case .cookie(let cookie): "cookie_" + String(decoding: cookie, as: UTF8.self)
        case .claim(let path): "jwt_claim_" + path.names.joined(separator: ".")
        case .capture(let name): name
        default: Self.named.first { $0.variable == self }?.name ?? ""
        }
    }

    var stage: VariableStage { Self.named.first { $0.variable == self }?.stage ?? .request }

    var isIdentity: Bool {
        switch self {
        case .authSubject, .authPermissions, .authProvider, .claim: true
        default: false
        }
    }
}
