// Credentials never reach a log, wherever in a request they stand: each is written as ***.
package import Bytes

/// Recognises credentials by their shape (JSON Web Tokens), by the word before them (`Bearer`) and by the name of the
/// query argument that carries them.
package enum Redaction {
    static let mask: StaticString = "***"

    /// Appends free text, escaped, without tokens.
    package static func append(_ bytes: Span<UInt8>, _ escape: LogEscape, to out: inout ByteBuffer) {
        var from = 0, i = 0
        while i < bytes.count {
            guard let secret = secretRange(bytes, at: i) else { i += 1; continue }
            escape.append(bytes.extracting(from..<secret.lowerBound), to: &out)
            out.append(mask)
            i = secret.upperBound
            from = i
        }
        escape.append(bytes.extracting(from..<bytes.count), to: &out)
    }

    /// Appends a request target, escaped: the values of arguments that carry credentials are masked, the rest as `append`.
    package static func appendTarget(_ bytes: Span<UInt8>, _ escape: LogEscape, to out: inout ByteBuffer) {
        var from = 0
        var i = endOfPath(bytes)
        while i < bytes.count {
            i += 1  // past `?`, `&` or `;`
            let equals = first(of: UInt8(ascii: "="), bytes, i)
            let end = endOfArgument(bytes, i)
            if equals < end && isSecretName(bytes.extracting(i..<equals)) {
                append(bytes.extracting(from..<equals + 1), escape, to: &out)
                out.append(mask)
                from = end
            }
            i = end
        }
        append(bytes.extracting(from..<bytes.count), escape, to: &out)
    }

    // MARK: shapes

    /// The secret that begins at `i`: a token, or what follows `Bearer `.
    private static func secretRange(_ bytes: Span<UInt8>, at i: Int) -> Range<Int>? {
        let byte = bytes[i] | 0x20
        guard byte == UInt8(ascii: "e") || byte == UInt8(ascii: "b") else { return nil }
        if i > 0 && isTokenByte(bytes[i - 1]) { return nil }
        if byte == UInt8(ascii: "e") { return tokenRange(bytes, i) }
        return bearerRange(bytes, i)
    }

    /// A JWT begins with the base64url of `{` and a quote or white space (`eyJ eyI eyA ewo ewk ew0`), and is longer than words.
    private static func tokenRange(_ bytes: Span<UInt8>, _ i: Int) -> Range<Int>? {
        let shortest = 16
        guard i + shortest <= bytes.count, bytes[i] == UInt8(ascii: "e") else { return nil }
        switch (bytes[i + 1], bytes[i + 2]) {
        case (UInt8(ascii: "y"), UInt8(ascii: "J")), (UInt8(ascii: "y"), UInt8(ascii: "I")),
            (UInt8(ascii: "y"), UInt8(ascii: "A")), (UInt8(ascii: "w"), UInt8(ascii: "o")),
            (UInt8(ascii: "w"), UInt8(ascii: "k")), (UInt8(ascii: "w"), UInt8(ascii: "0")):
            break
        default: return nil
        }
        let end = endOfSecret(bytes, i)
        return end - i >= shortest ? i..<end : nil
    }

    private static func bearerRange(_ bytes: Span<UInt8>, _ i: Int) -> Range<Int>? {
        guard i + 7 < bytes.count, bytes.folds(i, to: "bearer") else { return nil }
        var from = i + 6
        while from < bytes.count, let width = blankWidth(bytes, from) { from += width }
        guard from > i + 6 else { return nil }
        let end = endOfSecret(bytes, from)
        return end > from ? from..<end : nil
    }
    /// A blank as it is or as a query writes it.
    private static func blankWidth(_ bytes: Span<UInt8>, _ i: Int) -> Int? {
        switch bytes[i] {
        case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "+"): 1
        case UInt8(ascii: "%") where i + 2 < bytes.count && bytes[i + 1] == 0x32 && bytes[i + 2] == 0x30: 3
        default: nil
        }
    }
    /// Past token68 (RFC 9110 section 11.2), `%` included, so that a token with an encoded dot goes whole.
    private static func endOfSecret(_ bytes: Span<UInt8>, _ i: Int) -> Int {
        var end = i
        while end < bytes.count {
            switch bytes[end] {
            case UInt8(ascii: "."), UInt8(ascii: "~"), UInt8(ascii: "+"), UInt8(ascii: "/"), UInt8(ascii: "="),
                UInt8(ascii: "%"):
                end += 1
            case let byte where isTokenByte(byte): end += 1
            default: return end
            }
        }
        return end
    }
    private static func isTokenByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, UInt8(ascii: "-"), UInt8(ascii: "_"): true
        default: false
        }
    }

    // MARK: the query

    private static func endOfPath(_ bytes: Span<UInt8>) -> Int { first(of: UInt8(ascii: "?"), bytes, 0) }
    private static func first(of byte: UInt8, _ bytes: Span<UInt8>, _ from: Int) -> Int {
        var i = from
        while i < bytes.count && bytes[i] != byte { i += 1 }
        return i
    }
    private static func endOfArgument(_ bytes: Span<UInt8>, _ from: Int) -> Int {
        var i = from
        while i < bytes.count && bytes[i] != UInt8(ascii: "&") && bytes[i] != UInt8(ascii: ";")
            && bytes[i] != UInt8(ascii: " ")
        { i += 1 }
        return i
    }

    /// Names as OAuth 2.0, OpenID Connect and common APIs spell them.
    private static let secretNames: [StaticString] = [
        "access_token", "token", "id_token", "refresh_token", "id_token_hint", "jwt", "assertion", "client_assertion",
        "client_secret", "secret", "password", "passwd", "key", "api_key", "apikey", "api-key", "code", "code_verifier",
        "authorization", "auth", "signature", "sig", "session", "sid", "ticket",
    ]
    private static func isSecretName(_ name: Span<UInt8>) -> Bool {
        for candidate in secretNames where matches(name, candidate) { return true }
        return false
    }
    /// Compares as a server reads the name: percent-decoded; case is ignored.
    private static func matches(_ name: Span<UInt8>, _ candidate: StaticString) -> Bool {
        var wanted = candidate.description.utf8.makeIterator()
        var i = 0
        while i < name.count {
            var byte = name[i]
            i += 1
            if byte == UInt8(ascii: "%"), i + 1 < name.count, let high = nibble(name[i]), let low = nibble(name[i + 1])
            {
                byte = high << 4 | low
                i += 2
            }
            if (0x41...0x5a).contains(byte) { byte |= 0x20 }
            if wanted.next() != byte { return false }
        }
        return wanted.next() == nil
    }
    private static func nibble(_ digit: UInt8) -> UInt8? {
        switch digit {
        case 0x30...0x39: digit - 0x30
        case 0x41...0x46: digit - 0x37
        case 0x61...0x66: digit - 0x57
        default: nil
        }
    }
}
