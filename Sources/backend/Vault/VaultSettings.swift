// How the vault is found, asked and trusted; absent where keys are in files.
import Foundation

struct VaultSettings: Sendable {
    /// How we show who we are.
    enum Login: Sendable {
        /// A file with a token, such as an agent of the vault keeps.
        case token(file: String)
        case appRole(mount: String, role: String, secretFile: String)
    }

    let address: VaultAddress
    let namespace: String?
    /// Where the KV engine (version 2) is, and the path of the secret in it.
    let mount: String
    let path: String
    let login: Login
    /// A PEM file of authorities that are trusted instead of the system's.
    let authorities: String?
    /// For each request.
    let timeout: Lifetime
    /// How often the secret is read.
    let refresh: Lifetime
    /// How long a key signs after the vault last gave it.
    let keyMaxAge: Lifetime

    /// The longest `keyMaxAge`.
    private static let dayLong = 86400

    static let defaults: [String: String] = [
        "vault_address": "", "vault_namespace": "", "vault_mount": "secret", "vault_path": "gateway/signing",
        "vault_token_file": "", "vault_approle_mount": "approle", "vault_role_id": "", "vault_secret_id_file": "",
        "vault_ca": "", "vault_timeout": "5s", "vault_refresh": "60s", "vault_key_max_age": "24h",
    ]

    /// Nil where no address is given.
    init?(_ reader: SettingsReader) throws(StartupFailure) {
        guard
            let address = try reader.optional(
                "vault_address", "https://HOST:PORT, or http to this machine", VaultAddress.init)
        else { return nil }
        self.address = address
        namespace = try reader.optional("vault_namespace", Self.pathWanted, Self.path)
        mount = try reader.value("vault_mount", Self.pathWanted, Self.path)
        path = try reader.value("vault_path", Self.pathWanted, Self.path)
        authorities = try reader.optional("vault_ca", "a file") { $0 }
        timeout = try reader.lifetime("vault_timeout", secondsFrom: 1)
        refresh = try reader.lifetime("vault_refresh", secondsFrom: 1)
        keyMaxAge = try reader.value("vault_key_max_age", "a time from 1s to 24h") { text in
            Lifetime(text).flatMap { 1...Self.dayLong ~= $0.seconds ? $0 : nil }
        }
        login = try Self.login(reader)
    }

    private static func login(_ reader: SettingsReader) throws(StartupFailure) -> Login {
        let token = try reader.optional("vault_token_file", "a file") { $0 }
        let role = try reader.optional("vault_role_id", "the id of a role") { $0 }
        let secret = try reader.optional("vault_secret_id_file", "a file") { $0 }
        let mount = try reader.value("vault_approle_mount", pathWanted, path)
        switch (token, role, secret) {
        case (let token?, nil, nil): return .token(file: token)
        case (nil, let role?, let secret?): return .appRole(mount: mount, role: role, secretFile: secret)
        default:
            throw StartupFailure(
                "the vault needs either the setting vault_token_file or vault_role_id with vault_secret_id_file")
        }
    }

    private static let pathWanted = "a path of letters, digits and . _ -, as in team/gateway"

    /// The path, when it stands in an address as it is.
    private static func path(_ text: String) -> String? {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        let plain = parts.allSatisfy { part in
            !part.isEmpty && part != "." && part != ".."
                && part.utf8.allSatisfy { byte in
                    (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
                        || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                        || [UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-")].contains(byte)
                }
        }
        return plain ? text : nil
    }
}
