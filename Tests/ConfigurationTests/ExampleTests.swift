// gateway.conf.example is the demo and the reference at once: it works as it stands, and with everything in it turned
// on.
import Configuration
import Foundation
import Testing

struct ExampleTests {
    private let text: String
    private let folder: String

    init() throws {
        text = try String(contentsOf: Fixture.repository.appending(path: "gateway.conf.example"), encoding: .utf8)
        let keys = FileManager.default.temporaryDirectory.appending(path: "gateway-example-\(UUID().uuidString)/keys")
        try FileManager.default.createDirectory(at: keys, withIntermediateDirectories: true)
        for name in ["tls.crt", "tls.key", "public_key.pem", "api_keys.json", "roles.json"] {
            try FileManager.default.copyItem(atPath: Fixture.files + name, toPath: keys.appending(path: name).path())
        }
        try FileManager.default.copyItem(
            atPath: Fixture.files + "ed25519.key", toPath: keys.appending(path: "private_key.pem").path())
        try FileManager.default.copyItem(
            atPath: Fixture.files + "shared.txt", toPath: keys.appending(path: "tls.ocsp").path())
        for name in ["secret.txt", "gateway_secret.txt"] {
            try FileManager.default.copyItem(
                atPath: Fixture.files + "shared.txt", toPath: keys.appending(path: name).path())
        }
        let identity = keys.appending(path: "identity")
        try FileManager.default.createDirectory(at: identity, withIntermediateDirectories: true)
        try FileManager.default.copyItem(
            atPath: Fixture.files + "ed25519.key", toPath: identity.appending(path: "private_key.pem").path())
        folder = keys.deletingLastPathComponent().path()
    }

    private func parse(_ text: String) throws -> GatewayConfiguration {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        switch GatewayConfiguration.parse(text: text, file: "gateway.conf.example", folder: folder) {
        case .loaded(let configuration, _): return configuration
        case .invalid(let diagnostics):
            throw Fixture.Unexpected(diagnostics.map(\.rendered).joined(separator: "\n"))
        case .unreadable(let reason): throw Fixture.Unexpected(reason)
        }
    }

    @Test func worksAsItStands() throws {
        let configuration = try parse(text)
        #expect(configuration.listeners.map(\.isTLS) == [false, true])
        let open = configuration.locations.filter { $0.access.provider == nil }.map(\.name)
        #expect(
            open == [
                "= /healthz", "= /api/v1/auth/login", "/api/v1/auth/", "/.well-known/", "= /login", "= /refresh",
                "= /logout", "= /logout-all", "/auth/", "= /metrics", "= /revocations",
                "= /oauth/token", "= /oauth/revoke", "/oauth/", "= /", "/app/", "= /service-worker.js",
                "= /manifest.webmanifest",
            ])
        for name in ["= /metrics", "= /revocations", "/oauth/"] {
            let actions = configuration.locations.filter { $0.name == name }.map(\.action)
            guard case .answer(status: 404, _)? = actions.first, actions.count == 1 else {
                Issue.record("\(name) is within reach")
                continue
            }
        }
        let fallback = configuration.locations[configuration.servers[0].fallback]
        #expect(fallback.access.provider == 0 && fallback.action == .notFound)
    }

    @Test func worksWithEverythingTurnedOn() throws {
        let everything = text.replacing("#: ", with: "")
        #expect(everything != text)
        let configuration = try parse(everything)
        #expect(
            configuration.providers.map(\.name) == [
                "main", "offline", "shared", "programs", "partners", "opaque", "legacy", "devices",
            ])
    }

    @Test func namesEveryDirective() {
        let words = text.split(separator: "\n").flatMap { line in
            let isComment = line.drop { $0 == " " }.hasPrefix("# ")
            return isComment ? [] : line.split(whereSeparator: { " {;:".contains($0) }).map(String.init)
        }
        for directive in DirectiveTable.descriptions where directive.name != "include" {
            #expect(words.contains(directive.name), "gateway.conf.example does not show \(directive.name)")
        }
        #expect(words.contains("include?"))
    }

    @Test func defaultsAreTheRealOnes() {
        // A line "#: name value;" without "(set)" shows a default: the table must agree.
        for line in text.split(separator: "\n") where line.contains("#: ") && !line.contains("(set)") {
            let said = line.drop { $0 != ":" }.dropFirst(2).prefix { $0 != ";" && $0 != "{" }.drop { $0 == " " }
            let name = said.prefix { $0 != " " }
            let defaults = DirectiveTable.descriptions.filter { $0.name == name }.compactMap(\.defaultValue)
            guard line.contains(";"), !line.contains("#:     "), !line.contains("{"), !defaults.isEmpty else {
                continue
            }
            let value = said.dropFirst(name.count).drop { $0 == " " }
            #expect(defaults.contains(String(value)), "\(line)")
        }
    }
}
