// Collects the names of servers when a configuration is compiled; no request comes here.
import Bytes
import Configuration

/// Collects names; the first server of a listener to claim one has it.
struct ServerNamesBuilder {
    private(set) var names: [UInt8] = []
    private(set) var entries: [ServerNames.Entry] = []
    private(set) var patterns: [ServerNames.PatternChoice] = []
    private(set) var listeners: [ServerNames.ListenerNames]
    private var taken: Set<Key> = []

    private struct Key: Hashable {
        var name: [UInt8]
        var kind: ServerNames.Kind
        var listener: Int
    }

    init(_ listeners: [Listener]) {
        self.listeners = listeners.map { ServerNames.ListenerNames(defaultServer: Int32($0.defaultServer)) }
    }

    mutating func add(_ name: ServerName, _ pattern: SlotID?, listener: Int, server: Int) {
        if server != Int(listeners[listener].defaultServer) { listeners[listener].hasOthers = true }
        switch name {
        case .exact(let name): insert(name, .exact, listener, server)
        case .suffix(let name, let alsoBare):
            insert(name, .suffix, listener, server)
            listeners[listener].longestSuffix = max(listeners[listener].longestSuffix, name.count)
            if alsoBare { insert(Array(name.dropFirst()), .exact, listener, server) }
        case .prefix(let name):
            insert(name, .prefix, listener, server)
            listeners[listener].longestPrefix = max(listeners[listener].longestPrefix, name.count)
        case .pattern:
            guard let pattern else { return }
            let choice = ServerNames.PatternChoice(pattern: pattern, listener: Int32(listener), server: Int32(server))
            patterns.append(choice)
            listeners[listener].hasPatterns = true
        }
    }

    private mutating func insert(_ name: [UInt8], _ kind: ServerNames.Kind, _ listener: Int, _ server: Int) {
        guard taken.insert(Key(name: name, kind: kind, listener: listener)).inserted else { return }
        entries.append(
            ServerNames.Entry(
                server: Int32(server), listener: Int32(listener), kind: kind, nameStart: UInt32(names.count),
                nameCount: UInt32(name.count)))
        names += name
    }
}
