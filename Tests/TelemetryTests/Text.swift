// Bytes and text, for the tests of this target.
import Bytes
import Telemetry

/// What `write` appends to an empty buffer.
func written(_ write: (inout ByteBuffer) -> Void) -> [UInt8] {
    var buffer = ByteBuffer(capacity: 16)
    write(&buffer)
    return (0..<buffer.count).map { buffer.bytes[$0] }
}
func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

extension LogEscape {
    func callAsFunction(_ bytes: [UInt8]) -> String {
        String(decoding: written { append(bytes.span, to: &$0) }, as: UTF8.self)
    }
}

/// SplitMix64: the same numbers for the same seed on every machine.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
        return mixed ^ mixed >> 31
    }
}
