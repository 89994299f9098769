"""Recognise secrets by their name or their form, in tables, texts and URLs.

A value is a secret if its name is like ``api_key`` or ``password`` (`names_secret`), or if it looks
like the key of a well-known service (`looks_like_key`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from urllib.parse import unquote_plus

from voicebench.secrecy import HIDDEN, cut_out, merged

_SECRET_NAMES = frozenset(
    {
        *("key", "keys", "apikey", "accesskey", "secretkey", "subscriptionkey"),
        *("token", "accesstoken", "authtoken", "bearer", "jwt", "cookie"),
        *("secret", "password", "passwd", "passphrase", "pwd", "credential", "credentials"),
        *("auth", "authorization", "sig", "signature"),
    }
)
_NO_SECRET_NAMES = frozenset(
    {"bos", "cache", "eos", "idempotency", "max", "min", "pad", "public", "stop", "unk"}
)
"""Words that show that a key or token is not a secret: ``prompt_cache_key``, ``eos_token``."""
_WITHIN_A_WORD = re.compile(r"api-?key|authorization|cookie|password|secret", re.IGNORECASE)
_GIVEN_KEY = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"(?:sk|gsk|ghp|gho|hf|xox[a-z])[-_][A-Za-z0-9_-]{12,}"
    r"|AIza[\w-]{16,}|AKIA[A-Z0-9]{12,}|eyJ[\w-]{8,}\.[\w.-]+"
    r"|(?<=Bearer )[\x21-\x7e]{8,}|(?<=Basic )[A-Za-z0-9+/=]{8,}"
    r")"
)
_NAMED = re.compile(
    r"""(?<![\w.-])(?=(?P<name>[A-Za-z][\w.-]{0,99})\\?["']?\s{0,9}[:=]\s{0,9}\\?["']?"""
    r"""(?:(?:Bearer|Basic)\s+)?(?P<value>[^\s"'&,;{}\\]{1,4096}))"""
)
"""A name and its value in JSON, a form, a query or a header. Tried at each word."""
_URL = re.compile(
    r"(?P<scheme>(?>[a-z][a-z0-9+.-]*://|//|))"
    r"(?P<user>(?:[^/?#]*|[^/?#:@]*:(?!\d+/)[^?#]*)@|)"
    r"(?P<rest>[^?#]*)(?P<query>.*)",
    re.IGNORECASE | re.DOTALL,
)

_URL_IN_TEXT = re.compile(
    r"(?:(?<![a-z0-9+.-])[a-z][a-z0-9+.-]{0,30}:)?//(?:(?![a-z][a-z0-9+.-]{0,30}://)\S)+",
    re.IGNORECASE,
)
"""A URL, up to a space or the next URL."""


def names_secret(name: str) -> bool:
    """Return whether the value of ``name`` (a key, a header, a parameter) is a secret."""
    apart = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name)
    words = set(re.split(r"[\W_]+", apart.lower()))
    if words & _NO_SECRET_NAMES:
        return False
    return bool(words & _SECRET_NAMES or _WITHIN_A_WORD.search(name))


def looks_like_key(value: str) -> bool:
    """Return whether ``value`` contains a key of a well-known service: ``sk-…``, a web token."""
    return _GIVEN_KEY.search(value) is not None


def looks_drawn(text: str, letters: int = 12) -> bool:
    """Return whether ``text`` looks random like a key: long, with some digits."""
    digits = sum(character.isdigit() for character in text)
    return len(text) >= letters and 4 <= digits < len(text) - 4 and not set(text) & set(" /;,")


def hidden_by_name(value: object, name: str = "") -> object:
    """Return a setting's ``value`` without secrets, recognised by name or form.

    It looks into tables and lists at any depth, and into texts with names and values: a JSON
    document, a form, a query.
    """
    if names_secret(name) and value not in (None, "", False, True):
        return HIDDEN
    if isinstance(value, Mapping):
        return {key: hidden_by_name(inner, str(key)) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [hidden_by_name(inner) for inner in value]
    return hidden_in_words(value) if isinstance(value, str) else value


def hidden_in_words(text: str) -> str:
    """Return ``text`` with `HIDDEN` for each value with a secret's name, and for each key."""
    return cut_out(text, _spans_by_name(text))


def hidden_in_url(url: str) -> str:
    """Return ``url`` without user, password, and the secrets in its query and fragment."""
    parts = _URL.fullmatch(url)
    if parts is None:
        return hidden_in_words(url)
    user = parts["user"] and f"{HIDDEN}@"
    query = re.sub(r"(?<=[?&;#])[^=&;#]*=[^&;#]*", _hide_parameter, parts["query"])
    return f"{parts['scheme']}{user}{hidden_in_words(parts['rest'])}{query}"


def hidden_in_urls(text: str) -> str:
    """Return ``text`` with each URL in it as `hidden_in_url` shows it."""
    return _URL_IN_TEXT.sub(lambda match: hidden_in_url(match[0]), text)


def secrets_in_url(url: str) -> Iterator[str]:
    """Yield the password in ``url`` (without one, the user), and what `hidden_in_url` hides.

    Each is yielded as written, and decoded.
    """
    parts = _URL.fullmatch(url)
    if parts is None:
        yield from secret_values(url)
        return
    found = [(parts["user"].partition(":")[2] or parts["user"]).rstrip("@")]
    for name, _, value in (text.partition("=") for text in re.split(r"[?&;#]", parts["query"])):
        found += [value] if names_secret(unquote_plus(name)) else secret_values(value)
    for text in [*found, *secret_values(parts["rest"])]:
        if text and not text.startswith("{"):  # a place of a template
            yield from (text, unquote_plus(text))


def secret_values(value: object, name: str = "") -> Iterator[str]:
    """Yield the texts that `hidden_by_name` hides."""
    if names_secret(name):
        yield from _texts_in(value)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from secret_values(inner, str(key))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from secret_values(inner)
    elif isinstance(value, str):
        yield from (value[begin:end] for begin, end in _spans_by_name(value))


def _hide_parameter(match: re.Match[str]) -> str:
    name, _, value = match[0].partition("=")
    secret = names_secret(unquote_plus(name)) and not value.startswith("{") and value
    return f"{name}={HIDDEN if secret else hidden_in_words(value)}"


def _texts_in(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for inner in value:
            yield from _texts_in(inner)
    elif isinstance(value, str):
        yield re.sub(r"^(?:Basic|Bearer|Key|Token)\s+", "", value, flags=re.IGNORECASE)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)


def _spans_by_name(text: str) -> list[tuple[int, int]]:
    named = (match.span("value") for match in _NAMED.finditer(text) if names_secret(match["name"]))
    return merged([*named, *(match.span() for match in _GIVEN_KEY.finditer(text))])
