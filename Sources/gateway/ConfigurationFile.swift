// The option that names the configuration file, and its reading.
import ArgumentParser
import Configuration
import Proxy

struct ConfigurationFile: ParsableArguments {
    @Option(name: [.customShort("c"), .long], help: "The configuration file.")
    var config = "gateway.conf"

    var source: ConfigurationSource { ConfigurationSource(path: config, environment: Terminal.environment) }

    /// Exits with 2 when the file cannot be read and with 1 when it is not valid, everything said.
    func load() throws -> GatewayConfiguration {
        switch GatewayConfiguration.load(path: config, environment: Terminal.environment) {
        case .unreadable(let reason):
            Terminal.complain("gateway: \(reason)")
            throw ExitCode(2)
        case .invalid(let diagnostics):
            Terminal.report(diagnostics)
            throw ExitCode(1)
        case .loaded(let configuration, let notes):
            Terminal.report(notes)
            return configuration
        }
    }
}
