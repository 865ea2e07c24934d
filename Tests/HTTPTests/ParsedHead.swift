// Heads as plain copyable values, so that tests can compare them, and the ways to feed a parser.
import Bytes
import Foundation
import HTTP

struct ParsedHead: Equatable {
    var line: [String]
    var framing: BodyFraming
    var contentLength: Int64
    var wantsClose: Bool
    var expectsContinue = false
    var host = ""
    var hostName = ""
    var fields: [[String]]
}

/// What a parser said: `complete` with the head, or why not.
enum Outcome: Equatable {
    case complete(ParsedHead, Int)
    case incomplete
    case failed(MessageError)

    var isFailure: Bool { if case .failed = self { true } else { false } }
    var head: ParsedHead? { if case .complete(let head, _) = self { head } else { nil } }
}

func text(_ span: Span<UInt8>, _ range: Range<Int>) -> String {
    var bytes: [UInt8] = []
    for i in range { bytes.append(span[i]) }
    return String(decoding: bytes, as: UTF8.self)
}

func fieldList(_ fields: borrowing HeaderFields) -> [[String]] {
    (0..<fields.count).map { [text(fields.bytes, fields.name(at: $0)), text(fields.bytes, fields.value(at: $0))] }
}

func describe(_ head: borrowing RequestHead) -> ParsedHead {
    ParsedHead(
        line: [text(head.bytes, head.methodRange), text(head.bytes, head.targetRange), "\(head.minor)"],
        framing: head.framing, contentLength: head.contentLength, wantsClose: head.wantsClose,
        expectsContinue: head.expectsContinue, host: text(head.bytes, head.host),
        hostName: text(head.bytes, head.hostName), fields: fieldList(head.fields))
}

func describe(_ head: borrowing ResponseHead) -> ParsedHead {
    ParsedHead(
        line: ["\(head.status)", "\(head.minor)"], framing: head.framing, contentLength: head.contentLength,
        wantsClose: head.wantsClose, fields: fieldList(head.fields))
}

/// The kind of message that a stream of bytes holds.
enum Side { case request, response(isHEAD: Bool) }

/// Feeds growing prefixes, as a connection does, until there is an answer; the last prefix is everything.
func parse(_ bytes: [UInt8], _ side: Side = .request, limits: HTTPLimits? = nil, cuts: [Int] = []) -> Outcome {
    var request = RequestHead(), response = ResponseHead(), progress = HeadProgress()
    for count in cuts + [bytes.count] {
        let prefix = bytes.span.extracting(0..<count)
        let result =
            switch side {
            case .request: request.parse(prefix, limits: limits ?? HTTPLimits(), progress: &progress)
            case .response(let isHEAD):
                response.parse(prefix, isHEAD: isHEAD, limits: limits ?? .response, progress: &progress)
            }
        switch result {
        case .complete(let consumed):
            if case .request = side { return .complete(describe(request), consumed) }
            return .complete(describe(response), consumed)
        case .incomplete: continue
        case .failed(let error): return .failed(error)
        }
    }
    return .incomplete
}

func parse(_ text: String, _ side: Side = .request, limits: HTTPLimits? = nil, cuts: [Int] = []) -> Outcome {
    parse(Array(text.utf8), side, limits: limits, cuts: cuts)
}

/// Whole, byte by byte, and at random cuts: the same head, or no head. Returns what the whole gave.
func parseCutEverywhere(
    _ bytes: [UInt8], _ side: Side = .request, limits: HTTPLimits? = nil
) -> (Outcome, disagreement: String?) {
    let whole = parse(bytes, side, limits: limits)
    var random = Random()
    var ways = [Array(0..<max(bytes.count, 0))]
    for _ in 0..<8 { ways.append(random.cuts(of: bytes.count)) }
    for cuts in ways {
        let cut = parse(bytes, side, limits: limits, cuts: cuts)
        let agrees = whole.isFailure ? cut.isFailure : cut == whole
        if !agrees { return (whole, "seed \(random.seed), cuts \(cuts.prefix(40)): \(cut) instead of \(whole)") }
    }
    return (whole, nil)
}

/// A request of this line and these field lines.
func request(_ line: String = "GET / HTTP/1.1", _ fields: String...) -> String {
    ([line, "Host: a"] + fields).joined(separator: "\r\n") + "\r\n\r\n"
}

/// Seeded; the seed is in every message of a failure, and `TEST_SEED` repeats it.
struct Random: RandomNumberGenerator {
    static let environmentSeed = ProcessInfo.processInfo.environment["TEST_SEED"].flatMap { UInt64($0) }

    let seed: UInt64
    private var state: UInt64

    init(seed: UInt64? = nil) {
        self.seed = seed ?? Self.environmentSeed ?? UInt64.random(in: 0...UInt64.max)
        state = self.seed
    }
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = (state ^ (state >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
    /// Below `count`.
    mutating func below(_ count: Int) -> Int { Int.random(in: 0..<count, using: &self) }
    /// Ascending positions inside `count` bytes.
    mutating func cuts(of count: Int) -> [Int] {
        count == 0 ? [] : (0..<below(6) + 1).map { _ in below(count) }.sorted()
    }
}
