// Asks a HashiCorp Vault or OpenBao for one secret, by its HTTP API: logs in, keeps its token alive, reads and writes.
import Foundation
import Logging
import NIOHTTP1

actor VaultClient {
    private let connection: VaultConnection
    private let settings: VaultSettings
    private let logger: Logger
    private var lease: VaultLease?

    init(_ settings: VaultSettings, logger: Logger) throws(StartupFailure) {
        connection = try VaultConnection(
            to: settings.address, authorities: settings.authorities, timeout: settings.timeout)
        self.settings = settings
        self.logger = logger
    }

    /// When the token must be renewed: a read after it does so.
    var renewAt: ContinuousClock.Instant? { lease?.renewAt }

    /// The secret in its newest version, or in an older one.
    func secret(version: Int? = nil) async throws(VaultFailure) -> VaultSecret {
        let query = version.map { "?version=\($0)" } ?? ""
        let answer = try await authorized(.init(path: "/v1/\(settings.mount)/data/\(settings.path)\(query)"))
        return try VaultSecret(answer)
    }

    /// Writes the next version after `version`, unless another has done so.
    func write(_ members: [String: String], after version: Int) async throws(VaultFailure) {
        struct Write: Encodable {
            let options: [String: Int]
            let data: [String: String]
        }
        let body = try Self.json(Write(options: ["cas": version], data: members))
        _ = try await authorized(
            .init(method: .POST, path: "/v1/\(settings.mount)/data/\(settings.path)", body: body))
    }

    // MARK: requests

    /// With a token. One that the vault does not believe any more is replaced by a new login, once.
    private func authorized(_ request: VaultConnection.Request) async throws(VaultFailure) -> [UInt8] {
        let token = try await token()
        do throws(VaultFailure) {
            return try await ask(request, token: token)
        } catch {
            guard case .denied = error, case .appRole = settings.login, lease?.token == token else { throw error }
            lease = nil
            return try await ask(request, token: try await self.token())
        }
    }

    private func ask(_ request: VaultConnection.Request, token: String?) async throws(VaultFailure) -> [UInt8] {
        var request = request
        // Vault itself can be told to refuse requests without it: other sites' forms cannot send it.
        request.fields.append(("X-Vault-Request", "true"))
        if let namespace = settings.namespace { request.fields.append(("X-Vault-Namespace", namespace)) }
        if let token { request.fields.append(("X-Vault-Token", token)) }
        let answer = try await connection.answer(to: request)
        let what = "\(request.method.rawValue) \(request.path)"
        switch answer.status {
        case 200, 204: return answer.body
        case 400 where String(decoding: answer.body, as: UTF8.self).contains("check-and-set"): throw .overtaken
        // A wrong role or secret id is answered with 400.
        case 400 where token == nil, 401, 403: throw .denied(what)
        case 404: throw .missing(what)
        case 503: throw .sealed
        default: throw .status(answer.status, what)
        }
    }

    // MARK: the token

    private func token() async throws(VaultFailure) -> String {
        switch settings.login {
        case .token(let file):
            // An agent that keeps the file writes a new token when the old one ends.
            let token = try Self.line(of: file)
            if lease?.token != token { lease = try await lookedUp(token) }
            if let due = lease, due.isDue(at: .now) { lease = try await renewed(due) ?? due.withoutRenewal }
            return token
        case .appRole(let mount, let role, let file):
            if let due = lease, due.isDue(at: .now) {
                lease = try await renewed(due).flatMap { $0.nearsItsEnd ? nil : $0 }
            }
            if let lease { return lease.token }
            let new = try await login(mount: mount, role: role, secret: Self.line(of: file))
            lease = new
            return new.token
        }
    }

    /// How long a token lives that we did not get ourselves. One that may not ask is used as it is.
    private func lookedUp(_ token: String) async throws(VaultFailure) -> VaultLease {
        do throws(VaultFailure) {
            let answer = VaultObject(try await ask(.init(path: "/v1/auth/token/lookup-self"), token: token))
            let told = answer?.object("data")
            return VaultLease(
                token: token, seconds: told?.whole("ttl") ?? 0, isRenewable: told?.flag("renewable") ?? false)
        } catch {
            guard case .denied = error else { throw error }
            return VaultLease(token: token, seconds: 0, isRenewable: false)
        }
    }

    /// Nil when the vault does not renew it.
    private func renewed(_ due: VaultLease) async throws(VaultFailure) -> VaultLease? {
        guard due.isRenewable else { return nil }
        do throws(VaultFailure) {
            let answer = try await ask(
                .init(method: .POST, path: "/v1/auth/token/renew-self", body: Array("{}".utf8)), token: due.token)
            return VaultLease(answer, renewing: due)
        } catch {
            switch error {
            case .denied, .status(400, _): return nil
            default: throw error
            }
        }
    }

    private func login(mount: String, role: String, secret: String) async throws(VaultFailure) -> VaultLease {
        let body = try Self.json(["role_id": role, "secret_id": secret])
        let answer = try await ask(
            .init(method: .POST, path: "/v1/auth/\(mount)/login", body: body), token: nil)
        guard let lease = VaultLease(answer) else { throw .unusable("the answer to the login has no token") }
        logger.info("logged in at the vault", metadata: ["lease_seconds": "\(lease.seconds)"])
        return lease
    }

    private static func line(of file: String) throws(VaultFailure) -> String {
        do throws(StartupFailure) {
            try FileReading.requirePrivate(file)
            let text = String(decoding: try FileReading.bytes(of: file), as: UTF8.self)
                .trimmingCharacters(in: .whitespacesAndNewlines)
            guard VaultLease.isPlain(text) else { throw StartupFailure("\(file): this is not one line of ASCII") }
            return text
        } catch {
            throw .credentials("\(error)")
        }
    }

    private static func json(_ value: some Encodable) throws(VaultFailure) -> [UInt8] {
        do {
            return [UInt8](try JSONEncoder().encode(value))
        } catch {
            throw .unusable("a request cannot be written: \(error)")
        }
    }
}
