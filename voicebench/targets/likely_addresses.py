"""The addresses that a wrong one likely stood for, the likeliest first.

Nothing is asked here. The preflights (`voicebench.targets.preflight` for HTTP,
`voicebench.targets.socket_preflight` for WebSockets) try the addresses one after the other.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Sequence
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit, urlunsplit

from voicebench.remote.connection.access import without_route

COMMON_PORTS = (8765, 8000, 8080, 11434, 1234, 8880, 5000, 8001, 30000)
"""Ports of voicebench, vLLM, llama.cpp, Ollama, LM Studio, Kokoro-FastAPI and others."""


def other_bases(base: str) -> Iterator[str]:
    """Yield what was likely meant: without a route, with one ``/v1``, with ``/v1`` at all."""
    changes: tuple[Callable[[str], str], ...] = (
        without_route,
        _with_one_version,
        lambda path: f"{_with_one_version(without_route(path)).removesuffix('/v1')}/v1",
        lambda path: _with_one_version(path).removesuffix("/v1"),
        lambda _: "/v1",
    )
    seen = {base}
    for change in changes:
        parts = urlsplit(base)
        found = urlunsplit(parts._replace(path=change(parts.path.rstrip("/"))))
        if found not in seen:
            seen.add(found)
            yield found


def _with_one_version(path: str) -> str:
    while path.endswith("/v1/v1"):
        path = path.removesuffix("/v1")
    return path


def elsewhere(base: str) -> Iterator[str]:
    """Yield the other scheme, and on this machine the usual ports."""
    yield other_scheme(base)
    parts = urlsplit(base)
    path = parts.path if parts.path.rstrip("/") else "/v1"
    for place in _other_ports(parts):
        yield urlunsplit(("http", place, path, parts.query, ""))


def _other_ports(parts: SplitResult) -> Iterator[str]:
    """Yield host and port of the usual ports of this machine; nothing for another machine."""
    name = parts.hostname or ""
    if not is_here(name):
        return
    host = f"[{name}]" if ":" in name else name
    for port in COMMON_PORTS:
        if port != parts.port:
            yield f"{host}:{port}"


def is_here(host: str) -> bool:
    """Return whether ``host`` is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def other_scheme(base: str) -> str:
    """Return a base URL with https for http, and http for https."""
    parts = urlsplit(base)
    return urlunsplit(parts._replace(scheme="http" if parts.scheme == "https" else "https"))


def other_sockets(url: str, usual: Sequence[str], *, is_down: bool) -> Iterator[str]:
    """Yield what was likely meant: another scheme, another path, on this machine another port.

    ``usual`` are the paths of the protocol. A server that ``is_down`` has no other path.
    """
    parts = urlsplit(url)
    yield urlunsplit(parts._replace(scheme="ws" if parts.scheme == "wss" else "wss"))
    if not is_down:
        for path in dict.fromkeys(_other_paths(parts.path, usual)):
            yield urlunsplit(parts._replace(path=path))
        return
    for place in _other_ports(parts):
        yield urlunsplit(parts._replace(scheme="ws", netloc=place))


def _other_paths(path: str, usual: Sequence[str]) -> Iterator[str]:
    """Yield ``path`` with one ``/v1``, with ``/v1`` at all, and the usual ones, the nearest first.

    So `/v1/realtim` is answered with `/v1/realtime` also where the server has `/v1/voice`.
    """
    once = path.replace("/v1/v1/", "/v1/")
    before, _, last = path.rstrip("/").rpartition("/")
    nearest = difflib.get_close_matches(path, usual, n=len(usual))
    for found in (once, f"{before}/v1/{last}", *nearest, *usual):
        if found != path:
            yield found
