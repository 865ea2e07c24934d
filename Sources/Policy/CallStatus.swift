// The status codes of gRPC, for calls that the gateway answers itself.

enum CallStatus {
    /// The code that says what an HTTP status says. Where gRPC's own table for answers that are no gRPC has a coarser word
    /// (408, 413, 429, 431, 500, 504), the one is taken that its servers use for the same thing.
    static func of(_ status: Int) -> Int {
        switch status {
        case 400, 414, 417: 3  // INVALID_ARGUMENT
        case 408, 504: 4  // DEADLINE_EXCEEDED
        case 403: 7  // PERMISSION_DENIED
        case 413, 429, 431: 8  // RESOURCE_EXHAUSTED
        case 404, 405, 501, 505: 12  // UNIMPLEMENTED
        case 500: 13  // INTERNAL
        case 502, 503: 14  // UNAVAILABLE
        case 401: 16  // UNAUTHENTICATED
        default: 2  // UNKNOWN
        }
    }
}

extension LocalResponse {
    /// The trailers of a call that ends so after its answer began.
    package func callTrailers(showsCode: Bool) -> [UInt8] {
        let message = showsCode ? answer.code : StatusPhrase.of(answer.status)
        return Array("grpc-status: \(CallStatus.of(answer.status))\r\ngrpc-message: \(message)\r\n".utf8)
    }
}
