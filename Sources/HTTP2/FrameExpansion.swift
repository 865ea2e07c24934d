// Follows the frames that arrive on a connection, and spells out the fields of those that hold long coded ones.
import Bytes

struct FrameExpansion: ~Copyable {
    private static var headerSize: Int { 9 }
    /// RFC 9113 section 4.2: what we let nobody exceed.
    private static var payloadMax: Int { 16_384 }
    private static var prioritySize: Int { 5 }
    /// Memory that is kept.
    private static var keptSize: Int { 4096 }

    /// Bytes that pass as they come: at first those of the preface (RFC 9113 section 3.4).
    private var passing = 24
    /// Of a header that did not come whole: the bytes of it that did, and the length that they say.
    private var headerCount = 0
    private var length = 0
    /// A frame as it is to be taken.
    private var expanded = ByteBuffer(capacity: 0)
    private var known = DecodedValues()

    var bytes: Span<UInt8> { @_lifetime(borrow self) borrowing get { expanded.bytes } }

    /// How much of the input is to be taken next: as it is, or as `bytes` say instead.
    mutating func next(_ input: borrowing Span<UInt8>) -> (count: Int, isExpanded: Bool) {
        var i = 0
        while i < input.count {
            let left = input.count - i
            if passing > 0 {
                let n = min(passing, left)
                passing -= n
                i += n
            } else if headerCount > 0 || left < Self.headerSize {
                passHeader(input[i])
                i += 1
            } else {
                let size = Self.headerSize + (Int(input[i]) << 16 | Int(input[i + 1]) << 8 | Int(input[i + 2]))
                guard size <= left && Self.mayBeLong(type: input[i + 3], flags: input[i + 4], size) else {
                    passing = size
                    continue
                }
                if i > 0 { break }
                if expand(input.extracting(0..<size)) { return (size, true) }
                passing = size
            }
        }
        return (i, false)
    }
    private mutating func passHeader(_ byte: UInt8) {
        if headerCount < 3 { length = length << 8 | Int(byte) }
        headerCount += 1
        guard headerCount == Self.headerSize else { return }
        (passing, headerCount, length) = (length, 0, 0)
    }
    /// Fields that are in one frame, and without padding.
    private static func mayBeLong(type: UInt8, flags: UInt8, _ size: Int) -> Bool {
        type == 1 && flags & 0x04 != 0 && flags & 0x08 == 0 && size > headerSize + FieldBlock.long
    }

    private mutating func expand(_ frame: borrowing Span<UInt8>) -> Bool {
        if expanded.count > Self.keptSize { expanded = ByteBuffer(capacity: 0) }
        expanded.clear()
        let start = Self.headerSize + (frame[4] & 0x20 != 0 ? Self.prioritySize : 0)
        guard start <= frame.count else { return false }
        expanded.append(frame.extracting(0..<start))
        guard FieldBlock.expand(frame.extracting(start..<frame.count), &known, to: &expanded) else { return false }
        let length = expanded.count - Self.headerSize
        guard length <= Self.payloadMax else { return false }
        for place in 0..<3 {
            expanded.overwrite(place..<place + 1, with: UInt8(truncatingIfNeeded: length >> (16 - 8 * place)))
        }
        return true
    }
}
