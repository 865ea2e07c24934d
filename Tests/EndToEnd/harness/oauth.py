"""Programs that ask a backend's OAuth endpoints: clients of several rights, and what they send."""

import base64
from urllib.parse import quote_plus

import httpx

SECRETS = {"gateway": "g" * 40, "web": "w+%:/ é" + "w" * 33, "other": "o" * 32, "idle": "i" * 32}
CLIENTS = [
    {"id": "gateway", "secret": SECRETS["gateway"], "rights": ["introspect"]},
    {"id": "web", "secret": SECRETS["web"], "rights": ["tokens"]},
    {"id": "other", "secret": SECRETS["other"], "rights": ["tokens"]},
    {"id": "idle", "secret": SECRETS["idle"], "rights": []},
]


def basic(client: str, secret: str | None = None) -> dict[str, str]:
    pair = f"{quote_plus(client)}:{quote_plus(SECRETS[client] if secret is None else secret)}"
    return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


def ask(backend, path: str, client: str, **form: str) -> httpx.Response:
    return backend.auth.post(path, data=form, headers=basic(client))


def introspect(backend, token: str, hint: str = "access_token") -> dict:
    answer = ask(backend, "/oauth/introspect", "gateway", token=token, token_type_hint=hint)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return answer.json()
