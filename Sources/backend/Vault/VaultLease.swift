// A token of the vault and how long it lives.

struct VaultLease: Sendable {
    let token: String
    let isRenewable: Bool
    /// Zero: for ever, or nothing is known about it.
    let seconds: Int
    /// What the login gave.
    private let first: Int
    /// Two thirds of its life after it was given, as the vault's own agent does it.
    let renewAt: ContinuousClock.Instant?

    init(token: String, seconds: Int, isRenewable: Bool) {
        self.init(token: token, seconds: seconds, first: seconds, isRenewable: isRenewable)
    }

    private init(token: String, seconds: Int, first: Int, isRenewable: Bool) {
        self.token = token
        self.seconds = seconds
        self.first = first
        self.isRenewable = isRenewable
        renewAt = seconds > 0 ? .now + .milliseconds(seconds * 1000 * 2 / 3) : nil
    }

    /// The `auth` of the answer to a login or, with the lease of before, to a renewal.
    init?(_ answer: [UInt8], renewing old: VaultLease? = nil) {
        guard let auth = VaultObject(answer)?.object("auth"), let token = auth.string("client_token") ?? old?.token,
            Self.isPlain(token), let seconds = auth.whole("lease_duration"), (0...Self.longestSeconds).contains(seconds)
        else { return nil }
        self.init(
            token: token, seconds: seconds, first: old?.first ?? seconds, isRenewable: auth.flag("renewable"))
    }

    /// Far above the vault's own limit; keeps arithmetic far from overflow.
    private static let longestSeconds = 100 * 366 * 86400

    func isDue(at now: ContinuousClock.Instant) -> Bool { renewAt.map { $0 <= now } ?? false }

    /// Near the end that no renewal passes each gives less than the one before.
    var nearsItsEnd: Bool { seconds * 2 < first }

    /// The same token, left to its end.
    var withoutRenewal: VaultLease { VaultLease(token: token, seconds: 0, isRenewable: false) }

    /// Whether the token can stand in a field of a request.
    static func isPlain(_ token: String) -> Bool {
        (1...8192).contains(token.utf8.count) && token.utf8.allSatisfy { (0x21...0x7E).contains($0) }
    }
}
