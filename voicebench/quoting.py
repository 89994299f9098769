"""Make text from outside safe to show. All such text goes through this module.

Text from outside is what a server sent (a reply, an error, a header, a model's name), the content
of files that others wrote, and file names. It may be long. It may contain escape sequences for the
terminal, characters that reverse the writing direction, and the server's key. Each place needs its
own treatment:

===================  ============================================================================
`quote`              in one of our sentences: one line, shortened, without secrets
`one_line`           in a table or a title
`neutral`            in a document or a cell: line ends and tabs stay
`as_json`            in JSON: every character is kept, as an escape if it does not print
===================  ============================================================================
"""

from __future__ import annotations

import json
import re
import unicodedata
from functools import lru_cache

from voicebench.secrecy import Secrets

MAX_QUOTE = 300
"""Longest quote of a server's words, in characters."""
_MAX_READ = 1 << 16
"""Characters that are read to make a quote."""

_TURNING = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
"""Characters that change the writing direction, which makes the following text misleading."""
_OBEYED = re.compile(f"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff{_TURNING}]")
_BEYOND_ASCII = re.compile(r"[^\x20-\x7e\n]")


def quote(text: str, *secrets: str | Secrets) -> str:
    """Return a server's words on one short line, without control characters and ``secrets``."""
    text = text[:_MAX_READ]
    for secret in secrets:
        text = (secret if isinstance(secret, Secrets) else Secrets([secret])).hidden_in(text)
    plain = "".join(" " if unicodedata.category(char).startswith("C") else char for char in text)
    plain = " ".join(plain.split())
    return plain if len(plain) <= MAX_QUOTE else f"{plain[:MAX_QUOTE]}…"


def one_line(text: str) -> str:
    """Return ``text`` as one line without effects on the terminal.

    Line ends and tabs become spaces. Control characters become ``�``. Invisible characters, such as
    those that reverse the writing direction, are removed.
    """
    return "".join(map(_printed, " ".join(text.split())))


def neutral(text: str) -> str:
    """Return ``text`` without control characters and changes of the writing direction.

    Line ends (``\\n``) and tabs stay. Control characters and lone surrogates become ``�``.
    """
    return _OBEYED.sub(lambda match: _printed(match[0]), text)


def as_json(document: object, *, indent: int | None = None) -> str:
    """Return ``document`` as JSON; characters that do not print are escapes (``\\u202e``)."""
    text = json.dumps(
        document,
        ensure_ascii=False,
        indent=indent,
        separators=(",", ":") if indent is None else None,
    )
    if text.isascii() and "\x7f" not in text:
        return text
    return _BEYOND_ASCII.sub(lambda match: _escaped(match[0]), text)


@lru_cache(maxsize=4096)
def _printed(character: str) -> str:
    if character.isprintable():
        return character
    return "" if unicodedata.category(character) == "Cf" else "\N{REPLACEMENT CHARACTER}"


@lru_cache(maxsize=4096)
def _escaped(character: str) -> str:
    prints = character.isprintable() or unicodedata.category(character) == "Zs"  # a space
    return character if prints else json.dumps(character)[1:-1]
