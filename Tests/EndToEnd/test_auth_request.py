"""A service that looks at whole requests, as nginx's auth_request asks it (provider kind `request`)."""


import pytest

from harness.raw import get, post
from harness.refusals import check_answer, expect_only_good_at
from harness.services import Service
from harness.waiting import wait_until

CONFIGURATION = """
worker_processes 2;
error_log stderr info;
access_log @folder@/access.log json;
admin { listen 127.0.0.1:@admin_port@; }
auth_provider legacy request { url @service@; copy X-User X-Groups; @settings@ }
server {
    listen 127.0.0.1:@port@;
    auth legacy;
    location / { proxy_pass http://@origin@; }
    location /open { auth off; proxy_pass http://@origin@; }
    location /good { auth off; proxy_pass http://@origin@; }
}
"""


@pytest.fixture
def service():
    service = Service()
    yield service
    service.close()


@pytest.fixture
def begin(start, service):
    return lambda settings="": start(CONFIGURATION.replace("@settings@", settings), service=service.url)


def test_what_the_service_sees(begin, service, origin):
    gateway = begin()
    data = post("/a/./b?c=d", b"secret body", "Authorization: Basic eDp5", "Cookie: s=1", "X-Other: no")
    assert gateway.request(data).status == 200
    (question,) = service.questions
    assert (question.method, question.path) == ("GET", "/check")
    assert question.get("x-original-method") == "POST" and question.get("x-original-uri") == "/a/b?c=d"
    assert question.get("authorization") == "Basic eDp5" and question.get("cookie") == "s=1"
    assert question.get("x-other") is None and question.get("content-length") is None
    assert origin.last.body == b"secret body"


def test_copied_fields_and_nothing_else(begin, service, origin):
    gateway = begin("cache off;")
    service.fields = {"X-User": "al ice%", "X-Groups": "a, b", "X-Secret": "no"}
    response = gateway.request(get("/x", "X-User: mallory", "x_user: mallory", "X-Groups: root"))
    assert response.status == 200
    assert origin.last.all("x-user") == ["al ice%25"] and origin.last.all("x-groups") == ["a, b"]
    assert origin.last.get("x-secret") is None and b"mallory" not in origin.last.head
    service.fields = {"X-User": "bob"}
    assert gateway.request(get("/x", "X-Groups: root")).status == 200
    assert origin.last.all("x-user") == ["bob"] and origin.last.all("x-groups") == []
    assert gateway.request(get("/open", "X-User: mallory")).status == 200
    assert origin.last.get("x-user") is None, "on no route can a client say who it is"


@pytest.mark.parametrize("status", [200, 204, 299])
def test_any_success_lets_in(begin, service, status):
    service.status = status
    assert begin().request(get("/x")).status == 200


def test_unauthorized_passes_the_challenge_on(begin, service, origin):
    gateway = begin()
    origin.reset()
    service.status, service.fields = 401, {"WWW-Authenticate": 'Basic realm="legacy", charset="UTF-8"'}
    response = gateway.request(get("/x"))
    check_answer(response, 401, "auth_service_refused", closed=False)
    assert response.get("www-authenticate") == 'Basic realm="legacy", charset="UTF-8"'
    service.fields = {}
    response = gateway.request(get("/y"))
    check_answer(response, 401, "auth_service_refused", closed=False)
    assert response.get("www-authenticate") == "Bearer"
    expect_only_good_at(origin)
    gateway.wait_for_log_line(lambda line: line["auth_reason"] == "auth_service_refused")


def test_forbidden(begin, service, origin):
    gateway = begin()
    origin.reset()
    service.status = 403
    response = gateway.request(get("/x"))
    check_answer(response, 403, "access_denied", closed=False)
    assert response.get("www-authenticate") is None
    expect_only_good_at(origin)


@pytest.mark.parametrize("status", [302, 404, 429, 500, 503])
def test_anything_else_is_a_failure(begin, service, origin, status):
    gateway = begin()
    origin.reset()
    service.status, service.fields = status, {"Location": "http://127.0.0.1/elsewhere"}
    response = gateway.request(get("/x"))
    check_answer(response, 503, "auth_service_unavailable", closed=False)
    assert int(response.get("retry-after")) >= 1 and response.get("location") is None
    expect_only_good_at(origin)


@pytest.mark.parametrize(("policy", "status"), [("503", 503), ("403", 403), ("allow", 200)])
def test_what_a_failure_means_can_be_said(begin, service, origin, policy, status):
    service.status = 500
    gateway = begin(f"on_error {policy};")
    assert gateway.request(get("/x", "X-User: mallory")).status == status
    if status == 200:
        assert origin.last.get("x-user") is None


def test_answers_are_remembered_for_the_same_question(begin, service):
    gateway = begin("cache 3s;")
    for _ in range(5):
        assert gateway.request(get("/x", "Cookie: s=1")).status == 200
    assert len(service.questions) == 1
    for data in (get("/y", "Cookie: s=1"), get("/x", "Cookie: s=2"), get("/x", "Cookie: s=1", method="DELETE"), get("/x")):
        before = len(service.questions)
        assert gateway.request(data).status == 200
        assert len(service.questions) == before + 1, "another question"
    service.status = 403
    wait_until(lambda: gateway.request(get("/x", "Cookie: s=1")).status == 403, 10, 0.2, "the answer is old")


def test_refusals_are_not_remembered_for_long(begin, service):
    service.status = 401
    gateway = begin()
    assert gateway.request(get("/x")).status == 401
    service.status = 200
    wait_until(lambda: gateway.request(get("/x")).status == 200, 5, 0.1)


def test_without_cache_each_request_asks(begin, service):
    gateway = begin("cache off;")
    for _ in range(4):
        assert gateway.request(get("/x")).status == 200
    assert len(service.questions) == 4
    service.delay = 0.2
    with gateway.connect() as first, gateway.connect() as second:
        first.send(get("/x"))
        second.send(get("/x"))
        assert first.read_response().status == second.read_response().status == 200
    assert len(service.questions) == 6, "nobody shares an answer that may not be kept"


SECOND = "auth_provider second request { url @other@; }\n"
BOTH = SECOND + CONFIGURATION.replace("auth legacy;", "auth all legacy second;").replace("@settings@", "")


def test_all_asks_each_service_in_its_order(start, service, origin):
    second = Service()
    try:
        gateway = start(BOTH, service=service.url, other=second.url)
        assert gateway.request(get("/x")).status == 200
        assert (len(service.questions), len(second.questions)) == (1, 1)
        origin.reset()
        second.status = 403
        assert gateway.request(get("/x", "Cookie: s=2")).status == 403
        service.status, second.status = 403, 200
        asked = len(second.questions)
        assert gateway.request(get("/x", "Cookie: s=3")).status == 403
        assert len(second.questions) == asked, "the first one's no is enough"
        assert origin.requests == []
    finally:
        second.close()
