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
