// The command line: what each command is called, takes and exits with.
import ArgumentParser

@main
struct GatewayCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gateway",
        abstract: "A reverse proxy that verifies tokens at the edge.",
        discussion: """
            Signals: SIGHUP reads the configuration again; SIGTERM and SIGQUIT finish what runs and stop; SIGUSR1 opens \
            the logs anew.
            """,
        version: "0.1.0",
        subcommands: [
            RunCommand.self, CheckCommand.self, ExplainCommand.self, KeygenCommand.self, DirectivesCommand.self,
        ],
        defaultSubcommand: RunCommand.self)
}
