"""Removes what cannot be spoken from a text.

A reply contains things that no voice should say: emoji (espeak-ng would read their names), lone
dashes and bullets, control characters. They are removed before a synthesizer of this package gets
the text. The words stay as they are.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

MOST_CHARACTERS = 2000
"""A longer text is spoken in parts, so that memory stays bounded."""

_JOINERS = frozenset("\u200d\ufe0e\ufe0f\u20e3")
_SPOKEN_SIGNS = frozenset("%&@#°")


def speakable(text: str) -> str:
    """Return ``text`` without what is not spoken; "" if nothing can be pronounced.

    Letters, digits, signs of money and arithmetic, and a few signs with a name (per cent, at, …)
    are spoken.
    """
    kept = "".join(_kept(character) for character in text).strip()
    return kept if any(_is_spoken(character) for character in kept) else ""


def parts(text: str, most: int = MOST_CHARACTERS) -> Iterator[str]:
    """Yield ``text`` in parts of at most ``most`` characters, cut after a sentence or a word."""
    while len(text) > most:
        cut = max(text.rfind(stop, most // 2, most) + 1 for stop in ".!?;\n")
        cut = cut or text.rfind(" ", most // 2, most) + 1 or most
        yield text[:cut]
        text = text[cut:]
    if text:
        yield text


def _kept(character: str) -> str:
    category = unicodedata.category(character)
    if category in ("Cc", "Cs", "Co", "Cn"):
        return " "
    is_emoji = category in ("So", "Sk") and character >= "\u2300"
    return "" if is_emoji or character in _JOINERS else character


def _is_spoken(character: str) -> bool:
    category = unicodedata.category(character)
    return category[0] in "LN" or category in ("Sc", "Sm") or character in _SPOKEN_SIGNS
