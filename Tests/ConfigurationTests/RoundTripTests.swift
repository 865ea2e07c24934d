// A print-out of the effective configuration is a configuration, and the same one.
import Configuration
import Foundation
import Testing

struct RoundTripTests {
    private static let everything = """
        worker_processes 3;
        worker_shutdown_timeout 0;
        pid run/gw.pid;
        state_dir run/state;
        error_log logs/error.log warn;
        log_format brief '$remote_addr "$request" \\u{24}5 $http_user_agent $cookie_a';
        access_log run/a.log brief;
        add_header X-A "b c" always;
        ssl_protocols TLSv1.3;
        admin { listen unix:run/admin.sock; }
        auth_provider p jwt {
            issuer "off"; audience a "b c"; jwks http://127.0.0.1:5000/k; jwks_refresh 1m; stale_if_error 0;
            key_file *.pem; algorithms ES256 EdDSA; token_types - at+jwt; required_claims none; max_lifetime off; cache off;
        }
        roles_file roles.json;
        policy p1 { require claim a.b in x $remote_addr; require_policy p2; }
        policy p2 { require any { permission a b; not { scope c; role "d e"; } all { claim "f.g" > -1.5; claim h exists; } } }
        auth_provider q jwt { issuer off; audience off; jwks http://192.0.2.1/k https://a/b; insecure on; }
        auth_provider r jwt { issuer https://r; audience off; discovery https://r; jwks https://r/a; unknown_kid refetch wait=1s cooldown=5s; key_file key_folder; }
        revocation r {
            feed https://id.example.com/r?a=b; client_id g; client_secret "s 1"; on_stale deny max_age=90s;
        }
        revocation s { redis redis://192.0.2.1:7000/3 channel=c; insecure on; }
        auth_provider w introspection {
            url http://127.0.0.1:1/i?a=b; client_id "a b"; client_secret c; cache off; on_error 403; timeout 2s; leeway 0;
            token_from header query t cookie s; bound_tokens require; issuer "off"; audience a; required_claims x y;
            token_max_size 1k; claims { subject username; }
        }
        auth_provider s request { url http://192.0.2.1/; insecure on; copy X-A "X-B"; on_error allow; }
        auth_provider t api_key { file api_keys.json; from cookie k header X-K; prefix p_; }
        auth_provider v api_key { url https://[::1]:7/; cache 5m; }
        upstream group {
            server 127.0.0.1:1 weight=4; server [::1]:2 down; server unix:run/s max_fails=0 fail_timeout=1m; keepalive 3;
        }
        server {
            listen 8080; listen 8443 ssl backlog=77; listen [::1]:80;
            server_name a.example *.b.example .c.example d.* "~^e\\d{2}$" "";
            ssl_certificate tls.crt; ssl_certificate_key tls.key;
            auth p; require permission one; require permission two; require_policy p1 p2; error_detail none; identity_headers { }
            revocation r;
            cors { origins https://a.example https://*.b.example:8; methods PUT; headers X-A; credentials on; }
            strip_cookies __Host-r s;
            location = "/a b" { return 200 "tab\\t \\u{24}x ${host}y"; }
            location ^~ /c/ { proxy_pass http://group/x/; proxy_set_header Host "$host:$server_port"; proxy_set_header E ""; }
            location ~* "\\.(a|b){1,2}$" {
                auth q; path_guard off; cors { pass on; } strip_cookies off; client_max_body_size 0; proxy_pass http://127.0.0.1:9; proxy_read_timeout 90s;
                revocation off;
                location /n/ { auth off; access_log off; forward_token on; return 302 https://$host/; }
            }
            location /none/ {
                cors { } identity_token { key tls.key ed25519.key; audience "a b"; ttl 5m; header X-Who; }
            }
            location /keys { identity_jwks; }
            location ~ "^/t/(?<t>x)" { require claim '"i.j".k' = "${t}\\u{24}$http_x"; auth_mode report; grant_wildcards on; }
            location /methods/ { permissions { GET,PUT a b; * c; } require not any role l m; }
            location /unix/ { proxy_pass http://unix:run/s; proxy_connect_timeout 250ms; }
        }
        server { listen 8080 default_server; server_name z; auth off; return 301 https://z$request_uri; }
        """

    @Test func aPrintOutReadsBackAsTheSame() throws {
        let configuration = try Fixture.load(Self.everything)
        let printed = configuration.dump()
        let again = try Fixture.load(printed)
        #expect(again == configuration)
        #expect(again.dump() == printed)
        // Every part of the tree took part.
        #expect(configuration.servers.count == 2 && configuration.locations.count == 11)
        #expect(configuration.upstreams.map(\.name) == ["group", "127.0.0.1:9", "unix:run/s"])
    }

    @Test func equalityLooksAtEverythingButPositions() throws {
        let configuration = try Fixture.load(Self.everything)
        #expect(try Fixture.load("\n# moved\n" + Self.everything) == configuration)
        for (old, new) in [
            ("weight=4", "weight=5"), ("path_guard off", "path_guard on"), ("X-Who", "X-Whom"), ("5m", "6m"),
            ("two;", "three;"), ("250ms", "251ms"),
            ("tab", "Tab"),
            ("z$request_uri", "z$uri"), ("backlog=77", "backlog=78"), ("d.*", "e.*"), ("ES256", "RS256"),
            ("max_age=90s", "max_age=91s"), ("channel=c", "channel=d"),
            ("__Host-r s", "__Host-r t"), ("credentials on", "credentials off"), ("pass on", "origins *"),
            ("-1.5", "-1.6"), ("GET,PUT", "GET"), ("role l", "scope l"), ("auth_mode report", "auth_mode enforce"),
            ("p1 p2;", "p1;"),
            ("run/state", "run/other"), ("discovery https://r", "discovery https://s"), ("https://a/b", "https://a/c"),
        ] {
            #expect(try Fixture.load(Self.everything.replacing(old, with: new)) != configuration, "\(old)")
        }
    }

    @Test func secretsArePrintedNowhere() throws {
        let text = """
            log_format f '$status ${env:WORD}';
            log_format g "$status ${env:WORD}";
            add_header X-Word "${env:WORD}";
            auth_provider p jwt { issuer ${env:WORD}; audience a ${env:WORD}; jwks http://127.0.0.1/${env:WORD}; }
            auth_provider q jwt { issuer off; audience off; secret ${file:shared.txt} kid=x; }
            server {
                listen 8080; auth p;
                require permission ${env:WORD};
                location /a { return 200 "${file:secret.txt}"; }
                location /b { add_header Y z; proxy_pass http://127.0.0.1:1; proxy_set_header X-Key ${env:WORD}; }
                identity_headers { X-W ${env:WORD}; }
            }
            """.replacing("'$status ${env:WORD}'", with: "$status")
        let configuration = try Fixture.load(text)
        let printed = configuration.dump()
        #expect(!printed.contains("hunter2") && !printed.contains("s3cret") && !printed.contains("twelve"))
        #expect(printed.contains("secret \"***\""))
        #expect(printed.contains("issuer \"***\"") && printed.contains("audience a \"***\""))
        #expect(printed.contains("return 200 \"***\"") && printed.contains("add_header Y z;"))
        let b = try #require(configuration.locations.first { $0.name == "/b" })
        guard case .proxy(let pass) = b.action else { return #expect(Bool(false), "no proxy_pass") }
        #expect(pass.setHeaders == [FieldTemplate(name: "X-Key", value: Template(text: "hunter2"))])
    }

    @Test func messagesHoldNoSecrets() {
        for line in [
            "worker_processes ${env:WORD};", "auth_provider ${env:WORD} jwt { }", "error_log stderr ${env:WORD};",
            "access_log x ${env:WORD};", "client_max_body_size ${env:WORD};", "send_timeout ${env:WORD};",
            "upstream u { server \"${env:WORD}:x\"; }", "server { listen ${env:WORD}:0; }",
            "server { listen 1; auth off; location / { proxy_pass ${env:WORD}; } }",
            "server { listen 1; auth off; location / { proxy_pass http://${env:WORD}.invalid; } }",
            "server { listen 1; auth off; location / { return ${env:WORD}; } }",
            "server { listen 1; auth off; location ${env:WORD} { } }", "server { listen 1; auth ${env:WORD}; }",
            "server { listen 1; server_name \"a ${env:WORD}\"; }", "include ${env:WORD};", "${env:WORD} x;",
            "server { listen 1 ssl; ssl_certificate ${env:WORD}; ssl_certificate_key x; }",
            "auth_provider p jwt { key_file ${env:WORD}; }", "auth_provider p jwt { jwks ${env:WORD}; }",
            "auth_provider p jwt { secret ${env:WORD}; }",
            "auth_provider p jwt { secret ${file:shared.txt} ${env:WORD}; }",
            "auth_provider p jwt { algorithms ${env:WORD}; }", "auth_provider p jwt { cache ${env:WORD}; }",
            "server { listen 1; add_header \"a ${env:WORD}\" x; }", "pid x ${env:WORD};", "path_guard ${env:WORD};",
            "server { listen 1; require ${env:WORD} x; }", "server { listen 1 ${env:WORD}=5; }",
        ] {
            let errors = Fixture.errors(line)
            #expect(!errors.isEmpty, "\(line)")
            #expect(!errors.joined().contains("hunter2"), "\(line): \(errors)")
        }
    }
}
