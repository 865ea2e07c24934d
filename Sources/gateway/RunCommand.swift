// `gateway run`: the gateway itself, in the foreground.
import ArgumentParser
import Configuration
import Proxy

struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "run", abstract: "Run the gateway.")

    @OptionGroup var file: ConfigurationFile

    func run() throws {
        let configuration = try file.load()
        do throws(Gateway.StartError) {
            try Gateway.run(configuration, from: file.source)
        } catch {
            Terminal.report(error.diagnostics)
            throw ExitCode(1)
        }
    }
}
