// Whom a request is from, by the word of trusted proxies: every form of entry, chains cut at every byte, and random lists
// against a plain reading.
import Bytes
import Configuration
import HTTP
import Policy
import SeededRandom
import Testing

@Suite struct ForwardedChainTests {
    /// 10.0.0.0/8 and 2001:db8:1::/48 are proxies.
    private static let proxies: TrustedProxies = {
        var proxies = TrustedProxies()
        proxies.networks = ["10.0.0.0/8", "2001:db8:1::/48"].compactMap { CIDR($0) }
        return proxies
    }()

    private struct Reading: Equatable {
        var client: String?
        /// What goes on to the upstream, but for the peer.
        var list: String
        var isSecure: Bool?
        var host: String
    }
    private static func read(_ fields: [String]) -> Reading? {
        let text = "GET / HTTP/1.1\r\nHost: a\r\n" + fields.map { $0 + "\r\n" }.joined() + "\r\n"
        let bytes = Array(text.utf8)
        var head = RequestHead(), out = ByteBuffer(capacity: 16)
        guard case .complete = head.parse(bytes.span, limits: HTTPLimits()) else { return nil }
        let chain = ForwardedChain(head, trusting: proxies)
        chain.append(from: head, to: &out)
        let client = chain.client.map { $0.port == 0 ? $0.address.text : $0.text }
        return Reading(
            client: client, list: string(out.bytes), isSecure: chain.isSecure,
            host: string(head.bytes.extracting(chain.host)))
    }
    private static func string(_ bytes: borrowing Span<UInt8>) -> String {
        String(decoding: bytes.indices.map { bytes[$0] }, as: UTF8.self)
    }
    private static func client(_ lists: String...) -> Reading? { read(lists.map { "X-Forwarded-For: " + $0 }) }

    @Test(arguments: [
        ("203.0.113.7", "203.0.113.7", "203.0.113.7"),
        ("203.0.113.7:4711", "203.0.113.7:4711", "203.0.113.7"),
        ("2001:db8::7", "2001:db8::7", "2001:db8::7"),
        ("2001:DB8:0:0::7", "2001:db8::7", "2001:db8::7"),
        ("[2001:db8::7]", "2001:db8::7", "2001:db8::7"),
        ("[2001:db8::7]:4711", "[2001:db8::7]:4711", "2001:db8::7"),
        ("::ffff:203.0.113.7", "203.0.113.7", "203.0.113.7"),
        ("[::ffff:203.0.113.7]:9", "203.0.113.7:9", "203.0.113.7"),
        ("\t203.0.113.7 ", "203.0.113.7", "203.0.113.7"),
    ])
    func `one entry in every form`(_ entry: String, _ client: String, _ list: String) {
        #expect(Self.client(entry) == Reading(client: client, list: list, host: ""))
    }

    @Test(arguments: [
        "", " ", "unknown", "_hidden", "203.0.113", "203.0.113.07", "203.0.113.7.", "203.0.113.7:", "203.0.113.7:65536",
        "203.0.113.7:123456", "203.0.113.7:+1", "203.0.113.7:1:2", "203.0.113.7 203.0.113.8", "[203.0.113.7]",
        "[203.0.113.7]:1", "[2001:db8::7", "2001:db8::7]", "[2001:db8::7]:", "[2001:db8::7]1", "[2001:db8::7]:x", "[]",
        "[]:1", ":1", ":", "[:", "[]]", "fe80::1%eth0", "\"203.0.113.7\"", "for=203.0.113.7", "203.0.113.7;x",
        "localhost",
        "203.0.113.7\u{a0}", "0x7f.0.0.1", "12345::", String(repeating: "1", count: 1000),
        String(repeating: ":", count: 47), String(repeating: "[", count: 47),
    ])
    func `what is no address names nobody`(_ entry: String) {
        #expect(Self.client(entry) == Reading(list: "", host: ""))
        // Behind it everything holds, and before it nothing.
        let behind = Self.client("198.51.100.1, \(entry), 10.0.0.2, 10.0.0.3")
        let isEmpty = entry.allSatisfy { $0 == " " }
        #expect(
            behind
                == Reading(
                    client: isEmpty ? "198.51.100.1" : "10.0.0.2",
                    list: isEmpty ? "198.51.100.1, 10.0.0.2, 10.0.0.3" : "10.0.0.2, 10.0.0.3", host: ""))
    }

    @Test func `the last that is no proxy is the client, and what it says of itself ends there`() {
        #expect(Self.client("1.2.3.4, 203.0.113.7")?.client == "203.0.113.7")
        #expect(Self.client("1.2.3.4,203.0.113.7,10.0.0.2")?.list == "203.0.113.7, 10.0.0.2")
        #expect(
            Self.client("10.0.0.9, 203.0.113.7, 2001:db8:1::2, 10.0.0.2")?.list
                == "203.0.113.7, 2001:db8:1::2, 10.0.0.2")
        // All of them are proxies: the first one asks for itself.
        #expect(
            Self.client("10.0.0.3:99, 10.0.0.2") == Reading(client: "10.0.0.3:99", list: "10.0.0.3, 10.0.0.2", host: "")
        )
    }
    @Test func `several lines are one list`() {
        #expect(Self.client("1.2.3.4", "203.0.113.7", "10.0.0.2")?.list == "203.0.113.7, 10.0.0.2")
        #expect(Self.client("203.0.113.7", "unknown", "10.0.0.2")?.list == "10.0.0.2")
        #expect(Self.client("203.0.113.7", "", "10.0.0.2, ,")?.list == "203.0.113.7, 10.0.0.2")
        let mixed = [
            "x-forwarded-for: 203.0.113.7", "Accept: 9.9.9.9", "X_Forwarded_For: 9.9.9.9", "X-FORWARDED-FOR: 10.0.0.2",
        ]
        #expect(Self.read(mixed)?.list == "203.0.113.7, 10.0.0.2")
    }
    @Test func `more proxies than can be are a loop`() {
        let most = ForwardedChain.maximumHops
        for count in [most - 1, most, most + 1, 4 * most] {
            let hops = [String](repeating: "10.0.0.2", count: count)
            let reading = Self.client((["203.0.113.7"] + hops).joined(separator: ","))
            #expect(reading?.client == (count < most ? "203.0.113.7" : "10.0.0.2"))
            #expect(reading?.list.split(separator: ",").count == min(count + 1, most))
        }
        #expect(Self.client("203.0.113.7" + String(repeating: ",", count: 200)) == Reading(list: "", host: ""))
    }

    @Test(arguments: [
        (["https"], true), (["HTTP"], false), (["https, http"], nil), (["https", "https"], nil), (["wss"], nil),
        ([""], nil),
        (["httpsx"], nil), (["http\u{b}"], nil),
    ])
    func `a scheme is http or https, and said once`(_ values: [String], _ isSecure: Bool?) {
        #expect(Self.read(values.map { "X-Forwarded-Proto: \($0)" })?.isSecure == isSecure)
    }
    @Test(arguments: [
        (["shop.example"], "shop.example"), (["Shop.example:8443"], "Shop.example:8443"),
        (["[2001:db8::1]:8"], "[2001:db8::1]:8"),
        (["a", "b"], ""), (["a, b"], ""), (["a/b"], ""), (["user@a"], ""), (["a b"], ""), ([""], ""), (["a:99999"], ""),
    ])
    func `a host is one authority, and said once`(_ values: [String], _ host: String) {
        #expect(Self.read(values.map { "X-Forwarded-Host: \($0)" })?.host == host)
    }
    @Test func `Forwarded and its like say nothing`() {
        let fields = [
            "Forwarded: for=203.0.113.7;proto=https;host=evil", "X-Real-IP: 203.0.113.7", "True-Client-IP: 203.0.113.7",
            "X_Forwarded_Proto: https", "X_Forwarded_Host: evil",
        ]
        #expect(Self.read(fields) == Reading(list: "", host: ""))
    }

    @Test func `a list cut at every byte says no more than its end`() {
        let list = "1.2.3.4, [2001:db8::7]:4711, 203.0.113.7:80 , 10.0.0.2,2001:db8:1::2"
        for count in 0...list.utf8.count {
            let cut = String(list.dropFirst(count))
            let said = Self.client(cut), wanted = Self.reference([cut])
            #expect(said?.client == wanted.client && said?.list == wanted.list, "without \(count) bytes")
            let start = String(list.prefix(count))
            let other = Self.client(start), reference = Self.reference([start])
            #expect(other?.client == reference.client && other?.list == reference.list, "\(count) bytes")
        }
    }
    @Test func `random lists say what a plain reading says`() {
        var random = SeededGenerator(seed: 0x5eed)
        let pieces = [
            "10.0.0.2", "10.0.0.3:80", "[2001:db8:1::2]:9", "2001:db8:1::3", "203.0.113.7", "203.0.113.8:1",
            "[2001:db8::7]",
            "::ffff:10.0.0.4", "unknown", "", " ", "10.0.0", "[::1", ",", "\t", "10.0.0.300", "::", "0.0.0.0",
        ]
        for round in 0..<4000 {
            let lists = (0..<1 + random.below(3)).map { _ in
                (0..<random.below(8)).map { _ in
                    var piece = Array(pieces[random.below(pieces.count)].utf8)
                    if random.below(8) == 0, !piece.isEmpty {
                        piece[random.below(piece.count)] = UInt8(0x20 + random.below(0x5f))
                    }
                    return String(decoding: piece, as: UTF8.self)
                }.joined(separator: random.below(2) == 0 ? "," : ", ")
            }
            let said = Self.read(lists.map { "X-Forwarded-For: " + $0 }), wanted = Self.reference(lists)
            #expect(said?.client == wanted.client && said?.list == wanted.list, "round \(round): \(lists)")
        }
    }
    @Test func `random bytes are survived`() {
        var random = SeededGenerator(seed: 0xf022)
        for _ in 0..<4000 {
            let value = random.bytes(random.below(80)).map { $0 < 0x20 || $0 == 0x7f ? 0x2c : $0 }
            let reading = Self.client(String(decoding: value, as: UTF8.self))
            #expect(reading != nil)
        }
    }

    /// The same by splitting and joining, from the end of the list that the lines are together.
    private static func reference(_ lists: [String]) -> (client: String?, list: String) {
        var client: String?, list: [String] = []
        let entries = lists.joined(separator: ",").split(separator: ",", omittingEmptySubsequences: false).reversed()
        for entry in entries.prefix(ForwardedChain.maximumHops) {
            let word = String(entry.drop { " \t".contains($0) }.reversed().drop { " \t".contains($0) }.reversed())
            if word.isEmpty { continue }
            var plain = word
            if word.hasPrefix("["), word.hasSuffix("]"), word.contains(":") {
                plain = String(word.dropFirst().dropLast())
            }
            var hop: SocketAddress?
            if let address = IPAddress(plain) { hop = SocketAddress(address: address, port: 0) }
            guard let found = hop ?? SocketAddress(word) else { break }
            let address = found.address.unmapped
            client = found.port == 0 ? address.text : SocketAddress(address: address, port: found.port).text
            list.insert(address.text, at: 0)
            if !proxies.contains(address) { break }
        }
        return (client, list.joined(separator: ", "))
    }
}
