// The web app: its files are compiled into the program, so that there is nothing beside it to lose or to mix up.
import CWebApp
import Crypto
import Foundation
import HTTPTypes
import Hummingbird
import NIOCore

struct WebAppRoutes: Sendable {
    /// One file as it is answered.
    private struct File: Sendable {
        let type: String
        let body: ByteBuffer
        let entityTag: String

        init(_ bytes: [UInt8], type: String) {
            self.type = type
            body = ByteBuffer(bytes: bytes)
            entityTag = "\"\(WebAppRoutes.digest(of: bytes))\""
        }
    }

    /// What every file is answered with. Nothing inline, nothing from elsewhere, no text that becomes a script, and no
    /// other site may frame the page or look into its window.
    private static let fields: HTTPFields = {
        var fields: HTTPFields = [
            .xContentTypeOptions: "nosniff",
            // Kept, but asked about each time: the files fit together only as one version.
            .cacheControl: "no-cache",
            .contentSecurityPolicy: """
            default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
            manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; \
            require-trusted-types-for 'script'; trusted-types worker
            """,
        ]
        for (name, value) in [
            ("Referrer-Policy", "no-referrer"), ("Cross-Origin-Opener-Policy", "same-origin"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
            ("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
        ] {
            if let name = HTTPField.Name(name) { fields[name] = value }
        }
        return fields
    }()

    private static let script = "text/javascript; charset=utf-8"

    private static let shell: [String: (bytes: [UInt8], type: String)] = [
        "/": (bytes(of: "index.html"), "text/html; charset=utf-8"),
        "/manifest.webmanifest": (bytes(of: "manifest.webmanifest"), "application/manifest+json"),
        "/app/app.css": (bytes(of: "app.css"), "text/css; charset=utf-8"),
        "/app/account.js": (bytes(of: "account.js"), script),
        "/app/administration.js": (bytes(of: "administration.js"), script),
        "/app/app.js": (bytes(of: "app.js"), script),
        "/app/elements.js": (bytes(of: "elements.js"), script),
        "/app/roles.js": (bytes(of: "roles.js"), script),
        "/app/session.js": (bytes(of: "session.js"), script),
        "/app/users.js": (bytes(of: "users.js"), script),
        "/app/icon.svg": (bytes(of: "icon.svg"), "image/svg+xml"),
        "/app/icon-192.png": (bytes(of: "icon-192.png"), "image/png"),
        "/app/icon-512.png": (bytes(of: "icon-512.png"), "image/png"),
        "/app/icon-maskable.png": (bytes(of: "icon-maskable.png"), "image/png"),
    ]

    /// Browsers that were here once ask by https only, for a year (RFC 6797).
    private static let transportSecurity = HTTPField.Name("Strict-Transport-Security").map {
        HTTPField(name: $0, value: "max-age=31536000")
    }

    private let files: [String: File]
    private let client: ForwardedClient
    /// The pages have an address of their own. The name of one's own machine, which all that runs there shares, is none.
    private let hasOwnHost: Bool

    init(origin: PublicOrigin?, client: ForwardedClient) {
        self.client = client
        let host = origin.flatMap { URLComponents(string: $0.description)?.host } ?? "localhost"
        hasOwnHost = host != "localhost" && !host.hasSuffix(".localhost") && !ForwardedClient.isLoopback(host)
        var files = Self.shell.mapValues { File($0.bytes, type: $0.type) }
        // A browser installs the worker, and with it the shell, anew when its bytes differ.
        let tags = files.sorted { $0.key < $1.key }.map { $0.key + $0.value.entityTag }.joined()
        let worker = String(decoding: Self.bytes(of: "service-worker.js"), as: UTF8.self)
            .replacingOccurrences(of: "@version@", with: Self.digest(of: Array(tags.utf8)))
        files["/service-worker.js"] = File(Array(worker.utf8), type: Self.script)
        self.files = files
    }

    func add(to router: some RouterMethods<AuthCall>) {
        for (path, file) in files {
            router.get(RouterPath(path)) { request, context in
                var answer = Self.answer(file, to: request)
                let isSecure = client.isSecure(in: request.headers, peer: context.peerAddress)
                if hasOwnHost, isSecure, let field = Self.transportSecurity { answer.headers.append(field) }
                return answer
            }
        }
    }

    private static func bytes(of file: String) -> [UInt8] {
        var count = 0
        guard let start = unsafe web_app_file(file, &count) else { preconditionFailure("\(file) was compiled in") }
        return unsafe Array(UnsafeBufferPointer(start: start, count: count))
    }

    private static func digest(of bytes: [UInt8]) -> String {
        SHA256.hash(data: bytes).prefix(16).map { String(format: "%02x", $0) }.joined()
    }

    private static func answer(_ file: File, to request: Request) -> Response {
        var fields = fields
        fields[.contentType] = file.type
        fields[.eTag] = file.entityTag
        let known = request.headers[values: .ifNoneMatch].flatMap { $0.split(separator: ",") }.map {
            $0.trimmingCharacters(in: .whitespaces)
        }
        if known.contains(where: { $0 == "*" || $0 == file.entityTag || $0 == "W/" + file.entityTag }) {
            return Response(status: .notModified, headers: fields)
        }
        return Response(status: .ok, headers: fields, body: ResponseBody(byteBuffer: file.body))
    }
}
