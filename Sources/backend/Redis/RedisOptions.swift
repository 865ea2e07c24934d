// How connections to Redis are opened, and its password and the certificates of TLS with them.
import Foundation
import NIOCore
import NIOSSL

struct RedisOptions: Sendable {
    let address: RedisAddress
    /// Nil without TLS.
    let tls: NIOSSLContext?
    /// The name in the server's certificate; nil: it is the address of an IP.
    let serverName: String?
    /// For a connection, and for each answer.
    let timeout: TimeAmount
    private let passwordFile: String?

    /// Reads the files once, so that a wrong one is told at the start.
    init(_ settings: RedisSettings) throws(StartupFailure) {
        address = settings.address
        timeout = .seconds(Int64(settings.timeout.seconds))
        passwordFile = settings.passwordFile
        if settings.address.isTLS {
            let name = settings.serverName ?? settings.address.host
            serverName = Self.isIP(name) ? nil : name
            tls = try Self.context(settings.certificates)
        } else {
            serverName = nil
            tls = nil
        }
        _ = try password()
    }

    /// Read anew for each connection, so that it can be changed while we run.
    func password() throws(StartupFailure) -> String? {
        guard let passwordFile else { return address.password }
        try FileReading.requirePrivate(passwordFile)
        let text = String(decoding: try FileReading.bytes(of: passwordFile), as: UTF8.self)
        // Editors end the line; a password with blanks at its ends has no friends.
        let password = text.trimmingCharacters(in: .whitespacesAndNewlines)
        guard !password.isEmpty else { throw StartupFailure("\(passwordFile): the password of Redis is empty") }
        return password
    }

    private static func context(_ certificates: String?) throws(StartupFailure) -> NIOSSLContext {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv12
        if let certificates {
            _ = try FileReading.bytes(of: certificates)
            configuration.trustRoots = .file(certificates)
        }
        do {
            return try NIOSSLContext(configuration: configuration)
        } catch {
            throw StartupFailure("\(certificates ?? "the system's certificates"): TLS cannot use them: \(error)")
        }
    }

    private static func isIP(_ name: String) -> Bool { (try? SocketAddress(ipAddress: name, port: 0)) != nil }
}
