"""Settings as they may be kept and shown: without anything that could be a key.

Keys belong into environment variables. Some servers want one in the request's body: it is sent as
it is set, and hidden everywhere else. A key in a URL is an error when it would be sent, but the
settings are kept even then, so it is hidden too.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping

from voicebench.secrecy import HIDDEN, Secrets
from voicebench.secret_names import (
    hidden_by_name,
    hidden_in_url,
    hidden_in_words,
    looks_drawn,
    looks_like_key,
    secret_values,
    secrets_in_url,
)
from voicebench.settings.sections import Settings, all_keys, lookup, nested

_URLS = frozenset({"url", "proxy"})
_TABLES = frozenset({"extra", "body", "socket", "session"})
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")


def shown_value(key: str, value: object) -> object:
    """Return the value of the setting ``key`` (``section.key``) as it may be shown."""
    name = key.rpartition(".")[2]
    if name == "headers":
        # A header's name need not say that its value is a key.
        return dict.fromkeys(value, HIDDEN) if isinstance(value, Mapping) else HIDDEN
    if name in _TABLES:
        return hidden_by_name(value)
    if not isinstance(value, str):
        return HIDDEN if name in _URLS and value is not None else value
    if name in _URLS:
        return hidden_in_url(value)
    if (name == "key_env" and _may_be_key(value)) or looks_like_key(value):
        return HIDDEN if name in ("key_env", "key_scheme") else hidden_in_words(value)
    return value


def shown_settings(settings: Settings) -> dict[str, object]:
    """Return all settings as a result keeps them: one table a section."""
    secrets = secrets_of(settings)
    return nested(
        {key: secrets.hidden_within(shown_value(key, lookup(settings, key))) for key in all_keys()}
    )


def secrets_of(settings: Settings) -> Secrets:
    """Return the keys and passwords that ``settings`` name or hold."""
    return Secrets(_secrets_in(settings, os.environ))


def _secrets_in(settings: Settings, environ: Mapping[str, str]) -> Iterator[str]:
    for section in ("llm", "tts", "server", "call", "otlp", "wire"):
        for name, value in getattr(settings, section):
            if name == "key_env" and value:
                # It may be the key itself instead of its name.
                yield environ.get(value, "").strip() or (value if _may_be_key(value) else "")
            elif name == "headers":
                yield from secret_values(value)
                yield from filter(looks_drawn, value.values())
            elif name in _URLS and value:
                yield from secrets_in_url(value)
            elif name in _TABLES:
                yield from secret_values(value)


def _may_be_key(variable: str) -> bool:
    """Tell whether the name of a variable is a key by mistake."""
    return not _VARIABLE.fullmatch(variable) or looks_drawn(variable, letters=20)
