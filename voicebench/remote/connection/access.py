"""How a peer is reached: its URL, the key for it, and what is allowed on the way."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from voicebench.errors import UsageError
from voicebench.quoting import quote
from voicebench.remote.connection.timeouts import Timeouts, TurnDeadline
from voicebench.secrecy import HIDDEN, NO_SECRETS, Secrets
from voicebench.secret_names import hidden_in_url, looks_drawn, names_secret, secrets_in_url

_VARIABLE = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")
_HEADER_VALUE = re.compile(r"^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$")
_HEADER_NAME = re.compile(r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")
_PLACE = re.compile(r"^\{\w+\}$")
"""A place of a template, which holds no key."""
_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key, named by the environment variable that holds it.

    It is sent as ``header: scheme value``; without a scheme as ``header: value``. Raises
    `UsageError` for a variable or a header whose name is not valid.
    """

    variable: str
    header: str = "Authorization"
    scheme: str = "Bearer"

    def __post_init__(self) -> None:
        """Check the names; the variable's may be the key itself, so it is not shown."""
        if not _VARIABLE.match(self.variable) or len(self.variable) > 100:
            raise UsageError(
                "the key's setting is not the name of an environment variable",
                "put the key into a variable, and its name, such as OPENAI_API_KEY, here",
            )
        if not _HEADER_NAME.match(self.header):
            raise UsageError(f"{self.header!r} is not the name of a header")

    def value(self) -> str:
        """Return the key. Raises `UsageError` where the variable holds none."""
        value = os.environ.get(self.variable, "").strip()
        # The name may be the key itself.
        name = HIDDEN if looks_drawn(self.variable, letters=20) else self.variable
        if not value:
            raise UsageError(
                f"environment variable {name} is not set", "put the server's key into it"
            )
        if not _HEADER_VALUE.match(value):
            raise UsageError(
                f"the key in environment variable {name} cannot be sent in a header",
                "it holds spaces at the ends, line breaks or letters beyond ASCII",
            )
        return value


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach a peer; the defaults suit a measurement.

    ``cold`` connects anew inside every turn. ``redirects`` follows redirects on the same origin.
    ``proxy`` is the URL of an HTTP proxy (not for WebSockets); ``ca_file`` holds further
    certificates to trust. ``deadline`` is that of a turn which several engines share. ``hidden``
    are further secrets that no message may show.
    """

    timeouts: Timeouts = field(default_factory=Timeouts)
    key: ApiKey | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    http2: bool = False
    cold: bool = False
    redirects: bool = False
    proxy: str | None = None
    ca_file: Path | None = None
    deadline: TurnDeadline | None = None
    hidden: Secrets = NO_SECRETS

    def request_headers(self) -> dict[str, str]:
        """Return the headers of every request, the key included: never show them.

        Raises `UsageError` for one that cannot be sent, with its name but not its value.
        """
        check_headers(self.headers)
        headers = dict(self.headers)
        if self.key is not None:
            headers[self.key.header] = f"{self.key.scheme} {self.key.value()}".strip()
        return headers

    def secrets(self) -> Secrets:
        """Return the secrets that no message may show."""
        known = [self.key.value()] if self.key is not None else []
        known += secrets_in_url(self.proxy or "")
        return Secrets(known) | self.hidden

    def describe(self) -> dict[str, object]:
        """Return what a reader of the results must know, without keys and values of headers."""
        return {
            "key_variable": self.key.variable if self.key else None,
            "headers": sorted(self.headers),
            "http2": self.http2,
            "cold_connection": self.cold,
            "redirects": self.redirects,
            "proxy": shown(self.proxy) if self.proxy else None,
            "connect_timeout_s": self.timeouts.connect_s,
            "first_byte_timeout_s": self.timeouts.first_byte_s,
            "between_bytes_timeout_s": self.timeouts.between_bytes_s,
            "turn_timeout_s": self.timeouts.turn_s,
        }


def check_headers(headers: Mapping[str, str]) -> None:
    """Raise `UsageError` for a header that cannot be sent, or whose name is that of a key."""
    for name, value in headers.items():
        if not _HEADER_NAME.match(name) or not _HEADER_VALUE.match(value):
            raise UsageError(f"header {name!r} cannot be sent", "use printable ASCII")
        if names_secret(name):
            raise UsageError(
                f"header {name!r} would hold a key in plain text",
                "put the key into an environment variable, and name that and the header",
            )


@dataclass(frozen=True, slots=True)
class Address:
    """The parts of a URL that a connection needs."""

    scheme: str
    host: str
    port: int

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.scheme in ("https", "wss")


def address_of(url: str, *schemes: str) -> Address:
    """Return the address in ``url``. Raises `UsageError` unless it has one of ``schemes``.

    Also for a URL that holds a password or a key, because results keep URLs.
    """
    example = f"write for example {schemes[0]}://127.0.0.1:8000"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        written = quote(hidden_in_url(url)[:100])
        # Without what Python repeats of the URL.
        cause = re.sub(r"\s*'[^']*'", "", str(error))
        raise UsageError(f"{written!r} is not a URL ({cause})", example) from None
    if parts.scheme not in schemes or not parts.hostname:
        raise UsageError(f"{shown(url)!r} is not a URL of {' or '.join(schemes)}", example)
    if parts.username is not None or parts.password is not None:
        raise UsageError(
            f"the URL {shown(url)} has a name or a password in it",
            "put the key into an environment variable and name that",
        )
    for name, value in parse_qsl(parts.query):
        if names_secret(name) and not _PLACE.match(value):
            raise UsageError(
                f"the URL {shown(url)} has a key in its query ({quote(name)}=…), and results keep "
                "URLs",
                "put it into an environment variable and name that with key_env; key_header and "
                "key_scheme say how it is sent",
            )
    if any(char.isspace() or not char.isprintable() for char in url):
        raise UsageError(f"the URL {shown(url)} has spaces or control characters in it", example)
    return Address(parts.scheme, parts.hostname, _PORTS[parts.scheme] if port is None else port)


def base_of(url: str, path: str) -> str:
    """Return ``url`` without ``path`` at its end; its query stays."""
    base, mark, query = url.partition("?")
    return f"{base.rstrip('/').removesuffix(path)}{mark}{query}"


ROUTES = (
    *("/chat/completions", "/audio/speech", "/models", "/completions", "/responses"),
    "/embeddings",
)
"""Routes of OpenAI's protocol below its base."""


def without_route(path: str) -> str:
    """Return the path of a URL without a route of OpenAI's protocol at its end."""
    return next((path.removesuffix(route) for route in ROUTES if path.endswith(route)), path)


def below(base_url: str, path: str) -> str:
    """Return ``base_url`` with ``path`` at its end; its query stays."""
    base, mark, query = base_url.partition("?")
    return f"{base.rstrip('/')}{path}{mark}{query}"


def shown(url: str) -> str:
    """Return ``url`` as it may be shown: without user, password, query and fragment."""
    url = hidden_in_url(url)
    try:
        parts = urlsplit(url)
    except ValueError:
        return quote(url.partition("?")[0].rpartition("@")[2])
    host = parts.netloc.rpartition("@")[2]
    return quote(f"{parts.scheme}://{host}{parts.path}" if host else parts.path)
