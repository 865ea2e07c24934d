// `fail_start` and `ca` of a provider that fetches keys, and `audience_match` of those that look at `aud`.
internal import Bytes

/// `ca PATH`: whose certificates the servers of keys must have.
package struct KeyAuthorities: Sendable, Equatable {
    package var file: String
    /// Certificates in PEM.
    package var certificates: [UInt8]
    package var position: SourcePosition
}

extension ProviderDraft {
    static let fetchingRows: [Directive<ProviderDraft>] = [
        .sourceSetting(
            .setting(
                "fail_start", in: [.authProvider], .flag, \.provider.keyFetching.failsStart,
                "Whether the gateway refuses to start while a source of keys gives none and none of it are kept; off: it "
                    + "starts, and tokens that it cannot judge get 503")),
        .sourceSetting(
            Directive(
                row: DirectiveRow(
                    name: "ca", blocks: [.authProvider], form: "PATH", arity: 1...1,
                    summary:
                        "Certificates of the authorities that the servers of keys are believed by, in PEM, instead of the "
                        + "system's"),
                read: { statement, draft, reader throws(Diagnostic) in
                    draft.provider.keyFetching.authorities = try reader.readAuthorities(statement.arguments[0])
                },
                write: { draft in
                    guard let authorities = draft.provider.keyFetching.authorities else { return [] }
                    return [WrittenLine([Syntax.quoted(authorities.file)])]
                })),
    ]

    static func audienceMatchRow(_ block: BlockKind) -> Directive<ProviderDraft> {
        var directive = Directive<ProviderDraft>.setting(
            "audience_match", in: [block], .choice([("any", false), ("all", true)]), \.provider.needsAllAudiences,
            "Whether \"aud\" must contain any of the audiences, or all of them")
        let (read, write) = (directive.read, directive.write)
        directive.read = { statement, draft, reader throws(Diagnostic) in
            draft.audienceMatch = statement.name
            try read(statement, &draft, &reader)
        }
        // Defaults are shown in the reference, where there is no provider yet.
        directive.write = { $0.provider.audience.isEmpty && !$0.provider.name.isEmpty ? [] : write($0) }
        return directive
    }
    /// One bit for each.
    private static let maximumAudiences = 64

    func checkAudienceMatch() throws(Diagnostic) {
        guard let word = audienceMatch else { return }
        if provider.audience.isEmpty { throw word.error("\"audience_match\" means nothing without \"audience\"") }
        if provider.needsAllAudiences, provider.audience.count > Self.maximumAudiences {
            throw word.error("\"audience_match all\" takes at most \(Self.maximumAudiences) audiences")
        }
    }
}

extension ConfigurationReader {
    fileprivate func readAuthorities(_ word: Argument) throws(Diagnostic) -> KeyAuthorities {
        let file = try path(word)
        return KeyAuthorities(
            file: file,
            certificates: try pem(word, file, "certificate", labels: ["CERTIFICATE", "X509 CERTIFICATE"]),
            position: word.position)
    }
}
