// A block of compressed fields (RFC 7541), of which long values are spelled out: nghttp2 decodes half a byte at a time, which
// for a bearer token costs more than all else that it does for a request. The table of fields is not looked at.
import Bytes

enum FieldBlock {
    /// Coded bytes from which on a value is long. What they spell out has more than 127 letters, whatever they are.
    static var long: Int { 256 }
    /// Of the length that is written before a value: seven bits, and two bytes with seven more each.
    private static var lengthBytes: Int { 3 }

    /// Appends the block, its long values spelled out. False: it has none, or is not in order, and is to be taken as it came;
    /// a part of it may have been appended.
    static func expand(
        _ block: borrowing Span<UInt8>, _ known: inout DecodedValues, to out: inout ByteBuffer
    ) -> Bool {
        var i = 0, copied = 0
        while i < block.count {
            let first = block[i]
            if first & 0x80 != 0 || first & 0xe0 == 0x20 {
                guard integer(block, &i, bits: first & 0x80 != 0 ? 7 : 5) != nil else { return false }
                continue
            }
            guard let name = integer(block, &i, bits: first & 0x40 != 0 ? 6 : 4) else { return false }
            if name == 0 {
                guard let count = integer(block, &i, bits: 7), count <= block.count - i else { return false }
                i += count
            }
            let start = i
            let isCoded = i < block.count && block[i] & 0x80 != 0
            guard let count = integer(block, &i, bits: 7), count <= block.count - i else { return false }
            if isCoded && count >= long {
                out.append(block.extracting(copied..<start))
                guard decode(block.extracting(i..<i + count), &known, to: &out) else { return false }
                copied = i + count
            }
            i += count
        }
        out.append(block.extracting(copied..<block.count))
        return copied > 0
    }

    private static func decode(
        _ code: borrowing Span<UInt8>, _ known: inout DecodedValues, to out: inout ByteBuffer
    ) -> Bool {
        let start = out.count
        for _ in 0..<lengthBytes { out.append(byte: 0x7f) }
        guard known.decode(code, to: &out) else { return false }
        let rest = out.count - start - lengthBytes - 0x7f
        guard rest >= 0 && rest < 1 << 14 else { return false }
        out.overwrite(start + 1..<start + 2, with: UInt8(rest & 0x7f | 0x80))
        out.overwrite(start + 2..<start + 3, with: UInt8(rest >> 7))
        return true
    }

    /// RFC 7541 section 5.1. Nil: it is cut short, or larger than any that is in order.
    private static func integer(_ block: borrowing Span<UInt8>, _ i: inout Int, bits: Int) -> Int? {
        guard i < block.count else { return nil }
        let most = 1 << bits - 1
        var value = Int(block[i]) & most, shift = 0
        i += 1
        if value < most { return value }
        while i < block.count && shift <= 21 {
            let byte = block[i]
            i += 1
            value += Int(byte & 0x7f) << shift
            if byte & 0x80 == 0 { return value }
            shift += 7
        }
        return nil
    }
}
