"""Waiting for something to become true, with a deadline."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(question: Callable[[], T], within: float = 5.0, every: float = 0.01, what: str = "") -> T:
    """Asks until the answer is true and returns it; fails with `what` after `within` seconds."""
    deadline = time.monotonic() + within
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s: {what or question}")
        time.sleep(every)
