// Why a message was refused: one case for each distinct reason, with the status it deserves.

/// A message that cannot be understood, or that others could understand in another way.
package enum MessageError: UInt8, Error, CaseIterable, Sendable {
    // the request line
    case requestLine, emptyLine, methodTooLong, target, versionUnsupported, requestLineTooLong
    /// Of an extended CONNECT.
    case tunnelProtocol
    // the status line
    case statusLine
    // field lines
    case lineEnd, fieldName, fieldValue, foldedLine, fieldTooLong, headTooLarge, tooManyFields, tooManyOptions
    // what the fields say about the message
    case host, contentLength, contentLengthAndTransferEncoding, transferEncoding, transferCoding, expectation
    // the body
    case chunkSize, chunkExtension, chunkOverhead, chunkEnd, trailer, trailerTooLarge, cutShort
}

extension MessageError {
    /// The status for the sender of a request; an upstream's message that fails is a 502 to the client, whatever this says.
    package var status: Int {
        switch self {
        case .methodTooLong, .tunnelProtocol, .transferCoding: 501
        case .versionUnsupported: 505
        case .requestLineTooLong: 414
        case .fieldTooLong, .headTooLarge, .tooManyFields, .trailerTooLarge: 431
        case .expectation: 417
        default: 400
        }
    }

    /// The machine code that answer, log and metric share.
    package var code: StaticString {
        switch self {
        case .requestLine, .emptyLine, .statusLine: "request_line"
        case .methodTooLong: "method_unsupported"
        case .tunnelProtocol: "upgrade_unsupported"
        case .target: "target_invalid"
        case .versionUnsupported: "version_unsupported"
        case .requestLineTooLong: "uri_too_long"
        case .lineEnd, .fieldName, .fieldValue, .foldedLine, .tooManyOptions: "header_invalid"
        case .fieldTooLong, .headTooLarge, .tooManyFields, .trailerTooLarge: "header_too_large"
        case .host: "host_invalid"
        case .contentLength: "content_length"
        case .contentLengthAndTransferEncoding: "cl_and_te"
        case .transferEncoding: "transfer_encoding"
        case .transferCoding: "transfer_encoding_unsupported"
        case .expectation: "expectation_failed"
        case .chunkSize, .chunkExtension, .chunkOverhead, .chunkEnd, .trailer, .cutShort: "chunk_invalid"
        }
    }

    /// What exactly was wrong, for the error log; nothing of the message is in it.
    package var reason: StaticString {
        switch self {
        case .requestLine: "malformed request line"
        case .emptyLine: "more than one empty line before the request"
        case .methodTooLong: "method too long"
        case .tunnelProtocol: "protocol that cannot be tunnelled"
        case .target: "forbidden byte or form of the request target"
        case .versionUnsupported: "unsupported HTTP version"
        case .requestLineTooLong: "request line too long"
        case .statusLine: "malformed status line"
        case .lineEnd: "line that does not end in CR LF"
        case .fieldName: "malformed field name"
        case .fieldValue: "control character in a field value"
        case .foldedLine: "folded field line"
        case .fieldTooLong: "field line too long"
        case .headTooLarge: "head too large"
        case .tooManyFields: "too many fields"
        case .tooManyOptions: "too many connection options"
        case .host: "missing, repeated or malformed host"
        case .contentLength: "malformed or repeated Content-Length"
        case .contentLengthAndTransferEncoding: "Content-Length beside Transfer-Encoding"
        case .transferEncoding: "malformed or repeated Transfer-Encoding"
        case .transferCoding: "unsupported transfer coding"
        case .expectation: "unknown expectation"
        case .chunkSize: "malformed chunk size"
        case .chunkExtension: "malformed chunk extension"
        case .chunkOverhead: "too many bytes of chunk framing"
        case .chunkEnd: "chunk data not followed by CR LF"
        case .trailer: "malformed trailer"
        case .trailerTooLarge: "trailers too large"
        case .cutShort: "body cut short"
        }
    }
}
