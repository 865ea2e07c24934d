// Header fields that the configuration writes: checked when they are read, so that no response can be split by one
// (CWE-113), and no field that frames a message can be forged.

extension FieldTemplate {
    static let rows: [Directive<RouteSettings>] = [
        Directive(
            row: DirectiveRow(
                name: "add_header", blocks: [.main, .server, .location], form: "NAME VALUE [always]", arity: 2...3,
                repeats: true,
                summary: "A field for responses: with 200, 201, 204, 206, 301, 302, 303, 304, 307, 308, or always"),
            clear: { $0.addedHeaders = [] },
            read: { statement, settings, _ throws(Diagnostic) in
                let arguments = statement.arguments
                if arguments.count == 3, arguments[2].text != "always" {
                    throw arguments[2].error("only \"always\" can follow the value of \"add_header\"")
                }
                let field = try FieldTemplate(arguments[0], arguments[1], at: .response, writtenBy: "add_header")
                settings.addedHeaders.append(AddedField(field: field, always: arguments.count == 3))
                if field.value.needsIdentity { settings.ownIdentityUses.append(arguments[1]) }
            },
            write: { settings in
                settings.addedHeaders.map { WrittenLine($0.field.written + ($0.always ? ["always"] : [])) }
            }),
        Directive(
            row: DirectiveRow(
                name: "identity_headers", blocks: [.main, .server, .location], form: "{ NAME VALUE; … }", arity: 0...0,
                opensBlock: true,
                summary: "Fields that tell the upstream who is asking; the client's own copies are always removed"),
            read: { statement, settings, _ throws(Diagnostic) in
                settings.identityHeaders = []
                for line in statement.block ?? [] {
                    guard line.arguments.count == 1, line.block == nil else {
                        throw line.error(
                            "a line of \"identity_headers\" is a name and one value: \"X-Auth-Subject $auth_subject;\"")
                    }
                    let field = try FieldTemplate(
                        line.name, line.arguments[0], at: .forwarding, writtenBy: "identity_headers")
                    if settings.identityHeaders.contains(where: { $0.foldedName == field.foldedName }) {
                        throw line.name.error("duplicate field \"\(field.name)\" in \"identity_headers\"")
                    }
                    settings.identityHeaders.append(field)
                }
            },
            write: { [WrittenLine([], block: $0.identityHeaders.map(\.written))] }),
        Directive(
            row: DirectiveRow(
                name: "proxy_set_header", blocks: [.main, .server, .location], form: "NAME VALUE", arity: 2...2,
                repeats: true,
                summary:
                    "A field of the request as it is forwarded, instead of the client's; an empty value removes it, and "
                    + "variables of credentials that do not travel on are empty"
            ),
            clear: { $0.upstreamFields = [] },
            read: { statement, settings, _ throws(Diagnostic) in
                let (name, value) = (statement.arguments[0], statement.arguments[1])
                let field = try FieldTemplate(name, value, at: .forwarding, writtenBy: "proxy_set_header")
                if settings.upstreamFields.contains(where: { $0.foldedName == field.foldedName }) {
                    throw name.error("duplicate field \"\(field.name)\" in \"proxy_set_header\"")
                }
                if field.foldedName == "host", field.value.pieces.isEmpty {
                    throw value.error("\"Host\" cannot be empty: HTTP/1.1 requires it (RFC 9112 section 3.2)")
                }
                settings.upstreamFields.append(field)
                if field.value.needsIdentity { settings.ownIdentityUses.append(value) }
            },
            write: { $0.upstreamFields.map { WrittenLine($0.written) } }),
        Directive(
            row: DirectiveRow(
                name: "strip_cookies", blocks: [.main, .server, .location], form: "NAME… | off", arity: 1 ... .max,
                summary: "Cookies that the upstream does not get, by their exact names"),
            read: { statement, settings, _ throws(Diagnostic) in
                settings.strippedCookies = []
                if statement.arguments.count == 1, statement.arguments[0].text == "off" { return }
                for name in statement.arguments {
                    guard isToken(name.text) else {
                        throw name.error("\"\(name.shown)\" is not a name of a cookie (RFC 6265 section 4.1.1)")
                    }
                    if name.text == "off" { throw name.error("\"off\" stands alone") }
                    if settings.strippedCookies.contains(name.text) {
                        throw name.error("duplicate cookie \"\(name.shown)\" in \"strip_cookies\"")
                    }
                    settings.strippedCookies.append(name.text)
                }
            },
            write: { settings in
                let names = settings.strippedCookies.map { Syntax.quoted($0) }
                return [WrittenLine(names.isEmpty ? ["off"] : names)]
            }),
    ]

    /// Fields that frame a message or belong to one connection: the gateway alone writes them (RFC 9110 section 7.6.1).
    private static let framing: Set<String> = [
        "connection", "content-length", "expect", "keep-alive", "proxy-connection", "te", "trailer",
        "transfer-encoding",
        "upgrade",
    ]
    /// Fields by which upstreams know a client, written from the connection: no other value may get there.
    private static let ours: Set<String> = ["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-request-id"]

    init(
        _ name: Argument, _ value: Argument, at stage: VariableStage, writtenBy directive: String
    ) throws(Diagnostic) {
        guard Self.isToken(name.text) else {
            throw name.error(
                "\"\(name.shown)\" is not a name of a header field: letters, digits and !#$%&'*+-.^_`|~ are allowed")
        }
        let template = try Template.parse(value, at: stage)
        for piece in template.pieces {
            guard case .text(let bytes) = piece, !bytes.allSatisfy(Self.isValueByte) else { continue }
            throw value.error("a header field cannot hold control characters such as a line break")
        }
        self.init(name: name.text, value: template)
        if Self.framing.contains(foldedName), !(directive == "proxy_set_header" && saysWhatHappens(value)) {
            throw name.error(
                "\"\(directive)\" cannot set \"\(name.shown)\": the gateway writes it itself for each connection")
        }
        if Self.ours.contains(foldedName), directive != "add_header" {
            throw name.error(
                "\"\(directive)\" cannot set \"\(name.shown)\": the gateway always writes it itself, so remove "
                    + "this line"
            )
        }
        let isIdentity = directive == "identity_headers" || directive == "identity_token"
        if isIdentity, foldedName == "host" || foldedName == "authorization" {
            throw name.error("\"\(directive)\" cannot set \"\(name.shown)\": every request has its own")
        }
    }

    /// What nginx's users write for connections that are kept, and for WebSocket, which happens here anyway; and an empty
    /// Upgrade, which forbids it.
    private func saysWhatHappens(_ written: Argument) -> Bool {
        switch foldedName {
        case "connection":
            value.pieces.isEmpty || written.text.lowercased() == "upgrade" || written.text == "$http_connection"
        case "upgrade":
            value.pieces.isEmpty || written.text == "$http_upgrade"
        default: false
        }
    }
    /// The name as common servers compare it: without case, `_` as `-`.
    var foldedName: String { name.lowercased().replacing("_", with: "-") }

    fileprivate var written: [String] { [name, Syntax.quoted(value)] }

    static func isToken(_ text: String) -> Bool { !text.isEmpty && text.utf8.allSatisfy(isTokenByte) }

    /// RFC 9110 section 5.6.2.
    private static func isTokenByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a: true
        default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }
    /// RFC 9110 section 5.5.
    private static func isValueByte(_ byte: UInt8) -> Bool { byte == 9 || byte >= 0x20 && byte != 0x7f }
}
