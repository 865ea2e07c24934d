// Bounds on the heads and bodies of messages, each with its reason.

/// How large a head may be; sizes in bytes, line ends not counted in `lineSize`.
package struct HTTPLimits: Sendable, Equatable {
    /// Of the request line, and of one field line.
    package var lineSize: Int
    /// Of a whole head, with the empty line that ends it.
    package var headSize: Int
    /// Of field lines.
    package var fieldCount: Int

    package init(lineSize: Int = 16 * 1024, headSize: Int = 32 * 1024, fieldCount: Int = 100) {
        self.lineSize = lineSize
        self.headSize = headSize
        self.fieldCount = fieldCount
    }

    /// For answers of upstreams: ours to trust, so twice a request's, yet one of them must not fill a worker's memory.
    package static var response: HTTPLimits {
        HTTPLimits(lineSize: 64 * 1024, headSize: 64 * 1024, fieldCount: 200)
    }
}

extension HTTPLimits {
    /// Longest method in bytes: twice the longest registered one (`UPDATEREDIRECTREF`); a longer one is implemented nowhere.
    static var methodSize: Int { 32 }
    /// Connection options in one head: real ones have three; each is compared with each field, so they must be few.
    static var connectionOptionCount: Int { 32 }
    /// Hex digits of a chunk size: enough for 64 bits; leading zeros beyond it are there to fool somebody.
    static var chunkDigitCount: Int { 16 }
    /// Bytes of the extensions on one chunk line: nobody uses them, so nobody needs more.
    static var chunkExtensionSize: Int { 256 }
    /// Bytes in a whole body for which no data comes: extensions and leading zeros. Without it a peer keeps us
    /// busy for ever with a body that never grows.
    static var chunkOverheadSize: Int { 4 * 1024 }
    /// Bytes of a trailer section: checksums and a gRPC status fit, a second head does not.
    static var trailerSize: Int { 8 * 1024 }
    /// Fields of a trailer section: as many as a request's head may have.
    static var trailerFieldCount: Int { 100 }
}
