// Finds the credential of a provider in a request's head, wherever the configuration says it may stand.
import Bytes
package import Configuration
package import HTTP

package enum Credential {
    /// Where in the head it lies. Its characters were not looked at yet.
    case found(Range<Int>, CredentialPlace.Kind)
    case missing
    /// There are two, or one that can be read in two ways: "the other one was good" is what an attacker would like to hear.
    case invalid

    /// Of the places that are enabled only one may hold something (RFC 6750 section 2).
    package init(_ head: borrowing RequestHead, _ places: [CredentialPlace]) {
        var found = Credential.missing
        for place in places {
            switch Self.find(place, in: head) {
            case .missing: continue
            case .invalid:
                self = .invalid
                return
            case .found(let range, let kind):
                guard case .missing = found else {
                    self = .invalid
                    return
                }
                found = .found(range, kind)
            }
        }
        self = found
    }

    private static func find(_ place: CredentialPlace, in head: borrowing RequestHead) -> Credential {
        switch place {
        case .bearer:
            switch BearerToken(head) {
            case .found(let range): .found(range, .bearer)
            case .missing: .missing
            case .invalid: .invalid
            }
        case .field(let name): field(name, in: head)
        case .cookie(let name): cookie(name, in: head)
        case .query(let name): argument(name, in: head)
        }
    }

    private static func field(_ name: [UInt8], in head: borrowing RequestHead) -> Credential {
        var found = Credential.missing
        for k in 0..<head.fields.count where isNamed(name, head.bytes, head.fields.name(at: k)) {
            guard case .missing = found else { return .invalid }
            let value = head.fields.value(at: k)
            if !value.isEmpty { found = .found(value, .field) }
        }
        return found
    }
    /// `-` and `_` are the same, as they are to many servers.
    private static func isNamed(_ name: [UInt8], _ bytes: borrowing Span<UInt8>, _ range: Range<Int>) -> Bool {
        guard range.count == name.count else { return false }
        for i in 0..<name.count where folded(bytes[range.lowerBound + i]) != folded(name[i]) { return false }
        return true
    }
    private static func folded(_ byte: UInt8) -> UInt8 {
        byte == UInt8(ascii: "_") ? UInt8(ascii: "-") : byte &- 65 < 26 ? byte | 0x20 : byte
    }

    /// A name that is there twice is one that somebody else may have set (a cookie of a sibling host).
    private static func cookie(_ name: [UInt8], in head: borrowing RequestHead) -> Credential {
        var found = Credential.missing
        for k in 0..<head.fields.count where head.fields.id(at: k) == .cookie {
            let bytes = head.bytes
            var pairs = CookiePairs(head.fields.value(at: k))
            while let pair = pairs.next(bytes) {
                guard bytes.extracting(pair.name).isEqual(to: name.span), !pair.value.isEmpty else { continue }
                guard case .missing = found else { return .invalid }
                found = .found(pair.value, .cookie)
            }
        }
        return found
    }

    private static func argument(_ name: [UInt8], in head: borrowing RequestHead) -> Credential {
        var found = Credential.missing
        let bytes = head.bytes
        var arguments = QueryArguments(head.target.query)
        while let argument = arguments.next(bytes) {
            guard QueryArguments.isNamed(name.span, bytes, argument.name) else { continue }
            guard case .missing = found else { return .invalid }
            if !argument.value.isEmpty { found = .found(argument.value, .query) }
        }
        return found
    }
}

/// The pairs of one Cookie field (RFC 6265 section 4.2.1).
struct CookiePairs {
    private var at: Int
    private let end: Int

    init(_ value: Range<Int>) {
        at = value.lowerBound
        end = value.upperBound
    }
    mutating func next(_ bytes: borrowing Span<UInt8>) -> (name: Range<Int>, value: Range<Int>)? {
        while at < end, isBlank(bytes[at]) || bytes[at] == UInt8(ascii: ";") { at += 1 }
        guard at < end else { return nil }
        let start = at
        while at < end, bytes[at] != UInt8(ascii: ";") { at += 1 }
        var equals = start
        while equals < at, bytes[equals] != UInt8(ascii: "=") { equals += 1 }
        var last = at
        while last > equals, isBlank(bytes[last - 1]) { last -= 1 }
        var nameEnd = equals
        while nameEnd > start, isBlank(bytes[nameEnd - 1]) { nameEnd -= 1 }
        var first = min(equals + 1, last)
        while first < last, isBlank(bytes[first]) { first += 1 }
        return (start..<nameEnd, first..<max(first, last))
    }
    private func isBlank(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }
}

/// The arguments of a query, as forms write them.
struct QueryArguments {
    private var at: Int
    private let end: Int

    init(_ query: Range<Int>) {
        at = query.lowerBound
        end = query.upperBound
    }
    mutating func next(_ bytes: borrowing Span<UInt8>) -> (name: Range<Int>, value: Range<Int>)? {
        guard at < end else { return nil }
        let start = at
        while at < end, bytes[at] != UInt8(ascii: "&") { at += 1 }
        let stop = at
        at += 1
        var equals = start
        while equals < stop, bytes[equals] != UInt8(ascii: "=") { equals += 1 }
        return (start..<equals, min(equals + 1, stop)..<stop)
    }

    /// As a server reads the name: percent-decoded.
    static func isNamed(
        _ name: borrowing Span<UInt8>, _ bytes: borrowing Span<UInt8>, _ range: Range<Int>
    ) -> Bool {
        var i = range.lowerBound
        for k in 0..<name.count {
            guard i < range.upperBound else { return false }
            var byte = bytes[i]
            i += 1
            if byte == UInt8(ascii: "%"), i + 1 < range.upperBound, let high = nibble(bytes[i]),
                let low = nibble(bytes[i + 1])
            {
                byte = high << 4 | low
                i += 2
            }
            if byte != name[k] { return false }
        }
        return i == range.upperBound
    }
    private static func nibble(_ digit: UInt8) -> UInt8? {
        switch digit {
        case 0x30...0x39: digit - 0x30
        case 0x41...0x46: digit - 0x37
        case 0x61...0x66: digit - 0x57
        default: nil
        }
    }
}
