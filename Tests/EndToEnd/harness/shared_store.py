"""Backends that share a real Redis, and act as one."""

import json
from pathlib import Path

import httpx

from .backend import Backend
from .revocations import RedisServer


class SharedBackend(Backend):
    """One of several: with keys, users and roles of its own folder, and its sessions in Redis."""

    def __init__(self, folder: Path, key, redis: RedisServer, *flags: str, url: str | None = None, **content):
        super().__init__(folder, key, **content)
        self.redis = redis
        self.prefix = "backend"
        self.flags = ("--redis", url or redis.url, *flags)

    def launch(self, *flags: str, environment: dict[str, str] | None = None) -> None:
        super().launch(*self.flags, *flags, environment=environment)

    @property
    def revocations(self) -> list[dict]:
        rows = self.redis.ask("ZRANGE", f"{self.prefix}:revocations", "0", "-1")
        return [{"before": None} | json.loads(row.split(" ", 1)[1]) for row in rows]

    def validation(self, token: str) -> httpx.Response:
        return self.auth.post("/api/v1/auth/validate", headers={"Authorization": f"Bearer {token}"})
