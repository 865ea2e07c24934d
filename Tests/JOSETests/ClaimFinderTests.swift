// Claims that are found by noting the members once are those that reading for each of them would find.
import Bytes
import JOSE
import JSON
import Testing

@Suite struct ClaimFinderTests {
    /// What is found, as it stands in the document; nil: nothing.
    private func found(
        _ finder: inout ClaimFinder, _ names: [String], _ document: [UInt8], _ reader: inout JSONReader
    ) -> String? {
        guard let value = finder.find(ClaimNamePath(names), in: document.span, &reader) else { return nil }
        return String(decoding: document[value.range], as: UTF8.self)
    }

    @Test func pathsLeadToWholeValues() {
        let document = Array(
            #"{"a":1,"b":{"c":{"d":[1,{"x":2}],"d2":"t"},"e":null},"f\u0067":"esc","b.c":true,"g":[{"a":7}]}"#.utf8)
        var finder = ClaimFinder()
        var reader = JSONReader()
        for _ in 0..<2 {
            #expect(found(&finder, ["a"], document, &reader) == "1")
            #expect(found(&finder, ["b"], document, &reader) == #"{"c":{"d":[1,{"x":2}],"d2":"t"},"e":null}"#)
            #expect(found(&finder, ["b", "c", "d"], document, &reader) == #"[1,{"x":2}]"#)
            #expect(found(&finder, ["b", "c", "d2"], document, &reader) == "t")
            #expect(found(&finder, ["b", "e"], document, &reader) == "null")
            #expect(found(&finder, ["fg"], document, &reader) == "esc")
            #expect(found(&finder, ["b.c"], document, &reader) == "true")
            for missing in [["c"], ["b", "a"], ["a", "b"], ["g", "a"], ["b", "c", "d", "x"], ["f"]] {
                #expect(found(&finder, missing, document, &reader) == nil)
            }
        }
    }

    @Test func eachPayloadIsLookedAtAnew() {
        var finder = ClaimFinder()
        var reader = JSONReader()
        let first = Array(#"{"sub":"alice","x":1}"#.utf8), second = Array(#"{"x":2}"#.utf8)
        #expect(found(&finder, ["sub"], first, &reader) == "alice")
        finder.begin()
        #expect(found(&finder, ["sub"], second, &reader) == nil)
        #expect(found(&finder, ["x"], second, &reader) == "2")
        finder.begin()
        #expect(found(&finder, ["x"], first, &reader) == "1")
    }

    @Test(arguments: [0, 1, 47, 48, 49, 50, 200])
    func membersBeyondThoseThatAreNoted(_ count: Int) {
        let members = (0..<count).map { "\"m\($0)\":{\"v\":\($0)}" }
        let document = Array("{\(members.joined(separator: ","))}".utf8)
        var finder = ClaimFinder()
        var reader = JSONReader(members: 1024)
        for i in 0..<count { #expect(found(&finder, ["m\(i)", "v"], document, &reader) == "\(i)") }
        #expect(found(&finder, ["m\(count)"], document, &reader) == nil)
    }

    @Test(arguments: ["", "[]", "7", "{", #"{"a"}"#, #"{"a":1,"#])
    func nothingIsFoundInWhatIsNoObject(_ text: String) {
        var finder = ClaimFinder()
        var reader = JSONReader()
        #expect(found(&finder, ["b"], Array(text.utf8), &reader) == nil)
    }
}
