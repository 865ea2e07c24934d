// The settings of the vault as flags.
import ArgumentParser

struct VaultOptions: ParsableArguments {
    @Option(help: "A HashiCorp Vault or OpenBao that holds the signing keys, as in https://vault.example.com:8200.")
    var vaultAddress: String?
    @Option(help: "Its namespace.") var vaultNamespace: String?
    @Option(help: "The mount of its KV engine, version 2 (secret).") var vaultMount: String?
    @Option(help: "The path of the secret with the keys (gateway/signing).") var vaultPath: String?
    @Option(help: "A file with a token, mode 0600.") var vaultTokenFile: String?
    @Option(help: "The mount of AppRole (approle).") var vaultApproleMount: String?
    @Option(name: .customLong("vault-role-id"), help: "The role id of AppRole.") var vaultRoleID: String?
    @Option(name: .customLong("vault-secret-id-file"), help: "A file with the secret id of AppRole, mode 0600.")
    var vaultSecretIDFile: String?
    @Option(name: .customLong("vault-ca"), help: "A PEM file of authorities that are trusted instead of the system's.")
    var vaultAuthorities: String?
    @Option(help: "How long a request to the vault may take (5s).") var vaultTimeout: String?
    @Option(help: "How often the keys are read from the vault (60s).") var vaultRefresh: String?
    @Option(help: "How long they sign after the vault last gave them, 24h at most (24h).") var vaultKeyMaxAge: String?

    /// By the names of the settings.
    var flags: [String: String?] {
        [
            "vault_address": vaultAddress, "vault_namespace": vaultNamespace, "vault_mount": vaultMount,
            "vault_path": vaultPath, "vault_token_file": vaultTokenFile, "vault_approle_mount": vaultApproleMount,
            "vault_role_id": vaultRoleID, "vault_secret_id_file": vaultSecretIDFile, "vault_ca": vaultAuthorities,
            "vault_timeout": vaultTimeout, "vault_refresh": vaultRefresh, "vault_key_max_age": vaultKeyMaxAge,
        ]
    }
}
