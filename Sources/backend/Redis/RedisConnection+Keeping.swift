// Whether a server keeps what it acknowledges, as far as it lets itself be asked.

extension RedisConnection {
    private static let wanted = ["appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"]

    /// Its settings that may lose or forget something, in words; none when it does not tell us.
    func weaknesses() async -> [String] {
        let names = Self.wanted.keys.sorted()
        let question = RedisCommand(["CONFIG", "GET"] + names.map(RedisCommand.Word.text))
        guard let answer = try? await send(question), let parts = try? answer.elements() else { return [] }
        let found = stride(from: 0, to: parts.count - 1, by: 2).compactMap { index -> String? in
            guard let name = parts[index].text, let value = parts[index + 1].text, let wanted = Self.wanted[name],
                value != wanted
            else { return nil }
            return "\(name) is \(value) and not \(wanted)"
        }
        return found.sorted()
    }
}
