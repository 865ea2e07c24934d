// The header that was read last: an issuer gives all its tokens the same one, and the same bytes mean the same.
import Bytes
import JSON

struct HeaderMemory: ~Copyable {
    /// As it stands in a token; compared byte for byte.
    private var encoded = ByteBuffer(capacity: 256)
    private var decoded = ByteBuffer(capacity: 256)
    private var header: TokenHeader?

    /// What the header in `encoded` says, read anew unless the last one was the same.
    mutating func read(_ encoded: borrowing Span<UInt8>, _ reader: inout JSONReader) throws(TokenRefusal) -> TokenHeader
    {
        if let header, encoded.isEqual(to: self.encoded.bytes) { return header }
        // From here on there is nothing to remember until the whole of it was found good.
        header = nil
        decoded.clear()
        guard Base64URL.decode(encoded, into: &decoded) else { throw .malformed }
        let header = try TokenHeader(decoded.bytes, &reader)
        self.encoded.clear()
        self.encoded.append(encoded)
        self.header = header
        return header
    }

    /// The decoded header that was read last, in which its events lie.
    var text: Span<UInt8> { @_lifetime(borrow self) borrowing get { decoded.bytes } }
}
