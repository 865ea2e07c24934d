// One question at a time about each credential, whoever asks. Pure: it is told who asks and what was answered, and when.
import Bytes
import Policy

struct LookupTable {
    enum Verdict {
        /// Somebody asked a moment ago.
        case known(LookupResult)
        /// The question is on its way; the asker is told with the others.
        case joined
        case begin
    }
    /// Answers that are kept for the workers that ask a moment later: how many, and how many bytes.
    private static let memoryCount = 4096
    private static let memoryBytes = 8 << 20

    private struct Remembered {
        var result: LookupResult
        var until: Instant
        var bytes: Int
    }
    /// Workers that wait for each question.
    private var running: [LookupKey: [Int]] = [:]
    private var remembered: [LookupKey: Remembered] = [:]
    /// The oldest first; `head` is where they begin.
    private var order: [LookupKey] = []
    private var head = 0
    private var bytes = 0

    var runningCount: Int { running.count }

    /// - Parameter isAnew: what was answered before is not wanted.
    mutating func ask(_ key: LookupKey, worker: Int, now: Instant, isAnew: Bool = false) -> Verdict {
        if !isAnew, let known = remembered[key], known.until > now { return .known(known.result) }
        guard running[key] != nil else {
            running[key] = [worker]
            return .begin
        }
        if running[key]?.contains(worker) == false { running[key]?.append(worker) }
        return .joined
    }
    /// Whom to tell. The result of a question is kept for `nanoseconds`; 0: not at all.
    mutating func finished(_ key: LookupKey, _ result: LookupResult, keptFor nanoseconds: UInt64, now: Instant) -> [Int]
    {
        if nanoseconds > 0 {
            remember(key, result, until: Instant(nanoseconds: now.nanoseconds &+ nanoseconds), now)
        }
        return running.removeValue(forKey: key) ?? []
    }

    private mutating func remember(_ key: LookupKey, _ result: LookupResult, until: Instant, _ now: Instant) {
        let size = Self.bytes(of: result)
        if let older = remembered.updateValue(Remembered(result: result, until: until, bytes: size), forKey: key) {
            bytes -= older.bytes
        } else {
            order.append(key)
        }
        bytes += size
        forget(now)
    }
    /// What is over, and the oldest while there are too many.
    mutating func forget(_ now: Instant) {
        while head < order.count, let oldest = remembered[order[head]] {
            let isFull = remembered.count > Self.memoryCount || bytes > Self.memoryBytes
            guard isFull || oldest.until <= now else { break }
            bytes -= oldest.bytes
            remembered.removeValue(forKey: order[head])
            head += 1
        }
        if head > 1024, head * 2 > order.count {
            order.removeFirst(head)
            head = 0
        }
    }
    private static func bytes(of result: LookupResult) -> Int {
        guard case .answered(let answer) = result else { return 256 }
        return 256 + answer.body.count + answer.fields.reduce(0) { $0 + ($1?.count ?? 0) }
    }
}
