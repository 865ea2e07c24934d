// Which fields of a message do not travel on.
import Bytes

/// Known names, names of the configuration, and what becomes of names with `_`. Built once, when a configuration is compiled.
package struct FieldFilter: ~Copyable {
    /// Known names, the hop-by-hop ones always among them.
    package let names: FieldSet
    let dropsUnderscores: Bool
    /// A bit for each length of a custom name (63: that long or longer), so that most fields are told apart by it.
    let lengths: UInt64
    /// The custom names, folded, one after the other, and where each begins and ends.
    private var text = ByteBuffer(capacity: 256)
    private var ranges: FixedArray<FieldRange>

    /// - Parameters:
    ///   - custom: names in any case; `-` and `_` are the same, because CGI, WSGI and others read them as the same.
    ///   - allowsUnderscores: false: every name with `_` is dropped.
    package init(dropping names: FieldSet, custom: [[UInt8]] = [], allowsUnderscores: Bool = false) {
        var known = names.union(.hopByHop)
        var others: [[UInt8]] = []
        for name in custom {
            let folded = name.map(foldName)
            let id = FieldName(folded.span, 0, folded.count)
            if id == .other { others.append(folded) } else { known = known.union(FieldSet([id])) }
        }
        self.names = known
        dropsUnderscores = !allowsUnderscores
        lengths = others.reduce(0) { $0 | lengthBit($1.count) }
        ranges = FixedArray(repeating: FieldRange(start: 0, end: 0), count: others.count)
        for k in others.indices {
            let name = others[k]
            ranges[k].start = UInt32(text.count)
            text.append(name.span)
            ranges[k].end = UInt32(text.count)
        }
    }

    /// True for the name at `name` of `bytes`, if it is not a known one.
    borrowing func matchesCustom(_ bytes: borrowing Span<UInt8>, _ name: Range<Int>) -> Bool {
        let all = text.bytes
        for k in 0..<ranges.count {
            let start = Int(ranges[k].start), end = Int(ranges[k].end)
            if end - start != name.count { continue }
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

@inline(__always)
func lengthBit(_ count: Int) -> UInt64 { 1 &<< UInt64(min(count, 63)) }
