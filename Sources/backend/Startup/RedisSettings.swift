// The settings of Redis, which several backends share: none of them matters without `redis`.

struct RedisSettings: Sendable {
    let address: RedisAddress
    /// Nil: the password stands in the address, or there is none.
    let passwordFile: String?
    /// Whose certificates are believed; nil: the system's.
    let certificates: String?
    /// Nil: the host of the address.
    let serverName: String?
    /// What all names of keys begin with.
    let prefix: String
    /// Where revocations are published for gateways; nil: nowhere.
    let channel: String?
    let timeout: Lifetime

    static let defaults: [String: String] = [
        "redis": "none",
        "redis_password_file": "none",
        "redis_ca": "system",
        "redis_server_name": "host",
        "redis_prefix": "backend",
        "redis_channel": "revocations",
        "redis_timeout": "2s",
    ]

    /// Nil: everything stays in the database.
    init?(_ reader: SettingsReader) throws(StartupFailure) {
        let text = try reader.text("redis")
        guard text != "none" else { return nil }
        guard let address = RedisAddress(text) else {
            // It may hold a password.
            throw StartupFailure(
                "the setting redis must be redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE], rediss://… or none")
        }
        self.address = address
        passwordFile = try reader.text("redis_password_file", unless: "none")
        guard passwordFile == nil || address.password == nil else {
            throw StartupFailure("give the password of Redis either in redis or in redis_password_file, not in both")
        }
        guard address.user == nil || address.password != nil || passwordFile != nil else {
            throw StartupFailure("the setting redis has a user without a password")
        }
        certificates = try reader.text("redis_ca", unless: "system")
        serverName = try reader.text("redis_server_name", unless: "host")
        prefix = try reader.value("redis_prefix", "1 to 64 letters, digits or any of -_.:", Self.name)
        channel =
            try reader.text("redis_channel") == "none"
            ? nil : try reader.value("redis_channel", "1 to 256 letters, digits or any of -_.:", Self.channelName)
        timeout = try reader.lifetime("redis_timeout", secondsFrom: 1)
    }

    private static func name(_ text: String) -> String? { isName(text, upTo: 64) ? text : nil }
    private static func channelName(_ text: String) -> String? { isName(text, upTo: 256) ? text : nil }
    private static func isName(_ text: String, upTo length: Int) -> Bool {
        (1...length).contains(text.utf8.count)
            && text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "-_.:".contains($0)) }
    }
}
