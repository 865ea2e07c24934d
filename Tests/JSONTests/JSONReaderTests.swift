// The reader takes what RFC 8259 takes, less what could be read in two ways, and names what it refuses.
import Bytes
import JSON
import Testing

/// Every event of the document in a short notation.
func events(_ document: [UInt8], depth: Int = 16, members: Int = 256) throws(JSONError) -> [String] {
    var reader = JSONReader(depth: depth, members: members)
    reader.begin()
    var found: [String] = []
    while true {
        let event = try reader.next(document.span)
        switch event.kind {
        case .beginObject: found.append("{")
        case .endObject: found.append("}")
        case .beginArray: found.append("[")
        case .endArray: found.append("]")
        case .name: found.append("\(event.text(of: document.span)):")
        case .string: found.append("'\(event.text(of: document.span))'")
        case .number: found.append(String(decoding: document[event.range], as: UTF8.self))
        case .yes: found.append("true")
        case .no: found.append("false")
        case .null: found.append("null")
        case .end: return found
        }
    }
}

func refusal(_ document: [UInt8], depth: Int = 16, members: Int = 256) -> JSONError? {
    do throws(JSONError) {
        _ = try events(document, depth: depth, members: members)
        return nil
    } catch { return error }
}

@Suite struct JSONReaderTests {
    @Test(arguments: [
        ("{}", "{ }"), ("[]", "[ ]"), (" \t\r\n{ } ", "{ }"), ("1", "1"), ("\"a\"", "'a'"), ("null", "null"),
        (#"{"a":1,"b":[true,false,null],"c":{"d":"e"}}"#, "{ a: 1 b: [ true false null ] c: { d: 'e' } }"),
        (#"{"a":{"x":1},"b":{"x":1},"x":1}"#, "{ a: { x: 1 } b: { x: 1 } x: 1 }"),
        (
            #"[0,-0,1.5,-1.5e10,1E+2,1e-2,123456789012345678901234567890]"#,
            "[ 0 -0 1.5 -1.5e10 1E+2 1e-2 123456789012345678901234567890 ]"
        ),
        (#"["\"\\\/\b\f\n\r\t","\u0041\u00e9\u20ac\ud83d\ude00"]"#, "[ '\"\\/\u{8}\u{c}\n\r\t' 'Aé€😀' ]"),
        (#"{"":0}"#, "{ : 0 }"), ("[\"\u{7f}é€😀\"]", "[ '\u{7f}é€😀' ]"), (#"["\u0000"]"#, "[ '\u{0}' ]"),
    ])
    func accepts(_ document: String, _ expected: String) throws {
        #expect(try events(Array(document.utf8)).joined(separator: " ") == expected)
    }

    /// The refusals of JSONTestSuite that a reader of bytes can meet (J14).
    @Test(arguments: [
        "", " ", "{", "[", "}", "]", "{]", "[}", "[1", "[1,", "[1,]", "[,1]", "[1,,2]", "[1 2]", "[1:2]", "{\"a\"",
        "{\"a\":",
        "{\"a\":1", "{\"a\":1,", "{\"a\":1,}", "{,\"a\":1}", "{\"a\" 1}", "{\"a\",1}", "{a:1}", "{'a':1}", "{1:1}",
        "{\"a\":1 \"b\":2}",
        "[1]]", "{}}", "{}{}", "[] x", "{}//", "{}/**/", "{}#", "/**/{}", "nul", "nulll", "tru", "True", "NULL", "fals",
        "NaN",
        "Infinity", "-Infinity", "+1", "-", "01", "-01", "1.", ".5", "1.e5", "1e", "1e+", "1e-", "0x10", "1_000", "1,",
        "--1", "2.e3",
        "[-]", "[1e]", "[1a]", "\"", "\"a", "\"\\\"", "\"\\x\"", "\"\\u12\"", "\"\\u12G4\"", "\"\\U0041\"", "\"\\",
        "\"a\u{1}\"", "\"\n\"",
        "\"\t\"", "'a'", "\u{feff}{}", "{}\u{0}", "\u{0}", "[\"a\"", "{\"a\":\"b\"", "undefined", "(1)",
        "{\"a\":1;\"b\":2}",
    ])
    func refusesSyntax(_ document: String) { #expect(refusal(Array(document.utf8)) == .syntax, "\(document)") }

    @Test(
        arguments: [
            [0x80], [0xc0, 0x80], [0xc1, 0xbf], [0xe0, 0x80, 0x80], [0xed, 0xa0, 0x80], [0xf0, 0x80, 0x80, 0x80],
            [0xf4, 0x90, 0x80, 0x80], [0xf5, 0x80, 0x80, 0x80], [0xff], [0xc3], [0xe2, 0x82], [0xf0, 0x9f, 0x98],
            [0xc3, 0x28],
        ] as [[UInt8]])
    func refusesWhatIsNotUTF8(_ bytes: [UInt8]) {
        #expect(refusal([0x22] + bytes + [0x22]) == .encoding)
        #expect(refusal(Array("{\"".utf8) + bytes + Array("\":1}".utf8)) == .encoding)
    }

    /// J10
    @Test(arguments: [
        #"\ud800"#, #"\udc00"#, #"\ud800x"#, #"\ud800\u0041"#, #"\udc00\ud800"#, #"\ud800\ud800"#, #"\ud800\n"#,
    ])
    func refusesHalfAPair(_ text: String) { #expect(refusal(Array("\"\(text)\"".utf8)) == .encoding) }

    /// J12
    @Test(arguments: [
        #"{"a":1,"a":2}"#, #"{"a":1,"b":2,"a":1}"#, #"{"a":1,"\u0061":2}"#, #"{"\u0061":1,"a":2}"#,
        #"{"x":{"y":[{"b":1,"\u0062":1}]}}"#,
        #"{"é":1,"\u00e9":2}"#, #"{"😀":1,"\ud83d\ude00":2}"#, #"{"":1,"":2}"#, #"{"a\/b":1,"a/b":2}"#,
        #"{"a":{"b":1,"c":2},"a":3}"#, #"{"sub":"u","exp":1,"s\u0075b":"admin"}"#,
    ])
    func refusesDuplicates(_ document: String) { #expect(refusal(Array(document.utf8)) == .duplicate) }

    /// J13
    @Test func limitsDepth() {
        let nested = { (n: Int) in Array((String(repeating: "[", count: n) + String(repeating: "]", count: n)).utf8) }
        #expect(refusal(nested(16)) == nil)
        #expect(refusal(nested(17)) == .depth)
        #expect(refusal(Array(String(repeating: "{\"a\":", count: 100_000).utf8)) == .depth)
    }

    @Test func limitsMembers() {
        let wide = { (n: Int) in Array(("{" + (0..<n).map { "\"m\($0)\":0" }.joined(separator: ",") + "}").utf8) }
        #expect(refusal(wide(256)) == nil)
        #expect(refusal(wide(257)) == .members)
        let many = "[" + Array(repeating: "{\"a\":{\"b\":0}}", count: 129).joined(separator: ",") + "]"
        #expect(refusal(Array(many.utf8)) == .members)
        #expect(refusal(Array(("[" + String(repeating: "0,", count: 5000) + "0]").utf8)) == nil)
    }

    @Test func takesLongNumbersAndStrings() {
        #expect(refusal(Array(String(repeating: "7", count: 1_000_000).utf8)) == nil)
        #expect(refusal(Array(("\"" + String(repeating: "a\\n", count: 300_000) + "\"").utf8)) == nil)
    }

    /// Cut anywhere, a document is no document; and the reader stops with an error, not with a trap.
    @Test func refusesEveryPrefix() {
        let document = Array(#"{"a":[1,-2.5e3,{"b":"\u00e9\ud83d\ude00é"}],"c":null,"d":true,"e":{}}"#.utf8)
        #expect(refusal(document) == nil)
        for n in 0..<document.count { #expect(refusal(Array(document[..<n])) != nil, "\(n)") }
    }

    @Test func survivesDamage() {
        var random = SplitMix(seed: 20261121)
        let document = Array(#"{"alg":"RS256","x":[1,2.5,{"b":"\u00e9\ud83d\ude00é"}],"c":null,"d":true,"e":{}}"#.utf8)
        var accepted = 0
        for _ in 0..<20_000 {
            var damaged = document
            for _ in 0...Int(random.next() % 3) {
                let at = Int(random.next() % UInt64(damaged.count))
                switch random.next() % 3 {
                case 0: damaged[at] = UInt8(truncatingIfNeeded: random.next())
                case 1: damaged.remove(at: at)
                default: damaged.insert(Array("{}[],:\"\\0u".utf8)[Int(random.next() % 10)], at: at)
                }
            }
            if refusal(damaged) == nil { accepted += 1 }
        }
        // Damage inside a string or a number often leaves a document; damage of the structure never does.
        #expect(accepted > 500 && accepted < 12_000)
    }

    @Test func skipsWholeValues() throws {
        let document = Array(#"{"a":[1,{"b":[]}],"c":2}"#.utf8)
        var reader = JSONReader()
        reader.begin()
        _ = try reader.next(document.span)
        _ = try reader.next(document.span)
        let whole = try reader.skip(try reader.next(document.span), document.span)
        #expect(String(decoding: document[whole.range], as: UTF8.self) == #"[1,{"b":[]}]"#)
        let name = try reader.next(document.span)
        #expect(name.text(of: document.span) == "c")
    }

    @Test func comparesDecodedText() throws {
        let document = Array(#"["a\u006cg","alg","al"]"#.utf8)
        var reader = JSONReader()
        reader.begin()
        _ = try reader.next(document.span)
        let escaped = try reader.next(document.span), plain = try reader.next(document.span)
        let short = try reader.next(document.span)
        let equals = { (event: JSONEvent, text: StaticString) -> Bool in event.equals(text, in: document.span) }
        for event in [escaped, plain] {
            #expect(equals(event, "alg"))
            #expect(!equals(event, "al") && !equals(event, "algo"))
        }
        #expect(!equals(short, "alg"))
    }
}

/// A small generator with a seed, so that a failure can be repeated.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
        return z ^ z >> 31
    }
}
