// A refresh token as the database has it, with its session and its user, read in one question: every refresh asks it.
import Foundation
import GRDB

struct FoundToken {
    let session: Session
    let sessionExpires: Int64
    let isRevoked: Bool
    let idleExpires: Int64
    /// When it was rotated; nil: it has not been.
    let spent: Int64?
    /// What replaced it, encrypted under it.
    let successor: Data?
    /// Its user; his roles are asked for when he is to be given a token.
    private let user: User
    /// The first second in which his access tokens count.
    let validFrom: Int64

    var isDisabled: Bool { user.disabled }

    /// Nil for a token that nobody was given.
    init?(_ token: RefreshToken, _ connection: GRDB.Database) throws {
        let statement = try connection.cachedStatement(
            sql: """
                SELECT session.id, session.user, session.client_id, session.expires_ms, session.revoked_ms IS NOT NULL,
                       token.idle_expires_ms, token.spent_ms, token.successor,
                       user.display_name, user.email, user.password_hash, user.imported_hash, user.disabled,
                       coalesce(valid_from.seconds, 0)
                FROM refresh_tokens AS token
                JOIN sessions AS session ON session.id = token.session
                JOIN users AS user ON user.name = session.user
                LEFT JOIN valid_from ON valid_from.user = user.name
                WHERE token.hash = ?
                """)
        // Read where SQLite has it, by position, for as long as the cursor stands there: a copy costs more than finding it.
        let rows = try Row.fetchCursor(statement, arguments: [token.hash])
        defer { withExtendedLifetime(rows) {} }
        guard let row = try rows.next() else { return nil }
        session = Session(id: row[0], user: row[1], clientID: row[2])
        sessionExpires = row[3]
        isRevoked = row[4]
        idleExpires = row[5]
        spent = row[6]
        successor = row[7]
        user = User(
            name: session.user, displayName: row[8], email: row[9], passwordHash: row[10], importedHash: row[11],
            disabled: row[12], roles: [])
        validFrom = row[13]
    }

    /// The user with his roles and what they permit.
    func account(_ connection: GRDB.Database) throws -> Account {
        var user = user
        let (roles, permissions) = try RBACService.grants(of: user.name, connection)
        user.roles = roles
        return Account(user: user, permissions: permissions)
    }
}
