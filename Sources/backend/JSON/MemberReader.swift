// Takes the members of one JSON object by name and type, and refuses what nobody asked for.

/// Reads an object member by member; `finish` refuses the members that were not read (mass assignment, CWE-915).
struct MemberReader {
    private let members: [JSONMember]
    private let start: TextPosition
    private let path: String
    private var read: Set<String> = []

    /// `path` is the name of the object in messages, empty for the outermost one.
    init(_ node: JSONNode, path: String = "") throws(JSONFault) {
        guard case .object(let members) = node.value else {
            let name = path.isEmpty ? "the text" : "\"\(path)\""
            throw JSONFault(message: "\(name) must be an object, not \(node.kind)", position: node.start, member: path)
        }
        self.members = members
        self.start = node.start
        self.path = path
    }

    /// The names that were given, in their order.
    var names: [String] { members.map(\.name) }

    func name(of member: String) -> String { path.isEmpty ? member : "\(path).\(member)" }

    func member(_ name: String) -> JSONMember? { members.first { $0.name == name } }

    func fault(_ message: String, at member: String) -> JSONFault {
        let position = self.member(member)?.node.start ?? start
        return JSONFault(message: message, position: position, member: name(of: member))
    }

    /// The member's value; nil when it is absent, which is then known to be asked for.
    mutating func take(_ name: String) -> JSONNode? {
        read.insert(name)
        return member(name)?.node
    }

    mutating func node(_ name: String) throws(JSONFault) -> JSONNode {
        guard let node = take(name) else { throw fault("\"\(self.name(of: name))\" is missing", at: name) }
        return node
    }

    mutating func string(_ name: String, charactersUpTo limit: Int) throws(JSONFault) -> String {
        let node = try node(name)
        return try text(node, name: name, limit: limit)
    }

    mutating func optionalString(_ name: String, charactersUpTo limit: Int) throws(JSONFault) -> String? {
        guard let node = take(name) else { return nil }
        return try text(node, name: name, limit: limit)
    }

    private func text(_ node: JSONNode, name: String, limit: Int) throws(JSONFault) -> String {
        guard case .string(let text) = node.value else {
            throw fault("\"\(self.name(of: name))\" must be a string, not \(node.kind)", at: name)
        }
        guard !text.isEmpty else { throw fault("\"\(self.name(of: name))\" must not be empty", at: name) }
        // Scalars are counted, not characters: a character may hold any number of combining marks.
        guard text.unicodeScalars.count <= limit else {
            throw fault("\"\(self.name(of: name))\" is longer than \(limit) characters", at: name)
        }
        // A NUL ends the string for every C library behind us (CWE-158).
        guard !text.unicodeScalars.contains("\0") else {
            throw fault("\"\(self.name(of: name))\" must not contain U+0000", at: name)
        }
        return text
    }

    mutating func optionalBoolean(_ name: String) throws(JSONFault) -> Bool? {
        guard let node = take(name) else { return nil }
        guard case .boolean(let flag) = node.value else {
            throw fault("\"\(self.name(of: name))\" must be a boolean, not \(node.kind)", at: name)
        }
        return flag
    }

    mutating func optionalArray(_ name: String) throws(JSONFault) -> [JSONNode]? {
        guard take(name) != nil else { return nil }
        return try array(name)
    }

    mutating func array(_ name: String) throws(JSONFault) -> [JSONNode] {
        let node = try node(name)
        guard case .array(let elements) = node.value else {
            throw fault("\"\(self.name(of: name))\" must be an array, not \(node.kind)", at: name)
        }
        return elements
    }

    /// Refuses every member that was not read.
    func finish() throws(JSONFault) {
        guard let stranger = members.first(where: { !read.contains($0.name) }) else { return }
        let known = read.sorted().map { "\"\($0)\"" }.joined(separator: ", ")
        throw JSONFault(
            message: "unknown member \"\(name(of: stranger.name))\"; known are \(known)", position: stranger.start,
            member: name(of: stranger.name))
    }
}
