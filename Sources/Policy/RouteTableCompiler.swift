// Compiles a configuration's servers and locations into a route table.
import Bytes
package import Configuration
import HTTP

extension RouteTable {
    /// Builds the table; nil when `diagnostics` has an error: a regular expression that does not compile, or a location that
    /// no request could reach because another has the same path.
    package static func compile(
        _ configuration: GatewayConfiguration, _ diagnostics: inout [Diagnostic]
    ) -> RouteTable? {
        var patterns = PatternList(configuration)
        let sensitive = patterns.addLocations(configuration, caseless: false, &diagnostics)
        let caseless = patterns.addLocations(configuration, caseless: true, &diagnostics)
        let captures = CaptureTable(configuration.locations, sensitive, caseless, &patterns, &diagnostics)
        let names = serverNames(configuration, &patterns, &diagnostics)
        let canonical = LocationTreeBuilder(configuration, .canonical, patterns: sensitive)
        diagnostics += canonical.duplicates.map { duplicate(configuration.locations, $0.first, $0.second) }
        guard !diagnostics.contains(where: { $0.severity == .error }) else { return nil }
        let decoded = LocationTreeBuilder(configuration, .decoded, patterns: sensitive)
        let folded = LocationTreeBuilder(configuration, .folded, patterns: caseless)
        let accesses = accessNumbers(configuration)
        return RouteTable(
            names: ServerNames(names), locations: canonical.build(),
            servers: configuration.servers.indices.map { paths(of: $0, configuration, accesses) },
            guarded: configuration.locations.map(\.pathGuard),
            pathGuard: PathGuard(spelt: decoded.build(), folded: folded.build(), accesses: accesses),
            captures: captures, patterns: patterns.take())
    }

    private static func duplicate(_ locations: [Location], _ first: Int, _ second: Int) -> Diagnostic {
        let place = locations[first].position
        return Diagnostic(
            at: locations[second].position,
            "location \"\(locations[second].name)\" is never reached: the one of line \(place.line) has the same path")
    }

    private static func serverNames(
        _ configuration: GatewayConfiguration, _ patterns: inout PatternList, _ diagnostics: inout [Diagnostic]
    ) -> ServerNamesBuilder {
        var names = ServerNamesBuilder(configuration.listeners)
        for (index, server) in configuration.servers.enumerated() {
            for name in server.names {
                let pattern = patterns.add(name, &diagnostics)
                for listener in server.listeners { names.add(name, pattern, listener: listener, server: index) }
            }
        }
        return names
    }

    /// Equal numbers for equal access, by location. Where captures of the path decide, each location stands alone: the same rule
    /// asks for something else in another one.
    private static func accessNumbers(_ configuration: GatewayConfiguration) -> [Int32] {
        var numbers: [Access: Int32] = [:]
        var count: Int32 = 0
        return configuration.locations.map { location in
            if let known = numbers[location.access] { return known }
            if location.access.captures.isEmpty { numbers[location.access] = count }
            count += 1
            return count - 1
        }
    }

    private static func paths(
        of server: Int, _ configuration: GatewayConfiguration, _ accesses: [Int32]
    ) -> ServerPaths {
        let fallback = configuration.servers[server].fallback
        let own = configuration.locations.indices.filter { configuration.locations[$0].server == server }
        return ServerPaths(
            fallback: Int32(fallback), isUniform: own.allSatisfy { accesses[$0] == accesses[fallback] },
            hasSpellings: own.contains { hasSpellings(configuration.locations[$0].match) })
    }

    /// A plain path that it does not match may be what some server takes for the same.
    private static func hasSpellings(_ match: LocationMatch) -> Bool {
        switch match {
        case .exact(let path), .prefix(let path, _):
            PathEscape.canonical(path).contains { isUpperCase($0) || $0 == UInt8(ascii: "%") }
        // `\x41`, `\p{Lu}` and `[[:upper:]]` are upper case, too.
        case .pattern(let text, let isCaseSensitive):
            isCaseSensitive
                && text.utf8.contains { isUpperCase($0) || $0 == UInt8(ascii: "\\") || $0 == UInt8(ascii: ":") }
        case .fallback: false
        }
    }

    private static func isUpperCase(_ byte: UInt8) -> Bool { byte &- UInt8(ascii: "A") < 26 }
}
