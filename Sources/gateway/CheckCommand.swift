// `gateway check`: is the configuration good, and what does it mean?
import ArgumentParser
import Configuration
import Proxy

struct CheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Validate a configuration.",
        discussion: "Exits with 0 when it is good, 1 when it is not, 2 when it cannot be read.")

    @OptionGroup var file: ConfigurationFile

    @Flag(help: "Print the effective configuration with all defaults.")
    var dump = false

    func run() throws {
        let configuration = try file.load()
        let diagnostics = Rehearsal(of: configuration).diagnostics
        guard diagnostics.isEmpty else {
            Terminal.report(diagnostics)
            throw ExitCode(1)
        }
        print(dump ? configuration.dump() : "\(file.config): ok")
    }
}
