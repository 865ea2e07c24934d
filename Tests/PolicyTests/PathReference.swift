// What the path guard must find, written once more: slowly, with arrays of segments and a set of everything found.
import Policy

/// Paths as other servers have them. Nothing here is shared with what is tested.
enum PathReference {
    typealias Path = [UInt8]
    static let slash = UInt8(ascii: "/")

    /// Dot segments resolved, escapes of unreserved characters decoded, the others in upper case. Nil: invalid.
    static func normalised(_ text: String) -> Path? {
        guard !text.contains("\\"), isWellEscaped(Array(text.utf8)) else { return nil }
        var kept: [Path] = []
        let segments = split(Array(text.utf8))
        for (i, segment) in segments.enumerated() {
            let dots = String(decoding: segment, as: UTF8.self).replacing("%2e", with: ".").replacing("%2E", with: ".")
            if dots == ".." {
                guard !kept.isEmpty else { return nil }
                kept.removeLast()
            } else if dots != "." {
                kept.append(segment)
            }
            if i == segments.count - 1 && (dots == "." || dots == "..") { kept.append([]) }
        }
        return escapes(join(kept)) { value, raw in
            isUnreserved(value) ? [value] : Array(String(decoding: raw, as: UTF8.self).uppercased().utf8)
        }
    }

    /// All that habits make of a path in any order, the path itself included; nil: more than `limit`.
    static func readings(_ path: Path, limit: Int) -> Set<Path>? {
        var found: Set = [path]
        var new = [path]
        while let next = new.popLast() {
            for habit in habits {
                let reading = habit(next)
                if found.insert(reading).inserted { new.append(reading) }
            }
            if found.count > limit { return nil }
        }
        return found
    }

    private static let habits: [@Sendable (Path) -> Path] = [
        { escapes($0) { value, raw in value == slash ? [slash] : raw } },
        { path in
            escapes(path) { value, raw in value == UInt8(ascii: "\\") ? [slash] : raw }
                .map { $0 == UInt8(ascii: "\\") ? slash : $0 }
        },
        { escapes($0) { value, raw in value == slash || value == UInt8(ascii: "\\") ? raw : [value] } },
        lookalikes,
        { $0.filter { ![9, 10, 13].contains($0) } },
        { Path($0.prefix { $0 != UInt8(ascii: "?") }) },
        { Path($0.prefix { $0 != UInt8(ascii: "#") }) },
        { Path($0.prefix { $0 != 0 }) },
        { segments($0) { Path($0.prefix { $0 != UInt8(ascii: ";") }) } },
        { without($0) { $0.isEmpty } },
        { without($0) { !$0.isEmpty && $0.allSatisfy { $0 == UInt8(ascii: " ") } } },
        { segments($0) { trimmed($0, [UInt8(ascii: " ")]) } },
        {
            segments($0) {
                let rest = trimmed($0, [UInt8(ascii: " ")])
                return isDots(rest) ? rest : trimmed(rest, [UInt8(ascii: " "), UInt8(ascii: ".")])
            }
        },
        resolved,
    ]

    // MARK: pieces

    private static func split(_ path: Path) -> [Path] {
        path.split(separator: slash, omittingEmptySubsequences: false).dropFirst().map(Path.init)
    }
    private static func join(_ segments: [Path]) -> Path { segments.flatMap { [slash] + $0 } }
    private static func segments(_ path: Path, _ change: (Path) -> Path) -> Path { join(split(path).map(change)) }

    private static func without(_ path: Path, _ isDropped: (Path) -> Bool) -> Path {
        let all = split(path)
        let kept = all.dropLast().filter { !isDropped($0) }
        return join(kept + [isDropped(all.last!) ? [] : all.last!])
    }
    private static func trimmed(_ segment: Path, _ bytes: [UInt8]) -> Path {
        Path(segment.reversed().drop { bytes.contains($0) }.reversed())
    }
    private static func isDots(_ segment: Path) -> Bool {
        segment == [UInt8(ascii: ".")] || segment == [UInt8(ascii: "."), UInt8(ascii: ".")]
    }

    private static func resolved(_ path: Path) -> Path {
        var kept: [Path] = []
        let all = split(path)
        for (i, segment) in all.enumerated() {
            let plain = escapes(segment) { value, raw in value == UInt8(ascii: ".") ? [value] : raw }
            if isDots(plain) {
                if plain.count == 2 { _ = kept.popLast() }
                if i == all.count - 1 { kept.append([]) }
            } else {
                kept.append(segment)
            }
        }
        return join(kept)
    }

    private static func value(_ raw: ArraySlice<UInt8>) -> UInt8? {
        guard raw.count == 3, raw.first == UInt8(ascii: "%") else { return nil }
        let digits = String(decoding: raw.dropFirst(), as: UTF8.self)
        return digits.allSatisfy(\.isHexDigit) ? UInt8(digits, radix: 16) : nil
    }

    private static func escapes(_ path: Path, _ change: (UInt8, Path) -> Path) -> Path {
        var result: Path = []
        var rest = path[...]
        while let first = rest.first {
            if let value = value(rest.prefix(3)) {
                result += change(value, Path(rest.prefix(3)))
                rest = rest.dropFirst(3)
            } else {
                result.append(first)
                rest = rest.dropFirst()
            }
        }
        return result
    }

    private static func isWellEscaped(_ path: Path) -> Bool {
        path.indices.allSatisfy { i in
            path[i] != UInt8(ascii: "%") || (value(path[i...].prefix(3)) ?? 0) != 0
        }
    }

    private static func isUnreserved(_ byte: UInt8) -> Bool {
        Character(UnicodeScalar(byte)).isASCII
            && (Character(UnicodeScalar(byte)).isLetter || Character(UnicodeScalar(byte)).isNumber
                || "-._~".utf8.contains(byte))
    }

    /// Every sequence that may stand for an ASCII byte, by that byte.
    private static let forms: [(Path, UInt8)] = (0..<128).flatMap { (byte: UInt8) -> [(Path, UInt8)] in
        let high = 0x80 | byte >> 6
        let low = 0x80 | byte & 0x3f
        var forms: [(Path, UInt8)] = [
            ([0xc0 | byte >> 6, low], byte), ([0xe0, high, low], byte), ([0xf0, 0x80, high, low], byte),
        ]
        if (0x21...0x7e).contains(byte) {
            forms.append((Path(String(UnicodeScalar(0xff01 + UInt32(byte) - 0x21)!).utf8), byte))
        }
        return forms
    }

    private static func lookalikes(_ path: Path) -> Path {
        var result: Path = []
        var rest = path[...]
        while let first = rest.first {
            if first >= 0xc0, let (form, byte) = forms.first(where: { rest.starts(with: $0.0) }) {
                result.append(byte)
                rest = rest.dropFirst(form.count)
            } else {
                result.append(first)
                rest = rest.dropFirst()
            }
        }
        return result
    }
}
