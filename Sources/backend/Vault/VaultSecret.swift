// One version of a secret of a KV engine (version 2), as its API answers it.
import Foundation

struct VaultSecret: Sendable {
    let version: Int
    let created: Date
    let members: JSONNode

    /// Reads `{"data": {"data": {…}, "metadata": {"version": 1, "created_time": "…"}}}`; all else is the vault's affair.
    init(_ answer: [UInt8]) throws(VaultFailure) {
        guard let outer = VaultObject(answer)?.object("data"), let metadata = outer.object("metadata"),
            let members = outer.node("data"), let version = metadata.whole("version"), version > 0,
            let created = metadata.string("created_time").flatMap(Self.date)
        else { throw .unusable("the answer is no secret of a KV engine of version 2") }
        guard case .object = members.value else { throw .unusable("the secret has no members") }
        self.version = version
        self.created = created
        self.members = members
    }

    /// A time such as 2026-03-22T02:24:06.945319214Z, to the second.
    static func date(_ text: String) -> Date? {
        guard text.hasSuffix("Z"), let whole = text.dropLast().split(separator: ".").first else { return nil }
        return try? Date("\(whole)Z", strategy: .iso8601)
    }

    /// The same in the form that `date` reads.
    static func text(_ date: Date) -> String { date.formatted(.iso8601) }
}

/// A JSON object in an answer; members of another type than asked for are as absent.
struct VaultObject {
    private let members: [JSONMember]

    init?(_ answer: [UInt8]) {
        guard let node = try? JSONReader.parse(answer) else { return nil }
        self.init(node)
    }

    private init?(_ node: JSONNode) {
        guard case .object(let members) = node.value else { return nil }
        self.members = members
    }

    func node(_ name: String) -> JSONNode? { members.first { $0.name == name }?.node }

    func object(_ name: String) -> VaultObject? { node(name).flatMap(VaultObject.init) }

    func string(_ name: String) -> String? {
        guard case .string(let text) = node(name)?.value else { return nil }
        return text
    }

    func whole(_ name: String) -> Int? {
        guard case .number(let number) = node(name)?.value else { return nil }
        return Int(exactly: number)
    }

    func flag(_ name: String) -> Bool {
        guard case .boolean(let flag) = node(name)?.value else { return false }
        return flag
    }
}
