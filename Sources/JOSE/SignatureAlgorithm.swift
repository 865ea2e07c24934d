// The signature algorithms there are: a closed list, in which "none" has no case and so no code path.
import Bytes
import JSON

/// An `alg` of RFC 7518 section 3.1 or RFC 8037 section 3.1.
package enum SignatureAlgorithm: UInt8, Sendable, CaseIterable {
    case rs256, rs384, rs512, ps256, ps384, ps512, es256, es384, es512, eddsa, hs256, hs384, hs512

    /// Those whose keys may be known to everybody. The others exist only where somebody configured a secret.
    package static let asymmetric = allCases.filter { !$0.isSymmetric }

    /// Exact, case-sensitive names only (RFC 7515 section 4.1.1).
    package init?(name: String) {
        guard let found = Self.allCases.first(where: { $0.name == name }) else { return nil }
        self = found
    }

    /// As it stands in `alg`.
    package var name: String { "\(spelling)" }

    var spelling: StaticString {
        switch self {
        case .rs256: "RS256"
        case .rs384: "RS384"
        case .rs512: "RS512"
        case .ps256: "PS256"
        case .ps384: "PS384"
        case .ps512: "PS512"
        case .es256: "ES256"
        case .es384: "ES384"
        case .es512: "ES512"
        case .eddsa: "EdDSA"
        case .hs256: "HS256"
        case .hs384: "HS384"
        case .hs512: "HS512"
        }
    }

    /// Whether who checks a signature can make it, too.
    package var isSymmetric: Bool { rawValue >= Self.hs256.rawValue }

    /// Bytes of the hash that is signed: 32, 48 or 64; 0: the algorithm hashes by itself.
    package var digestBytes: Int {
        switch self {
        case .rs256, .ps256, .es256, .hs256: 32
        case .rs384, .ps384, .es384, .hs384: 48
        case .rs512, .ps512, .es512, .hs512: 64
        case .eddsa: 0
        }
    }

    /// Whether a key of this kind can make such a signature: each curve has one algorithm (RFC 7518 section 3.4), and a secret
    /// is as long as the hash at least (section 3.2).
    package func fits(_ material: JSONWebKey.Material) -> Bool {
        switch (self, material) {
        case (.rs256, .rsa), (.rs384, .rsa), (.rs512, .rsa), (.ps256, .rsa), (.ps384, .rsa), (.ps512, .rsa): true
        case (.es256, .ec(.p256, _, _)), (.es384, .ec(.p384, _, _)), (.es512, .ec(.p521, _, _)): true
        case (.eddsa, .ed25519), (.eddsa, .ed448): true
        case (.hs256, .secret(let bytes)), (.hs384, .secret(let bytes)), (.hs512, .secret(let bytes)):
            bytes.count >= digestBytes
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
        for algorithm in SignatureAlgorithm.allCases where value.equals(algorithm.spelling, in: header) {
            self.init(algorithm)
            return
        }
        if value.equals("Ed25519", in: header) {
            self.init(.eddsa, .ed25519)
        } else if value.equals("Ed448", in: header) {
            self.init(.eddsa, .ed448)
        } else {
            return nil
        }
    }

    /// The same for the `alg` of a key.
    init?(name: String) {
        switch name {
        case "Ed25519": self.init(.eddsa, .ed25519)
        case "Ed448": self.init(.eddsa, .ed448)
        default:
            guard let algorithm = SignatureAlgorithm(name: name) else { return nil }
            self.init(algorithm)
        }
    }

    /// Whether a key of this kind can make what is asked for.
    func fits(_ material: JSONWebKey.Material) -> Bool {
        switch (curve, material) {
        case (.ed25519, .ed448), (.ed448, .ed25519): false
        default: algorithm.fits(material)
        }
    }
}
