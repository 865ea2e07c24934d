// Who was found to send a request.
package import Bytes

/// Names the verified claims of one credential, which stay where they are until the principal is released. Plain numbers: free
/// to copy, nothing to count.
package struct Principal: BitwiseCopyable, Sendable, Equatable {
    package let provider: SlotID
    let entry: SlotID

    /// Nobody: the route asks for no identity, or none was found.
    package static var anonymous: Principal { Principal(provider: .none, entry: .none) }

    package var isKnown: Bool { entry.generation & 1 == 1 }
}

/// All principals of one request: one, or those of `auth all`. The first one is who the request is said to come from.
package struct PrincipalSet: BitwiseCopyable, Sendable {
    package private(set) var first = Principal.anonymous
    private var others = InlineArray<3, Principal>(repeating: .anonymous)
    package private(set) var count: Int32 = 0

    package static var anonymous: PrincipalSet { PrincipalSet() }

    init() {}
    package init(_ principal: Principal) { add(principal) }

    package subscript(i: Int) -> Principal { i == 0 ? first : others[i - 1] }

    package mutating func add(_ principal: Principal) {
        if count == 0 { first = principal } else { others[Int(count) - 1] = principal }
        count += 1
    }
}

package enum AuthenticationVerdict {
    /// To be given back with `Authenticator.release` once the exchange has been logged.
    case authenticated(Principal)
    /// The same of several: `auth all`.
    case authenticatedByAll(PrincipalSet)
    case refused(LocalResponse)
    /// A signature has to be checked, which is not done now: to be asked again, in order, with `Authenticator.postponed`.
    case later
    /// The key of the token may be one that is not here yet: to be asked again when the keys were fetched, or after that time.
    case awaitKeys(provider: SlotID, atMost: Duration)
    /// A service has to be asked (`Authenticator.takeLookup`); to be asked again with what came of it.
    case lookup(provider: SlotID)
    /// The name of the client's certificate is wanted (`Authenticator.settle`).
    case nameCertificate(provider: SlotID)

    /// The request is to be asked about again.
    package var isPending: Bool {
        switch self {
        case .authenticated, .authenticatedByAll, .refused: false
        case .later, .awaitKeys, .lookup, .nameCertificate: true
        }
    }
}

/// What the authenticator of one worker has done and holds.
package struct AuthenticationCounters: BitwiseCopyable, Sendable {
    package var hits: UInt64 = 0
    /// Tokens that were refused because they had been a moment ago.
    package var negativeHits: UInt64 = 0
    package var misses: UInt64 = 0
    package var evictions: UInt64 = 0
    /// Signatures that were checked, good or bad.
    package var verifications: UInt64 = 0
    package var entries = 0
    /// Of memory, slots and index included.
    package var bytes = 0

    package init() {}
}
