// Values of fields that we write ourselves: what could end a line never becomes one.
import Bytes

/// Bytes that may stand in a field value (RFC 9110 section 5.5), checked when it is made. The functions that write a field
/// take nothing else, so a CR LF from a claim, a template or a redirect cannot split a message (CWE-113).
package struct FieldValue: ~Escapable {
    package let bytes: Span<UInt8>

    /// Nil when a control byte other than HTAB is in it.
    @_lifetime(copy bytes)
    package init?(_ bytes: Span<UInt8>) {
        guard bytes.endOfValue(from: 0) == bytes.count else { return nil }
        self.bytes = bytes
    }
}

/// The name of a field that we write, checked when it is made: a token (RFC 9110 section 5.1).
package struct FieldLabel: Sendable, Equatable {
    package let bytes: [UInt8]

    /// Nil when it is empty, or not a token.
    package init?(_ bytes: [UInt8]) {
        guard !bytes.isEmpty, bytes.span.endOfToken(from: 0) == bytes.count else { return nil }
        self.bytes = bytes
    }
}

extension ByteQueue {
    /// Appends a field line. The queue must have room for name and value and four bytes more.
    package mutating func appendField(_ name: borrowing FieldLabel, _ value: borrowing FieldValue) {
        append(name.bytes.span)
        append(": ")
        append(value.bytes)
        append("\r\n")
    }
    /// The same with a name that is part of the program.
    package mutating func appendField(_ name: StaticString, _ value: borrowing FieldValue) {
        append(name)
        append(": ")
        append(value.bytes)
        append("\r\n")
    }
}

extension ByteBuffer {
    /// Appends a field line.
    package mutating func appendField(_ name: borrowing FieldLabel, _ value: borrowing FieldValue) {
        append(name.bytes.span)
        append(": ")
        append(value.bytes)
        append("\r\n")
    }
    /// The same with a name that is part of the program.
    package mutating func appendField(_ name: StaticString, _ value: borrowing FieldValue) {
        append(name)
        append(": ")
        append(value.bytes)
        append("\r\n")
    }
}
