"""Words from outside, made fit to be shown: this is the one place through which they go.

Words from outside are what a peer sent (a reply, an error, a header, a model's name), what a file
holds that somebody else wrote, and names of files. They may be long, may hold escape sequences
that a terminal obeys, characters that reverse the writing direction, and the key that the peer was
sent. What is done about it depends on where they are shown:

===================  ============================================================================
`quote`              in a sentence of ours: one line, bounded, without the secrets
`one_line`           in a table or a title
`neutral`            a whole document or a cell: line ends and tabs stay
`as_json`            JSON: every character stays what it was, written as an escape
===================  ============================================================================
"""

from __future__ import annotations

import json
import re
import unicodedata
from functools import lru_cache

from voicebench.secrecy import Secrets

MAX_QUOTE = 300
"""Characters of a peer's own words that a sentence may repeat."""
_MAX_READ = 1 << 16
"""Characters that are looked at to find them."""

_TURNING = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
"""Characters that change the writing direction: what follows reads as something else."""
_OBEYED = re.compile(f"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff{_TURNING}]")
_BEYOND_ASCII = re.compile(r"[^\x20-\x7e\n]")


def quote(text: str, *secrets: str | Secrets) -> str:
    """Return a peer's words on one line: bounded, without control characters or ``secrets``."""
    text = text[:_MAX_READ]
    for secret in secrets:
        text = (secret if isinstance(secret, Secrets) else Secrets([secret])).hidden_in(text)
    plain = "".join(" " if unicodedata.category(char).startswith("C") else char for char in text)
    plain = " ".join(plain.split())
    return plain if len(plain) <= MAX_QUOTE else f"{plain[:MAX_QUOTE]}…"


def one_line(text: str) -> str:
    """Return ``text`` as one line that a terminal prints and does not obey.

    Line ends and tabs become spaces; control characters (an escape sequence would recolour, move or
    rename the terminal) become ``�``; characters without a shape of their own, such as those that
    reverse the writing direction, are left out.
    """
    return "".join(map(_printed, " ".join(text.split())))


def neutral(text: str) -> str:
    """Return ``text`` without what a terminal obeys or what turns the writing direction.

    Line ends (``\\n``) and tabs stay. Control characters and half surrogate pairs become ``�``.
    """
    return _OBEYED.sub(_made_harmless, text)


def as_json(document: object, *, indent: int | None = None) -> str:
    """Return ``document`` as JSON in which whatever does not print is an escape (``\\u202e``)."""
    text = json.dumps(
        document,
        ensure_ascii=False,
        indent=indent,
        separators=(",", ":") if indent is None else None,
    )
    return text if text.isascii() and "\x7f" not in text else _BEYOND_ASCII.sub(_escape, text)


@lru_cache(maxsize=4096)
def _printed(character: str) -> str:
    if character.isprintable():
        return character
    return "" if unicodedata.category(character) == "Cf" else "\N{REPLACEMENT CHARACTER}"


def _made_harmless(match: re.Match[str]) -> str:
    return _printed(match[0])


def _escape(match: re.Match[str]) -> str:
    return _escaped_character(match[0])


@lru_cache(maxsize=4096)
def _escaped_character(character: str) -> str:
    return character if _prints(character) else json.dumps(character)[1:-1]


def _prints(character: str) -> bool:
    """Tell whether ``character`` has a shape or is a space."""
    return character.isprintable() or unicodedata.category(character) == "Zs"
