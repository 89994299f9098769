"""Keys and passwords that are known, and how they are kept out of what is shown.

`Secrets.hidden_in` takes the values out of any text. A server that repeats a key may cut it, write
it in small letters (a content type is read so), in percent-encoding or in base64 (``Authorization:
Basic …``). So a long value is found by any `PIECE` letters of it in a row, in each of these forms
and without regard to capitals. A short value is found as a whole word alone. Words that people give
as a key to servers that check none (``EMPTY``) are no secrets.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import quote as percent_encoded
from urllib.parse import quote_plus

HIDDEN = "***"
"""Stands where a secret was."""
SHORTEST = 4
"""Letters of a value below which it is no secret: it would be found in every sentence."""
PIECE = 8
"""Letters in a row of a long secret that give it away."""

_NO_SECRETS = frozenset(
    {
        *("dummy", "empty", "fake", "lm-studio", "localhost", "no-key", "none", "not-needed"),
        *("not-required", "null", "ollama", "sk-no-key-required", "test", "unused"),
    }
)
"""What people give as a key to a server that asks for one and checks none."""
_SMALL = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")
# Not str.lower: it makes two letters of some, and places would shift.


class Secrets:
    """The values that nothing that is shown or kept may repeat. Their own `repr` shows none."""

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
        """Say how many there are."""
        return f"Secrets({len(self._values)})"

    def __or__(self, other: Secrets) -> Secrets:
        """Return the secrets of both."""
        return Secrets(self._values | other._values)

    def __bool__(self) -> bool:
        """Tell whether there is any."""
        return bool(self._values)

    def spans_in(self, text: str) -> list[tuple[int, int]]:
        """Return where secrets stand in ``text``, in order and apart: from, to (exclusive)."""
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
        """Return ``parts`` of one text without the secrets, also those that lie across parts.

        No part that held text is left empty.
        """
        kept = list(parts)
        text = "".join(kept)
        spans = self.spans_in(text) if self else []
        if not spans:
            return kept
        return [
            "".join(_without(text, begin, begin + len(part), spans))
            for part, begin in zip(kept, _begins(kept), strict=True)
        ]

    def hidden_within(self, document: object) -> object:
        """Return ``document`` (dicts, lists, plain values) with no secret in any value of it."""
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
    """Return ``spans`` in order, those joined that touch."""
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
    """Yield ``value`` as it may be written by whoever repeats it, in small letters."""
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
    """Yield what base64 of any text with ``data`` in it holds: it may begin at three places."""
    for before in range(3):
        coded = base64.b64encode(b"\0" * before + data).decode("ascii").rstrip("=")
        # The letters at both ends also hold bits of what stands beside the value.
        inner = coded[(0, 2, 3)[before] : len(coded) - 1]
        yield inner
        yield inner.replace("+", "-").replace("/", "_")


def _begins(parts: list[str]) -> Iterator[int]:
    at = 0
    for part in parts:
        yield at
        at += len(part)


def _without(text: str, begin: int, end: int, spans: list[tuple[int, int]]) -> Iterator[str]:
    """Yield ``text[begin:end]`` less ``spans`` of the whole text, each hidden where it begins."""
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
