// What of a provider's credentials is kept, compiled: paths as bytes, so that nothing is looked up by string.
import Bytes
import Configuration
import JOSE
import JSON

struct ClaimPlan {
    /// Nil: `sub`, which the claims reader brings along.
    let subject: [ClaimNamePath]?
    /// Nil: `permissions`, likewise.
    let permissions: [ClaimNamePath]?
    /// Empty when nothing asks for them.
    let scopes: [ClaimNamePath]
    let roles: [ClaimNamePath]
    /// In the order of `KeptClaims.paths`.
    let claims: [ClaimNamePath]

    init(_ names: ClaimNames, _ kept: KeptClaims) {
        let usual = ClaimNames()
        subject = names.subject == usual.subject ? nil : names.subject.map { ClaimNamePath($0.names) }
        permissions = names.permissions == usual.permissions ? nil : names.permissions.map { ClaimNamePath($0.names) }
        scopes = kept.scopes ? names.scopes.map { ClaimNamePath($0.names) } : []
        roles = kept.roles ? names.roles.map { ClaimNamePath($0.names) } : []
        claims = kept.paths.map { ClaimNamePath($0.names) }
    }

    /// Whether an entry has more than subject and permissions.
    var keepsMore: Bool { !(scopes.isEmpty && roles.isEmpty && claims.isEmpty) }

    func subject(
        of claims: borrowing VerifiedClaims, _ finder: inout ClaimFinder, _ reader: inout JSONReader
    ) -> JSONEvent? {
        guard let subject else { return claims.subject }
        for i in subject.indices {
            if let found = finder.find(subject[i], in: claims.payload, &reader), found.kind == .string,
                !found.range.isEmpty
            {
                return found
            }
        }
        return nil
    }
}
