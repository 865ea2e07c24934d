// The outermost level of a configuration while it is read, and its assembly into the immutable tree.

struct MainSettings {
    var process = ProcessSettings()
    var errorLog = ErrorLog()
    var logFormats = [NamedFormat.main]
    var admin: AdminEndpoint?
    var roles: RolesFile?
    var settings = RouteSettings()
    var tls = TLSDraft()
    var streams = StreamDraft()
    var servers: [(draft: ServerDraft, statement: Statement)] = []

    /// In the order in which they are read: what is referred to comes before what refers to it.
    static let rows: [Directive<MainSettings>] =
        ProcessSettings.rows + ErrorLog.rows + [RolesFile.row, AccessPolicy.row]
        + RouteSettings.rows.filter { $0.row.blocks.contains(.main) }.map { $0.lifted(\.settings) }
        + TLSDraft.rows.map { $0.lifted(\.tls) } + StreamDraft.rows.map { $0.lifted(\.streams) }
        + [AuthProvider.row, Revocation.row, Upstream.row, Server.row]
}

extension Server {
    static let row = Directive<MainSettings>(
        row: DirectiveRow(
            name: "server", blocks: [.main], form: "{ … }", arity: 0...0, repeats: true, opensBlock: true,
            summary: "Addresses and names, and what happens to the requests that come for them"),
        read: { statement, main, reader throws(Diagnostic) in
            var draft = ServerDraft(position: statement.position)
            draft.scope.settings = main.settings.inherited
            draft.tls = main.tls
            draft.streams = main.streams
            reader.concealed.inherit(from: reader.mainPosition, to: statement.position)
            reader.places.nest(statement.position, in: reader.mainPosition)
            reader.read(
                statement.block ?? [], in: .server, at: statement.position, rows: ServerDraft.rows, into: &draft)
            reader.check(draft.scope, statement, isAnswering: draft.scope.answerWord != nil)
            if let answer = draft.scope.answerWord, let location = draft.scope.locations.first {
                throw answer.error(
                    "\"return\" answers every request of this server: the location of line "
                        + "\(location.scope.position.line) is unreachable"
                )
            }
            main.servers.append((draft, statement))
        },
        write: { _ in [] })
}

extension ConfigurationReader {
    /// Reads the statements of all files; the result is `configuration` unless there are errors in `diagnostics`.
    mutating func read(_ statements: [Statement]) {
        var main = MainSettings()
        read(unwrapped(statements), in: .main, at: mainPosition, rows: MainSettings.rows, into: &main)
        configuration.process = main.process
        configuration.errorLog = main.errorLog
        configuration.admin = main.admin
        configuration.logFormats = main.logFormats
        configuration.roles = main.roles
        finishPolicies()
        for (draft, statement) in main.servers { assemble(draft, statement) }
        checkListeners()
        checkCertificateProviders()
        if main.servers.isEmpty, diagnostics.isEmpty {
            report(Diagnostic(at: mainPosition, "there is no \"server\": nothing would be listened to"))
        }
        checkIdentityKeys()
        noteUnused()
        configuration.collectClaims()
        if configuration.keptClaims.paths.count > KeptClaims.maximumPaths {
            report(
                Diagnostic(
                    at: mainPosition,
                    "rules and fields name \(configuration.keptClaims.paths.count) different claims: at most "
                        + "\(KeptClaims.maximumPaths) can be kept of a credential"))
        }
        configuration.concealed = concealed
        configuration.places = places
    }

    /// nginx's `http { }` and `events { }` are transparent.
    private mutating func unwrapped(_ statements: [Statement]) -> [Statement] {
        statements.flatMap { statement -> [Statement] in
            guard ["http", "events"].contains(statement.name.text), !statement.name.isQuoted else { return [statement] }
            guard let block = statement.block, statement.arguments.isEmpty else {
                report(
                    statement.error(
                        "\"\(statement.name.text)\" is followed by a block alone: \"\(statement.name.text) { … }\""))
                return []
            }
            return block
        }
    }

    private mutating func noteUnused() {
        for policy in configuration.policies where !usedPolicies.contains(policy.name) {
            report(Diagnostic(.note, at: policy.position, "policy \"\(policy.name)\" is used nowhere", length: 6))
        }
        for (index, provider) in configuration.providers.enumerated() where !usedProviders.contains(index) {
            report(
                Diagnostic(
                    .note, at: provider.position, "auth_provider \"\(provider.name)\" is used nowhere", length: 13))
        }
        for (index, revocation) in configuration.revocations.enumerated() where !usedRevocations.contains(index) {
            report(
                Diagnostic(
                    .note, at: revocation.position, "revocation \"\(revocation.name)\" is used nowhere", length: 10))
        }
        for (index, upstream) in configuration.upstreams.enumerated() where !usedUpstreams.contains(index) {
            report(Diagnostic(.note, at: upstream.position, "upstream \"\(upstream.name)\" is used nowhere", length: 8))
        }
    }
}
