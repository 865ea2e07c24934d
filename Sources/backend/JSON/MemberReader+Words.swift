// Members that name users, roles and permissions, or take a value away.

extension MemberReader {
    /// A text that goes into log lines, where a line break would forge one.
    mutating func visibleString(_ name: String, charactersUpTo limit: Int) throws(JSONFault) -> String {
        let text = try string(name, charactersUpTo: limit)
        guard !text.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) else {
            throw fault("\"\(self.name(of: name))\" must not contain control characters", at: name)
        }
        return text
    }

    mutating func word(_ name: String) throws(JSONFault) -> String {
        let text = try string(name, charactersUpTo: 128)
        guard Vocabulary.isWord(text) else {
            throw fault("\"\(self.name(of: name))\" must be a word of letters, digits and :._*-", at: name)
        }
        return text
    }

    /// An array of words, each once.
    mutating func words(_ name: String) throws(JSONFault) -> [String] {
        var words: [String] = []
        for element in try array(name) {
            guard case .string(let word) = element.value, Vocabulary.isWord(word), !words.contains(word) else {
                throw JSONFault(
                    message: "\"\(self.name(of: name))\" must be different words of letters, digits and :._*-",
                    position: element.start, member: self.name(of: name))
            }
            words.append(word)
        }
        return words
    }

    mutating func optionalWords(_ name: String) throws(JSONFault) -> [String]? {
        take(name) == nil ? nil : try words(name)
    }
}
