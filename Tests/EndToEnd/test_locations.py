"""Which server and which location answer: nginx's rules; return and add_header."""

import pytest

from harness.origin import answering
from harness.raw import Client, get

CONFIGURATION = """
worker_processes 1;
error_log stderr notice;
access_log @folder@/access.log json;
admin { listen 127.0.0.1:@admin_port@; }
server {
    listen 127.0.0.1:@port@;
    server_name first.example;
    auth off;
    location = / { return 200 "exact root"; }
    location / { return 200 "root"; }
    location = /exact { return 200 "exact"; }
    location /exact { return 200 "prefix of exact"; }
    location /a { return 200 "a"; }
    location /a/b/ { return 200 "a b"; }
    location ^~ /static/ { return 200 "static"; }
    location ~ \\.php$ { return 200 "pattern php"; }
    location ~* \\.(gif|png)$ { return 200 "pattern image"; }
    location ~ ^/v[0-9]+/ { return 200 "pattern version"; }
    location /outer/ {
        return 200 "outer";
        location /outer/inner/ { return 200 "inner"; }
        location ~ \\.txt$ { return 200 "inner pattern"; }
    }
}
server {
    listen 127.0.0.1:@port@;
    server_name second.example *.wild.example www.* .dot.example "~^re[0-9]+\\.example$";
    auth off;
    location / { return 200 "second"; }
}
server {
    listen 127.0.0.1:@port@;
    server_name deep.wild.example;
    auth off;
    location / { return 200 "third"; }
}
server {
    listen 127.0.0.1:@port2@;
    auth off;
    add_header X-Server yes;
    location /text { return 200 "id=$request_id uri=$uri args=$args host=$host method=$request_method\\n"; }
    location /moved { return 301 https://example.com$request_uri; }
    location /found { return 302 /elsewhere; }
    location /empty { return 204; }
    location /gone { return 410; }
    location /teapot { return 418 "short and stout"; }
    location /own { add_header X-Own "a $uri"; add_header X-Always b always; return 200 "x"; }
    location /own-404 { add_header X-Own a; add_header X-Always b always; return 404 "x"; }
    location /proxied { add_header X-Own a; proxy_pass http://@origin@; }
    location /inherited { proxy_pass http://@origin@; }
}
"""


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/", "exact root"),
        ("/x", "root"),
        ("/?x", "exact root"),
        ("/exact", "exact"),
        ("/exact?x=1", "exact"),
        ("/exact/", "prefix of exact"),
        ("/exactly", "root"),
        ("/a", "a"),
        ("/a/", "a"),
        ("/a/x", "a"),
        ("/ab", "root"),
        ("/a/b", "a b"),
        ("/a/b/", "a b"),
        ("/a/b/c", "a b"),
        ("/a/bc", "a"),
        ("/static/x.php", "static"),
        ("/x.php", "pattern php"),
        ("/x.PHP", "root"),
        ("/x.PNG", "pattern image"),
        ("/v12/x", "pattern version"),
        ("/v12/x.php", "pattern php"),
        ("/vx/", "root"),
        ("/outer/x", "outer"),
        ("/outer/inner/x", "inner"),
        ("/outer/x.txt", "inner pattern"),
        ("/outer/x.php", "pattern php"),
        ("/a/./b/c", "a b"),
        ("/x/../a", "a"),
        ("/%61", "a"),
        ("/x.php?y", "pattern php"),
    ],
)
def test_location(gateway, path, answer):
    response = gateway.request(get(path, host="first.example"))
    assert response.status == 200 and response.body.decode() == answer


@pytest.mark.parametrize(
    ("host", "answer"),
    [
        ("first.example", "root"),
        ("FIRST.EXAMPLE", "root"),
        ("first.example:8080", "root"),
        ("first.example.", "root"),
        ("second.example", "second"),
        ("a.wild.example", "second"),
        ("a.b.wild.example", "second"),
        ("deep.wild.example", "third"),
        ("wild.example", "root"),
        ("www.anything.example", "second"),
        ("dot.example", "second"),
        ("x.dot.example", "second"),
        ("re7.example", "second"),
        ("rex.example", "root"),
        ("xfirst.example", "root"),
        ("unknown.example", "root"),
        ("127.0.0.1", "root"),
        ("[::1]:80", "root"),
    ],
)
def test_server_name(gateway, host, answer):
    assert gateway.request(get("/x", host=host)).body.decode() == answer


def test_U10_unmatched_host_goes_to_the_default_server(gateway):
    assert gateway.request(get("/x", host="evil.example")).body == b"root"


def ask(gateway, path: str, *fields: str, host: str = "localhost", method: str = "GET"):
    with Client(gateway.values["port2"]) as client:
        client.send(get(path, *fields, host=host, method=method))
        return client.read_response(method)


def test_U10_redirects_never_use_an_unmatched_host(gateway):
    for path in ("/found", "/moved/x"):
        response = ask(gateway, path, host="evil.example")
        assert "evil" not in response.get("location")


def test_return_text_with_variables(gateway):
    response = ask(gateway, "/text?a=b", host="shop.example:81")
    assert response.status == 200
    text = response.body.decode()
    assert "uri=/text args=a=b host=shop.example method=GET\n" in text and len(text.split()[0]) == 3 + 32
    assert response.get("content-length") == str(len(response.body))


def test_return_statuses(gateway):
    moved = ask(gateway, "/moved/a?b=c")
    assert moved.status == 301 and moved.get("location") == "https://example.com/moved/a?b=c"
    assert ask(gateway, "/found").get("location").endswith("/elsewhere")
    assert ask(gateway, "/empty").status == 204
    assert ask(gateway, "/gone").status == 410
    teapot = ask(gateway, "/teapot")
    assert (teapot.status, teapot.body) == (418, b"short and stout")


def test_return_to_HEAD_and_with_a_body(gateway):
    response = ask(gateway, "/teapot", method="HEAD")
    assert response.status == 418 and response.get("content-length") == "15"
    with Client(gateway.values["port2"]) as client:
        client.send(get("/teapot", "Content-Length: 5", method="POST") + b"hello" + get("/gone"))
        assert [client.read_response().status for _ in range(2)] == [418, 410]


def test_U02_return_cannot_be_split(gateway):
    response = ask(gateway, "/moved/%0d%0aX-Evil:%201")
    assert response.status in (301, 400) and response.get("x-evil") is None


def test_add_header(gateway, origin):
    own = ask(gateway, "/own")
    assert own.get("x-own") == "a /own" and own.get("x-always") == "b"
    assert own.get("x-server") is None, "the location's own list replaces the server's"
    missing = ask(gateway, "/own-404")
    assert missing.get("x-own") is None and missing.get("x-always") == "b"
    assert ask(gateway, "/proxied").get("x-own") == "a"
    assert ask(gateway, "/inherited").get("x-server") == "yes"
    origin.serve(answering(b"HTTP/1.1 500 No\r\nX-Own: origin's\r\nContent-Length: 0\r\n\r\n"))
    assert ask(gateway, "/proxied").all("x-own") == ["origin's"]
