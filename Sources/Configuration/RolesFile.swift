// `roles_file`: what each role grants, so that tokens need only name roles.
internal import JSON

/// `{"roles": {"admin": ["read:data", "write:data"], …}}`
package struct RolesFile: Sendable, Equatable {
    package struct Role: Sendable, Equatable {
        package var name: String
        package var permissions: [String]

        package init(_ name: String, _ permissions: [String]) {
            self.name = name
            self.permissions = permissions
        }
    }
    package var path: String
    /// In the order of the file.
    package var roles: [Role]

    package init(path: String, roles: [Role]) {
        self.path = path
        self.roles = roles
    }

    private static let maximumBytes = 1 << 20

    static let row = Directive<MainSettings>(
        row: DirectiveRow(
            name: "roles_file", blocks: [.main], form: "PATH", arity: 1...1,
            summary: "A file that says what each role of a token grants: "
                + "`{\"roles\": {\"admin\": [\"read:data\"]}}`; read again when it changes"),
        read: { statement, main, reader throws(Diagnostic) in
            let word = statement.arguments[0]
            main.roles = try RolesFile(word, path: try reader.path(word))
        },
        write: { main in main.roles.map { [WrittenLine([Syntax.quoted($0.path)])] } ?? [] })

    /// `word` is what named it.
    fileprivate init(_ word: Argument, path: String) throws(Diagnostic) {
        let bytes: [UInt8]
        do throws(FileError) {
            bytes = try SourceFile.read(path, maximumBytes: Self.maximumBytes)
        } catch {
            throw word.error("the roles file \"\(word.shown)\" cannot be read: \(error.reason)")
        }
        do throws(Mistake) {
            var reader = RolesReader(bytes)
            self.init(path: path, roles: try reader.read())
        } catch {
            if word.isSecret { throw word.error("the roles file cannot be used: \(error.message)") }
            throw error.diagnostic(in: bytes, of: path)
        }
    }

    /// What the file says now, or what is wrong with it.
    package func again() -> Result<RolesFile, Diagnostic> {
        do throws(Diagnostic) {
            let word = Argument(path, position: SourcePosition(file: path, line: 1, column: 1))
            return .success(try RolesFile(word, path: path))
        } catch {
            return .failure(error)
        }
    }
}

/// What is wrong with the document, and where.
private struct Mistake: Error {
    var message: String
    /// Bytes before it.
    var offset: Int

    func diagnostic(in bytes: [UInt8], of path: String) -> Diagnostic {
        let before = bytes.prefix(offset)
        let start = (before.lastIndex(of: UInt8(ascii: "\n")) ?? -1) + 1
        let end = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) ?? bytes.endIndex
        let column = String(decoding: before[start...], as: UTF8.self).unicodeScalars.count + 1
        let line = before.count { $0 == UInt8(ascii: "\n") } + 1
        return Diagnostic(
            at: SourcePosition(file: path, line: line, column: column), message,
            sourceLine: String(decoding: bytes[start..<end], as: UTF8.self))
    }
}

private struct RolesReader: ~Copyable {
    private static let maximumRoles = 4096

    private let document: [UInt8]
    private var reader = JSONReader(depth: 3, members: maximumRoles + 1)

    init(_ document: [UInt8]) {
        self.document = document
        reader.begin()
    }

    mutating func read() throws(Mistake) -> [RolesFile.Role] {
        var roles: [RolesFile.Role]?
        let first = try next()
        guard first.kind == .beginObject else {
            throw mistake(first, "an object with the member \"roles\" is expected")
        }
        var name = try next()
        while name.kind == .name {
            guard name.equals("roles", in: document.span) else {
                throw mistake(name, "unknown member \"\(name.text(of: document.span))\": there is \"roles\"")
            }
            roles = try readRoles()
            name = try next()
        }
        guard let roles else { throw mistake(first, "the member \"roles\" is missing") }
        _ = try next()
        return roles
    }

    private mutating func readRoles() throws(Mistake) -> [RolesFile.Role] {
        let start = try next()
        guard start.kind == .beginObject else {
            throw mistake(start, "\"roles\" is an object: the name of each role with an array of permissions")
        }
        var roles: [RolesFile.Role] = []
        var name = try next()
        while name.kind == .name {
            let role = name.text(of: document.span)
            if role.isEmpty { throw mistake(name, "a role has a name") }
            let array = try next()
            guard array.kind == .beginArray else {
                throw mistake(array, "the permissions of \"\(role)\" are an array of strings")
            }
            roles.append(RolesFile.Role(role, try readPermissions(of: role)))
            name = try next()
        }
        return roles
    }

    private mutating func readPermissions(of role: String) throws(Mistake) -> [String] {
        var permissions: [String] = []
        var element = try next()
        while element.kind != .endArray {
            guard element.kind == .string else {
                throw mistake(element, "the permissions of \"\(role)\" are strings")
            }
            let permission = element.text(of: document.span)
            guard RequirementReader.isScopeToken(permission) else {
                throw mistake(
                    element,
                    "\"\(permission)\" is not a permission: it may hold no blanks, quotes, backslashes or non-ASCII "
                        + "characters")
            }
            if !permissions.contains(permission) { permissions.append(permission) }
            element = try next()
        }
        return permissions
    }

    private mutating func next() throws(Mistake) -> JSONEvent {
        let bytes = document
        do throws(JSONError) {
            return try reader.next(bytes.span)
        } catch {
            throw Mistake(message: Self.words(for: error), offset: reader.offset)
        }
    }

    /// At a value or a name, its quote included.
    private func mistake(_ event: JSONEvent, _ message: String) -> Mistake {
        let isQuoted = event.kind == .string || event.kind == .name
        return Mistake(message: message, offset: Int(event.start) - (isQuoted ? 1 : 0))
    }

    private static func words(for error: JSONError) -> String {
        switch error {
        case .syntax: "this is not JSON (RFC 8259)"
        case .encoding: "this is not text in UTF-8"
        case .depth: "nothing is nested so deep here"
        case .members: "there are more than \(maximumRoles) roles"
        case .duplicate: "this name stands twice in one object"
        }
    }
}
