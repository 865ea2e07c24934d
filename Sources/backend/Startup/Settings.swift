// The effective configuration: flags, then BACKEND_… variables, then the file of --config, then the defaults.
import Configuration
import Foundation
import Logging

struct Settings: Sendable {
    let authListen: ListenAddress
    let resourceListen: ListenAddress
    let database: String
    let privateKey: String
    let publicKey: String
    /// Files of secrets that sign HS256 tokens instead of the key above: the first signs, the others still verify.
    let hs256Secrets: [String]
    /// Holds the keys instead of files.
    let vault: VaultSettings?
    /// The age at which the signing key is replaced; zero: only by command.
    let keyRotation: Lifetime
    /// How long others may keep the key set, and so how long a key is published before it signs.
    let keySetMaxAge: Lifetime
    let secrets: String
    let permissions: String
    /// The `iss` of every token, compared exactly by whoever verifies.
    let issuer: String
    let audience: String
    /// Where clients reach the auth service, and the only origin whose pages may use it; absent when the issuer is no address and nothing else is said.
    let publicOrigin: PublicOrigin?
    /// The `client_id` of tokens that the login form hands out (RFC 9068 §2.2 requires one).
    let clientID: String
    let accessTokenLifetime: Lifetime
    let refreshTokenLifetime: Lifetime
    let refreshTokenIdle: Lifetime
    let refreshGrace: Lifetime
    let refreshTokenFormat: RefreshTokenFormat.Name
    /// Files of secrets that sign refresh tokens which are JWTs: the first signs, the others still verify.
    let refreshTokenSecrets: [String]
    /// What passwords are hashed with besides their salt.
    let passwordPeppers: PepperSource
    /// Whose X-Forwarded fields are believed.
    let trustedProxies: ForwardedClient
    /// Logins a second from one address, ten seconds' worth of them at once.
    let loginRate: Int
    /// Files of the keys with which the gateway signs its identity tokens; none: such tokens are not asked for.
    let gatewayKeys: [String]
    let gatewayIssuer: String
    let gatewayAudience: String
    /// Nil: sessions are in the database.
    let redis: RedisSettings?
    let logLevel: Logger.Level

    /// Every setting by its name in the file, with its default; `--auth-listen` and `BACKEND_AUTH_LISTEN` are made of it.
    static let defaults: [String: String] = [
        "auth_listen": "127.0.0.1:5000",
        "resource_listen": "127.0.0.1:5001",
        "database": "run/backend.sqlite",
        "private_key": "keys/private_key.pem",
        "public_key": "keys/public_key.pem",
        "hs256_secrets": "none",
        "key_rotation": "0s",
        "key_set_max_age": "300s",
        "secrets": "keys/secrets.json",
        "permissions": "keys/permissions.json",
        "issuer": "https://localhost:8443",
        "audience": "gateway-demo",
        "public_origin": "",
        "client_id": "web",
        "access_token_lifetime": "10m",
        "refresh_token_lifetime": "30d",
        "refresh_token_idle": "7d",
        "refresh_grace": "10s",
        "refresh_token_format": "opaque",
        "refresh_token_secrets": "none",
        "password_peppers": "none",
        "trusted_proxies": "127.0.0.1, ::1",
        "login_rate": "10",
        "gateway_keys": "none",
        "gateway_issuer": "gateway",
        "gateway_audience": "resources",
        "log_level": "info",
    ].merging(VaultSettings.defaults) { ours, _ in ours }.merging(RedisSettings.defaults) { ours, _ in ours }

    /// `flags` holds the settings given on the command line, by the same names.
    init(flags: [String: String], file path: String?) throws(StartupFailure) {
        let reader = SettingsReader(flags: flags, file: try path.map(SettingsFile.read) ?? [:])
        authListen = try reader.value("auth_listen", "a host and a port, as in 127.0.0.1:5000", ListenAddress.init)
        resourceListen = try reader.value("resource_listen", "a host and a port", ListenAddress.init)
        database = try reader.text("database")
        privateKey = try reader.text("private_key")
        publicKey = try reader.text("public_key")
        hs256Secrets = try reader.value("hs256_secrets", "files, as in a.txt, b.txt, or none", Self.paths)
        vault = try VaultSettings(reader)
        guard vault == nil || hs256Secrets.isEmpty else {
            throw StartupFailure("the keys come from the vault or from hs256_secrets, not from both")
        }
        keyRotation = try reader.lifetime("key_rotation", secondsFrom: 0)
        keySetMaxAge = try reader.lifetime("key_set_max_age", secondsFrom: 1)
        secrets = try reader.text("secrets")
        permissions = try reader.text("permissions")
        issuer = try reader.text("issuer")
        audience = try reader.text("audience")
        publicOrigin =
            try reader.optional(
                "public_origin", "a scheme, a host and a port unless it is the usual one, as in https://example.com"
            ) { PublicOrigin($0) } ?? PublicOrigin(of: issuer)
        clientID = try reader.text("client_id")
        accessTokenLifetime = try reader.lifetime("access_token_lifetime", secondsFrom: 1)
        refreshTokenLifetime = try reader.lifetime("refresh_token_lifetime", secondsFrom: 1)
        refreshTokenIdle = try reader.lifetime("refresh_token_idle", secondsFrom: 1)
        refreshGrace = try reader.lifetime("refresh_grace", secondsFrom: 0)
        refreshTokenFormat = try reader.value(
            "refresh_token_format", "opaque or jwt", RefreshTokenFormat.Name.init(rawValue:))
        refreshTokenSecrets = try reader.value(
            "refresh_token_secrets", "files, as in a.txt, b.txt, or none", Self.paths)
        passwordPeppers = try reader.value(
            "password_peppers", "files, as in a.txt, b.txt, or vault, or none", PepperSource.init)
        guard !passwordPeppers.isVault || vault != nil else {
            throw StartupFailure("password_peppers vault needs a vault: the setting vault_address")
        }
        trustedProxies = try reader.value(
            "trusted_proxies", "addresses, as in 127.0.0.1, ::1, or none", ForwardedClient.init)
        loginRate = try reader.value("login_rate", "a number from 1 to 100000") { text in
            Int(text).flatMap { 1...100_000 ~= $0 ? $0 : nil }
        }
        gatewayKeys = try reader.value("gateway_keys", "paths, as in keys/identity/public_key.pem, or none", Self.paths)
        gatewayIssuer = try reader.text("gateway_issuer")
        gatewayAudience = try reader.text("gateway_audience")
        redis = try RedisSettings(reader)
        let levels = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
        logLevel = try reader.value("log_level", "one of \(levels)", Logger.Level.init(rawValue:))
    }

    /// A list as in `one.pem, two.pem`, or `none`; nil when an element is empty.
    static func paths(_ text: String) -> [String]? {
        if text == "none" { return [] }
        let paths = text.split(separator: ",", omittingEmptySubsequences: false)
            .map { $0.trimmingCharacters(in: .whitespaces) }
        return paths.contains("") ? nil : paths
    }
}

/// Looks a setting up in flags, environment, file and defaults, in this order.
struct SettingsReader {
    private let reader: ConfigReader

    init(flags: [String: String], file: [String: String]) {
        reader = ConfigReader(providers: [
            Self.provider("flags", flags), EnvironmentVariablesProvider(), Self.provider("file", file),
            Self.provider("defaults", Settings.defaults),
        ]).scoped(to: "backend")
    }

    private static func provider(_ name: String, _ values: [String: String]) -> InMemoryProvider {
        let pairs = values.map { name, value in
            (AbsoluteConfigKey(["backend", name]), ConfigValue(.string(value), isSecret: false))
        }
        return InMemoryProvider(name: name, values: Dictionary(uniqueKeysWithValues: pairs))
    }

    func text(_ name: String) throws(StartupFailure) -> String {
        guard let text = reader.string(forKey: ConfigKey([name])), !text.isEmpty else {
            throw StartupFailure("the setting \(name) must not be empty")
        }
        return text
    }

    /// Nil for a setting that is empty.
    func optional<Value>(
        _ name: String, _ wanted: String, _ parse: (String) -> Value?
    ) throws(StartupFailure) -> Value? {
        guard let text = reader.string(forKey: ConfigKey([name])), !text.isEmpty else { return nil }
        return try value(name, wanted, parse)
    }

    /// Nil for the word that stands for "nothing of this".
    func text(_ name: String, unless word: String) throws(StartupFailure) -> String? {
        let text = try text(name)
        return text == word ? nil : text
    }

    func value<Value>(_ name: String, _ wanted: String, _ parse: (String) -> Value?) throws(StartupFailure) -> Value {
        let text = try text(name)
        guard let value = parse(text) else {
            throw StartupFailure("the setting \(name) must be \(wanted), not \"\(text)\"")
        }
        return value
    }

    func lifetime(_ name: String, secondsFrom least: Int) throws(StartupFailure) -> Lifetime {
        let wanted = "a time of at least \(least)s, as in 90s, 10m, 12h or 30d"
        return try value(name, wanted) { text in Lifetime(text).flatMap { $0.seconds >= least ? $0 : nil } }
    }
}
