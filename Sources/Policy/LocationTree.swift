// Which location a path belongs to: the locations of all servers, as trees of prefixes and lists of regular expressions.
import Bytes

/// Locations in the form in which they are searched; built by `LocationTreeBuilder`, and never changed. A node stands for
/// what all keys below it begin with, so each byte of a path is compared once, however many locations there are.
struct LocationTree: ~Copyable {
    /// What a path was found to belong to.
    struct Match {
        /// Index of the location; `none`, or `undecided` when a regular expression came to no end.
        var location: Int32
        /// Bytes of the path that a prefix or an exact location covers; 0 for a regular expression.
        var count: Int

        static let none: Int32 = -1
        static let undecided: Int32 = -2
    }

    struct Node: BitwiseCopyable {
        /// What the node adds to its parent's key, in `labels`.
        var labelStart: UInt32 = 0
        var labelCount: UInt32 = 0
        /// The children are nodes side by side, no two with the same first byte.
        var firstChild: UInt32 = 0
        var childCount: UInt32 = 0
        /// The location that a path which ends here belongs to, whatever else there is.
        var exact: Int32 = -1
        /// The location for which everything from here on counts: after a slash, or at the end of a segment.
        var prefix: Int32 = -1
        /// The location of the same prefix with a slash behind it, for a path that ends here.
        var bare: Int32 = -1
    }

    /// The locations of a server, or those nested in one location.
    struct Scope: BitwiseCopyable {
        var root: Int32
        var firstPattern: Int32 = 0
        var patternCount: Int32 = 0
    }

    struct PatternChoice: BitwiseCopyable {
        var pattern: SlotID
        var location: Int32
    }

    /// What the search needs to know of a location.
    struct Properties: BitwiseCopyable {
        /// Index of the scope of the locations nested in it; -1: none.
        var scope: Int32 = -1
        var stopsPatterns = false
        /// Next of the locations that this tree cannot tell apart from it, in a ring.
        var twin: Int32
    }

    let folds: Bool
    let labels: ByteBuffer
    /// By node: the first byte of its label.
    let firsts: ByteBuffer
    let nodes: FixedArray<Node>
    let scopes: FixedArray<Scope>
    let choices: FixedArray<PatternChoice>
    let properties: FixedArray<Properties>

    /// The location of `path` in a scope (nginx's order: exact, longest prefix, what is nested in it, then regular
    /// expressions in the order of the file unless the prefix stops them).
    borrowing func find(_ path: Span<UInt8>, scope: Int, _ patterns: inout SlotTable<Pattern>) -> Match {
        var match = Match(location: Match.none, count: 0)
        _ = search(path, scopes[scope], &patterns, &match)
        return match
    }

    /// Locations that the tree cannot tell apart from `location`, one after the other, in a ring.
    borrowing func twin(of location: Int32) -> Int32 { properties[Int(location)].twin }

    /// True when the search is over: an exact location or a regular expression was found.
    private borrowing func search(
        _ path: Span<UInt8>, _ scope: Scope, _ patterns: inout SlotTable<Pattern>, _ match: inout Match
    ) -> Bool {
        let isExact = descend(path, scope.root, &match)
        if isExact { return true }
        guard match.location >= 0 else { return searchPatterns(path, scope, &patterns, &match) }
        let found = properties[Int(match.location)]
        if found.scope >= 0 {
            var nested = Match(location: Match.none, count: 0)
            let isOver = search(path, scopes[Int(found.scope)], &patterns, &nested)
            if nested.location != Match.none { match = nested }
            if isOver { return true }
        }
        return found.stopsPatterns ? false : searchPatterns(path, scope, &patterns, &match)
    }

    private borrowing func searchPatterns(
        _ path: Span<UInt8>, _ scope: Scope, _ patterns: inout SlotTable<Pattern>, _ match: inout Match
    ) -> Bool {
        for i in Int(scope.firstPattern)..<Int(scope.firstPattern + scope.patternCount) {
            switch patterns[choices[i].pattern].evaluate(path) {
            case .differs: continue
            case .undecided:
                match = Match(location: Match.undecided, count: 0)
                return true
            case .matches:
                match = Match(location: choices[i].location, count: 0)
                let scope = properties[Int(match.location)].scope
                guard scope >= 0 else { return true }
                var nested = Match(location: Match.none, count: 0)
                _ = search(path, scopes[Int(scope)], &patterns, &nested)
                if nested.location != Match.none { match = nested }
                return true
            }
        }
        return false
    }

    /// Follows `path` down from a root, and leaves the longest prefix in `match`. True: an exact location was met.
    private borrowing func descend(_ path: Span<UInt8>, _ root: Int32, _ match: inout Match) -> Bool {
        var node = Int(root)
        var i = 0
        while i < path.count {
            let prefix = nodes[node].prefix
            if prefix >= 0 && i > 0 && (path[i] == UInt8(ascii: "/") || path[i - 1] == UInt8(ascii: "/")) {
                match = Match(location: prefix, count: i)
            }
            guard let child = child(of: node, folded(path[i])) else { return false }
            let count = Int(nodes[child].labelCount)
            guard hasLabel(path, i, Int(nodes[child].labelStart), count) else { return false }
            node = child
            i += count
        }
        return arrive(at: nodes[node], path.count, &match)
    }

    /// The whole path led to `node`: everything that stands there counts.
    @inline(__always)
    private borrowing func arrive(at node: Node, _ count: Int, _ match: inout Match) -> Bool {
        let location = node.exact >= 0 ? node.exact : node.prefix >= 0 ? node.prefix : node.bare
        if location >= 0 { match = Match(location: location, count: count) }
        return node.exact >= 0
    }

    @inline(__always)
    private borrowing func child(of node: Int, _ first: UInt8) -> Int? {
        let start = Int(nodes[node].firstChild)
        let firsts = firsts.bytes
        for child in start..<start + Int(nodes[node].childCount) where firsts[child] == first { return child }
        return nil
    }

    /// The `count` bytes of the label at `start` stand at `i` of `path`.
    @inline(__always)
    private borrowing func hasLabel(_ path: Span<UInt8>, _ i: Int, _ start: Int, _ count: Int) -> Bool {
        guard path.count - i >= count else { return false }
        let labels = labels.bytes
        for k in 1..<count where labels[start + k] != folded(path[i + k]) { return false }
        return true
    }

    @inline(__always)
    private borrowing func folded(_ byte: UInt8) -> UInt8 {
        folds && byte &- UInt8(ascii: "A") < 26 ? byte | 0x20 : byte
    }
}
