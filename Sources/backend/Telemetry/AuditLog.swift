// One structured line for every event that matters to security, and a counter of them; never a secret in either.
import Logging

enum AuditEvent: String, CaseIterable, Sendable {
    case login
    case loginRefused = "login_refused"
    case loginLocked = "login_locked"
    case loginLimited = "login_limited"
    case logout
    case logoutAll = "logout_all"
    /// A spent refresh token came back after its grace: somebody else has a copy, and the session was ended.
    case refreshReused = "refresh_reused"
    case apiKeyMade = "api_key_made"
    case apiKeyRevoked = "api_key_revoked"
    /// A client revoked a token of its own.
    case tokenRevoked = "token_revoked"
    /// A program did not show that it is a client of ours, or asked for more than it may.
    case clientRefused = "client_refused"
    /// Another key signs from now on.
    case keyRotated = "key_rotated"
    /// A password or a token came in clear text from another machine.
    case clearText = "clear_text"
    /// A page of another site tried to use a browser's session.
    case originDenied = "origin_denied"
    // Changes that an administrator made.
    case userCreated = "user_created"
    case userChanged = "user_changed"
    case userDeleted = "user_deleted"
    case passwordSet = "password_set"
    case roleCreated = "role_created"
    case roleChanged = "role_changed"
    case roleDeleted = "role_deleted"
    case permissionGranted = "permission_granted"
    case permissionsImported = "permissions_imported"
    case sessionEnded = "session_ended"
    case sessionsEnded = "sessions_ended"

    /// What is an attack, or may be one, stands out.
    var level: Logger.Level {
        switch self {
        case .loginLocked, .loginLimited, .refreshReused, .clientRefused, .clearText, .originDenied: .warning
        default: .notice
        }
    }
}

struct AuditLog: Sendable {
    private static let counter = "backend_audit_events_total"

    private let logger: Logger
    private let metrics: MetricRegistry

    init(logger: Logger, metrics: MetricRegistry) {
        var logger = logger
        logger[metadataKey: "log"] = "audit"
        // Quiet logs are for what is ordinary; these lines are evidence.
        logger.logLevel = min(logger.logLevel, .notice)
        self.logger = logger
        self.metrics = metrics
        metrics.counter(
            Self.counter, "Security events by kind.", labels: AuditEvent.allCases.map { "event=\"\($0.rawValue)\"" })
    }

    /// `subject` is a known user; `actor` who did it, when that is another.
    func record(
        _ event: AuditEvent, subject: String? = nil, actor: String? = nil, address: String? = nil,
        _ more: [String: String] = [:]
    ) {
        var metadata: Logger.Metadata = ["event": "\(event.rawValue)"]
        metadata["sub"] = subject.map { "\($0)" }
        metadata["actor"] = actor.map { "\($0)" }
        metadata["address"] = address.map { "\($0)" }
        for (name, value) in more { metadata[name] = "\(value)" }
        logger.log(level: event.level, "audit", metadata: metadata)
        metrics.add(Self.counter, label: "event=\"\(event.rawValue)\"")
    }
}
