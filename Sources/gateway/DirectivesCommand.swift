// `gateway directives`: the reference of the configuration language, from the table that reads it.
import ArgumentParser
import Configuration

struct DirectivesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "directives", abstract: "Print the reference of all directives, or of one.")

    @Argument(help: "The directive's name.")
    var name: String?

    func run() throws {
        guard let reference = DirectiveTable.reference(name) else {
            Terminal.complain("gateway: there is no directive \"\(name ?? "")\"")
            throw ExitCode(1)
        }
        print(reference, terminator: "")
    }
}
