// Text with run-time variables in it, parsed once when the configuration is read.

/// Pieces that are written one after the other.
package struct Template: Sendable, Equatable, Hashable {
    package enum Piece: Sendable, Equatable, Hashable {
        case text([UInt8])
        case variable(Variable)
    }
    package var pieces: [Piece]

    package init(_ pieces: [Piece]) { self.pieces = pieces }
    package init(text: String) { pieces = text.isEmpty ? [] : [.text(Array(text.utf8))] }
}

/// What may stand behind `$`: nginx's names, and ours for tokens.
package enum Variable: Sendable, Equatable, Hashable {
    // of the request
    case host, httpHost, requestMethod, request, requestURI, uri, args, isArgs, scheme, serverProtocol, requestID
    case requestLength, contentLength, contentType
    /// `$http_NAME`: a request field, its name in lower case with `-` for `_`.
    case requestField([UInt8])
    /// `$cookie_NAME`
    case cookie([UInt8])
    /// A named group of the location's regular expression, for access rules.
    case capture(String)
    // of the connection
    case remoteAddress, remotePort, serverAddress, serverPort, serverName, connection, connectionRequests
    case tlsProtocol, tlsCipher, tlsServerName, tlsReused
    case tlsClientSubject, tlsClientIssuer, tlsClientSerial, tlsClientVerify
    // of the answer
    case status, bytesSent, bodyBytesSent, requestTime
    /// `$sent_http_NAME` and `$upstream_http_NAME` are not offered.
    case upstreamAddress, upstreamStatus, upstreamResponseTime, upstreamConnectTime, proxyHost
    // of the clock
    case timeISO8601, timeLocal, milliseconds
    // of the identity
    case authSubject, authPermissions, authProvider, authResult, authReason, authCache
    /// `$jwt_claim_NAME`: a claim at the top of the payload.
    case claim(ClaimPath)
    // of the process
    case hostname, processID
}
