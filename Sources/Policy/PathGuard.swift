// Refuses a path that some server reads as one of a location with other access (`/public/..;/api`, `/api%2fadmin`).
import Bytes
import Configuration
import HTTP

/// Reads a path in every way that servers do, and looks each reading up in the same server's locations, with and without
/// regard to case. One per worker: the readings' buffers are kept.
struct PathGuard: ~Copyable {
    private var readings = PathReadings()
    /// Locations under their canonical and decoded spellings, in their own case and in lower case.
    private let spelt: LocationTree
    private let folded: LocationTree
    /// By location: equal numbers mean equal access.
    private let accesses: FixedArray<Int32>
    /// What the location's rules look at in the path itself, and in a reading of it.
    private var own = CapturedGroups()
    private var other = CapturedGroups()

    init(spelt: consuming LocationTree, folded: consuming LocationTree, accesses: [Int32]) {
        self.spelt = spelt
        self.folded = folded
        self.accesses = FixedArray(accesses)
    }

    /// True when every reading of the path has the access of `location`, which is what the path itself belongs to.
    mutating func accepts(
        _ path: Span<UInt8>, scope: Int, location: Int, fallback: Int, _ captures: borrowing CaptureTable,
        _ patterns: inout SlotTable<Pattern>
    ) -> Bool {
        let hasCaptures = !captures.isEmpty(location)
        if hasCaptures, !captures.take(path, location, caseless: false, &patterns, into: &own) { return false }
        // The path in its own case has been looked up already.
        let caseless = folded.find(path, scope: scope, &patterns)
        guard hasAccess(of: location, caseless, fallback, folded) else { return false }
        if hasCaptures {
            guard captures.take(path, location, caseless: true, &patterns, into: &other), other.isEqual(to: own) else {
                return false
            }
        }
        readings.begin(path)
        while true {
            switch readings.next() {
            case .end: return true
            case .tooMany: return false
            case .reading:
                let exact = spelt.find(readings.current, scope: scope, &patterns)
                guard hasAccess(of: location, exact, fallback, spelt) else { return false }
                let caseless = folded.find(readings.current, scope: scope, &patterns)
                guard hasAccess(of: location, caseless, fallback, folded) else { return false }
                guard !hasCaptures || readings.captureSame(captures, location, own, &other, &patterns) else {
                    return false
                }
            }
        }
    }

    /// Locations that the tree cannot tell apart are one to the server that reads like that: the right one among them will
    /// do, else all must agree.
    private func hasAccess(
        of location: Int, _ match: LocationTree.Match, _ fallback: Int, _ tree: borrowing LocationTree
    ) -> Bool {
        guard match.location != LocationTree.Match.undecided else { return false }
        guard match.location >= 0 else { return accesses[fallback] == accesses[location] }
        var agree = true
        var twin = match.location
        repeat {
            if Int(twin) == location { return true }
            agree = agree && accesses[Int(twin)] == accesses[location]
            twin = tree.twin(of: twin)
        } while twin != match.location
        return agree
    }
}

extension PathReadings {
    /// Whether the location's groups take the same of this reading as of the path itself, with and without regard to case.
    fileprivate func captureSame(
        _ captures: borrowing CaptureTable, _ location: Int, _ own: borrowing CapturedGroups,
        _ other: inout CapturedGroups, _ patterns: inout SlotTable<Pattern>
    ) -> Bool {
        captures.take(current, location, caseless: false, &patterns, into: &other) && other.isEqual(to: own)
            && captures.take(current, location, caseless: true, &patterns, into: &other) && other.isEqual(to: own)
    }
}
