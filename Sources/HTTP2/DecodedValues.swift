// The long values that a connection sent last, beside the codes that spelled them: clients send the same token with every
// request. The whole code is compared, and equal codes spell equal values.
import Bytes

struct DecodedValues: ~Copyable {
    /// Bytes of a code and its value that are kept: a larger pair is decoded each time.
    private static var keptSize: Int { 8 * 1024 }

    private struct Pair: ~Copyable {
        /// The code, and behind it the value.
        var bytes = ByteBuffer(capacity: 0)
        var codeCount = 0

        func holds(_ code: borrowing Span<UInt8>) -> Bool {
            codeCount == code.count && codeCount > 0 && bytes.bytes.extracting(0..<codeCount).isEqual(to: code)
        }
        func append(to out: inout ByteBuffer) { out.append(bytes.bytes.extracting(codeCount..<bytes.count)) }
    }
    /// A token and a cookie, the one that came last first.
    private var newer = Pair(), older = Pair()

    /// Appends the value of a code in Huffman's alphabet. False: the code is not in order.
    mutating func decode(_ code: borrowing Span<UInt8>, to out: inout ByteBuffer) -> Bool {
        if newer.holds(code) {
            newer.append(to: &out)
            return true
        }
        if older.holds(code) {
            swap(&newer, &older)
            newer.append(to: &out)
            return true
        }
        let start = out.count
        guard HuffmanCode.decode(code, to: &out) else { return false }
        keep(code, out.bytes.extracting(start..<out.count))
        return true
    }
    private mutating func keep(_ code: borrowing Span<UInt8>, _ value: borrowing Span<UInt8>) {
        guard code.count + value.count <= Self.keptSize else { return }
        swap(&newer, &older)
        newer.bytes.clear()
        newer.bytes.append(code)
        newer.bytes.append(value)
        newer.codeCount = code.count
    }
}
