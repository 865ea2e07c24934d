// Whether a certificate is for the name that we were told, which NIOSSL alone does not say: to it a certificate with the address
// of the server is as good as one with its name, and whoever can answer at an address can be given one for it.
import NIOCore
import NIOSSL

struct RedisServerName: Sendable {
    struct Mismatch: Error {}

    /// In small letters, without a dot at the end.
    private let labels: [Substring]

    init(_ name: String) {
        labels = Self.labels(of: name)
    }

    /// A handler that verifies the chain, and then that one of the certificate's names is this one.
    static func handler(_ tls: NIOSSLContext, name: String?) throws -> NIOSSLClientHandler {
        guard let name else { return try NIOSSLClientHandler(context: tls, serverHostname: nil) }
        let expected = RedisServerName(name)
        return try NIOSSLClientHandler._makeSSLClientHandler(context: tls, serverHostname: name) {
            certificate, channel in
            let names = certificate._subjectAlternativeNames().filter { $0.nameType == .dnsName }
                .map { String(decoding: $0.contents, as: UTF8.self) }
            return names.contains(where: expected.matches)
                ? channel.eventLoop.makeSucceededVoidFuture() : channel.eventLoop.makeFailedFuture(Mismatch())
        }
    }

    /// RFC 9525 section 6.3: letter by letter without regard to case, and a wildcard for the whole first label alone.
    func matches(_ presented: String) -> Bool {
        let presented = Self.labels(of: presented)
        guard presented.count == labels.count, presented.dropFirst() == labels.dropFirst() else { return false }
        return presented.first == labels.first || (presented.first == "*" && labels.count > 2)
    }

    private static func labels(of name: String) -> [Substring] {
        let name = name.lowercased()
        return (name.hasSuffix(".") ? name.dropLast() : name[...]).split(
            separator: ".", omittingEmptySubsequences: false)
    }
}
