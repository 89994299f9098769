"""Turning sampled ids into text one id at a time, without tearing a character.

A tokenizer's `decode` is a function of all ids: one emoji may be spread over four byte tokens, and
a SentencePiece token carries its space in front, except at the very start. So the text of one more
id is what `decode` says now minus what it said before, and a tail that is still an incomplete
character (`decode` shows U+FFFD for it) is held back until it is whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

REPLACEMENT = "\ufffd"
"""What a decoder puts for bytes that are not (yet) a character."""

_CONTEXT_IDS = 8
_WINDOW_IDS = 64


class Detokenizer:
    """The text of a growing list of ids; the pieces joined are `decode` of all ids.

    ``decode`` must be stable: decoding more ids only ever appends to the text, incomplete
    characters at its end aside. Byte-level BPE and SentencePiece decoders are, as long as the old
    clean-up of spaces before punctuation is off.

    Only the latest ids are decoded anew (with some before them as context), so that the cost of
    one more id does not grow with the length of the reply.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        self._decode = decode
        self._ids: list[int] = []
        self._shown = ""

    def push(self, token_id: int) -> str:
        """Return the text that is complete with ``token_id`` in hand; often one word, or ``""``."""
        self._ids.append(token_id)
        text = self._decode(self._ids)
        whole = text.rstrip(REPLACEMENT)
        fresh = self._beyond_shown(whole)
        if whole == text and len(self._ids) >= _WINDOW_IDS:
            self._ids = self._ids[-_CONTEXT_IDS:]
            self._shown = self._decode(self._ids)
        return fresh

    def finish(self) -> str:
        """Return what was held back: an incomplete character is shown as U+FFFD."""
        return self._beyond_shown(self._decode(self._ids))

    def _beyond_shown(self, text: str) -> str:
        if len(text) <= len(self._shown):
            return ""
        fresh = text[len(self._shown) :]
        self._shown = text
        return fresh
