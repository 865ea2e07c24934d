// What a server that listens with TLS shows, offers and asks for.

/// The files' bytes were read when the configuration was.
package struct TLSSettings: Sendable, Equatable {
    /// At least one, of different kinds.
    package var certificates: [CertificateFiles]
    /// OCSP responses, in any order.
    package var staples: [StapleFile] = []
    package var allowsTLS12 = true
    package var allowsTLS13 = true
    /// Of TLS 1.2, in OpenSSL's words; nil: all good ones.
    package var ciphers: CipherList?
    /// The best one first; empty: X25519, P-256, P-384.
    package var curves: [NamedCurve] = []
    package var offersTickets = true
    /// Nil: clients are not asked for a certificate.
    package var clients: ClientCertificates?
    /// Where the secrets of sessions are written to, for debugging.
    package var keyLog: KeyLogFile?

    package init(certificates: [CertificateFiles]) { self.certificates = certificates }

    /// Whether clients see no difference, wherever the settings were written and whatever their files are called.
    package func isServed(like other: TLSSettings) -> Bool {
        func bare(_ settings: TLSSettings) -> TLSSettings {
            var bare = settings
            for i in bare.certificates.indices {
                bare.certificates[i].certificateFile = ""
                bare.certificates[i].keyFile = ""
            }
            for i in bare.staples.indices { bare.staples[i].file = "" }
            bare.clients?.file = ""
            return bare
        }
        return bare(self) == bare(other)
    }
}

/// `ssl_certificate` and its `ssl_certificate_key`.
package struct CertificateFiles: Sendable, Equatable {
    package var certificateFile: String
    package var keyFile: String
    /// PEM: the leaf first, then intermediates.
    package var certificate: [UInt8]
    package var privateKey: [UInt8]
    package var certificatePosition: SourcePosition
    package var keyPosition: SourcePosition
}

/// `ssl_stapling_file`
package struct StapleFile: Sendable, Equatable {
    package var file: String
    /// DER.
    package var response: [UInt8]
    package var position: SourcePosition
}

/// `ssl_ciphers`
package struct CipherList: Sendable, Equatable {
    package var text: String
    package var position: SourcePosition
}

/// `ssl_key_log`
package struct KeyLogFile: Sendable, Equatable {
    package var file: String
    package var position: SourcePosition
}

/// `ssl_client_certificate`, `ssl_verify_client`, `ssl_verify_depth`.
package struct ClientCertificates: Sendable, Equatable {
    package var file: String
    /// Certificates of the authorities, in PEM.
    package let authorities: [UInt8]
    package let isRequired: Bool
    /// Intermediates that a chain may have.
    package let depth: Int
    package var position: SourcePosition
    /// The same for the same demands, also after a reload; never 0, which stands for none.
    package let number: UInt32

    init(file: String, authorities: [UInt8], isRequired: Bool, depth: Int, position: SourcePosition) {
        self.file = file
        self.authorities = authorities
        self.isRequired = isRequired
        self.depth = depth
        self.position = position
        // FNV-1a: nobody but the operator chooses what is hashed.
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in authorities + [isRequired ? 1 : 0, UInt8(clamping: depth)] {
            hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3
        }
        number = max(1, UInt32(truncatingIfNeeded: hash ^ hash >> 32))
    }
}

/// A curve that keys are agreed on, by nginx's and OpenSSL's names.
package enum NamedCurve: String, Sendable, Equatable, CaseIterable {
    case x25519 = "X25519"
    case p256 = "P-256"
    case p384 = "P-384"
    case p521 = "P-521"
    case x448 = "X448"

    /// The first one costs least; the others are what the web has. Groups of finite fields are left out: they cost the server
    /// a hundred times as much, and the client chooses.
    package static let usual: [NamedCurve] = [.x25519, .p256, .p384]

    init?(_ text: String) {
        switch text {
        case "prime256v1", "secp256r1": self = .p256
        case "secp384r1": self = .p384
        case "secp521r1": self = .p521
        default:
            guard let known = Self.allCases.first(where: { $0.rawValue.lowercased() == text.lowercased() }) else {
                return nil
            }
            self = known
        }
    }
}
