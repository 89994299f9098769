"""Decode sampled ids one by one, without splitting a character.

The text of an id depends on the ids around it: an emoji may need four byte tokens, and a
SentencePiece token begins with a space, except at the start. So the text of a new id is the text of
all ids minus the text before. An incomplete character at the end (`decode` gives U+FFFD for it) is
kept back until it is complete.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

REPLACEMENT = "\ufffd"
"""A decoder's sign for bytes that are not (yet) a character."""

_CONTEXT_IDS = 8
_WINDOW_IDS = 64


class Detokenizer:
    """Text from a growing list of ids; the joined pieces are `decode` of all ids.

    ``decode`` must be stable: more ids only append to the text, except for an incomplete character
    at its end. Byte-level BPE and SentencePiece decoders are stable, if the clean-up of spaces
    before punctuation is off.

    Only the latest ids are decoded again, with some context, so the cost of an id does not grow
    with the reply.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        self._decode = decode
        self._ids: list[int] = []
        self._shown = ""

    def push(self, token_id: int) -> str:
        """Return the text that ``token_id`` completes: often one word, or ``""``."""
        self._ids.append(token_id)
        text = self._decode(self._ids)
        whole = text.rstrip(REPLACEMENT)
        fresh = self._beyond_shown(whole)
        if whole == text and len(self._ids) >= _WINDOW_IDS:
            self._ids = self._ids[-_CONTEXT_IDS:]
            self._shown = self._decode(self._ids)
        return fresh

    def finish(self) -> str:
        """Return the text that was kept back; an incomplete character becomes U+FFFD."""
        return self._beyond_shown(self._decode(self._ids))

    def _beyond_shown(self, text: str) -> str:
        if len(text) <= len(self._shown):
            return ""
        fresh = text[len(self._shown) :]
        self._shown = text
        return fresh
