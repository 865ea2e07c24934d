// Who was found to send a request.
import Bytes

/// Names the verified claims of one token, which stay where they are until the principal is released. Plain numbers: free to
/// copy, nothing to count.
package struct Principal: BitwiseCopyable, Sendable {
    let provider: SlotID
    let entry: SlotID

    /// Nobody: the route asks for no identity, or none was found.
    package static var anonymous: Principal { Principal(provider: .none, entry: .none) }

    package var isKnown: Bool { entry.generation & 1 == 1 }
}

package enum AuthenticationVerdict {
    /// To be given back with `Authenticator.release` once the exchange has been logged.
    case authenticated(Principal)
    case refused(LocalResponse)
}

/// What the authenticator of one worker has done and holds.
package struct AuthenticationCounters: BitwiseCopyable, Sendable {
    package var hits: UInt64 = 0
    package var misses: UInt64 = 0
    package var evictions: UInt64 = 0
    /// Signatures that were checked, good or bad.
    package var verifications: UInt64 = 0
    package var entries = 0
    /// Of memory, slots and index included.
    package var bytes = 0

    package init() {}
}
