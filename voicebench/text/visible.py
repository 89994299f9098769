"""The part of a model's text that a listener hears: without reasoning, and white space before it.

A reasoning model thinks before it answers. Some servers send the thought in a field of its own.
Others leave it in the text, between marks that depend on the model (`_THOUGHTS`). A mark may be
split over two pieces of text, so the end of a piece that may begin a mark waits for the next piece.

Three cases need a rule:

- A thought is opened and never closed: nothing after the opening mark is shown.
- A closing mark has no opening mark, because the chat template has opened the thought. Then all
  text before it was a thought. If some was shown already, `VisibleText.push` raises.
- White space before the first visible character waits, and is shown together with it.

Everything else is shown as it is.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from voicebench.errors import EngineError
from voicebench.events import Remark, RemarkKind
from voicebench.text.chat_template import TURN_END_TOKENS

_THOUGHTS = {
    "<think>": "</think>",  # DeepSeek, Qwen, GLM, Phi, Nemotron, Hunyuan and most others
    "<thinking>": "</thinking>",
    "<thought>": "</thought>",  # EXAONE
    "<reasoning>": "</reasoning>",
    "<reason>": "</reason>",
    "<analysis>": "</analysis>",
    "<reflection>": "</reflection>",
    "<scratchpad>": "</scratchpad>",
    "<seed:think>": "</seed:think>",  # Seed-OSS
    "[think]": "[/think]",  # Magistral
    "◁think▷": "◁/think▷",  # Kimi
    "<unused94>": "<unused95>",  # MedGemma
    "<|begin_of_thought|>": "<|end_of_thought|>",  # OpenThinker
    "<|start_thinking|>": "<|end_thinking|>",  # Command A
    "<|channel|>analysis": "<|channel|>final",  # gpt-oss
    "<|channel|>commentary": "<|channel|>final",
}
"""Opening and closing marks of thoughts, in lower case: models use either case."""
_SILENT = (
    "<|start|>assistant",
    "<|message|>",
    "<|return|>",
    "<|channel|>final",
    "<|begin_of_solution|>",
    "<|end_of_solution|>",
    "<|start_response|>",
    "<|end_response|>",
    "<answer>",
    "</answer>",
    *TURN_END_TOKENS,
)
"""Marks around the answer itself, and special tokens that a server has sent as text."""
_CLOSERS = frozenset(_THOUGHTS.values()) - frozenset(_SILENT)
_MARKS = tuple(sorted({*_THOUGHTS, *_CLOSERS, *_SILENT}, key=len, reverse=True))
_ANY_MARK = re.compile("|".join(map(re.escape, _MARKS)))
_FIRST_LETTERS = {mark[0] for mark in _MARKS}
_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}
"""Only ASCII: other letters may become two, which would shift positions in the text."""


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
        self._closer: str | None = None
        self._held = ""
        self._blank: str | None = ""

    @property
    def is_thinking(self) -> bool:
        """Whether a thought is open."""
        return self._closer is not None

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
            self._note_thought(held)
            return ""
        return self._after_blank(held)

    def _next_piece(self) -> tuple[str, bool]:
        """Take the visible text up to the next mark, and the mark; return whether all is taken."""
        lowered = self._held.translate(_LOWER)
        found = _ANY_MARK.search(lowered)
        if found is None:
            end = len(lowered) - _possible_mark(lowered)
            piece, self._held = self._held[:end], self._held[end:]
            return piece, True
        mark = found[0]
        piece, self._held = self._held[: found.start()], self._held[found.end() :]
        if mark in _SILENT:
            self.withheld["mark"] = None
            return piece, False
        self.had_thought = True
        if mark in _CLOSERS:
            self._close_unopened(mark, piece)
            return "", False
        self._closer = _THOUGHTS[mark]
        return piece, False

    def _hidden_piece(self) -> tuple[str, bool]:
        """Take the thought up to its closing mark; return whether all is taken."""
        assert self._closer is not None
        lowered = self._held.translate(_LOWER)
        at = lowered.find(self._closer)
        if at < 0:
            keep = len(self._closer) - 1
            self._note_thought(self._held[:-keep])
            self._held = self._held[-keep:]
            return "", True
        self._note_thought(self._held[:at])
        self._held = self._held[at + len(self._closer) :]
        self._closer = None
        return "", False

    def _close_unopened(self, mark: str, before: str) -> None:
        self._note_thought(before)
        if self._blank is None:
            raise EngineError(
                f"the reply contains reasoning: {mark!r} came after text that was taken for speech",
                "let the server separate reasoning (vLLM and SGLang: --reasoning-parser, "
                "llama.cpp: --reasoning-format deepseek), or switch reasoning off",
            )

    def _note_thought(self, text: str) -> None:
        if visible_start(text) < len(text):
            self.withheld["reasoning"] = None

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
    begins, closer = 0, None
    for found in _ANY_MARK.finditer(text.translate(_LOWER)):
        mark = found[0]
        if closer is not None:
            closer = None if mark == closer else closer
        elif mark in _CLOSERS:
            begins = found.end()
        else:
            closer = _THOUGHTS.get(mark)
    return text[begins:]


def visible_start(text: str) -> int:
    """Return how many characters come before the first that can be seen or heard."""
    for at, char in enumerate(text):
        if not char.isspace() and unicodedata.category(char) not in ("Cc", "Cf"):
            return at
    return len(text)


def _possible_mark(lowered: str) -> int:
    """Return how many characters at the end of ``lowered`` may begin a mark."""
    at = max(lowered.rfind(letter) for letter in _FIRST_LETTERS)
    tail = lowered[at:] if at >= 0 else ""
    return len(tail) if tail and any(mark.startswith(tail) for mark in _MARKS) else 0
