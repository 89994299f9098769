"""The part of a model's text that a listener hears: without reasoning, and white space before it.

A reasoning model thinks before it answers. Some servers send the thought in a field of its own.
Others leave it in the text, between marks that depend on the model (`voicebench.text.marks`). So do
some with calls of tools. A mark may be split over two pieces of text, so the end of a piece that
may begin a mark waits for the next piece.

Three cases need a rule:

- A thought is opened and never closed: nothing after the opening mark is shown.
- A closing mark has no opening mark, because the chat template has opened the thought. Then all
  text before it was a thought. If some was shown already, `VisibleText.push` raises.
- White space before the first visible character waits, and is shown together with it.

Everything else is shown as it is.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from voicebench.errors import EngineError
from voicebench.events import Remark, RemarkKind
from voicebench.text.marks import TextMark, begun_mark, marks_in

_UNSEEN = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Letters and marks without a shape (Unicode: default ignorable), and the blank Braille pattern."""
_SELECTORS = (range(0x180B, 0x1810), range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0))
"""Variation selectors."""


class Remarks:
    """Passes on the first remark of each kind."""

    def __init__(self) -> None:
        self._made: set[RemarkKind] = set()

    def of(self, kinds: Iterable[RemarkKind], said: str = "") -> Iterator[Remark]:
        """Yield a `Remark` for each of ``kinds`` that had none before."""
        for kind in kinds:
            if kind not in self._made:
                self._made.add(kind)
                yield Remark(kind, said)


class VisibleText:
    """Takes a reply's text in pieces, and returns the visible part.

    ``withheld`` are the kinds of text that were not shown so far. ``had_thought`` says whether
    there was a thought, even an empty one: its marks are tokens too.
    """

    def __init__(self) -> None:
        self.withheld: dict[RemarkKind, None] = {}
        self.had_thought = False
        self._opened: TextMark | None = None
        self._held = ""
        self._blank: str | None = ""

    @property
    def is_thinking(self) -> bool:
        """Whether a thought is open, or a call of a tool."""
        return self._opened is not None

    def push(self, text: str) -> str:
        """Return the text that becomes visible with ``text``.

        Raises `EngineError` if ``text`` shows that text returned before was a thought.
        """
        self._held += text
        shown = ""
        while self._held:
            piece, is_done = self._hidden_piece() if self.is_thinking else self._next_piece()
            shown += self._after_blank(piece)
            if is_done:
                break
        return shown

    def finish(self) -> str:
        """Return the text that waited for the next piece, because none follows."""
        held, self._held = self._held, ""
        if self.is_thinking:
            self._note_hidden(held)
            return ""
        return self._after_blank(held)

    def _next_piece(self) -> tuple[str, bool]:
        """Take the visible text up to the next mark, and the mark; return whether all is taken."""
        mark = next(marks_in(self._held), None)
        if mark is None:
            end = len(self._held) - begun_mark(self._held)
            piece, self._held = self._held[:end], self._held[end:]
            return piece, True
        piece, self._held = self._held[: mark.start], self._held[mark.end :]
        if mark.opens:
            self.had_thought = True
            self._opened = mark
        elif mark.closes and mark.hides == "reasoning":
            self.had_thought = True
            self._close_unopened(mark.text, piece)
            return "", False
        else:
            self.withheld["mark"] = None
        return piece, False

    def _hidden_piece(self) -> tuple[str, bool]:
        """Take the thought up to its closing mark; return whether all is taken."""
        assert self._opened is not None
        pair = self._opened.opens
        mark = next((each for each in marks_in(self._held) if each.ends(pair)), None)
        if mark is None:
            end = len(self._held) - begun_mark(self._held)
            self._note_hidden(self._held[:end])
            self._held = self._held[end:]
            return "", True
        self._note_hidden(self._held[: mark.start])
        self._held = self._held[mark.end :]
        self._opened = None
        return "", False

    def _close_unopened(self, mark: str, before: str) -> None:
        self._note_hidden(before)
        if self._blank is None:
            raise EngineError(
                f"the reply contains reasoning: {mark!r} came after text that was taken for speech",
                "let the server separate reasoning (vLLM and SGLang: --reasoning-parser, "
                "llama.cpp: --reasoning-format deepseek), or switch reasoning off",
            )

    def _note_hidden(self, text: str) -> None:
        if visible_start(text) < len(text):
            self.withheld["reasoning" if self._opened is None else self._opened.hides] = None

    def _after_blank(self, piece: str) -> str:
        """Return ``piece``; white space before the first visible character waits for it."""
        if self._blank is None or not piece:
            return piece
        piece = self._blank + piece
        if visible_start(piece) == len(piece):
            self._blank = piece
            self.withheld["blank"] = None
            return ""
        self._blank = None
        return piece


class VisibleReply(NamedTuple):
    """A reply that arrived in one piece: its visible text, and the kinds of text withheld."""

    text: str
    withheld: tuple[RemarkKind, ...]
    had_thought: bool


def visible_reply(text: str) -> VisibleReply:
    """Return the visible part of a reply that arrived in one piece.

    None of it was shown before, so a thought that the chat template has opened can be left out.
    """
    answer = _after_unopened_thought(text)
    visible = VisibleText()
    shown = visible.push(answer) + visible.finish()
    if len(answer) == len(text):
        return VisibleReply(shown, tuple(visible.withheld), visible.had_thought)
    visible.withheld["reasoning"] = None
    return VisibleReply(shown, tuple(visible.withheld), had_thought=True)


def _after_unopened_thought(text: str) -> str:
    begins, pair = 0, ""
    for mark in marks_in(text):
        if pair:
            pair = "" if mark.ends(pair) else pair
        elif mark.closes and mark.hides == "reasoning":
            begins = mark.end
        else:
            pair = mark.opens
    return text[begins:]


def visible_start(text: str) -> int:
    """Return how many characters come before the first that can be seen or heard."""
    return next((at for at, char in enumerate(text) if _is_visible(char)), len(text))


def _is_visible(char: str) -> bool:
    if char.isascii():
        return not char.isspace() and char.isprintable()
    return not (
        char.isspace()
        or char in _UNSEEN
        or unicodedata.category(char) in ("Cc", "Cf")
        or any(ord(char) in selectors for selectors in _SELECTORS)
    )
