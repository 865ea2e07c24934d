"""What `return` says when a request supplies its words."""

from harness.gateway import Gateway
from harness.origin import Origin
from harness.raw import get
from harness.refusals import expect_refusal

CONFIGURATION = """
worker_processes 1;
error_log stderr notice;
access_log @folder@/access.log json;
admin { listen 127.0.0.1:@admin_port@; }
server {
    listen 127.0.0.1:@port@;
    auth off;
    location / { proxy_pass http://@origin@; }
    location /next { return 302 $http_x_next; }
}
"""


def test_U02_a_redirect_goes_where_the_words_say(module_gateway: Gateway) -> None:
    with module_gateway.connect() as client:
        response = client.request(get("/next", "X-Next: /there?a=b"))
        assert response.status == 302
        assert response.get("location") == "/there?a=b"


def test_U02_a_redirect_to_nowhere_is_a_fault_of_the_configuration(module_gateway: Gateway, origin: Origin) -> None:
    """No Location can be made of nothing: the gateway says that it failed, and sends no half of a redirect."""
    expect_refusal(module_gateway, origin, get("/next"), 500, "internal_error", closed=True)
