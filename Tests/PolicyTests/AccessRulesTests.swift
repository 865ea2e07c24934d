// What `require`, `require_policy`, `permissions` and `roles_file` let in, and what a refusal says.
import Bytes
import Configuration
import Policy
import Testing
import TokenSigning

@Suite struct AccessRulesTests {
    /// Of each location, with one token: `allowed`, or the code of the refusal.
    private func outcomes(
        _ fixture: RuleFixture, _ payload: String, method: String = "GET", fields: [String] = []
    ) throws -> [String: String] {
        var authenticator = fixture.authenticator
        var authorization = fixture.authorization
        let found = try principal(&authenticator, TokenSigner.rsa.token(payload))
        defer { authenticator.release(found) }
        var outcomes: [String: String] = [:]
        for (name, number) in fixture.numbers where name != "unmatched" {
            let verdict = judge(
                &authorization, number, PrincipalSet(found), authenticator, method: method, fields: fields)
            switch verdict {
            case .allowed: outcomes[name] = "allowed"
            case .denied(let demand):
                outcomes[name] = "\(authorization.response(location: number, demand: demand).code)"
            }
        }
        return outcomes
    }

    private func allowed(_ fixture: RuleFixture, _ payload: String, method: String = "GET", fields: [String] = [])
        throws
        -> [String]
    {
        try outcomes(fixture, payload, method: method, fields: fields).filter { $0.value == "allowed" }.keys.sorted()
    }

    @Test func lists() throws {
        let fixture = try RuleFixture(
            """
            location /1 { require permission a b; } location /2 { require any permission a z; }
            location /3 { require scope read; } location /4 { require role "site admin"; }
            location /5 { require not role guest; } location /6 { require not permission z a; }
            location /7 { require any { permission z; all { scope read; role "site admin"; } } }
            location /8 { require not { permission a; permission z; } }
            location /9 { require not all permission a z; }
            """)
        let payload = claims([
            "permissions": #"["a","b"]"#, "scope": #""read write""#, "roles": #"["site admin"]"#,
            "realm_access": #"{"roles":["user"]}"#,
        ])
        #expect(try allowed(fixture, payload) == ["/1", "/2", "/3", "/4", "/5", "/7", "/9"])
        let other = claims(["permissions": "null", "role": #""guest""#, "scp": #"["read"]"#])
        #expect(
            try outcomes(fixture, other) == [
                "/1": "insufficient_scope", "/2": "insufficient_scope", "/3": "allowed", "/4": "insufficient_scope",
                "/5": "access_denied", "/6": "allowed", "/7": "insufficient_scope", "/8": "allowed", "/9": "allowed",
            ])
    }

    @Test(arguments: [
        (#""acme""#, ["=", "in", "contains", "!= other", "exists", "not"]), (#""ACME""#, ["!= other", "exists"]),
        (#"["acme","x"]"#, ["contains", "exists", "not"]), (#"["x"]"#, ["exists"]), ("[]", ["exists"]),
        ("{}", ["exists"]),
        ("null", ["absent"]), (#""""#, ["!= other", "exists"]), ("5", ["!= other", "exists"]),
        ("true", ["!= other", "exists"]), (#""other""#, ["exists"]), (#"[["acme"]]"#, ["exists"]),
        (#"{"acme":1}"#, ["exists"]), (#""ac\u006de""#, ["=", "in", "contains", "!= other", "exists", "not"]),
    ])
    func j60TextConditions(_ value: String, _ met: [String]) throws {
        let fixture = try RuleFixture(
            """
            location /equals { require claim t = acme; } location /in { require claim t in b acme; }
            location /contains { require claim t contains acme; } location /differs { require claim t != other; }
            location /exists { require claim t exists; } location /absent { require claim t absent; }
            location /not { require not { not claim t contains acme; } }
            """)
        let names = ["=": "/equals", "in": "/in", "contains": "/contains", "!= other": "/differs"]
        #expect(
            try allowed(fixture, claims(["t": value])) == met.map { names[$0] ?? "/\($0)" }.sorted())
    }

    @Test(arguments: [
        ("5", ["=", "<=", ">=", "in"]), ("5.0", ["=", "<=", ">=", "in"]), ("50e-1", ["=", "<=", ">=", "in"]),
        ("0.5E1", ["=", "<=", ">=", "in"]), ("4.9999999999999999999", ["!=", "<", "<="]),
        ("5.0000000000000000001", ["!=", ">", ">="]), ("-5", ["!=", "<", "<="]), ("-0", ["!=", "<", "<=", "zero"]),
        ("0", ["!=", "<", "<=", "zero"]), ("0e9", ["!=", "<", "<=", "zero"]), ("1e400", ["!=", ">", ">="]),
        ("-1e400", ["!=", "<", "<="]), ("1e-400", ["!=", "<", "<="]), (#""5""#, ["=", "in"]), (#""6""#, ["!="]),
        ("true", ["!="]), ("[5]", []), ("null", []),
        ("9007199254740993", ["!=", ">", ">=", "large"]), ("9007199254740992", ["!=", ">", ">="]),
    ])
    func numbers(_ value: String, _ met: [String]) throws {
        let fixture = try RuleFixture(
            """
            location /eq { require claim n = 5; } location /ne { require claim n != 5; }
            location /lt { require claim n < 5; } location /le { require claim n <= 5.0; }
            location /gt { require claim n > 5; } location /ge { require claim n >= 5; }
            location /in { require claim n in x 7 5; } location /zero { require claim n = 0; }
            location /large { require claim n = 9007199254740993; }
            """)
        let names = ["=": "/eq", "!=": "/ne", "<": "/lt", "<=": "/le", ">": "/gt", ">=": "/ge"]
        #expect(try allowed(fixture, claims(["n": value])) == met.map { names[$0] ?? "/\($0)" }.sorted(), "\(value)")
    }

    @Test func nestedAndOddNames() throws {
        let fixture = try RuleFixture(
            """
            location /1 { require claim a.b.c = x; } location /2 { require claim "https://e.com/plan" = "50% off, a"; }
            location /3 { require claim '"https://e.com/app".tenant' = y; } location /4 { require claim a.b exists; }
            location /5 { require claim a.b.c.d absent; } location /6 { require claim flag = true; }
            location /7 { require claim list contains "a,b"; } location /8 { require claim list contains "a"; }
            """)
        let payload = claims([
            "a": #"{"b":{"c":"x"}}"#, "https://e.com/plan": #""50% off, a""#, "https://e.com/app": #"{"tenant":"y"}"#,
            "flag": "true", "list": #"["a,b"," c "]"#,
        ])
        #expect(try allowed(fixture, payload) == ["/1", "/2", "/3", "/4", "/5", "/6", "/7"])
    }

    @Test func requestVariables() throws {
        let fixture = try RuleFixture(
            """
            location /host { require claim v = $host; } location /method { require claim v = $request_method; }
            location /field { require claim v = $http_x_tenant; } location /addr { require claim v = $remote_addr; }
            location /text { require claim v = "a-${http_x_tenant}-b"; }
            location /not { require claim v != $http_x_tenant; }
            """)
        func allowedFor(_ value: String, _ fields: [String] = []) throws -> [String] {
            try allowed(fixture, claims(["v": value]), fields: fields)
        }
        #expect(try allowedFor(#""gateway.example""#, ["X-Tenant: t"]) == ["/host", "/not"])
        #expect(try allowedFor(#""GET""#) == ["/method"])
        #expect(try allowedFor(#""192.0.2.1""#) == ["/addr"])
        #expect(try allowedFor(#""acme""#, ["X-Tenant: acme"]) == ["/field"])
        #expect(try allowedFor(#""a-acme-b""#, ["x-tenant: acme"]) == ["/not", "/text"])
        // What is empty or said twice equals nothing, and differs from nothing.
        #expect(try allowedFor(#""""#) == [])
        #expect(try allowedFor(#""""#, ["X-Tenant:"]) == [])
        #expect(try allowedFor(#""acme""#, ["X-Tenant: acme", "X-Tenant: acme"]) == [])
        // What would not reach the upstream decides nothing.
        #expect(try allowedFor(#""acme""#, ["X_Tenant: acme"]) == [])
        #expect(try allowedFor(#""acme""#, ["X-Tenant: acme", "x_tenant: other"]) == [])
        #expect(try allowedFor(#""acme""#, ["X-Tenant: acme", "Connection: x-tenant"]) == [])
        #expect(try allowedFor(#""acme""#, ["X-Tenant: acme", "Connection: x-other"]) == ["/field"])
        #expect(try allowedFor("5", ["X-Tenant: 5.0"]) == ["/field"])
    }

    @Test func policies() throws {
        let fixture = try RuleFixture(
            """
            location /1 { require_policy strong; } location /2 { require permission a; require_policy strong admins; }
            location /3 { require any { policy strong; permission b; } } location /4 { require not policy strong; }
            """,
            main: """
                policy strong { require claim amr contains mfa; }
                policy admins { require permission a; require_policy strong; }
                """)
        #expect(try allowed(fixture, claims(["amr": #"["mfa"]"#, "permissions": #"["a"]"#])) == ["/1", "/2", "/3"])
        #expect(
            try outcomes(fixture, claims(["permissions": #"["a"]"#])) == [
                "/1": "policy_violation", "/2": "policy_violation", "/3": "insufficient_scope", "/4": "allowed",
            ])
        #expect(
            try outcomes(fixture, claims(["amr": #"["mfa"]"#, "permissions": "[]"]))["/2"] == "insufficient_scope")
    }

    @Test func methods() throws {
        let fixture = try RuleFixture(
            """
            location /1 { permissions { GET read; POST,PUT write; DELETE delete also; } }
            location /2 { permissions { * any; GET read; } } location /3 { permissions { GET,HEAD read; } }
            location /4 { permissions { GET read; HEAD head; } }
            """)
        func outcome(_ method: String, _ permissions: String) throws -> [String] {
            try outcomes(fixture, claims(["permissions": "[\(permissions)]"]), method: method).sorted {
                $0.key < $1.key
            }
            .map(\.value)
        }
        let (no, scope) = ("access_denied", "insufficient_scope")
        #expect(try outcome("GET", #""read""#) == ["allowed", "allowed", "allowed", "allowed"])
        #expect(try outcome("HEAD", #""read""#) == ["allowed", "allowed", "allowed", scope])
        #expect(try outcome("GET", #""any""#) == [scope, scope, scope, scope])
        #expect(try outcome("PUT", #""write""#) == ["allowed", scope, no, no])
        #expect(try outcome("PUT", #""any""#) == [scope, "allowed", no, no])
        #expect(try outcome("DELETE", #""delete""#) == [scope, scope, no, no])
        #expect(try outcome("DELETE", #""delete","also""#) == ["allowed", scope, no, no])
        // Methods are compared letter by letter (RFC 9110 section 9.1).
        #expect(try outcome("get", #""read","any""#) == [no, "allowed", no, no])
        #expect(try outcome("PATCH", #""write","read""#) == [no, scope, no, no])
    }

    @Test func roles() throws {
        let roles = RolesFile(
            path: "",
            roles: [
                RolesFile.Role("admin", ["read:data", "write:data"]), RolesFile.Role("site user", ["read:data"]),
                RolesFile.Role("star", ["read:*"]),
            ])
        let fixture = try RuleFixture(
            """
            location /1 { require permission read:data; } location /2 { require permission write:data; }
            location /3 { require permission read:data write:data other; } location /4 { require role admin; }
            location /5 { grant_wildcards on; require permission read:data; } location /6 { permissions { GET write:data; } }
            location /7 { require scope read:data; }
            """, roles: roles)
        #expect(
            try allowed(fixture, claims(["permissions": nil, "roles": #"["admin"]"#])) == [
                "/1", "/2", "/4", "/5", "/6",
            ])
        #expect(try allowed(fixture, claims(["permissions": nil, "role": #""site user""#])) == ["/1", "/5"])
        #expect(try allowed(fixture, claims(["permissions": #"["other"]"#, "roles": #"["admin"]"#])).contains("/3"))
        #expect(try allowed(fixture, claims(["permissions": nil, "roles": #"["star"]"#])) == ["/5"])
        #expect(try allowed(fixture, claims(["permissions": nil, "roles": #"["admins"]"#])) == [])
    }

    /// What the upstream is told includes what roles grant, each once.
    @Test func permissionsThatAreTold() throws {
        let roles = RolesFile(
            path: "",
            roles: [
                RolesFile.Role("admin", ["read:data", "write:data"]), RolesFile.Role("user", ["read:data", "a,b"]),
                RolesFile.Role("many", (0..<300).map { "permission:\($0)" }),
            ])
        let fixture = try RuleFixture("location / { require permission x; }", roles: roles)
        var authenticator = fixture.authenticator
        let authorization = fixture.authorization
        func told(
            _ changes: [String: String?], _ authenticator: inout Authenticator, _ authorization: borrowing Authorization
        ) throws -> String {
            let found = try principal(&authenticator, TokenSigner.rsa.token(claims(changes)))
            defer { authenticator.release(found) }
            var out = ByteBuffer(capacity: 64)
            out.append("X: ")
            authorization.writePermissions(of: found, authenticator, to: &out)
            let bytes = out.bytes
            return String(decoding: bytes.indices.dropFirst(3).map { bytes[$0] }, as: UTF8.self)
        }
        let both = #"["user","admin","other"]"#
        let long = "[" + (0..<300).map { "\"own:\($0)xx\"" }.joined(separator: ",") + "]"
        let cases: [(permissions: String?, roles: String, told: String)] = [
            (nil, both, "read:data,write:data,a%2Cb"),
            (#"["own","write:data"]"#, both, "own,write:data,read:data,a%2Cb"), (#"["own"]"#, #"["other"]"#, "own"),
            (#"["own"]"#, #"["many"]"#, ""), (long, #"["user"]"#, ""),
        ]
        for one in cases {
            let text = try told(["permissions": one.permissions, "roles": one.roles], &authenticator, authorization)
            #expect(text == one.told)
        }
    }

    @Test(arguments: [
        (
            "read:*",
            ["a:read:data": false, "read:data": true, "read:data:x": false, "read": false, "reading:data": false]
        ),
        ("*:data", ["read:data": true, "read:database": false, "data": false]),
        ("*", ["read:data": true, "read": true, "a:b:c": true]), ("*:*", ["read:data": true, "read": false]),
        ("re*:data", ["read:data": false]), ("read:**", ["read:data": false]), ("read:", ["read:data": false]),
        ("read:*:x", ["read:data:x": true, "read:data:y": false]), ("%2A", ["read": false]),
        (":*", ["read:data": false]),
    ])
    func wildcards(_ granted: String, _ required: [String: Bool]) throws {
        for (name, covers) in required {
            let fixture = try RuleFixture(
                """
                location /on { grant_wildcards on; require permission \(name); } location /off { require permission \(name); }
                location /scope { grant_wildcards on; require scope \(name); }
                """)
            #expect(
                try allowed(fixture, claims(["permissions": "[\"x\",\"\(granted)\"]"])) == (covers ? ["/on"] : []),
                "\(name)")
            #expect(
                try allowed(fixture, claims(["permissions": nil, "scope": "\"\(granted) y\""]))
                    == (covers ? ["/scope"] : []),
                "\(name)")
        }
    }

    @Test func j61ScopeOfTheChallenge() throws {
        let fixture = try RuleFixture(
            """
            location /1 { require permission a b; require scope c; require any permission d e; require role r; }
            location /2 { require any { permission f; role r; } require not permission g; permissions { GET h; POST i; } }
            """)
        var authenticator = fixture.authenticator
        var authorization = fixture.authorization
        let found = try principal(&authenticator, TokenSigner.rsa.token(claims(["permissions": #"["a"]"#])))
        defer { authenticator.release(found) }
        func scope(_ location: String, _ demand: Int, _ authorization: inout Authorization) throws -> String {
            missing(
                &authorization, try #require(fixture.numbers[location]), demand: demand, PrincipalSet(found),
                authenticator)
        }
        #expect(try scope("/1", 1, &authorization) == "b c d e")
        #expect(try scope("/2", 0, &authorization) == "f")
        // The demand behind the two requirements is the line of GET.
        #expect(try scope("/2", 2, &authorization) == "f h")
    }

    @Test func severalPrincipals() throws {
        let fixture = try RuleFixture(
            "location /1 { require permission a b; } location /2 { require claim t = x; } location /3 { require claim u absent; }"
        )
        var authenticator = Authenticator(
            [
                provider { $0.kept = fixture.configuration.keptClaims },
                provider("second", issuer: "https://second.example") { $0.kept = fixture.configuration.keptClaims },
            ], workers: 1)
        var authorization = fixture.authorization
        let first = try principal(&authenticator, TokenSigner.rsa.token(claims(["permissions": #"["a"]"#])))
        let second = try principal(
            &authenticator,
            TokenSigner.rsa.token(
                claims([
                    "iss": #""https://second.example""#, "permissions": #"["b"]"#, "t": #""x""#, "u": #""y""#,
                ])), provider: 1)
        var both = PrincipalSet(first)
        both.add(second)
        var verdicts: [Authorization.Verdict] = []
        for name in ["/1", "/2", "/3"] {
            verdicts.append(judge(&authorization, try #require(fixture.numbers[name]), both, authenticator))
        }
        #expect(verdicts == [.allowed, .allowed, .denied(0)])
        authenticator.release(first)
        authenticator.release(second)
    }
}
