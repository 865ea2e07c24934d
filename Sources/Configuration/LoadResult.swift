// From a file to a configuration, or to everything that is wrong with it.

package enum LoadResult: Sendable {
    /// Usable; notes are worth reading.
    case loaded(GatewayConfiguration, notes: [Diagnostic])
    /// At most `maximumDiagnostics` errors, in the order of the files.
    case invalid([Diagnostic])
    /// The file itself could not be read, and why.
    case unreadable(String)

    /// More would only hide the first ones.
    package static let maximumDiagnostics = 20
}

extension GatewayConfiguration {
    /// Reads a configuration and every file it names. `environment` serves `${env:…}`.
    package static func load(path: String, environment: [String: String]) -> LoadResult {
        do throws(FileError) {
            let bytes = try SourceFile.read(path, maximumBytes: Parser.maximumFileBytes)
            guard let text = String(validating: bytes, as: UTF8.self) else {
                throw FileError(reason: "it is not text in UTF-8")
            }
            let folder = path.parentFolder.joined(to: SourceFile.workingFolder())
            return parse(text: text, file: path, folder: folder, environment: environment)
        } catch {
            return .unreadable("\(path): \(error.reason)")
        }
    }

    /// Reads a configuration from text; `folder` is where relative paths begin, `file` names it in messages.
    package static func parse(
        text: String, file: String, folder: String, environment: [String: String] = [:]
    ) -> LoadResult {
        let references = References(environment: environment, folder: folder)
        var parser = Parser(references: references)
        parser.parse(text: text, file: file)
        var reader = ConfigurationReader(references: references, file: file)
        parser.files.diagnostics.forEach { reader.report($0) }
        if !parser.files.isUnbalanced { reader.read(parser.files.statements) }
        let diagnostics = located(reader.diagnostics, parser.files)
        // Notes next to errors are often their consequence: what is unused was meant for the line that is wrong.
        let errors = diagnostics.filter { $0.severity == .error }
        if !errors.isEmpty { return .invalid(Array(errors.prefix(LoadResult.maximumDiagnostics))) }
        return .loaded(reader.configuration, notes: diagnostics)
    }

    /// In the order of the files, with their source lines.
    private static func located(_ diagnostics: [Diagnostic], _ files: ParsedFiles) -> [Diagnostic] {
        let order = Dictionary(files.order.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
        func key(_ diagnostic: Diagnostic) -> (Int, Int, Int) {
            let position = diagnostic.position
            return (order[position.file] ?? 0, position.line, position.column)
        }
        return diagnostics.sorted { key($0) < key($1) }.map { diagnostic in
            var located = diagnostic
            let lines = files.lines[diagnostic.position.file] ?? []
            let line = diagnostic.position.line - 1
            if lines.indices.contains(line) { located.sourceLine = lines[line] }
            return located
        }
    }
}
