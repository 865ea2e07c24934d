// All regular expressions of a configuration, compiled, with a diagnostic for each that does not compile.
import Bytes
import Configuration

/// Compiles the expressions of locations and server names into one table.
struct PatternList: ~Copyable {
    private var compiled: SlotTable<Pattern>

    init(_ configuration: GatewayConfiguration) {
        // Each location twice: as it is, and without regard to case for readings of a path.
        let names = configuration.servers.reduce(0) { $0 + $1.names.count }
        compiled = SlotTable(capacity: 1 + 2 * configuration.locations.count + names)
    }

    /// The table, when everything has been added.
    consuming func take() -> SlotTable<Pattern> { compiled }

    /// The number of the group of that name.
    func group(_ name: String, of pattern: SlotID) -> Int? { compiled[pattern].group(name) }

    /// By location: its expression, nil where there is none.
    mutating func addLocations(
        _ configuration: GatewayConfiguration, caseless: Bool, _ diagnostics: inout [Diagnostic]
    ) -> [SlotID?] {
        var patterns: [SlotID?] = []
        for location in configuration.locations {
            guard case .pattern(let text, let isCaseSensitive) = location.match else {
                patterns.append(nil)
                continue
            }
            do throws(Pattern.Mistake) {
                patterns.append(try add(text, isCaseSensitive: isCaseSensitive && !caseless))
            } catch {
                patterns.append(nil)
                // Once is enough.
                if !caseless { diagnostics.append(Self.diagnostic(error, text, location.position)) }
            }
        }
        return patterns
    }

    /// The expression of a server name; nil for a name of another kind. Hosts are compared without case.
    mutating func add(_ name: ServerName, _ diagnostics: inout [Diagnostic]) -> SlotID? {
        guard case .pattern(let text, let position) = name else { return nil }
        do throws(Pattern.Mistake) {
            return try add(text, isCaseSensitive: false)
        } catch {
            diagnostics.append(Self.diagnostic(error, text, position))
            return nil
        }
    }

    private mutating func add(_ text: String, isCaseSensitive: Bool) throws(Pattern.Mistake) -> SlotID? {
        compiled.insert(try Pattern.compile(text, isCaseSensitive: isCaseSensitive))
    }

    private static func diagnostic(_ mistake: Pattern.Mistake, _ text: String, _ position: SourcePosition) -> Diagnostic
    {
        let before = String(decoding: text.utf8.prefix(mistake.offset), as: UTF8.self)
        return Diagnostic(
            at: position,
            "regular expression \"\(text)\" is wrong after \"\(before)\": \(mistake.message)", length: text.count)
    }
}
