// What sources say: read as documented, and refused whole when it is anything else.
import Policy
import Testing

@Suite struct RevocationDocumentTests {
    private static let entry = #"{"issuer":"i","kind":"jti","value":"v","until":1800000000}"#

    private func page(_ text: String) throws(RevocationDocumentError) -> RevocationDocument {
        var reader = RevocationReader(revocation: "main")
        let bytes = Array(text.utf8)
        return try reader.page(bytes.span)
    }
    private func entries(_ text: String) throws(RevocationDocumentError) -> RevocationDocument {
        var reader = RevocationReader(revocation: "main")
        let bytes = Array(text.utf8)
        return try reader.entries(bytes.span)
    }
    private func key(_ kind: RevocationKind, _ value: String, issuer: String = "i") -> RevocationKey {
        var keys = RevocationKeys()
        let scope = keys.scope("main")
        let (issuer, value) = (Array(issuer.utf8), Array(value.utf8))
        keys.begin(issuer: issuer.span)
        return keys.key(kind, value.span).scoped(by: scope)
    }

    @Test func aPage() throws {
        let found = try page(
            #"""
            {"more":{"a":[1]},"cursor":"a-7","revocations":[
              {"issuer":"i","kind":"jti","value":"v","until":1800000000,"reason":"logout"},
              {"kind":"sub","issuer":"i","value":"v\u0041","until":1800000001,"before":1799999999},
              {"issuer":"i","kind":"device","value":5},
              {"issuer":"","kind":"api_key","value":"k","until":9999999999}]}
            """#)
        #expect(found.cursor == "a-7" && found.skipped == 1)
        #expect(
            found.entries == [
                RevocationEntry(key: key(.tokenID, "v"), until: 1_800_000_000),
                RevocationEntry(key: key(.subject, "vA"), until: 1_800_000_001, before: 1_799_999_999),
                RevocationEntry(key: key(.apiKey, "k", issuer: ""), until: UInt32.max),
            ])
        #expect(try page(#"{"cursor":"0","revocations":[]}"#).entries.isEmpty)
    }

    @Test(arguments: RevocationKind.allCases) func everyKind(_ kind: RevocationKind) throws {
        let text = #"{"issuer":"i","kind":"\#(kind.word)","value":"v","until":1800000000}"#
        #expect(try entries(text).entries == [RevocationEntry(key: key(kind, "v"), until: 1_800_000_000)])
    }

    @Test func oneEntryOrAList() throws {
        #expect(try entries(Self.entry).entries.count == 1)
        #expect(try entries("[\(Self.entry),\(Self.entry)]").entries.count == 2)
        #expect(try entries("[]").entries.isEmpty)
    }

    @Test(arguments: [
        "", "null", "1", "[1]", "[[]]", "{}", "[{}]", "{\"issuer\":\"i\"", entry + "x", "[" + entry,
        entry.replacing("\"v\"", with: "\"\""), entry.replacing("\"v\"", with: "7"),
        entry.replacing("1800000000", with: "-1"), entry.replacing("1800000000", with: "1e9"),
        entry.replacing("1800000000", with: "1800000000.5"), entry.replacing("1800000000", with: "\"1800000000\""),
        entry.replacing("1800000000", with: "1234567890123"), entry.replacing("\"issuer\":\"i\",", with: ""),
        entry.replacing("\"i\"", with: "null"), entry.replacing("\"kind\":\"jti\",", with: ""),
        entry.replacing("\"jti\"", with: "\"jti\",\"kind\":\"sub\""),
        entry.replacing("}", with: ",\"before\":0}"), entry.replacing("}", with: ",\"before\":99999999999}"),
        entry.replacing("\"v\"", with: "\"\(String(repeating: "x", count: 1025))\""),
        entry.replacing("\"v\"", with: "\"\u{0}\""),
    ]) func refused(_ text: String) {
        #expect(throws: RevocationDocumentError.self) { try entries(text) }
    }

    @Test(arguments: [
        "[]", "{}", #"{"cursor":"1"}"#, #"{"revocations":[]}"#, #"{"cursor":"","revocations":[]}"#,
        #"{"cursor":1,"revocations":[]}"#, #"{"cursor":"a b","revocations":[]}"#, #"{"cursor":"ä","revocations":[]}"#,
        #"{"cursor":"\#(String(repeating: "x", count: 257))","revocations":[]}"#, #"{"cursor":"1","revocations":{}}"#,
        #"{"cursor":"1","revocations":[]}{}"#,
    ]) func refusedPages(_ text: String) {
        #expect(throws: RevocationDocumentError.self) { try page(text) }
    }

    @Test func boundedEntries() {
        let many = Array(repeating: Self.entry, count: RevocationReader.maximumEntries + 1).joined(separator: ",")
        #expect(throws: RevocationDocumentError.self) { try entries("[\(many)]") }
    }
}
