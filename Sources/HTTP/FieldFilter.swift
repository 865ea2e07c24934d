// Which fields of a message do not travel on.
import Bytes

/// Known names, names of the configuration, and what becomes of names with `_`. Built once, when a configuration is compiled.
package struct FieldFilter: ~Copyable {
    /// Known names, the hop-by-hop ones always among them.
    package let names: FieldSet
    let dropsUnderscores: Bool
    /// A bit for each custom name, by its length and its first and last letter, so that most fields are told apart by it.
    let sketch: UInt64
    /// Names that long or longer are searched together.
    private static var lengthCount: Int { 64 }
    /// The custom names, folded, one after the other, and where each begins and ends.
    private var text = ByteBuffer(capacity: 256)
    private var ranges: FixedArray<FieldRange>
    /// Where names of each length begin among them; they are sorted by length, so that only those are compared.
    private var firstOfLength: FixedArray<UInt16>
    /// Names of cookies that do not travel; Cookie is then among the known names, and what is left of it is written anew.
    private var cookies: FixedArray<FieldRange>
    var stripsCookies: Bool { cookies.count > 0 }

    /// - Parameters:
    ///   - custom: names in any case; `-` and `_` are the same, because CGI, WSGI and others read them as the same.
    ///   - cookies: names of cookies that do not travel, compared byte for byte; of no effect where Cookie is dropped whole.
    ///   - allowsUnderscores: false: every name with `_` is dropped.
    package init(
        dropping names: FieldSet, custom: [[UInt8]] = [], cookies: [[UInt8]] = [], allowsUnderscores: Bool = false
    ) {
        var known = names.union(.hopByHop)
        var others: [[UInt8]] = []
        for name in custom {
            let folded = name.map(foldName)
            let id = FieldName(folded.span, 0, folded.count)
            if id == .other { others.append(folded) } else { known = known.union(FieldSet([id])) }
        }
        others.sort { $0.count < $1.count }
        let stripped = known.contains(.cookie) ? [] : cookies
        self.names = stripped.isEmpty ? known : known.union(FieldSet([.cookie]))
        dropsUnderscores = !allowsUnderscores
        sketch = others.reduce(0) { $0 | sketchBit($1.first ?? 0, $1.last ?? 0, $1.count) }
        ranges = FixedArray(repeating: FieldRange(start: 0, end: 0), count: others.count)
        firstOfLength = FixedArray(repeating: UInt16(others.count), count: Self.lengthCount + 1)
        for length in 0...Self.lengthCount {
            firstOfLength[length] = UInt16(others.firstIndex { $0.count >= length } ?? others.count)
        }
        for k in others.indices {
            let name = others[k]
            ranges[k].start = UInt32(text.count)
            text.append(name.span)
            ranges[k].end = UInt32(text.count)
        }
        self.cookies = FixedArray(repeating: FieldRange(start: 0, end: 0), count: stripped.count)
        for k in stripped.indices {
            let name = stripped[k]
            self.cookies[k].start = UInt32(text.count)
            text.append(name.span)
            self.cookies[k].end = UInt32(text.count)
        }
    }

    /// True for the name of a cookie that does not travel.
    borrowing func stripsCookie(_ name: borrowing Span<UInt8>) -> Bool {
        let all = text.bytes
        for k in 0..<cookies.count {
            let cookie = all.extracting(Int(cookies[k].start)..<Int(cookies[k].end))
            if cookie.isEqual(to: name) { return true }
        }
        return false
    }

    /// True for the name at `name` of `bytes`, if it is not a known one.
    borrowing func matchesCustom(_ bytes: borrowing Span<UInt8>, _ name: Range<Int>) -> Bool {
        let all = text.bytes
        let length = name.count
        let last = length < Self.lengthCount ? Int(firstOfLength[length + 1]) : ranges.count
        for k in Int(firstOfLength[min(length, Self.lengthCount)])..<last {
            let start = Int(ranges[k].start), end = Int(ranges[k].end)
            if end - start != length { continue }
            var j = 0
            while j < name.count, all[start + j] == foldName(bytes[name.lowerBound + j]) { j += 1 }
            if j == name.count { return true }
        }
        return false
    }
}

struct FieldRange: BitwiseCopyable {
    var start: UInt32
    var end: UInt32
}

/// Lower case, and `-` for `_`.
@inline(__always)
func foldName(_ byte: UInt8) -> UInt8 {
    if byte == UInt8(ascii: "_") { return UInt8(ascii: "-") }
    return lowerCase(byte)
}

/// 63: that long or longer.
@inline(__always)
func lengthBit(_ count: Int) -> UInt64 { 1 &<< UInt64(min(count, 63)) }

/// The bit of a name in a sketch; upper and lower case have the same. `-` and `_` need not: of a message with a `_` in
/// some name all fields are looked at. These factors keep the names that are always dropped apart from what browsers and
/// tracing send.
@inline(__always)
func sketchBit(_ first: UInt8, _ last: UInt8, _ count: Int) -> UInt64 {
    1 &<< (UInt64(truncatingIfNeeded: count) &* 61 &+ UInt64(first & 0x1f) &+ UInt64(last & 0x1f) &* 20)
}
