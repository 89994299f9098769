"""How a peer is reached: its address, the key to it, and what is allowed on the way."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, urlsplit

from voicebench.errors import UsageError
from voicebench.quoting import quote
from voicebench.remote.connection.timeouts import Timeouts, TurnDeadline
from voicebench.secrecy import HIDDEN, NO_SECRETS, Secrets
from voicebench.secret_names import hidden_in_url, looks_drawn, names_secret, secrets_in_url

_VARIABLE = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")
_HEADER_VALUE = re.compile(r"^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$")
_HEADER_NAME = re.compile(r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")
_PLACE = re.compile(r"^\{\w+\}$")
_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key, known by the name of the environment variable that holds it.

    Sent as ``header: scheme value``; without a scheme as ``header: value``.
    """

    variable: str
    header: str = "Authorization"
    scheme: str = "Bearer"

    def __post_init__(self) -> None:
        """Raise `UsageError` where the name cannot be one; it may be the key itself."""
        if not _VARIABLE.match(self.variable) or len(self.variable) > 100:
            raise UsageError(
                "the key's setting is not the name of an environment variable",
                "put the key into a variable, and its name, such as OPENAI_API_KEY, here",
            )
        if not _HEADER_NAME.match(self.header):
            raise UsageError(f"{self.header!r} is no name of a header")

    def value(self) -> str:
        """Return the key. Raises `UsageError` where the variable holds none."""
        value = os.environ.get(self.variable, "").strip()
        # It may be the key itself, where its name belongs.
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
    """How to reach a peer; the defaults are what a measurement wants.

    ``cold`` connects anew inside every turn. ``redirects`` follows redirects on the same origin.
    ``proxy`` is the URL of an HTTP proxy (HTTP only, not for sockets); ``ca_file`` holds further
    certificates to trust. ``deadline`` is the turn's, where several engines share one. ``hidden``
    are further secrets that no message may repeat.
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
        """Return the headers that go with every request, the key's included: never show them.

        Raises `UsageError` for one that cannot be sent, naming it and not its value.
        """
        check_headers(self.headers)
        headers = dict(self.headers)
        if self.key is not None:
            headers[self.key.header] = f"{self.key.scheme} {self.key.value()}".strip()
        return headers

    def secrets(self) -> Secrets:
        """Return what no message may repeat."""
        known = [self.key.value()] if self.key is not None else []
        known += secrets_in_url(self.proxy or "")
        return Secrets(known) | self.hidden

    def describe(self) -> dict[str, object]:
        """Return what a reader of the results must know; keys and header values are not in it."""
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
    """Raise `UsageError` for a header that cannot be sent, or would hold a key, by its name."""
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
    """Return where ``url`` leads. Raises `UsageError` unless it is a URL of one of ``schemes``."""
    example = f"write for example {schemes[0]}://127.0.0.1:8000"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        written = quote(hidden_in_url(url)[:100])
        raise UsageError(f"{written!r} is no URL ({_cause(error)})", example) from None
    if parts.scheme not in schemes or not parts.hostname:
        raise UsageError(f"{shown(url)!r} is no URL of {' or '.join(schemes)}", example)
    if parts.username is not None or parts.password is not None:
        raise UsageError(
            f"the URL {shown(url)} has a name or a password in it",
            "put the key into an environment variable and name that",
        )
    secret = _secret_in(parts)
    if secret is not None:
        raise UsageError(
            f"the URL {shown(url)} has a key in its query ({secret}=…), and results keep URLs",
            "put it into an environment variable and name that with key_env; key_header and "
            "key_scheme say how it is sent",
        )
    if any(char.isspace() or not char.isprintable() for char in url):
        raise UsageError(f"the URL {shown(url)} has spaces or control characters in it", example)
    return Address(parts.scheme, parts.hostname, _PORTS[parts.scheme] if port is None else port)


def base_of(url: str, path: str) -> str:
    """Return what ``url`` has before ``path``; it may end before that. A query stays."""
    base, mark, query = url.partition("?")
    return f"{base.rstrip('/').removesuffix(path)}{mark}{query}"


def below(base_url: str, path: str) -> str:
    """Return the URL of ``path`` below ``base_url``, whose query stays."""
    base, mark, query = base_url.partition("?")
    return f"{base.rstrip('/')}{path}{mark}{query}"


def _cause(error: ValueError) -> str:
    """Return what is wrong with a URL, without what Python repeats of it."""
    return re.sub(r"\s*'[^']*'", "", str(error))


def _secret_in(parts: SplitResult) -> str | None:
    """Return the name in the query that looks like a key's, None where there is none.

    A place of a template holds no key.
    """
    for name, value in parse_qsl(parts.query):
        if not _PLACE.match(value) and names_secret(name):
            return quote(name)
    return None


def shown(url: str) -> str:
    """Return ``url`` as it may be shown: without user, password, query and fragment."""
    url = hidden_in_url(url)
    try:
        parts = urlsplit(url)
    except ValueError:
        return quote(url.partition("?")[0].rpartition("@")[2])
    host = parts.netloc.rpartition("@")[2]
    return quote(f"{parts.scheme}://{host}{parts.path}" if host else parts.path)
