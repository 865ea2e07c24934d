// A location as the request path reads it: plain numbers in one row, so that looking one up touches nothing that is counted.
import Bytes
import Configuration
import HTTP
import Policy

/// A stretch of a snapshot's template steps.
struct ProgramRange: BitwiseCopyable {
    var start: Int32 = 0
    var count: Int32 = 0
    /// Every step can be run with what a request and its identity tell; the others need the worker.
    var isSimple = true
    var isEmpty: Bool { count == 0 }
}

struct Route: BitwiseCopyable {
    enum Action: UInt8 { case notFound, answer, proxy }
    var action = Action.notFound
    /// `error_detail`: 0 none, 1 code, 2 full.
    var detail: UInt8 = 1
    var hasURI = false
    /// `auth_mode report`
    var isReport = false
    /// Access depends on what the location's expression captures.
    var usesCaptures = false
    /// What `return` says is the key set of `identity_jwks`.
    var isKeySet = false
    /// Requests for a WebSocket go on as such.
    var passesUpgrades = false
    /// Version of the PROXY protocol that connections to the upstream begin with; 0: none.
    var sourceVersion: UInt8 = 0
    /// A connection to the upstream may serve other clients after this one.
    var isPooled: Bool { sourceVersion == 0 }
    /// Index of the provider, or -1: `auth off`.
    var provider: Int32 = -1
    /// What the server demands of clients' certificates, by number; 0: nothing.
    var clientRules: UInt32 = 0
    /// Index of the location in the configuration: `require` lines are looked up there.
    var location: Int32 = 0
    var status: Int32 = 0
    var upstream: Int32 = -1
    var accessLog: Int32 = -1
    var requestFilter = SlotID.none
    /// The same, without the verified Authorization field.
    var authenticatedFilter = SlotID.none
    /// Without any credentials, for a preflight that the upstream answers.
    var preflightFilter = SlotID.none
    /// What the upstream may not tell the client.
    var responseFilter = SlotID.none
    /// Number of the `cors` block, or -1.
    var crossOrigin: Int32 = -1
    /// Number of the `identity_token` block, or -1.
    var identityToken: Int32 = -1
    /// What is sent upstream besides: Host, the forwarded fields, `proxy_set_header`.
    var requestFields = ProgramRange()
    var identityFields = ProgramRange()
    /// Stands for how these are made, when they are made of the identity alone; 0: of other things, too.
    var identityStamp: UInt32 = 0
    /// `add_header`, for the statuses that nginx adds to, and for all.
    var responseFields = ProgramRange()
    var responseFieldsAlways = ProgramRange()
    var answerText = ProgramRange()
    /// The URI of `proxy_pass`.
    var uri = ProgramRange()
    var connectNanoseconds: UInt64 = 0
    var readNanoseconds: UInt64 = 0
    /// How often a request that lasts is judged again; 0: never.
    var recheckNanoseconds: UInt64 = 0
    var upstreamSendNanoseconds: UInt64 = 0
    var bodyNanoseconds: UInt64 = 0
    var bodyMinimumRate: UInt64 = 0
    var sendNanoseconds: UInt64 = 0
    var keepaliveNanoseconds: UInt64 = 0
    var keepaliveRequests: UInt32 = 0
    /// Bytes; 0: unlimited.
    var bodySize: Int64 = 0

    /// `form`: 1 to 4095, one for each way in which fields are made.
    static func identityStamp(_ serial: UInt32, _ form: UInt32) -> UInt32 { serial &* 4096 &+ form }
}

/// What holds for a listener's connections before a request has a location: from its default server.
struct ListenerLimits: BitwiseCopyable {
    var lineSize: Int = 0
    var headSize: Int = 0
    var fieldCount: Int = 0
    var http: HTTPLimits { HTTPLimits(lineSize: lineSize, headSize: headSize, fieldCount: fieldCount) }
    var headNanoseconds: UInt64 = 0
    var keepaliveNanoseconds: UInt64 = 0
    var sendNanoseconds: UInt64 = 0
    /// Streams that a connection may carry at once; 0: it carries none.
    var streams = 0
    /// Connections begin with the PROXY protocol.
    var namesSource = false
    /// Some peers are believed about whom their requests are from.
    var trustsPeers = false
    /// The default server's fallback: whose name and log a request has that never got a route.
    var route: Int32 = 0
    /// The default server, whose TLS a client gets that names none.
    var server: Int32 = 0
}
