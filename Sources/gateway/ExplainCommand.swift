// `gateway explain`: what would become of a request, check by check, and why.
import ArgumentParser
import Bytes
import Configuration
import JOSE
import Policy
import Proxy

struct ExplainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain", abstract: "Say what would become of a request, check by check, and why.",
        discussion: """
            Nothing is sent anywhere: the request is judged by the code that serves requests, with the keys of files and \
            of saved key sets, and with what a gateway keeps in state_dir. Exits with 0 when the request is allowed, \
            1 when it is refused, 2 when the configuration or the arguments cannot be used, 3 when it depends on what \
            a service says at run time.
            """)

    /// Far more than any token: what is larger shall be seen to be refused.
    private static let maximumTokenBytes = 1 << 20

    @OptionGroup var file: ConfigurationFile

    @Option(name: [.customShort("X"), .long], help: "The method.")
    var method = "GET"

    @Option(name: [.customShort("H"), .long], help: "A header field, \"Name: value\"; may be said several times.")
    var header: [String] = []

    @Option(help: "A file that holds the token. A token never stands on the command line.")
    var tokenFile: String?

    @Flag(help: "Read the token from standard input.")
    var tokenStdin = false

    @Option(help: "PROVIDER=FILE: the key set that the provider's address serves.")
    var jwks: [String] = []

    @Option(help: "The time, in seconds since 1970 or as in 2026-11-21T09:30:00Z; the clock's when it is not said.")
    var now: String?

    @Option(help: "The address that the request comes from.")
    var clientAddress = "127.0.0.1"

    @Flag(help: "Print JSON, as docs/explain.md describes it.")
    var json = false

    @Argument(help: "The URL, or a path: the Host is then a header field.")
    var url: String

    func run() throws {
        var status: Int32 = 2
        do throws(ArgumentFault) {
            let configuration = try configuration()
            try refuseCredentials(configuration)
            let keys = try savedKeys(configuration)
            var diagnostics: [Diagnostic] = []
            guard var explainer = Explainer(configuration, keys: keys, &diagnostics) else {
                Terminal.report(diagnostics)
                throw ArgumentFault("the configuration cannot be put to use")
            }
            let request = try request(configuration)
            for remark in explainer.recall(now: request.now) { Terminal.complain("gateway: \(remark)") }
            let explanation = explainer.explain(request)
            print(json ? explanation.json : explanation.text, terminator: "")
            status = explanation.exitStatus
        } catch {
            if !error.complaint.isEmpty { Terminal.complain("gateway: \(error.complaint)") }
        }
        guard status == 0 else { throw ExitCode(status) }
    }

    private func configuration() throws(ArgumentFault) -> GatewayConfiguration {
        switch GatewayConfiguration.load(path: file.config, environment: Terminal.environment) {
        case .unreadable(let reason): throw ArgumentFault(reason)
        case .invalid(let diagnostics):
            Terminal.report(diagnostics)
            throw ArgumentFault("")
        case .loaded(let configuration, _): return configuration
        }
    }

    private func savedKeys(_ configuration: GatewayConfiguration) throws(ArgumentFault) -> [String: JSONWebKeySet] {
        var keys: [String: JSONWebKeySet] = [:]
        for word in jwks {
            guard let mark = word.firstIndex(of: "=") else {
                throw ArgumentFault("--jwks \(word): PROVIDER=FILE is expected")
            }
            let name = String(word[..<mark]), path = String(word[word.index(after: mark)...])
            guard let provider = configuration.providers.first(where: { $0.name == name }) else {
                throw ArgumentFault("--jwks \(word): there is no provider \"\(name)\"")
            }
            guard !provider.keySources.isEmpty else {
                throw ArgumentFault("--jwks \(word): provider \"\(name)\" fetches no keys")
            }
            var set = try Self.keySet(path)
            if let earlier = keys[name] { set.append(earlier) }
            keys[name] = set
        }
        // Any of the keys that are not here may be the one.
        for provider in configuration.providers where keys[provider.name] != nil {
            let saved = jwks.filter { $0.hasPrefix(provider.name + "=") }.count
            keys[provider.name]?.isPartial = saved < provider.keySources.count
        }
        return keys
    }
    /// As the gateway reads what an address serves: no secrets.
    private static func keySet(_ path: String) throws(ArgumentFault) -> JSONWebKeySet {
        let document: [UInt8]
        do throws(FileError) {
            document = try SourceFile.read(path, maximumBytes: JSONWebKeySet.maximumBytes)
        } catch {
            throw ArgumentFault("\(path): \(error.reason)")
        }
        do throws(JOSEError) {
            return try JSONWebKeySet.parse(document)
        } catch {
            throw ArgumentFault("\(path): \(error.description)")
        }
    }

    private func request(_ configuration: GatewayConfiguration) throws(ArgumentFault) -> ExplainedRequest {
        var fields: [(name: String, value: String)] = []
        for line in header { fields.append(try Self.field(line)) }
        let place = try RequestPlace(url, configuration)
        if !fields.contains(where: { $0.name.lowercased() == "host" }) { fields.insert(("Host", place.host), at: 0) }
        guard let address = IPAddress(clientAddress) else {
            throw ArgumentFault("--client-address \(clientAddress): an IP address is expected")
        }
        guard !method.utf8.contains(where: { $0 == 0x0d || $0 == 0x0a }) else {
            throw ArgumentFault("a method has one line")
        }
        var time = Explainer.wallSeconds
        if let now {
            guard let said = WallTime.seconds(now) else {
                throw ArgumentFault("--now \(now): seconds since 1970 or 2026-11-21T09:30:00Z is expected")
            }
            time = said
        }
        return ExplainedRequest(
            method: method, target: place.target, fields: fields, listener: place.listener, token: try token(),
            address: address, now: time)
    }

    private static func field(_ line: String) throws(ArgumentFault) -> (name: String, value: String) {
        guard let colon = line.firstIndex(of: ":") else {
            throw ArgumentFault("-H \"\(line)\": \"Name: value\" is expected")
        }
        guard !line.utf8.contains(where: { $0 == 0x0d || $0 == 0x0a }) else {
            throw ArgumentFault("a header field has one line")
        }
        let name = String(line[..<colon])
        guard name.lowercased().filter({ $0.isLetter }) != "authorization" else {
            throw Self.tokenInArguments
        }
        let value = line[line.index(after: colon)...]
        return (name, String(value.first == " " ? value.dropFirst() : value))
    }

    /// Without the line end that editors and `echo` add.
    private func token() throws(ArgumentFault) -> [UInt8]? {
        guard tokenFile == nil || !tokenStdin else {
            throw ArgumentFault("--token-file and --token-stdin exclude each other")
        }
        var bytes: [UInt8]
        do throws(FileError) {
            if let tokenFile {
                bytes = try SourceFile.read(tokenFile, maximumBytes: Self.maximumTokenBytes)
            } else if tokenStdin {
                bytes = try SourceFile.readInput(maximumBytes: Self.maximumTokenBytes)
            } else {
                return nil
            }
        } catch {
            throw ArgumentFault("\(tokenFile ?? "standard input"): \(error.reason)")
        }
        while let last = bytes.last, last == 0x0a || last == 0x0d { bytes.removeLast() }
        guard !bytes.contains(where: { $0 == 0x0a || $0 == 0x0d }) else {
            throw ArgumentFault("the token has several lines: one is expected")
        }
        return bytes
    }
}

extension ExplainCommand {
    /// A credential stands in no argument, wherever in the request some provider looks for it.
    private func refuseCredentials(_ configuration: GatewayConfiguration) throws(ArgumentFault) {
        for place in configuration.providers.flatMap(\.places) {
            let isSaid: Bool
            switch place {
            case .bearer: isSaid = hasField(Array("authorization".utf8)) { _ in true }
            case .field(let name): isSaid = hasField(name) { _ in true }
            case .cookie(let name):
                let word = String(decoding: name, as: UTF8.self) + "="
                isSaid = hasField(Array("cookie".utf8)) { value in
                    value.split(separator: ";").contains { $0.drop { $0 == " " }.hasPrefix(word) }
                }
            case .query(let name):
                let word = String(decoding: name, as: UTF8.self) + "="
                let query = url.split(separator: "?", maxSplits: 1).dropFirst().first ?? ""
                isSaid = query.split(separator: "&").contains { $0.hasPrefix(word) }
            }
            if isSaid { throw Self.tokenInArguments }
        }
    }
    private func hasField(_ name: [UInt8], _ isMeant: (Substring) -> Bool) -> Bool {
        let folded = String(decoding: name, as: UTF8.self).lowercased().replacing("_", with: "-")
        return header.contains { line in
            guard let colon = line.firstIndex(of: ":") else { return false }
            return line[..<colon].lowercased().replacing("_", with: "-") == folded
                && isMeant(line[line.index(after: colon)...])
        }
    }
    private static let tokenInArguments = ArgumentFault(
        "a token does not stand on the command line, where everybody on the machine can read it: "
            + "use --token-file or --token-stdin")
}

/// What is wrong with what the command was given; empty, it was said already.
struct ArgumentFault: Error {
    let complaint: String
    init(_ complaint: String) { self.complaint = complaint }
}

extension Explanation {
    fileprivate var exitStatus: Int32 {
        switch verdict {
        case .forwarded, .answered: 0
        case .refused: 1
        case .depends: 3
        }
    }
}
