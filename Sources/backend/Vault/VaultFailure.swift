// Why a vault did not give what it was asked for, in the words of its API: sealed, denied, missing, slow, away.

enum VaultFailure: Error, CustomStringConvertible {
    case unreachable(String)
    case tls(String)
    case timeout(seconds: Int)
    /// Also a standby that cannot reach its leader: it answers the same status.
    case sealed
    /// The token or the login is not good, or its policy does not allow this.
    case denied(String)
    /// Our own token or secret id cannot be read.
    case credentials(String)
    case missing(String)
    /// Another wrote a new version in between.
    case overtaken
    case status(Int, String)
    /// The answer, or the secret in it, is not what it should be.
    case unusable(String)

    /// The label of the metric.
    var reason: String {
        switch self {
        case .unreachable: "unreachable"
        case .tls: "tls"
        case .timeout: "timeout"
        case .sealed: "sealed"
        case .denied: "denied"
        case .credentials: "credentials"
        case .missing: "missing"
        case .overtaken: "overtaken"
        case .status: "status"
        case .unusable: "unusable"
        }
    }

    static let reasons = [
        "unreachable", "tls", "timeout", "sealed", "denied", "credentials", "missing", "overtaken", "status",
        "unusable",
    ]

    var description: String {
        switch self {
        case .unreachable(let what): "the vault cannot be reached: \(what)"
        case .tls(let what): "the vault's certificate is not trusted or TLS failed: \(what)"
        case .timeout(let seconds): "the vault did not answer within \(seconds) seconds"
        case .sealed: "the vault is sealed, or has no active node"
        case .denied(let what): "the vault refused \(what): the token or the login is not good, or no policy allows it"
        case .credentials(let what): "what the vault would know us by cannot be read: \(what)"
        case .missing(let what): "the vault has nothing at \(what), or its newest version was deleted"
        case .overtaken: "the secret was changed by another in between"
        case .status(let status, let what): "the vault answered \(what) with status \(status)"
        case .unusable(let what): "what the vault holds cannot be used: \(what)"
        }
    }
}
