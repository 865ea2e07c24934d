// The public documents about the auth service: its keys (RFC 7517) and its metadata (RFC 8414).
import Foundation
import HTTPTypes
import Hummingbird

struct MetadataRoutes: Sendable {
    let keys: KeyService
    /// Absent where neither the issuer nor a setting says at which origin we are.
    let metadata: ServerMetadata?
    /// A new key is known everywhere after it.
    let keySetMaxAge: Lifetime

    func add(to router: some RouterMethods<AuthCall>) {
        router.get("/.well-known/jwks.json") { _, _ in
            try Response.json(
                keys.publishedKeys,
                fields: [.contentType: "application/jwk-set+json", .cacheControl: cacheControl])
        }
        guard let metadata else { return }
        for path in Self.paths(of: metadata.issuer) {
            router.get(RouterPath(path)) { _, _ in
                try Response.json(metadata, fields: [.cacheControl: cacheControl])
            }
        }
    }

    private var cacheControl: String { "public, max-age=\(keySetMaxAge.seconds)" }

    /// The path of an issuer stands behind that of the document (RFC 8414 §3.1).
    private static func paths(of issuer: String) -> [String] {
        let document = "/.well-known/oauth-authorization-server"
        let path = URL(string: issuer)?.path ?? ""
        return path.isEmpty || path == "/" ? [document] : [document, document + path]
    }
}
