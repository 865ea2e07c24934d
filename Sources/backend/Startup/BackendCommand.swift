// The command line of the backend: every setting as a flag, then wiring and run.
import ArgumentParser
import Foundation

@main
struct BackendCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backend",
        abstract: "The auth service and the resource service behind the gateway.",
        discussion: """
            Every setting is a flag, an environment variable (BACKEND_AUTH_LISTEN for --auth-listen) or a member of the \
            JSON file of --config ("auth_listen"); the first of these that names it wins.
            """,
        subcommands: [KeysCommand.self, UserCommand.self, BackupCommand.self])

    @Option(help: "A JSON file with settings.") var config: String?
    @Option(help: "HOST:PORT of the auth service (127.0.0.1:5000).") var authListen: String?
    @Option(help: "HOST:PORT of the resource service (127.0.0.1:5001).") var resourceListen: String?
    @Option(help: "The SQLite file (run/backend.sqlite).") var database: String?
    @Option(help: "The PEM of the signing key, mode 0600 (keys/private_key.pem).") var privateKey: String?
    @Option(help: "The PEM of its public half (keys/public_key.pem).") var publicKey: String?
    @Option(name: .customLong("hs256-secrets"), help: "Secrets, mode 0600, that sign HS256 tokens instead (none).")
    var hs256Secrets: String?
    @OptionGroup(title: "Keys in a vault") var vault: VaultOptions
    @Option(help: "The age at which the signing key is rotated, 0s: only by command (0s).") var keyRotation: String?
    @Option(help: "How long others may keep the key set; the next key is published for so long (300s).")
    var keySetMaxAge: String?
    @Option(help: "The users (keys/secrets.json).") var secrets: String?
    @Option(help: "The permissions of each role (keys/permissions.json).") var permissions: String?
    @Option(help: "The iss of tokens (https://localhost:8443).") var issuer: String?
    @Option(help: "The aud of tokens (gateway-demo).") var audience: String?
    @Option(help: "Where clients reach the auth service, as in https://example.com (that of the issuer).")
    var publicOrigin: String?
    @Option(name: .customLong("client-id"), help: "The client_id of tokens (web).") var clientID: String?
    @Option(help: "How long an access token lives (10m).") var accessTokenLifetime: String?
    @Option(help: "How long a session lives (30d).") var refreshTokenLifetime: String?
    @Option(help: "How long an unused refresh token lives (7d).") var refreshTokenIdle: String?
    @Option(help: "How long a spent refresh token still gets its successor (10s).") var refreshGrace: String?
    @Option(help: "What a refresh token is for its client, opaque or jwt (opaque).") var refreshTokenFormat: String?
    @Option(help: "Secrets, mode 0600, that sign refresh tokens of the format jwt (none).")
    var refreshTokenSecrets: String?
    @Option(help: "Secrets, mode 0600, that passwords are hashed with besides their salt, or vault (none).")
    var passwordPeppers: String?
    @Option(help: "Proxies whose X-Forwarded fields are believed, or none (127.0.0.1, ::1).")
    var trustedProxies: String?
    @Option(help: "Logins a second that one address may ask for (10).") var loginRate: String?
    @Option(help: "PEMs of the gateway's identity keys, or none: its tokens are not asked for (none).")
    var gatewayKeys: String?
    @Option(help: "The iss of the gateway's identity tokens (gateway).") var gatewayIssuer: String?
    @Option(help: "Their aud (resources).") var gatewayAudience: String?
    @Option(help: "The Redis that several backends share, redis://HOST or rediss://HOST; none: the database (none).")
    var redis: String?
    @Option(help: "A file with the password of Redis, mode 0600 (none).") var redisPasswordFile: String?
    @Option(name: .customLong("redis-ca"), help: "The PEM of the authority of Redis' certificate (system).")
    var redisCA: String?
    @Option(help: "The name in Redis' certificate (host: the host of --redis).") var redisServerName: String?
    @Option(help: "What the names of our keys in Redis begin with (backend).") var redisPrefix: String?
    @Option(help: "The channel on which revocations are published, or none (revocations).") var redisChannel: String?
    @Option(help: "How long Redis may take to answer (2s).") var redisTimeout: String?
    @Option(help: "trace, debug, info, notice, warning, error or critical (info).") var logLevel: String?

    private var flags: [String: String] {
        let flags: [String: String?] = [
            "auth_listen": authListen, "resource_listen": resourceListen, "database": database,
            "private_key": privateKey, "public_key": publicKey,
            "hs256_secrets": hs256Secrets, "key_rotation": keyRotation, "key_set_max_age": keySetMaxAge,
            "secrets": secrets, "permissions": permissions,
            "issuer": issuer, "audience": audience, "public_origin": publicOrigin, "client_id": clientID,
            "access_token_lifetime": accessTokenLifetime, "refresh_token_lifetime": refreshTokenLifetime,
            "refresh_token_idle": refreshTokenIdle, "refresh_grace": refreshGrace,
            "refresh_token_format": refreshTokenFormat, "refresh_token_secrets": refreshTokenSecrets,
            "password_peppers": passwordPeppers,
            "trusted_proxies": trustedProxies, "login_rate": loginRate, "gateway_keys": gatewayKeys,
            "gateway_issuer": gatewayIssuer, "gateway_audience": gatewayAudience, "redis": redis,
            "redis_password_file": redisPasswordFile, "redis_ca": redisCA, "redis_server_name": redisServerName,
            "redis_prefix": redisPrefix, "redis_channel": redisChannel, "redis_timeout": redisTimeout,
            "log_level": logLevel,
        ]
        return flags.merging(vault.flags) { ours, _ in ours }.compactMapValues { $0 }
    }

    /// What flags, environment, file and defaults say together.
    func settings() throws(StartupFailure) -> Settings {
        try Settings(flags: flags, file: config)
    }

    func run() async throws {
        // What this process writes (the database, its journal) is for its owner alone.
        umask(0o077)
        do {
            try await Backend(settings()).run()
        } catch let failure as StartupFailure {
            FileHandle.standardError.write(Data("backend: \(failure)\n".utf8))
            throw ExitCode.failure
        }
    }
}
