// Where the gateway itself may ask: addresses, redirects, and names that lead to this machine (security row U09).
import Bytes
import Configuration
import Testing

struct WebAddressTests {
    private func address(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }

    @Test(
        arguments: [
            ("https://id.example.com", "id.example.com", 443, "/", "id.example.com"),
            ("https://ID.example.com:8443/a?b", "id.example.com", 8443, "/a?b", "id.example.com:8443"),
            ("http://[::1]:5000?x", "::1", 5000, "/?x", "[::1]:5000"),
            ("http://127.0.0.1/", "127.0.0.1", 80, "/", "127.0.0.1"),
        ] as [(String, String, UInt16, String, String)])
    func `an address has parts`(url: String, host: String, port: UInt16, target: String, authority: String) throws {
        let address = try WebAddress(url)
        #expect(address.host == host && address.port == port && address.target == target)
        #expect(address.authority == authority && address.isTLS == url.hasPrefix("https"))
    }

    @Test(arguments: [
        "ftp://a/", "//a/", "https://", "https://a:0/", "https://a@b/", "https://a/#b", "https://a/b c",
        "https://a/\u{e9}",
    ])
    func `what is none is refused`(url: String) { #expect(throws: WebAddress.Fault.self) { try WebAddress(url) } }

    @Test(
        arguments: [
            ("/x", "/x"), ("x", "/a/x"), ("?q", "/a/b?q"), ("https://id.example.com/y?z#f", "/y?z"),
            ("https://ID.example.com:443/y", "/y"), ("//id.example.com/y", "/y"), ("x:y/z", nil),
            ("http://id.example.com/y", nil),
            ("https://id.example.com:444/y", nil), ("https://evil.example.com/", nil), ("//evil.example.com/", nil),
            ("http://127.0.0.1/", nil), ("https://id.example.com@evil.example.com/", nil), ("", nil), ("/a b", nil),
            ("/a\r\nX: y", nil),
        ] as [(String, String?)])
    func `redirects stay within the origin`(location: String, target: String?) throws {
        let next = try WebAddress("https://id.example.com/a/b?c").redirected(to: location)
        #expect(next?.target == target)
        if let next { #expect(next.origin == "https://id.example.com") }
    }

    private static let internals = [
        "127.0.0.1", "127.255.0.9", "0.0.0.0", "0.1.2.3", "169.254.169.254", "169.254.0.1", "::1", "::", "fe80::1",
        "febf::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe",
        "fd00:ec2::254",
    ]
    @Test(arguments: internals)
    func `U09 a name of somebody else's does not lead to this machine or its link`(text: String) throws {
        let place = try address(text)
        let name = try WebAddress("https://id.example.com/")
        #expect(name.admit([place], isConfigured: true, allowsInternal: false) == .forbidden(place))
        let other = try address("192.0.2.7")
        #expect(
            name.admit([place, other], isConfigured: true, allowsInternal: false)
                == .found([SocketAddress(address: other, port: 443)]))
        #expect(
            name.admit([place], isConfigured: true, allowsInternal: true)
                == .found([SocketAddress(address: place, port: 443)]))
    }

    @Test(arguments: [
        "10.0.0.1", "192.168.0.1", "172.16.0.1", "fd00::1", "2001:db8::1", "128.0.0.1", "169.253.1.1", "fec0::1",
    ])
    func `others are let in, private networks too`(text: String) throws {
        let place = try address(text)
        #expect(
            try WebAddress("https://id.example.com/").admit([place], isConfigured: true, allowsInternal: false)
                == .found([SocketAddress(address: place, port: 443)]))
    }

    @Test func `literal addresses and localhost say themselves where they lead`() throws {
        let loopback = try address("127.0.0.1"), metadata = try address("169.254.169.254")
        let literal = try WebAddress("http://169.254.169.254/")
        #expect(literal.admit([metadata], isConfigured: true, allowsInternal: false) != .forbidden(metadata))
        let local = try WebAddress("https://LocalHost/")
        #expect(local.admit([loopback], isConfigured: true, allowsInternal: false) != .forbidden(loopback))
        #expect(local.admit([metadata], isConfigured: true, allowsInternal: false) == .forbidden(metadata))
        // A document that was fetched says nothing that would be believed.
        #expect(literal.admit([metadata], isConfigured: false, allowsInternal: false) == .forbidden(metadata))
        #expect(local.admit([loopback], isConfigured: false, allowsInternal: false) == .forbidden(loopback))
    }

    @Test func `a name without address is unknown`() throws {
        #expect(try WebAddress("https://a/").admit([], isConfigured: true, allowsInternal: false) == .unknown)
    }
}
