"""Remove known keys and passwords from text.

`Secrets.hidden_in` replaces the values in any text. A server that repeats a key may cut it, or
write it in lower case, in percent-encoding or in base64 (``Authorization: Basic …``). So a long
value is found by any `PIECE` consecutive characters of it, in each of these forms and in any case.
A short value is found only as a whole word. Words that people use as a key for servers that check
none (``EMPTY``) are not secrets.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from urllib.parse import quote as percent_encoded
from urllib.parse import quote_plus

HIDDEN = "***"
"""The text that replaces a secret."""
SHORTEST = 4
"""Shortest secret, in characters. A shorter one would be found in every sentence."""
PIECE = 8
"""Consecutive characters of a long secret that are hidden."""

_NO_SECRETS = frozenset(
    {
        *("dummy", "empty", "fake", "lm-studio", "localhost", "no-key", "none", "not-needed"),
        *("not-required", "null", "ollama", "sk-no-key-required", "test", "unused"),
    }
)
"""Words that people use as a key for servers that need one but do not check it."""
_SMALL = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")
# Not str.lower: it makes two letters of some, which would move the positions.


class Secrets:
    """Values that must not be shown or stored. The `repr` does not show them."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._values = frozenset(filter(_is_secret, values))
        words = {value for value in self._values if len(value) < PIECE}
        self._word = re.compile(
            r"(?<![A-Za-z0-9])(?:" + "|".join(map(re.escape, sorted(words))) + r")(?![A-Za-z0-9])"
        )
        self._has_words = bool(words)
        self._pieces = frozenset(
            form[at : at + PIECE]
            for value in self._values - words
            for form in _forms(value)
            for at in range(len(form) - PIECE + 1)
        )

    def __repr__(self) -> str:
        """Return the number of values."""
        return f"Secrets({len(self._values)})"

    def __or__(self, other: Secrets) -> Secrets:
        """Return the secrets of both."""
        return Secrets(self._values | other._values)

    def __bool__(self) -> bool:
        """Return whether there is a value."""
        return bool(self._values)

    def spans_in(self, text: str) -> list[tuple[int, int]]:
        """Return the (start, end) of each secret in ``text``, in order and without overlap."""
        found = [match.span() for match in self._word.finditer(text)] if self._has_words else []
        if self._pieces and len(text) >= PIECE:
            small = text.translate(_SMALL)
            pieces = self._pieces
            found += [
                (at, at + PIECE)
                for at in range(len(small) - PIECE + 1)
                if small[at : at + PIECE] in pieces
            ]
        return merged(found)

    def hidden_in(self, text: str) -> str:
        """Return ``text`` with `HIDDEN` for each secret in it."""
        return cut_out(text, self.spans_in(text))

    def hidden_in_parts(self, parts: Iterable[str]) -> list[str]:
        """Return the ``parts`` of one text without secrets, also those that span two parts.

        No part that had text becomes empty.
        """
        kept = list(parts)
        text = "".join(kept)
        spans = self.spans_in(text) if self else []
        if not spans:
            return kept
        return [
            "".join(_without(text, begin, begin + len(part), spans))
            for part, begin in zip(kept, accumulate(map(len, kept), initial=0), strict=False)
        ]

    def hidden_within(self, document: object) -> object:
        """Return ``document`` (dicts, lists, plain values) without secrets in its values."""
        if isinstance(document, str):
            return self.hidden_in(document)
        if isinstance(document, Mapping):
            return {key: self.hidden_within(value) for key, value in document.items()}
        if isinstance(document, list | tuple):
            return [self.hidden_within(value) for value in document]
        return document


def _is_secret(value: str) -> bool:
    return len(value) >= SHORTEST and value.lower() not in _NO_SECRETS


def merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return ``spans`` in order; spans that touch are joined."""
    merged: list[tuple[int, int]] = []
    for begin, end in sorted(spans):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return merged


def cut_out(text: str, spans: list[tuple[int, int]]) -> str:
    for begin, end in reversed(spans):
        text = text[:begin] + HIDDEN + text[end:]
    return text


def _forms(value: str) -> Iterator[str]:
    """Yield each form in which a server may repeat ``value``, in lower case."""
    data = value.encode("utf-8", "surrogatepass")
    written = {
        value,
        percent_encoded(value, safe="", errors="replace"),
        quote_plus(value, errors="replace"),
        json.dumps(value)[1:-1],
        data.hex(),
        *_in_base64(data),
    }
    for form in written:
        yield form.translate(_SMALL)


def _in_base64(data: bytes) -> Iterator[str]:
    """Yield the base64 of ``data`` inside a longer text, for each of its three alignments."""
    for before in range(3):
        coded = base64.b64encode(b"\0" * before + data).decode("ascii").rstrip("=")
        # The characters at both ends also depend on the text beside the value.
        inner = coded[(0, 2, 3)[before] : len(coded) - 1]
        yield inner
        yield inner.replace("+", "-").replace("/", "_")


def _without(text: str, begin: int, end: int, spans: list[tuple[int, int]]) -> Iterator[str]:
    """Yield ``text[begin:end]`` without the ``spans`` of the whole text; a mark replaces each."""
    at = begin
    for first, last in spans:
        if last <= at or first >= end:
            continue
        yield text[at : max(first, at)]
        at = min(last, end)
        if first >= begin:
            yield HIDDEN
        elif at == end and first < begin < end:
            yield "*"
    yield text[at:end]


NO_SECRETS = Secrets()
