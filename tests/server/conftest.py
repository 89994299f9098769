"""The server that most tests ask: a quick script, in a thread."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from served_somewhere import server


@pytest.fixture(scope="session")
def url() -> Iterator[str]:
    """Serve a quick script for the whole test session; nothing in it may stop it."""
    with server() as address:
        yield address


@pytest.fixture
def client(url: str) -> Iterator[httpx.Client]:
    """Return an HTTP client of that server."""
    with httpx.Client(base_url=url, trust_env=False, timeout=20) as http:
        yield http
