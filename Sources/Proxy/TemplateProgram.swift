// Templates compiled to steps over one arena of text: writing a field is a walk over plain values.
import Bytes
import Configuration

struct TemplateStep: BitwiseCopyable {
    /// What to write. Everything but `text` and the two of fields is a variable.
    enum Kind: UInt8 {
        case text
        /// The name of a field and its colon; if nothing follows before the end, the field is left out.
        case fieldStart, fieldEnd
        case host, httpHost, requestMethod, request, requestURI, uri, args, isArgs, scheme, serverProtocol, requestID
        case requestLength, contentLength, contentType, requestField, cookie
        /// A field for an upstream that gets it only of requests without an identity, or never of a preflight.
        case tokenField, credentialField
        /// Where a request comes from, as an upstream is told.
        case forwardedFor, forwardedProto, forwardedHost
        case remoteAddress, remotePort, serverAddress, serverPort, serverName, connection, connectionRequests
        case tlsProtocol, tlsCipher, tlsServerName, tlsReused
        case tlsClientSubject, tlsClientIssuer, tlsClientSerial, tlsClientVerify
        case status, bytesSent, bodyBytesSent, requestTime
        case upstreamAddress, upstreamStatus, upstreamResponseTime, upstreamConnectTime
        case timeISO8601, timeLocal, milliseconds
        case authSubject, authPermissions, authProvider, authResult, authReason, authCache
        /// `start` is its index among the claims that are kept.
        case claim
    }
    var kind: Kind
    /// Of the arena: the text, or the name of a request field or cookie.
    var start: UInt32 = 0
    var count: UInt32 = 0
}

/// Credentials that a location's upstream does not get: `proxy_set_header` could bring it `$http_authorization`.
struct ConcealedFields {
    /// Authorization, once the request has an identity.
    var token = false
    /// All credentials of a preflight.
    var preflights = false
    /// Names in lower case, with `-` for `_`.
    var fields: [[UInt8]] = []
    var cookies: [[UInt8]] = []

    /// How the value is written; nil: not at all.
    func kind(ofField name: [UInt8]) -> TemplateStep.Kind? {
        if fields.contains(name) { return nil }
        if name == Array("authorization".utf8), token { return .tokenField }
        let isCookie = name == Array("cookie".utf8)
        // What is left of it is written where the fields are.
        if isCookie && !cookies.isEmpty { return nil }
        return preflights && (isCookie || name == Array("authorization".utf8)) ? .credentialField : .requestField
    }
}

/// Collects the steps of one snapshot.
struct TemplateCompiler {
    private(set) var steps: [TemplateStep] = []
    private(set) var text: [UInt8] = []
    private var programStart = 0
    /// Fixed for the life of the process.
    var hostname = ""
    var processID = ""
    /// The group's name as written in `proxy_pass`, for `$proxy_host`.
    var proxyHost = ""
    var keptClaims = KeptClaims()
    /// What the upstream that is written for does not get.
    var concealed = ConcealedFields()

    mutating func program(_ body: (inout TemplateCompiler) -> Void) -> ProgramRange {
        let start = steps.count
        programStart = start
        body(&self)
        let isSimple = steps[start...].allSatisfy(\.kind.isSimple)
        return ProgramRange(start: Int32(start), count: Int32(steps.count - start), isSimple: isSimple)
    }
    mutating func template(_ template: Template) {
        for piece in template.pieces {
            switch piece {
            case .text(let bytes): literal(bytes)
            case .variable(let variable): self.variable(variable)
            }
        }
    }
    /// A whole field line, left out when its value turns out empty.
    mutating func field(_ field: FieldTemplate) {
        if field.value.pieces.isEmpty { return }
        if field.value.isNeverEmpty {
            literal(Array("\(field.name): ".utf8))
            template(field.value)
            return literal(Array("\r\n".utf8))
        }
        named(.fieldStart, Array("\(field.name): ".utf8))
        template(field.value)
        steps.append(TemplateStep(kind: .fieldEnd))
    }
    /// A field line that tells an upstream where the request comes from. Only an HTTP/1.0 client may have named no host.
    mutating func field(_ name: String, _ kind: TemplateStep.Kind) {
        let start = Array("\(name): ".utf8)
        if kind == .forwardedHost { named(.fieldStart, start) } else { literal(start) }
        steps.append(TemplateStep(kind: kind))
        if kind == .forwardedHost { steps.append(TemplateStep(kind: .fieldEnd)) } else { literal(Array("\r\n".utf8)) }
    }
    mutating func literal(_ bytes: [UInt8]) {
        guard !bytes.isEmpty else { return }
        // Neighbours become one copy.
        if steps.count > programStart, let last = steps.last, last.kind == .text,
            Int(last.start + last.count) == text.count
        {
            steps[steps.count - 1].count += UInt32(bytes.count)
        } else {
            steps.append(TemplateStep(kind: .text, start: UInt32(text.count), count: UInt32(bytes.count)))
        }
        text += bytes
    }
    private mutating func named(_ kind: TemplateStep.Kind, _ name: [UInt8]) {
        steps.append(TemplateStep(kind: kind, start: UInt32(text.count), count: UInt32(name.count)))
        text += name
    }
    mutating func variable(_ variable: Variable) {
        switch variable {
        case .requestField(let name): if let kind = concealed.kind(ofField: name) { named(kind, name) }
        case .cookie(let name): if !concealed.cookies.contains(name) { named(.cookie, name) }
        case .hostname: literal(Array(hostname.utf8))
        case .processID: literal(Array(processID.utf8))
        case .proxyHost: literal(Array(proxyHost.utf8))
        case .claim(let path):
            if let index = keptClaims.index(of: path) {
                steps.append(TemplateStep(kind: .claim, start: UInt32(index)))
            }
        default: steps.append(TemplateStep(kind: Self.kind(variable)))
        }
    }
    private static func kind(_ variable: Variable) -> TemplateStep.Kind {
        switch variable {
        case .host: .host
        case .httpHost: .httpHost
        case .requestMethod: .requestMethod
        case .request: .request
        case .requestURI: .requestURI
        case .uri: .uri
        case .args: .args
        case .isArgs: .isArgs
        case .scheme: .scheme
        case .serverProtocol: .serverProtocol
        case .requestID: .requestID
        case .requestLength: .requestLength
        case .contentLength: .contentLength
        case .contentType: .contentType
        case .remoteAddress: .remoteAddress
        case .remotePort: .remotePort
        case .serverAddress: .serverAddress
        case .serverPort: .serverPort
        case .serverName: .serverName
        case .connection: .connection
        case .connectionRequests: .connectionRequests
        case .tlsProtocol: .tlsProtocol
        case .tlsCipher: .tlsCipher
        case .tlsServerName: .tlsServerName
        case .tlsReused: .tlsReused
        case .tlsClientSubject: .tlsClientSubject
        case .tlsClientIssuer: .tlsClientIssuer
        case .tlsClientSerial: .tlsClientSerial
        case .tlsClientVerify: .tlsClientVerify
        case .status: .status
        case .bytesSent: .bytesSent
        case .bodyBytesSent: .bodyBytesSent
        case .requestTime: .requestTime
        case .upstreamAddress: .upstreamAddress
        case .upstreamStatus: .upstreamStatus
        case .upstreamResponseTime: .upstreamResponseTime
        case .upstreamConnectTime: .upstreamConnectTime
        case .timeISO8601: .timeISO8601
        case .timeLocal: .timeLocal
        case .milliseconds: .milliseconds
        case .authSubject: .authSubject
        case .authPermissions: .authPermissions
        case .authProvider: .authProvider
        case .authResult: .authResult
        case .authReason: .authReason
        case .authCache: .authCache
        case .requestField, .cookie, .capture, .hostname, .processID, .proxyHost, .claim: .text
        }
    }
}

extension Template {
    /// It writes at least one byte, whatever the request: then its field need not be looked at again.
    fileprivate var isNeverEmpty: Bool {
        pieces.contains { piece in
            switch piece {
            case .text(let bytes): !bytes.isEmpty
            case .variable(let variable):
                switch variable {
                case .proxyHost, .remoteAddress, .scheme, .requestID, .requestMethod, .requestURI, .uri: true
                default: false
                }
            }
        }
    }
}
