// Writes one JSON object of strings, numbers and lists: the answers and claims that are made most often. Foundation's encoder
// takes longer for each of them than the database does for what is in it.

struct JSONWriter {
    private var text: [UInt8]

    init(capacity: Int = 256) {
        text = []
        text.reserveCapacity(capacity)
        text.append(UInt8(ascii: "{"))
    }

    /// The whole object.
    consuming func finish() -> [UInt8] {
        text.append(UInt8(ascii: "}"))
        return text
    }

    mutating func member(_ name: String, _ value: String) {
        begin(name)
        append(quoted: value)
    }

    /// A member that is left out when there is nothing to say.
    mutating func member(_ name: String, ifPresent value: String?) {
        if let value { member(name, value) }
    }

    mutating func member(_ name: String, _ value: Int) {
        begin(name)
        text.append(contentsOf: String(value).utf8)
    }

    mutating func member(_ name: String, _ values: [String]) {
        begin(name)
        text.append(UInt8(ascii: "["))
        for (index, value) in values.enumerated() {
            if index > 0 { text.append(UInt8(ascii: ",")) }
            append(quoted: value)
        }
        text.append(UInt8(ascii: "]"))
    }

    private mutating func begin(_ name: String) {
        if text.count > 1 { text.append(UInt8(ascii: ",")) }
        append(quoted: name)
        text.append(UInt8(ascii: ":"))
    }

    private mutating func append(quoted value: String) {
        // Next to no name has anything in it that must be escaped.
        guard value.utf8.allSatisfy(Self.standsAsItIs) else {
            return text.append(contentsOf: JSONText.string(value).utf8)
        }
        text.append(UInt8(ascii: "\""))
        text.append(contentsOf: value.utf8)
        text.append(UInt8(ascii: "\""))
    }

    private static func standsAsItIs(_ byte: UInt8) -> Bool {
        byte >= 0x20 && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\")
    }
}
