// CORS: which scripts of other sites may ask and read (Fetch sections 3.3 and 4.8). It gives nobody access: it only tells
// browsers what they may show to whom.
package import Bytes
package import Configuration
package import HTTP

package enum PreflightVerdict: Equatable, Sendable {
    case answer, refuse
    /// To the upstream, without an identity.
    case pass
}

/// The `cors` blocks of one configuration, compiled into storage of their own. A location names its block by number.
package struct CrossOrigin: ~Copyable {
    /// Where something lies in the text.
    struct Extent: BitwiseCopyable {
        var start: Int32 = 0
        var end: Int32 = 0
        var range: Range<Int> { Int(start)..<Int(end) }
        var count: Int { Int(end - start) }
    }
    /// The whole of an origin, or what stands before and after its one free label.
    struct Origin: BitwiseCopyable {
        var head = Extent()
        var tail = Extent()
        var isWild = false
    }
    struct Block: BitwiseCopyable {
        /// Of `origins` and `methods`.
        var origins = Extent()
        var methods = Extent()
        var takesAnyOrigin = false
        var takesAnyMethod = false
        var takesCredentials = false
        var passesPreflights = false
        /// Whole field lines for the answer to a preflight, and for others: of upstreams, of our own.
        var preflight = Extent()
        var exposed = Extent()
        var exposedOfRefusals = Extent()
    }
    /// What a script must be able to read of a refusal, to know what to do next.
    private static var refusalFields: [String] { ["WWW-Authenticate", "Retry-After", "Gateway-Error"] }

    private var text = ByteBuffer(capacity: 256)
    private var origins: FixedArray<Origin>
    private var methods: FixedArray<Extent>
    private var blocks: FixedArray<Block>

    package init(_ rules: [CrossOriginRules]) {
        origins = FixedArray(repeating: Origin(), count: rules.reduce(0) { $0 + $1.origins.count })
        methods = FixedArray(repeating: Extent(), count: rules.reduce(0) { $0 + $1.methods.count })
        blocks = FixedArray(repeating: Block(), count: rules.count)
        var originCount = 0, methodCount = 0
        for (i, rule) in rules.enumerated() {
            blocks[i].origins.start = Int32(originCount)
            for pattern in rule.origins {
                origins[originCount] = keep(pattern)
                originCount += 1
            }
            blocks[i].origins.end = Int32(originCount)
            blocks[i].methods.start = Int32(methodCount)
            for method in rule.methods {
                methods[methodCount] = keep(method)
                methodCount += 1
            }
            blocks[i].methods.end = Int32(methodCount)
            blocks[i].takesAnyOrigin = rule.origins.contains(.any)
            blocks[i].takesAnyMethod = rule.methods == ["*"]
            blocks[i].takesCredentials = rule.allowsCredentials
            blocks[i].passesPreflights = rule.passesPreflights
            blocks[i].preflight = keep(Self.preflightFields(rule))
            blocks[i].exposed = keep(Self.field("Access-Control-Expose-Headers", rule.exposedHeaders))
            let known = rule.exposedHeaders.map { $0.lowercased() }
            let more = known == ["*"] ? [] : Self.refusalFields.filter { !known.contains($0.lowercased()) }
            blocks[i].exposedOfRefusals = keep(
                Self.field("Access-Control-Expose-Headers", rule.exposedHeaders + more))
        }
    }

    private mutating func keep(_ words: String) -> Extent {
        let start = text.count
        for byte in words.utf8 { text.append(byte: byte) }
        return Extent(start: Int32(start), end: Int32(text.count))
    }
    private mutating func keep(_ pattern: OriginPattern) -> Origin {
        switch pattern {
        case .any: Origin()
        case .exact(let origin): Origin(head: keep(origin))
        case .oneLabel(let scheme, let domain): Origin(head: keep(scheme), tail: keep(domain), isWild: true)
        }
    }
    private static func field(_ name: String, _ values: [String]) -> String {
        values.isEmpty ? "" : "\(name): \(values.joined(separator: ", "))\r\n"
    }
    private static func preflightFields(_ rules: CrossOriginRules) -> String {
        // The one field that `*` does not stand for (Fetch section 4.8).
        let headers = rules.headers == ["*"] ? ["*", "Authorization"] : rules.headers
        return field("Access-Control-Allow-Methods", rules.methods) + field("Access-Control-Allow-Headers", headers)
            + field("Access-Control-Max-Age", ["\(rules.maxAge.components.seconds)"])
    }
}

// Requests
extension CrossOrigin {
    /// True for what browsers send before a script's request: OPTIONS with both fields, once each, and nothing to take in.
    package static func isPreflight(_ head: borrowing RequestHead) -> Bool {
        guard head.method == .options, head.framing != .chunked, head.contentLength == 0,
            head.count(of: .origin) == 1
        else { return false }
        return requestedMethod(head) != nil
    }

    /// What becomes of a preflight, before anybody asks who sends it: browsers send none with credentials.
    package borrowing func preflight(_ head: borrowing RequestHead, block: Int) -> PreflightVerdict {
        if blocks[block].passesPreflights { return .pass }
        guard let method = Self.requestedMethod(head), allowsOrigin(of: head, block: block) else { return .refuse }
        if blocks[block].takesAnyMethod { return .answer }
        for i in blocks[block].methods.range {
            let name = text.bytes.extracting(methods[i].range)
            if name.isEqual(to: head.bytes.extracting(method)) { return .answer }
        }
        return .refuse
    }

    /// Whether scripts of the request's origin may read the answer.
    package borrowing func allowsOrigin(of head: borrowing RequestHead, block: Int) -> Bool {
        blocks[block].takesAnyOrigin && head.count(of: .origin) == 1 || names(originOf: head, block: block)
    }

    /// Whether the block names the request's origin among those that may ask with credentials.
    package borrowing func trustsCredentials(ofOriginOf head: borrowing RequestHead, block: Int) -> Bool {
        blocks[block].takesCredentials && names(originOf: head, block: block)
    }

    private borrowing func names(originOf head: borrowing RequestHead, block: Int) -> Bool {
        guard head.count(of: .origin) == 1, let range = head.value(of: .origin) else { return false }
        let origin = head.bytes.extracting(range)
        for i in blocks[block].origins.range where matches(origins[i], origin) { return true }
        return false
    }

    private borrowing func matches(_ pattern: Origin, _ origin: Span<UInt8>) -> Bool {
        let all = text.bytes
        let head = all.extracting(pattern.head.range)
        if !pattern.isWild { return !head.isEmpty && head.isEqual(to: origin) }
        let tail = all.extracting(pattern.tail.range)
        let labelEnd = origin.count - tail.count
        guard labelEnd > head.count, origin.extracting(0..<head.count).isEqual(to: head),
            origin.extracting(labelEnd..<origin.count).isEqual(to: tail)
        else { return false }
        for i in head.count..<labelEnd where !Self.isLabelByte(origin[i]) { return false }
        return true
    }
    private static func isLabelByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x61...0x7a, UInt8(ascii: "-"), UInt8(ascii: "_"): true
        default: false
        }
    }

    /// The value of the one Access-Control-Request-Method that a preflight has.
    private static func requestedMethod(_ head: borrowing RequestHead) -> Range<Int>? {
        var found: Range<Int>?
        for k in 0..<head.fields.count {
            let name = head.fields.name(at: k)
            guard name.count == 29, head.bytes.folds(name.lowerBound, to: "access-control-request-method") else {
                continue
            }
            let value = head.fields.value(at: k)
            if found != nil || value.isEmpty { return nil }
            found = value
        }
        return found
    }
}

// Answers
extension CrossOrigin {
    /// Appends what the answer to an allowed preflight says, in whole field lines.
    package borrowing func appendPreflight(_ head: borrowing RequestHead, block: Int, to out: inout ByteBuffer) {
        appendOrigin(head, block: block, to: &out)
        out.append(text.bytes.extracting(blocks[block].preflight.range))
        out.append("Vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers\r\n")
    }

    /// The same for the answer to any other request. The answers to two origins differ, and so do those with and without
    /// one, unless all are told the same.
    package borrowing func append(
        _ head: borrowing RequestHead, block: Int, isRefusal: Bool, to out: inout ByteBuffer
    ) {
        if allowsOrigin(of: head, block: block) {
            appendOrigin(head, block: block, to: &out)
            let fields = isRefusal ? blocks[block].exposedOfRefusals : blocks[block].exposed
            out.append(text.bytes.extracting(fields.range))
        }
        if !blocks[block].takesAnyOrigin { out.append("Vary: Origin\r\n") }
    }

    private borrowing func appendOrigin(_ head: borrowing RequestHead, block: Int, to out: inout ByteBuffer) {
        out.append("Access-Control-Allow-Origin: ")
        if blocks[block].takesAnyOrigin {
            out.append("*")
        } else if let origin = head.value(of: .origin) {
            out.append(head.bytes.extracting(origin))
        }
        out.append("\r\n")
        if blocks[block].takesCredentials { out.append("Access-Control-Allow-Credentials: true\r\n") }
    }
}

extension CrossOriginRules {
    /// Nothing but `pass on`: the fields of answers are the upstream's own.
    package var isUpstreams: Bool { origins.isEmpty }
}
