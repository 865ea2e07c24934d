// What somebody may have meant who wrote a name that does not exist.

enum Spelling {
    /// `did you mean "require"?`, or nil when nothing is near.
    static func suggestion(for name: String, among known: [String]) -> String? {
        nearest(to: name, among: known).map { "did you mean \"\($0)\"?" }
    }

    /// The nearest known name within a third of its length in edits, at most 3; the first of equals.
    static func nearest(to name: String, among known: [String]) -> String? {
        let word = Array(name.lowercased().unicodeScalars)
        // Nobody misspells a novel; this also bounds the cost.
        guard (2...64).contains(word.count) else { return nil }
        let allowed = min(3, max(1, word.count / 3))
        var best: (name: String, distance: Int)?
        for candidate in known {
            let distance = distance(word, Array(candidate.lowercased().unicodeScalars))
            if distance <= allowed, distance < best?.distance ?? .max { best = (candidate, distance) }
        }
        return best?.name
    }

    /// Insertions, deletions, replacements and swaps of neighbours.
    static func distance(_ a: [Unicode.Scalar], _ b: [Unicode.Scalar]) -> Int {
        var beforeLast = [Int](repeating: 0, count: b.count + 1)
        var last = Array(0...b.count)
        for i in a.indices {
            var row = [i + 1]
            for j in b.indices {
                var cost = min(last[j + 1] + 1, row[j] + 1, last[j] + (a[i] == b[j] ? 0 : 1))
                if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { cost = min(cost, beforeLast[j - 1] + 1) }
                row.append(cost)
            }
            (beforeLast, last) = (last, row)
        }
        return last[b.count]
    }
}
