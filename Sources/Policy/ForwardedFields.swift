// The fields that tell an upstream whom a request really comes from, and its name.
package import Bytes

/// Which of them a location writes. A client's own copies are always removed: no peer is trusted to say who it is.
package struct ForwardedFields: Sendable, Equatable, BitwiseCopyable {
    private var writesFor = true, writesProto = true, writesHost = true, writesRequestID = true

    /// Lower-case names of what clients may not send on: what we write, and what frameworks believe in its place
    /// (a spoofed address, or a path other than the one that was authorized).
    package static let clientCopies = [
        "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-request-id", "forwarded", "x-real-ip",
        "x-forwarded-port", "x-forwarded-server", "x-forwarded-uri", "x-forwarded-prefix", "x-forwarded-ssl",
        "x-forwarded-scheme", "x-original-url", "x-original-uri", "x-original-host", "x-rewrite-url", "x-client-ip",
        "true-client-ip", "x-cluster-client-ip",
        "proxy",  // becomes HTTP_PROXY in a CGI program
    ]

    /// Leaves out the fields that the configuration sets itself.
    /// - Parameter names: of `proxy_set_header`, in any case.
    package init(replaced names: [String] = []) {
        for name in names {
            switch name.lowercased() {
            case "x-forwarded-for": writesFor = false
            case "x-forwarded-proto": writesProto = false
            case "x-forwarded-host": writesHost = false
            case "x-request-id": writesRequestID = false
            default: break
            }
        }
    }

    /// Appends whole field lines.
    /// - Parameter host: the effective authority, already validated; empty when an HTTP/1.0 request has none.
    package func append(
        client address: Span<UInt8>, isTLS: Bool, host: Span<UInt8>, id: RequestID, to out: inout ByteBuffer
    ) {
        if writesFor {
            out.append("X-Forwarded-For: ")
            out.append(address)
            out.append("\r\n")
        }
        if writesProto { out.append(isTLS ? "X-Forwarded-Proto: https\r\n" : "X-Forwarded-Proto: http\r\n") }
        if writesHost && !host.isEmpty {
            out.append("X-Forwarded-Host: ")
            out.append(host)
            out.append("\r\n")
        }
        if writesRequestID {
            out.append("X-Request-ID: ")
            id.append(to: &out)
            out.append("\r\n")
        }
    }
}
