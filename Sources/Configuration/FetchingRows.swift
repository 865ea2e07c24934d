// `fail_start` and `ca` of a provider that fetches keys, and `audience_match` of those that look at `aud`.

extension ProviderDraft {
    static let fetchingRows: [Directive<ProviderDraft>] = [
        .sourceSetting(
            .setting(
                "fail_start", in: [.authProvider], .flag, \.provider.keyFetching.failsStart,
                "Whether the gateway refuses to start while a source of keys gives none and none of it are kept; off: it "
                    + "starts, and tokens that it cannot judge get 503")),
        .sourceSetting(
            TrustedAuthorities.row(
                .authProvider, \.provider.keyFetching.authorities, servers: "the servers of keys are")),
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
