// Which groups of which regular expressions the access rules of each location look at.
import Bytes
import Configuration

struct CaptureTable: ~Copyable {
    /// Of one name of a location: the innermost expression around it that has such a group, also without regard to case.
    struct Source: BitwiseCopyable {
        var pattern: SlotID
        var caseless: SlotID
        var group: Int32
    }
    struct Part: BitwiseCopyable {
        var start: Int32 = 0
        var end: Int32 = 0
    }

    private let sources: FixedArray<Source>
    private let parts: FixedArray<Part>

    /// `patterns` and `caseless` by location.
    init(
        _ locations: [Location], _ patterns: [SlotID?], _ caseless: [SlotID?], _ compiled: inout PatternList,
        _ diagnostics: inout [Diagnostic]
    ) {
        var parents = [Int?](repeating: nil, count: locations.count)
        for (index, location) in locations.enumerated() { for child in location.children { parents[child] = index } }
        var sources: [Source] = []
        var parts: [Part] = []
        for (index, location) in locations.enumerated() {
            let start = Int32(sources.count)
            for name in location.access.captures.sorted() {
                var place: Int? = index
                var found: Source?
                while let at = place, found == nil {
                    if let pattern = patterns[at], let caseless = caseless[at],
                        let group = compiled.group(name, of: pattern)
                    {
                        found = Source(pattern: pattern, caseless: caseless, group: Int32(group))
                    }
                    place = parents[at]
                }
                if let found {
                    sources.append(found)
                } else {
                    diagnostics.append(
                        Diagnostic(
                            at: location.position,
                            "no regular expression around has exactly one group called \"\(name)\""))
                }
            }
            parts.append(Part(start: start, end: Int32(sources.count)))
        }
        self.sources = FixedArray(sources)
        self.parts = FixedArray(parts)
    }

    func isEmpty(_ location: Int) -> Bool { parts[location].start == parts[location].end }

    /// What the groups of the location take of a path. False when an expression does not match it. Read without regard to case,
    /// the values are in lower case.
    func take(
        _ path: Span<UInt8>, _ location: Int, caseless: Bool, _ patterns: inout SlotTable<Pattern>,
        into groups: inout CapturedGroups
    ) -> Bool {
        groups.clear()
        for i in Int(parts[location].start)..<Int(parts[location].end) {
            let pattern = caseless ? sources[i].caseless : sources[i].pattern
            guard case .matches = patterns[pattern].evaluate(path) else { return false }
            groups.append(path.extracting(patterns[pattern].range(ofGroup: Int(sources[i].group))), folds: caseless)
        }
        return true
    }
}
