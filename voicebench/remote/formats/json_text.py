"""JSON for a peer and from one: objects of bounded depth, and text deltas of whole letters.

A turn waits while its request is written and its tokens are read. orjson does both in a tenth of
the time. What it does not take (half a letter, for example) is left to the standard library.

JSON writes letters beyond U+FFFF as two escapes, a surrogate pair. A server that cuts its text by
UTF-16 units puts the halves into two deltas. One half is not a letter and cannot be encoded as
UTF-8. `TextDeltas` holds a first half back until the second comes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import orjson

from voicebench.quoting import quote
from voicebench.remote.failure import RemoteError


def json_bytes(value: object) -> bytes:
    """Return ``value`` as JSON in UTF-8, without spaces."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def json_object(text: str | bytes) -> Mapping[str, object]:
    """Return the JSON object that ``text`` is. Raises `RemoteError` for any other text."""
    found: object
    try:
        found = orjson.loads(text)
    except ValueError:
        found = _by_the_standard_library(text)
    if not isinstance(found, dict):
        raise RemoteError(f"{_sample(text)} is not a JSON object", fault="protocol")
    return found


def _by_the_standard_library(text: str | bytes) -> object:
    try:
        found: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = "nested too deep" if isinstance(error, RecursionError) else str(error)
        raise RemoteError(f"{_sample(text)} is not JSON ({reason})", fault="protocol") from None
    return found


def has_all(message: Mapping[str, object], wanted: Mapping[str, object]) -> bool:
    """Return whether ``message`` has every key of ``wanted``, with the same value."""
    return all(message.get(key) == value for key, value in wanted.items())


def part(source: object, *path: str | int) -> object:
    """Return the value in ``source`` at ``path`` (keys and places), None where it ends early."""
    for step in path:
        if isinstance(source, dict) and isinstance(step, str):
            source = source.get(step)
        elif isinstance(source, list) and isinstance(step, int) and step < len(source):
            source = source[step]
        else:
            return None
    return source


def text_at(source: object, *path: str | int) -> str:
    """Return the text in ``source`` at ``path``, empty where there is none."""
    found = part(source, *path)
    return found if isinstance(found, str) else ""


def list_at(source: object, *path: str | int) -> list[object]:
    """Return the list in ``source`` at ``path``, empty where there is none."""
    found = part(source, *path)
    return found if isinstance(found, list) else []


def count_at(source: object, *path: str | int) -> int | None:
    """Return the whole number from 0 up in ``source`` at ``path``, or None."""
    found = part(source, *path)
    return found if type(found) is int and 0 <= found < 1 << 53 else None


class TextDeltas:
    """A text that comes in deltas; each `take` returns the letters that are whole by now."""

    def __init__(self) -> None:
        self._half = ""

    def take(self, delta: str) -> str:
        """Return ``delta`` with what was held back. Raises `RemoteError` for half a letter."""
        text = self._half + delta
        self._half = ""
        if text and "\ud800" <= text[-1] <= "\udbff":
            text, self._half = text[:-1], text[-1]
        return whole_letters(text)

    def finish(self) -> None:
        """Raise `RemoteError` where half a letter is left."""
        whole_letters(self._half)


def whole_letters(text: str) -> str:
    """Return ``text`` with its surrogate pairs joined. Raises `RemoteError` for half of one."""
    if text.isascii():
        return text
    try:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
    except UnicodeDecodeError:
        raise RemoteError("the text has half a letter in it", fault="protocol") from None


def _sample(text: str | bytes) -> str:
    plain = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return repr(quote(plain[:100]))
