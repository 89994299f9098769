"""Input of `voicebench say`: a text, a question, or standard input as it arrives."""

from __future__ import annotations

import codecs
import sys
import unicodedata
from collections.abc import Callable, Iterator
from io import BufferedReader
from typing import cast

from voicebench.cli.shown import to_stderr
from voicebench.errors import UsageError

MAX_TEXT_CHARACTERS = 20_000
"""About twenty minutes of speech, which is kept in memory until the turn is sealed."""
_READ_BYTES = 4096


def text_or_question(text: str | None, ask: str | None) -> tuple[Iterator[str], str | None]:
    """Return the pieces of the text as they arrive, and the question if there is one.

    Raises `UsageError` for both, and for a text that cannot be spoken.
    """
    from voicebench.text.prompts import check_prompt

    if ask is not None:
        if text is not None:
            raise UsageError("a text and --ask exclude each other", "give one of them")
        return iter(()), check_prompt(ask, "--ask")
    if text is not None and text != "-":
        checked = check_text(text, "the text")
        if not checked.strip():
            raise UsageError("the text is empty", "write the text to speak")
        return iter((checked,)), None
    if sys.stdin is None or sys.stdin.closed:
        raise UsageError("there is nothing to speak", 'write it: voicebench say "Hello"')
    if sys.stdin.isatty():
        to_stderr("type the text to speak; Ctrl-D ends it")
    return arriving_text(cast(BufferedReader, sys.stdin.buffer).read1), None


def arriving_text(read: Callable[[int], bytes]) -> Iterator[str]:
    """Yield UTF-8 text as it arrives. ``read`` returns the bytes that are there, b"" at the end.

    Raises `UsageError` for anything but plain text, for too much text, and for none.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    characters, is_blank = 0, True
    while True:
        data = read(_READ_BYTES)
        try:
            text = check_text(decoder.decode(data, final=not data), "standard input")
        except UnicodeDecodeError:
            raise UsageError("standard input is not UTF-8 text", "convert it first") from None
        characters += len(text)
        if characters > MAX_TEXT_CHARACTERS:
            raise _too_long("standard input", characters)
        is_blank = is_blank and not text.strip()
        if text:
            yield text
        if not data:
            break
    if is_blank:
        raise UsageError("standard input has no text", "write the text to speak")


def check_text(text: str, where: str) -> str:
    """Return ``text``. Raises `UsageError` if it is too long or not plain text."""
    if len(text) > MAX_TEXT_CHARACTERS:
        raise _too_long(where, len(text))
    for char in text:
        if unicodedata.category(char) in ("Cc", "Cs") and char not in "\n\r\t\f":
            raise UsageError(
                f"{where} has a character that is not text (U+{ord(char):04X})",
                "give plain text in UTF-8",
            )
    return text


def _too_long(where: str, characters: int) -> UsageError:
    return UsageError(
        f"{where} has {characters:,} characters or more",
        f"at most {MAX_TEXT_CHARACTERS:,} can be spoken at once",
    )
