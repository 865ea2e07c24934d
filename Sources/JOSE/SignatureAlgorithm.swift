// The signature algorithms there are: a closed list, in which "none" and the HMACs have no case and so no code path.
import Bytes
import JSON

/// A `alg` of RFC 7518 section 3.1 or RFC 8037 section 3.1.
package enum SignatureAlgorithm: UInt8, Sendable, CaseIterable {
    case rs256, es256, eddsa

    /// Exact, case-sensitive names only (RFC 7515 section 4.1.1).
    package init?(name: String) {
        switch name {
        case "RS256": self = .rs256
        case "ES256": self = .es256
        case "EdDSA": self = .eddsa
        default: return nil
        }
    }

    /// As it stands in `alg`.
    package var name: String {
        switch self {
        case .rs256: "RS256"
        case .es256: "ES256"
        case .eddsa: "EdDSA"
        }
    }

    /// Whether a key of this kind can make such a signature (RFC 7518 section 3.4: ES256 is P-256 alone).
    package func fits(_ material: JSONWebKey.Material) -> Bool {
        switch (self, material) {
        case (.rs256, .rsa), (.es256, .p256), (.eddsa, .ed25519), (.eddsa, .ed448): true
        default: false
        }
    }
}

/// What a header's `alg` asks for: RFC 9864 gave the two curves of EdDSA names of their own.
package struct RequestedAlgorithm: Sendable, Equatable {
    package enum Curve: UInt8, Sendable { case any, ed25519, ed448 }

    package var algorithm: SignatureAlgorithm
    package var curve = Curve.any

    init(_ algorithm: SignatureAlgorithm, _ curve: Curve = .any) {
        self.algorithm = algorithm
        self.curve = curve
    }

    /// Nil for every name that is not one of ours, letter for letter.
    init?(_ value: JSONEvent, in header: borrowing Span<UInt8>) {
        guard value.kind == .string else { return nil }
        if value.equals("RS256", in: header) {
            self.init(.rs256)
        } else if value.equals("ES256", in: header) {
            self.init(.es256)
        } else if value.equals("EdDSA", in: header) {
            self.init(.eddsa)
        } else if value.equals("Ed25519", in: header) {
            self.init(.eddsa, .ed25519)
        } else if value.equals("Ed448", in: header) {
            self.init(.eddsa, .ed448)
        } else {
            return nil
        }
    }
}
