// Builds location trees when a configuration is compiled; no request comes here.
import Bytes
import Configuration
import HTTP

/// Collects the locations of all servers, scope by scope, for one tree.
struct LocationTreeBuilder {
    /// Which spellings of a location's path are keys.
    enum Spelling {
        /// The one that requests are compared in.
        case canonical
        /// That one, and what decoders make of it: for readings of a path.
        case decoded
        /// As `decoded`, in lower case.
        case folded
    }

    private struct Node {
        var label: [UInt8]
        var children: [Int] = []
        var exact = -1
        var prefix = -1
        var bare = -1
    }

    private let spelling: Spelling
    private var nodes: [Node] = []
    private var scopes: [LocationTree.Scope] = []
    private var choices: [LocationTree.PatternChoice] = []
    private var properties: [LocationTree.Properties]
    /// Pairs of locations of which requests could only ever reach the first.
    private(set) var duplicates: [(first: Int, second: Int)] = []

    init(_ configuration: GatewayConfiguration, _ spelling: Spelling, patterns: [SlotID?]) {
        self.spelling = spelling
        properties = configuration.locations.indices.map { LocationTree.Properties(twin: Int32($0)) }
        // Servers first: the scope of a server has the server's index.
        for _ in configuration.servers { addScope() }
        for (index, server) in configuration.servers.enumerated() {
            fill(index, server.locations, configuration, patterns)
        }
    }

    func build() -> LocationTree {
        let order = nodesInOrder()
        var labels = ByteBuffer(capacity: 256)
        var firsts = ByteBuffer(capacity: order.count)
        var built = FixedArray(repeating: LocationTree.Node(), count: order.count)
        // Roots come first; then the children of each node, node by node.
        var child = scopes.count
        for (index, original) in order.enumerated() {
            let node = nodes[original]
            built[index].labelStart = UInt32(labels.count)
            built[index].labelCount = UInt32(node.label.count)
            built[index].firstChild = UInt32(child)
            built[index].childCount = UInt32(node.children.count)
            built[index].exact = Int32(node.exact)
            built[index].prefix = Int32(node.prefix)
            built[index].bare = Int32(node.bare)
            labels.append(node.label.span)
            firsts.append(byte: node.label.first ?? 0)
            child += node.children.count
        }
        return LocationTree(
            folds: spelling == .folded, labels: labels, firsts: firsts, nodes: built, scopes: scopesInOrder(),
            choices: FixedArray(choices), properties: FixedArray(properties))
    }

    /// All nodes, breadth first from the roots in the order of their scopes: children of one node side by side.
    private func nodesInOrder() -> [Int] {
        var order = scopes.map { Int($0.root) }
        var i = 0
        while i < order.count {
            order += nodes[order[i]].children
            i += 1
        }
        return order
    }

    private func scopesInOrder() -> FixedArray<LocationTree.Scope> {
        var ordered = FixedArray(scopes)
        for i in scopes.indices { ordered[i].root = Int32(i) }
        return ordered
    }
}

// MARK: scopes

extension LocationTreeBuilder {
    @discardableResult
    private mutating func addScope() -> Int {
        nodes.append(Node(label: []))
        scopes.append(LocationTree.Scope(root: Int32(nodes.count - 1)))
        return scopes.count - 1
    }

    private mutating func fill(
        _ scope: Int, _ locations: [Int], _ configuration: GatewayConfiguration, _ patterns: [SlotID?]
    ) {
        scopes[scope].firstPattern = Int32(choices.count)
        for location in locations {
            add(location, configuration.locations[location].match, patterns[location], to: scope)
        }
        scopes[scope].patternCount = Int32(choices.count) - scopes[scope].firstPattern
        // After this scope's own: the regular expressions of a scope lie side by side.
        for location in locations where !configuration.locations[location].children.isEmpty {
            let nested = addScope()
            properties[location].scope = Int32(nested)
            fill(nested, configuration.locations[location].children, configuration, patterns)
        }
    }

    private mutating func add(_ location: Int, _ match: LocationMatch, _ pattern: SlotID?, to scope: Int) {
        let root = Int(scopes[scope].root)
        switch match {
        case .exact(let path):
            for key in keys(path) { put(location, \.exact, node(root, key)) }
        case .prefix(let path, let stopsPatterns):
            properties[location].stopsPatterns = stopsPatterns
            for key in keys(path) { addPrefix(location, key, root) }
        case .pattern:
            guard let pattern else { return }
            choices.append(LocationTree.PatternChoice(pattern: pattern, location: Int32(location)))
        case .fallback: break
        }
    }

    /// `/api/admin` is of the same tree as `/api/admin/`: it must not fall out to what lies around it and may be public.
    private mutating func addPrefix(_ location: Int, _ key: [UInt8], _ root: Int) {
        put(location, \.prefix, node(root, key))
        if key.count > 1 && key.last == UInt8(ascii: "/") {
            put(location, \.bare, node(root, Array(key.dropLast())))
        }
    }

    /// The spellings of a location's path under which this tree holds it.
    private func keys(_ path: [UInt8]) -> [[UInt8]] {
        let canonical = PathEscape.canonical(path)
        if spelling == .canonical { return [canonical] }
        var keys: [[UInt8]] = []
        for key in [canonical, PathEscape.decoded(canonical, keepsSlashes: true), PathEscape.decoded(canonical)] {
            let key = spelling == .folded ? key.map(Self.lowercased) : key
            if !keys.contains(key) { keys.append(key) }
        }
        return keys
    }

    private static func lowercased(_ byte: UInt8) -> UInt8 {
        byte &- UInt8(ascii: "A") < 26 ? byte | 0x20 : byte
    }
}

// MARK: nodes

extension LocationTreeBuilder {
    private mutating func put(_ location: Int, _ place: WritableKeyPath<Node, Int>, _ node: Int) {
        let first = nodes[node][keyPath: place]
        if first < 0 {
            nodes[node][keyPath: place] = location
        } else if first != location {
            if place != \.bare { duplicates.append((first, location)) }
            join(first, location)
        }
    }

    /// Makes one ring of two, unless they are one already.
    private mutating func join(_ a: Int, _ b: Int) {
        var next = Int(properties[a].twin)
        while next != a {
            if next == b { return }
            next = Int(properties[next].twin)
        }
        (properties[a].twin, properties[b].twin) = (properties[b].twin, properties[a].twin)
    }

    /// The node for a key, made when there is none.
    private mutating func node(_ root: Int, _ key: [UInt8]) -> Int {
        var node = root
        var rest = key[...]
        while let first = rest.first {
            guard let child = nodes[node].children.first(where: { nodes[$0].label[0] == first }) else {
                nodes.append(Node(label: Array(rest)))
                nodes[node].children.append(nodes.count - 1)
                return nodes.count - 1
            }
            let shared = zip(nodes[child].label, rest).prefix { $0 == $1 }.count
            if shared < nodes[child].label.count { split(child, at: shared) }
            rest = rest.dropFirst(shared)
            node = child
        }
        return node
    }

    /// Leaves the first `count` bytes of its label to a node, and moves the rest of it to a new child.
    private mutating func split(_ node: Int, at count: Int) {
        var tail = nodes[node]
        tail.label = Array(tail.label.dropFirst(count))
        nodes.append(tail)
        nodes[node] = Node(label: Array(nodes[node].label.prefix(count)), children: [nodes.count - 1])
    }
}
