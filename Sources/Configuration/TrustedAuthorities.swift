// `ca PATH`: whose certificates the servers must have that the gateway itself asks, instead of the system's authorities.

package struct TrustedAuthorities: Sendable, Equatable {
    package var file: String
    /// Certificates in PEM.
    package var certificates: [UInt8]
    package var position: SourcePosition

    /// Where it stands says nothing about whom it trusts.
    package static func == (a: TrustedAuthorities, b: TrustedAuthorities) -> Bool {
        a.file == b.file && a.certificates == b.certificates
    }
}

extension TrustedAuthorities {
    /// The row of a block whose servers are called `servers`.
    static func row<Block>(
        _ block: BlockKind, _ field: any WritableKeyPath<Block, TrustedAuthorities?> & Sendable, servers: String
    ) -> Directive<Block> {
        Directive(
            row: DirectiveRow(
                name: "ca", blocks: [block], form: "PATH", arity: 1...1,
                summary:
                    "Certificates of the authorities that \(servers) believed by, in PEM, instead of the system's"),
            read: { statement, draft, reader throws(Diagnostic) in
                draft[keyPath: field] = try reader.readAuthorities(statement.arguments[0])
            },
            write: { draft in
                draft[keyPath: field].map { [WrittenLine([Syntax.quoted($0.file)])] } ?? []
            })
    }
}

extension ConfigurationReader {
    fileprivate func readAuthorities(_ word: Argument) throws(Diagnostic) -> TrustedAuthorities {
        let file = try path(word)
        return TrustedAuthorities(
            file: file,
            certificates: try pem(word, file, "certificate", labels: ["CERTIFICATE", "X509 CERTIFICATE"]),
            position: word.position)
    }
}

extension GatewayConfiguration {
    /// All that are named anywhere.
    package var trustedAuthorities: [TrustedAuthorities] {
        providers.compactMap(\.keyFetching.authorities) + providers.compactMap(\.lookupAuthorities)
            + revocations.compactMap(\.authorities)
    }
}
