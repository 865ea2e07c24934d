// Addresses: strict parsing, canonical text, octets in network order, blocks.
import Bytes
import Testing

@Suite struct AddressTests {
    @Test(arguments: [
        "127.0.0.1", "0.0.0.0", "255.255.255.255", "::", "::1", "1::", "2001:db8::1", "2001:db8:0:1:1:1:1:1",
        "2001:0:0:1::1", "fe80::1:0:0:1", "1:2:3:4:5:6:7:8",
    ])
    func canonicalTextSurvivesARoundTrip(_ text: String) {
        #expect(IPAddress(text)?.text == text)
    }

    @Test func otherSpellingsOfIPv6AreRead() {
        #expect(IPAddress("::ffff:1.2.3.4")?.text == "::ffff:102:304")
        #expect(IPAddress("2001:DB8:0:0:0:0:0:01")?.text == "2001:db8::1")
    }

    @Test(arguments: [
        "", "01.2.3.4", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.-4", "0x7f.1", "127.1", ":", ":::", "1:::2", "::1::",
        "12345::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7::8", "fe80::1%eth0", "1.2.3.4::",
        ":1:2:3:4:5:6:7:8",
        "1:2:3:4:5:6:7:8:", "[::1]", "localhost",
    ])
    func anythingElseIsNoAddress(_ text: String) {
        #expect(IPAddress(text) == nil)
    }

    @Test func octetsAreInNetworkOrder() throws {
        #expect(try #require(IPAddress("192.0.2.1")).octets == [192, 0, 2, 1])
        let v6 = try #require(IPAddress("2001:db8::1"))
        #expect(v6.octets == [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])
    }

    @Test func textIsAppendedToABuffer() throws {
        var buffer = ByteBuffer(capacity: 1)
        try #require(IPAddress("10.0.0.7")).appendText(to: &buffer)
        try #require(IPAddress("1:2:3:4:5:6:7:8888")).appendText(to: &buffer)
        let bytes = buffer.bytes
        let text = String(decoding: (0..<bytes.count).map { bytes[$0] }, as: UTF8.self)
        #expect(text == "10.0.0.71:2:3:4:5:6:7:8888")
    }

    @Test func loopbackAndUnspecified() throws {
        #expect(try #require(IPAddress("127.8.9.1")).isLoopback)
        #expect(try #require(IPAddress("::1")).isLoopback)
        #expect(try !#require(IPAddress("::ffff:127.0.0.1")).isLoopback)
        #expect(try !#require(IPAddress("::7f00:1")).isLoopback)
        #expect(IPAddress.anyV4.isUnspecified && IPAddress.anyV6.isUnspecified && IPAddress.anyV4 != IPAddress.anyV6)
    }

    @Test func socketAddresses() {
        #expect(SocketAddress("192.0.2.1:80") == SocketAddress(address: IPAddress(v4: 0xc000_0201), port: 80))
        #expect(SocketAddress("[::1]:65535")?.text == "[::1]:65535")
        for text in [
            "1.2.3.4", "1.2.3.4:", "1.2.3.4:65536", "1.2.3.4:+8", "::1:80", "[1.2.3.4]:80", "host:80", "[::1]",
        ] {
            #expect(SocketAddress(text) == nil, "\(text)")
        }
    }

    @Test(arguments: [
        ("10.0.0.0/8", "10.2.3.4", true), ("10.0.0.0/8", "11.2.3.4", false), ("0.0.0.0/0", "11.2.3.4", true),
        ("0.0.0.0/0", "::1", false), ("::/0", "ff::1", true), ("::/0", "1.2.3.4", false),
        ("2001:db8::/32", "2001:db8:1::", true), ("2001:db8::/32", "2001:db9::", false),
        ("192.0.2.1", "192.0.2.1", true),
        ("192.0.2.1", "192.0.2.2", false), ("2001:db8::/65", "2001:db8::7fff:0:0:1", true),
        ("2001:db8::/65", "2001:db8::8000:0:0:1", false),
    ])
    func blocks(_ block: String, _ address: String, _ expected: Bool) throws {
        #expect(try #require(CIDR(block)).contains(#require(IPAddress(address))) == expected)
    }

    @Test(arguments: ["10.0.0.1/8", "10.0.0.0/33", "::/129", "10.0.0.0/08", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8/8"])
    func blocksThatAreNone(_ text: String) {
        #expect(CIDR(text) == nil)
    }
}
