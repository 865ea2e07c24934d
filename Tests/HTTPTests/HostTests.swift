// Which host a request is for: rows P08 and P09.
import Bytes
import HTTP
import Testing

struct HostTests {
    static let hosts = [
        ("example.com", "example.com"), ("EXAMPLE.com:8080", "EXAMPLE.com"), ("my_service", "my_service"),
        ("[::1]:8080", "[::1]"), ("[::1]", "[::1]"), ("[2001:db8::a:b]", "[2001:db8::a:b]"),
        ("[::ffff:127.0.0.1]:1", "[::ffff:127.0.0.1]"), ("a:", "a"), ("[::1]:", "[::1]"),
        ("127.0.0.1:65535", "127.0.0.1"),
        ("a.", "a"), ("a.b.:80", "a.b"), ("x--y~z", "x--y~z"), ("a:00080", "a"),
    ]

    @Test("P09: hosts that are valid", arguments: hosts)
    func valid(_ host: String, _ name: String) {
        let (outcome, disagreement) = parseCutEverywhere(Array("GET / HTTP/1.1\r\nHost: \(host)\r\n\r\n".utf8))
        #expect(disagreement == nil)
        #expect(outcome.head?.host == host)
        #expect(outcome.head?.hostName == name)
    }

    static let invalid = [
        "", " ", "user@a", "user:pass@a", "a b", "a\tb", "a,b", "a, b", "a:x", "a:-1", "a:+1", "a:65536", "a:0",
        "a:000080",
        "a:80:80", "::1", "[::1", "[::1]x", "[::1]:x", "[::1]]", "[]", "[:]", "[a]", "[1.2.3.4]", "[::1%25eth0]",
        "[v1.a]",
        "[1:2:3:4:5:6:7:8:9]", "[::1::]", "[12345::]", ":80", ".", ".a", "a..b", "a/b", "a?b", "a#b", "a%41", "a\\b",
        "http://a", "a;b", "a\"b", "<a>", "é", "a=b", "a'b", "*", "$host",
    ]
    @Test("P09: hosts that are not", arguments: invalid)
    func refused(_ host: String) {
        expectRefusal(RefusedRequest("P09", "GET / HTTP/1.1\r\nHost: \(host)\r\n\r\n", .host))
        expectRefusal(RefusedRequest("P09", "GET / HTTP/1.1\r\nHost:\(host)\r\nX: y\r\n\r\n", .host))
    }

    @Test("P09: none, and two")
    func count() {
        expectRefusal(RefusedRequest("P09", "GET / HTTP/1.1\r\n\r\n", .host))
        expectRefusal(RefusedRequest("P09", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", .host))
        expectRefusal(RefusedRequest("P09", "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\nhOST: b\r\n\r\n", .host))
        expectRefusal(RefusedRequest("P09", "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", .host))
        expectRefusal(RefusedRequest("P09", "GET / HTTP/1.0\r\nHost: a@b\r\n\r\n", .host))
        expectRefusal(RefusedRequest("P09", "GET http://a/ HTTP/1.1\r\n\r\n", .host))
        #expect(MessageError.host.status == 400)
        #expect("\(MessageError.host.code)" == "host_invalid")
    }

    @Test("P09: HTTP/1.0 needs none", arguments: ["", "Host:\r\n", "Host:  \r\n"])
    func old(_ line: String) {
        let head = parse("GET / HTTP/1.0\r\n\(line)\r\n").head
        #expect(head?.host == "")
        #expect(head?.hostName == "")
        #expect(head?.line == ["GET", "/", "0"])
    }

    @Test("P08: the authority of the target replaces Host, and is as valid")
    func absolute() {
        let head = parse("GET http://b:81/x HTTP/1.1\r\nHost: a\r\n\r\n").head
        #expect(head?.host == "b:81")
        #expect(head?.hostName == "b")
        let old = parse("GET http://b./ HTTP/1.0\r\n\r\n").head
        #expect(old?.hostName == "b")
        for authority in ["u@b", "b,c", "b:x", "b..c", "[::1", "%62"] {
            expectRefusal(RefusedRequest("P08", "GET http://\(authority)/ HTTP/1.1\r\nHost: a\r\n\r\n", .host))
        }
        expectRefusal(RefusedRequest("P08", "GET http:/// HTTP/1.1\r\nHost: a\r\n\r\n", .target))
    }

    @Test("P08: CONNECT names an authority, OPTIONS may have an asterisk")
    func otherForms() {
        let connect = parse("CONNECT b:443 HTTP/1.1\r\nHost: a\r\n\r\n").head
        #expect(connect?.host == "b:443")
        #expect(connect?.hostName == "b")
        let options = parse("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").head
        #expect(options?.host == "a")
        #expect(options?.line[1] == "*")
    }
}

struct ExpectationTests {
    @Test("H15: 100-continue in any case", arguments: ["100-continue", "100-Continue", "100-CONTINUE"])
    func expects(_ value: String) {
        let fields = ["Expect: \(value)", "Content-Length: 5"]
        #expect(parse(request("POST / HTTP/1.1", fields.joined(separator: "\r\n"))).head?.expectsContinue == true)
        #expect(
            parse(request("POST / HTTP/1.1", "Expect: \(value)", "Transfer-Encoding: chunked")).head?.expectsContinue
                == true)
    }

    @Test("H15: means nothing without a body, or in HTTP/1.0")
    func ignored() {
        #expect(parse(request("POST / HTTP/1.1", "Expect: 100-continue")).head?.expectsContinue == false)
        #expect(
            parse(request("POST / HTTP/1.1", "Expect: 100-continue", "Content-Length: 0")).head?.expectsContinue
                == false)
        #expect(
            parse(request("POST / HTTP/1.0", "Expect: 100-continue", "Content-Length: 5")).head?.expectsContinue
                == false)
    }

    @Test(
        "H15: any other value or a list is 417",
        arguments: ["", "100", "200-ok", "100-continue, 100-continue", "100-continue;q=1", "x, 100-continue"])
    func refused(_ value: String) {
        expectRefusal(
            RefusedRequest("H15", request("POST / HTTP/1.1", "Expect: \(value)", "Content-Length: 5"), .expectation))
    }

    @Test("H15: two fields are a list")
    func twice() {
        expectRefusal(
            RefusedRequest(
                "H15", request("POST / HTTP/1.1", "Expect: 100-continue", "Expect: 100-continue", "Content-Length: 5"),
                .expectation))
        #expect(MessageError.expectation.status == 417)
    }
}
