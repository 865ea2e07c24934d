// Changes users and roles for an administrator who is signed in: decided, written and in effect before anybody else's turn.
import Dispatch
import HTTPTypes
import Logging

struct AccountAdministration: Sendable {
    private let files: AccountFiles
    private let importing: AccountFiles.Importing
    private let sessions: any SessionStore
    /// Files and their lock are waited for here and not on the threads that all requests share.
    private let queue = DispatchQueue(label: "account files")

    init(files: AccountFiles, importing: @escaping AccountFiles.Importing, sessions: any SessionStore) {
        self.files = files
        self.importing = importing
        self.sessions = sessions
    }

    /// Makes the change when the caller has the permission, and when neither he nor the change goes too far.
    func change(
        by caller: Caller, needing permission: String, _ change: @escaping @Sendable (inout Accounts) throws -> Void
    ) async throws {
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            queue.async {
                continuation.resume(
                    with: Result { try changeNow(caller.principal.subject, permission, change) })
            }
        }
        // In effect everywhere when this is answered; when it cannot be now, it is written down and tried again.
        try? await sessions.settle()
    }

    private func changeNow(
        _ caller: String, _ permission: String, _ change: (inout Accounts) throws -> Void
    ) throws {
        do {
            try files.change({ try Self.apply(change, to: &$0, for: caller, permission) }, thenImport: importing)
        } catch let failure as StartupFailure {
            files.logger.error("users and roles cannot be changed", metadata: ["error": "\(failure)"])
            throw Problem.accountsUnavailable
        }
    }

    private static func apply(
        _ change: (inout Accounts) throws -> Void, to accounts: inout Accounts, for caller: String,
        _ permission: String
    ) throws {
        let before = accounts
        // What he may do now: his token is older than a change that was made a moment ago.
        let allowed = before.user(named: caller).map { $0.disabled ? [] : before.permissions(of: $0) } ?? []
        guard allowed.contains(permission) else { throw Problem.missing(permission: permission) }
        try change(&accounts)
        let excess = accounts.guardedPermissions(changedFrom: before).subtracting(allowed)
        if let excess = excess.sorted().first { throw Problem.escalation(excess) }
        guard accounts.haveAdministrator || !before.haveAdministrator else { throw Problem.lastAdministrator }
    }
}

extension Problem {
    static func escalation(_ permission: String) -> Problem {
        Problem(
            status: .forbidden, code: "policy_violation",
            detail: "only who has \(permission) himself may give it, take it, or change a user who has it")
    }

    static let accountsUnavailable = Problem(
        status: .serviceUnavailable, code: "accounts_unavailable",
        detail: "the files of users and roles cannot be read or written; the log says why", retryAfterSeconds: 5)
}
