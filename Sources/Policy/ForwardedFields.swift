// The fields that tell an upstream whom a request really comes from.

package enum ForwardedFields {
    /// Lower-case names of what clients may not send on: what the gateway writes itself (address, scheme, host and name of
    /// the request), and what frameworks believe in its place: a spoofed address, or a path that nobody authorized. What
    /// trusted proxies say in the first three is read (`ForwardedChain`) and written anew.
    package static let clientCopies = [
        "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-request-id", "forwarded", "x-real-ip",
        "x-forwarded-port", "x-forwarded-server", "x-forwarded-uri", "x-forwarded-prefix", "x-forwarded-ssl",
        "x-forwarded-scheme", "x-original-url", "x-original-uri", "x-original-host", "x-rewrite-url", "x-client-ip",
        "true-client-ip", "x-cluster-client-ip",
        "proxy",  // becomes HTTP_PROXY in a CGI program
    ]
}
