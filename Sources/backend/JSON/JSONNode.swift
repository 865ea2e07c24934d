// A parsed JSON value that remembers where it stood, so that a refusal can name the line, the column and the member.

/// A place in a text: 1-based line, 1-based column in bytes, and the byte offset itself.
struct TextPosition: Sendable, Equatable {
    var line = 1
    var column = 1
    var offset = 0
}

/// What is wrong with a JSON text, where, and (when it is about one) with which member.
struct JSONFault: Error, Equatable {
    let message: String
    let position: TextPosition
    var member: String?
}

/// One JSON value and where it begins.
struct JSONNode: Sendable {
    indirect enum Value: Sendable {
        case null
        case boolean(Bool)
        case number(Double)
        case string(String)
        case array([JSONNode])
        case object([JSONMember])
    }

    let value: Value
    let start: TextPosition
    /// The byte offset behind the value's last byte.
    let endOffset: Int

    /// The kind of value in the words of a message.
    var kind: String {
        switch value {
        case .null: "null"
        case .boolean: "a boolean"
        case .number: "a number"
        case .string: "a string"
        case .array: "an array"
        case .object: "an object"
        }
    }
}

/// One member of a JSON object; `start` is where its name begins.
struct JSONMember: Sendable {
    let name: String
    let start: TextPosition
    let node: JSONNode
}
