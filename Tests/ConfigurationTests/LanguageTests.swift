// The language itself: references, limits of what is reported, reading of files, and input that nobody would write.
import Bytes
import Configuration
import Foundation
import Testing

struct LanguageTests {
    @Test func theMessageHasTheDocumentedForm() {
        let text = "server {\n    listen 8080;\n    auth off;\n    location / {\n\trequires permission x;\n    }\n}\n"
        #expect(
            Fixture.errors(text) == [
                """
                gateway.conf:5:2: error: unknown directive "requires" in location
                    5 | \trequires permission x;
                      | \t^^^^^^^^ did you mean "require"?
                """
            ])
    }

    @Test func manyMistakesAreSaidInOneRunButNotAll() {
        let text = (1...50).map { "mistake\($0);" }.joined(separator: "\n")
        let errors = Fixture.errors(text)
        #expect(errors.count == LoadResult.maximumDiagnostics)
        #expect(errors[19].hasPrefix("gateway.conf:20:1: error:"))
    }

    /// A secret that cannot be read is one mistake, not also a secret that is missing.
    @Test(arguments: [
        "auth_provider p api_key { url http://127.0.0.1:1/i; client_id me; client_secret ${env:ABSENT}; }",
        "revocation r { feed http://127.0.0.1:1/r; client_id me; client_secret ${env:ABSENT}; }",
        "upstream u { server ${env:ABSENT}; }",
        "policy p { require ${env:ABSENT}; }",
    ])
    func whatCannotBeReadIsNotCalledMissing(_ block: String) {
        let errors = Fixture.errors(block + "\nserver { listen 8080; auth off; location / { return 200; } }\n")
        #expect(errors.count == 1)
        #expect(errors[0].contains("ABSENT"))
    }

    @Test func providersAreBounded() {
        let provider = { (i: Int) in "auth_provider p\(i) jwt { issuer i; audience a; jwks http://127.0.0.1:1/k; }\n" }
        let server = "server { listen 8080; auth off; location / { return 200; } }\n"
        #expect(Fixture.errors((1...256).map(provider).joined() + server) == [])
        let errors = Fixture.errors((1...257).map(provider).joined() + server)
        #expect(errors.count == 1)
        #expect(errors[0].hasPrefix("gateway.conf:257:1: error: at most 256 providers can be configured"))
    }

    @Test func endpointsOfAGroupAreBounded() {
        let text = { (count: Int) in
            "upstream u {\n" + (1...count).map { "server 127.0.0.1:\($0);\n" }.joined() + "}\n"
                + "server { listen 8080; auth off; location / { proxy_pass http://u; } }\n"
        }
        #expect(Fixture.errors(text(64)) == [])
        let errors = Fixture.errors(text(65))
        #expect(errors.count == 1)
        #expect(errors[0].hasPrefix("gateway.conf:66:1: error: an upstream can have at most 64 endpoints"))
    }

    @Test func addressesToListenOnAreBounded() {
        let text = { (count: Int) in
            "server {\n" + (1...count).map { "listen 127.0.0.1:\($0);\n" }.joined()
                + "auth off; location / { return 200; } }\n"
        }
        #expect(Fixture.errors(text(256)) == [])
        let errors = Fixture.errors(text(257))
        #expect(errors.count == 1)
        #expect(errors[0].hasPrefix("gateway.conf:258:8: error: at most 256 addresses can be listened on"))
    }

    @Test func aReferenceIsNeverSyntax() throws {
        let text = "server { listen 8080; auth off; location / { return 200 \"${env:SYNTAX}\"; } }"
        let location = try #require(try Fixture.load(text).locations.last)
        #expect(location.action == .answer(status: 200, text: Template(text: "off; $host }")))
    }

    @Test func emptyVariablesFallBack() throws {
        #expect(try Fixture.load("pid ${env:EMPTY:-x};\nserver { listen 1; }").process.pidFile == Fixture.files + "x")
        #expect(
            try Fixture.load("pid a${env:WORD:-x};\nserver { listen 1; }").process.pidFile == Fixture.files + "ahunter2"
        )
    }

    @Test func namesAreResolvedWhenTheFileIsRead() throws {
        let listeners = try Fixture.load("server { listen localhost:8080; }").listeners
        let loopback = SocketAddress(address: .loopbackV4, port: 8080)
        #expect(listeners.contains { $0.address == .socket(loopback) })
        #expect(
            listeners.allSatisfy {
                if case .socket(let socket) = $0.address { socket.address.isLoopback } else { false }
            })
    }

    @Test func anUnreadableFileIsToldFromAnInvalidOne() {
        guard case .unreadable(let reason) = GatewayConfiguration.load(path: "/no/such.conf", environment: [:]) else {
            return #expect(Bool(false), "a missing file was read")
        }
        #expect(reason == "/no/such.conf: no such file")
        guard case .unreadable = GatewayConfiguration.load(path: Fixture.files, environment: [:]) else {
            return #expect(Bool(false), "a folder was read")
        }
    }

    @Test func pathsBeginInTheFolderOfTheFile() throws {
        let folder =
            FileManager.default.temporaryDirectory.appending(path: "gateway-\(UUID().uuidString)/conf").path() + "/"
        try FileManager.default.createDirectory(atPath: folder + "more", withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try "include more/*.conf;\nserver { listen 8080; }".write(
            toFile: folder + "gateway.conf", atomically: true, encoding: .utf8)
        try "pid run/a.pid;\ninclude? other.conf;".write(
            toFile: folder + "more/a.conf", atomically: true, encoding: .utf8)
        try "error_log b.log;".write(toFile: folder + "more/other.conf", atomically: true, encoding: .utf8)
        guard case .invalid(let twice) = GatewayConfiguration.load(path: folder + "gateway.conf", environment: [:])
        else {
            return #expect(Bool(false), "other.conf is read by the pattern and by a.conf")
        }
        #expect(
            twice[0].message == "duplicate directive \"error_log\": the first one is at \(folder)more/other.conf:1:1")
        try FileManager.default.moveItem(atPath: folder + "more/other.conf", toPath: folder + "more/other.txt")
        guard
            case .loaded(let configuration, _) = GatewayConfiguration.load(
                path: folder + "gateway.conf", environment: [:])
        else {
            return #expect(Bool(false), "not loaded")
        }
        #expect(configuration.process.pidFile == folder + "run/a.pid")
    }

    @Test func includesEndAtADepth() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "gateway-\(UUID().uuidString)").path() + "/"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        for depth in 0...20 {
            try "include \(depth + 1).conf;".write(toFile: folder + "\(depth).conf", atomically: true, encoding: .utf8)
        }
        guard case .invalid(let errors) = GatewayConfiguration.load(path: folder + "0.conf", environment: [:]) else {
            return #expect(Bool(false), "loaded")
        }
        #expect(errors.map(\.message).contains("files include each other deeper than 16"))
    }

    @Test func blocksEndAtADepth() {
        let errors = Fixture.errors(String(repeating: "a { ", count: 10_000))
        #expect(errors.contains { $0.contains("blocks are nested deeper than 32") })
    }

    /// Seconds on a slow machine; a cost that grows with the square of the length would take hours.
    @Test(.timeLimit(.minutes(1)), arguments: ["x", ";", "\"", "} ", "{ ", "a;\n", "\\", "${", "é"])
    func hostileFilesCostNoMoreThanTheirLength(_ piece: String) {
        for opening in ["", "pid \""] {
            #expect(!Fixture.errors(opening + String(repeating: piece, count: 100_000)).isEmpty)
        }
    }

    @Test func aDiagnosticFindsItsLineLater() throws {
        let place = SourcePosition(file: Fixture.files + "broken.conf", line: 1, column: 1)
        #expect(Diagnostic(at: place, "late").locatingSource().sourceLine == "keepalive_timeout 1x;")
    }

    @Test func labelsOfLocationsAreDistinct() throws {
        let text = (1...3).map { "server { listen 808\($0); auth off; location / { return 200; } }" }.joined(
            separator: "\n")
        let names = try Fixture.load(text).locations.map(\.name)
        #expect(Set(names).count == names.count && names.count == 6)
    }

    /// Pieces of the language in any order: whatever comes, an answer comes, and what is valid prints and reads back.
    @Test(arguments: 0..<300)
    func anyInputGetsAnAnswer(_ seed: UInt64) throws {
        var random = SplitMix(state: seed)
        let pieces = [
            "server", " ", "{", "}", ";", "\n", "listen 8080;", "location / ", "auth off;", "\"", "'", "\\",
            "${env:WORD}", "${", "$",
            "#", "include ", "\\u{", "return 200 x;", "\u{0}", "é", "upstream u ", "127.0.0.1:1", "=", "~", "http ",
            "{ }",
            "auth_provider p jwt ", "*", "[", "proxy_pass http://u;", "\r", "\t",
        ]
        let text = (0..<Int.random(in: 1...40, using: &random)).map { _ in pieces.randomElement(using: &random)! }
            .joined()
        switch Fixture.parse(text) {
        case .loaded(let configuration, _):
            #expect(try Fixture.load(configuration.dump()) == configuration, "seed \(seed)")
        case .invalid(let diagnostics):
            #expect(!diagnostics.isEmpty && diagnostics.allSatisfy { !$0.rendered.isEmpty }, "seed \(seed)")
        case .unreadable: #expect(Bool(false), "seed \(seed)")
        }
    }
}

/// A small generator, the same on every machine.
private struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
