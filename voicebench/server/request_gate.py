"""The checks that every request passes, on any route.

- **Key.** With a token, every route but the page and `/health` needs ``Authorization: Bearer …``.
  A browser cannot set headers on a WebSocket, so there a subprotocol may carry the token:
  ``voicebench.bearer.`` and the token in base64url. Tokens are compared in constant time.
- **Host.** Without a token the server listens on a loopback address. A web page could reach it
  through the user's browser under a name of its own (DNS rebinding), so requests for another host
  are refused. There must be one Host header: a name, optionally with a port.
- **Origin.** A page of another origin can make a browser send requests (a link, a picture, a form,
  a socket), even if it cannot read the answers. Browsers mark them (``Origin``,
  ``Sec-Fetch-Site``), and they are refused on every route except the page and `/health`.
- **Size.** A body has at most `MAX_BODY_BYTES` and must arrive within `BODY_S`.
- **Server-Timing** is added to every answer that does not have it.
- **A defect** is answered with 500, timed and counted like any answer. Only the log has details.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import logging
import re
from collections.abc import Callable
from ipaddress import IPv6Address

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from voicebench.server.clock import arrived_s, elapsed_ms, note_arrival, now_s
from voicebench.server.page_files import FILES
from voicebench.server.refusal import Refusal

MAX_BODY_BYTES = 256 << 10
BODY_S = 20.0
_HEAD_START_MS = 1.0
"""A body that takes longer to arrive was not sent together with its head."""
KEY_PROTOCOL = "voicebench.bearer."
OPEN_PATHS = frozenset({"/health", *FILES})
_HOST = re.compile(
    r"(?:\[(?P<address>[0-9A-Fa-f:.]{2,45})\]|(?P<name>[A-Za-z0-9._-]{1,253}))(?::(?P<port>\d{0,5}))?",
    re.ASCII,
)
MAX_PORT = 65535
_OWN_SITES = ("same-origin", "none")
"""``Sec-Fetch-Site`` of requests from our own page, or from the address bar."""
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})

_LOG = logging.getLogger("voicebench.server")
DEFECT = Refusal(500, "the server has a defect; its log says more")
_NO_KEY = Refusal(
    401,
    "this server needs a key: send 'Authorization: Bearer …'",
    code="invalid_api_key",
    headers={"WWW-Authenticate": "Bearer"},
)
_TOO_LARGE = Refusal(
    413,
    f"the body is larger than {MAX_BODY_BYTES} bytes",
    code="body_too_large",
    headers={"Connection": "close"},
)


class RequestGate:
    """Passes requests on to ``app``, or refuses them.

    Without a ``token`` no key is needed. ``hosts`` are the allowed names in the Host header, None
    for any. ``note_answer`` gets the route and status of each answer.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        token: str | None,
        hosts: frozenset[str] | None,
        note_answer: Callable[[str, int], None],
    ) -> None:
        self._app = app
        self._token = token
        self._hosts = hosts
        self._note_answer = note_answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._refusal(scope, headers)
        if scope["type"] == "websocket":
            if refusal is None:
                await self._app(scope, receive, send)
            else:
                await receive()
                await send({"type": "websocket.close", "code": 1008, "reason": refusal.message})
            return
        answer = _Answer(scope, send, self._note_answer)
        if refusal is not None:
            await refusal.response()(scope, receive, answer.send)
        else:
            await self._answer(scope, _Bounded(receive).receive, answer)

    async def _answer(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        """Pass a request on. A defect becomes a 500, unless the answer has begun."""
        try:
            await self._app(scope, receive, answer.send)
        except Exception:
            if answer.began:
                raise  # the connection is closed, which is how a client learns of it
            _LOG.exception("a request of %s broke", answer.route)
            await DEFECT.response()(scope, receive, answer.send)

    def _refusal(self, scope: Scope, headers: Headers) -> Refusal | None:
        name = _host_name(headers)
        if self._hosts is not None and name not in self._hosts:
            return Refusal(421, "this server does not have that host name", code="wrong_host")
        if name is None and "host" in headers:
            return Refusal(400, "there must be one Host header, a name", code="wrong_host")
        is_open = scope["type"] == "http" and scope["path"] in OPEN_PATHS
        if not is_open and _of_another_origin(headers):
            return Refusal(
                403, "a page of another origin may not talk to this server", code="wrong_origin"
            )
        if self._token is not None and not self._has_key(scope, headers):
            return _NO_KEY
        if scope["type"] == "http" and _length(headers) > MAX_BODY_BYTES:
            return _TOO_LARGE
        return None

    def _has_key(self, scope: Scope, headers: Headers) -> bool:
        assert self._token is not None
        if scope["type"] == "http" and scope["path"] in OPEN_PATHS:
            return True
        kind, _, given = headers.get("authorization", "").partition(" ")
        shown = [given.strip()] if kind.lower() == "bearer" else []
        if scope["type"] == "websocket":
            shown += [_key_in(protocol) for protocol in scope.get("subprotocols", [])]
        expected = self._token.encode()
        return any(hmac.compare_digest(key.encode("utf-8", "replace"), expected) for key in shown)


class _Bounded:
    """A request's body, limited in size and time."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._size = 0
        self._complete = False
        self._due: float | None = None

    async def receive(self) -> Message:
        """Return the next message. Raises `HTTPException` if the body is too large or too late."""
        if self._complete:
            return await self._receive()
        asked_s = now_s()
        self._due = self._due or asyncio.get_running_loop().time() + BODY_S
        try:
            async with asyncio.timeout_at(self._due):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(408, "the body did not come", {"Connection": "close"}) from None
        if message["type"] == "http.request":
            self._complete = not message.get("more_body", False)
            if elapsed_ms(asked_s) > _HEAD_START_MS:
                note_arrival()  # it came later than the head
            self._size += len(message.get("body", b""))
            if self._size > MAX_BODY_BYTES:
                raise HTTPException(413, _TOO_LARGE.message, {"Connection": "close"})
        return message


class _Answer:
    """An answer: adds ``Server-Timing`` and counts it."""

    def __init__(self, scope: Scope, send: Send, note: Callable[[str, int], None]) -> None:
        self._scope = scope
        self._send = send
        self._note = note
        self.began = False

    @property
    def route(self) -> str:
        """The route's path; 'unknown' where none was found."""
        return str(getattr(self._scope.get("route"), "path", "unknown"))

    async def send(self, message: Message) -> None:
        """Send ``message``. Add the headers that every answer has."""
        if message["type"] == "http.response.start":
            headers = MutableHeaders(raw=list(message.get("headers", [])))
            headers.setdefault("server-timing", f"total;dur={elapsed_ms(arrived_s()):.3f}")
            headers.setdefault("x-content-type-options", "nosniff")
            message = {**message, "headers": headers.raw}
            self.began = True
            self._note(self.route, message["status"])
        await self._send(message)


def _length(headers: Headers) -> int:
    text = headers.get("content-length", "0")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 18 else MAX_BODY_BYTES + 1


def _host_name(headers: Headers) -> str | None:
    """Return the host's name without port and final dot; None unless there is exactly one.

    IPv6 addresses are returned in their shortest form.
    """
    given = headers.getlist("host")
    host = _HOST.fullmatch(given[0]) if len(given) == 1 else None
    if host is None or int(host["port"] or 0) > MAX_PORT:
        return None
    if host["address"] is None:
        return host["name"].lower().removesuffix(".")
    try:
        return str(IPv6Address(host["address"]))
    except ValueError:
        return None


def _of_another_origin(headers: Headers) -> bool:
    """Return whether a page of another origin made a browser send the request.

    Other programs send neither of the two headers.
    """
    host = headers.get("host", "").lower()
    origins, sites = headers.getlist("origin"), headers.getlist("sec-fetch-site")
    return any(origin.partition("://")[2].lower() != host for origin in origins) or any(
        site.strip().lower() not in _OWN_SITES for site in sites
    )


def _key_in(protocol: str) -> str:
    """Return the token in a subprotocol, or an empty text."""
    if not protocol.startswith(KEY_PROTOCOL):
        return ""
    coded = protocol.removeprefix(KEY_PROTOCOL)
    try:
        return base64.urlsafe_b64decode(coded + "=" * (-len(coded) % 4)).decode()
    except (binascii.Error, ValueError):
        return ""
