"""Marks in a reply's text: around what is not spoken, and special tokens written as text.

Servers differ in how they pass on what a model writes besides its answer. Most marks are tags, and
a model spells them in several ways: ``<think>``, ``<Think >``, ``<think type="x">``, ``<|think|>``,
``[THINK]``. Others are pairs of special tokens.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from voicebench.events import RemarkKind
from voicebench.text.chat_template import TURN_END_TOKENS

_THOUGHTS = (
    *("think", "thinking", "thought", "thoughts", "thinking_process", "thought_process"),
    *("reason", "reasoning", "reasoning_content", "rationale", "analysis", "reflection"),
    *("scratchpad", "scratch_pad", "inner_monologue", "inner_thoughts", "inner_thought"),
    *("chain_of_thought", "cot", "seed:think", "mm:think", "longcat_think"),
)
"""Names of tags around thoughts: DeepSeek, Qwen, GLM, Phi and most others have ``think``, EXAONE
``thought``; Seed-OSS, MiniMax and LongCat have a prefix. The rest comes from prompts."""
_TOOL_CALLS = ("tool_call", "tool_calls", "function_call", "function_calls", "tool_use")
"""Names of tags around calls of tools (Qwen, Hermes)."""
_IN_BRACKETS = ("think", "thinking", "thought", "thoughts")
"""Names that are also written in square brackets (Magistral)."""
_PAIRS = {
    "◁think▷": "◁/think▷",  # Kimi
    "<unused94>": "<unused95>",  # MedGemma
    "<|begin_of_thought|>": "<|end_of_thought|>",  # OpenThinker
    "<|start_thinking|>": "<|end_thinking|>",  # Command A
    "<|think_start|>": "<|think_end|>",
    "<|channel|>analysis": "<|channel|>final",  # gpt-oss
    "<|channel|>commentary": "<|channel|>final",
}
"""Opening and closing special tokens of thoughts, in lower case."""
_SILENT = (
    "<|start|>assistant",
    "<|assistant|>",
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
_CLOSERS = frozenset(_PAIRS.values()) - frozenset(_SILENT)
_FIXED = sorted({*_PAIRS, *_CLOSERS, *_SILENT}, key=len, reverse=True)
_TAGS = sorted((*_THOUGHTS, *_TOOL_CALLS), key=len, reverse=True)
_BEGINNINGS = sorted({tag[:end] for tag in _TAGS for end in range(1, len(tag))}, reverse=True)


def _one_of(words: list[str]) -> str:
    return "|".join(map(re.escape, words))


_TAG_HEAD = r"<\s{0,2}[|｜]?\s{0,2}(?P<slash>/?)[|｜]?\s{0,2}"
_ATTRIBUTES = r"(?:\s[^<>]{0,80})?"
_ANY_MARK = re.compile(
    rf"{_TAG_HEAD}(?P<tag>{_one_of(_TAGS)}){_ATTRIBUTES}"
    r"(?P<empty>/?)[|｜]?\s{0,2}>"
    rf"|\[(?P<bracket_slash>/?)(?P<bracket>{_one_of(list(_IN_BRACKETS))})\]"
    rf"|{_one_of(_FIXED)}"
)
_BEGUN_TAG = re.compile(
    rf"{_TAG_HEAD}(?:{_one_of(_BEGINNINGS)}|(?:{_one_of(_TAGS)})(?:{_ATTRIBUTES}/?[|｜]?\s{{0,2}}))?"
)
_WHOLE_WORDS = (*_FIXED, *(f"[{slash}{name}]" for name in _IN_BRACKETS for slash in ("", "/")))
_FIRST_LETTERS = {word[0] for word in _WHOLE_WORDS}
_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}
"""Only ASCII: other letters may become two, which would shift positions in the text."""


class TextMark(NamedTuple):
    """A mark, and where it is in the text.

    ``opens`` and ``closes`` are the name of the pair that it opens or closes, empty for none.
    """

    start: int
    end: int
    text: str
    opens: str = ""
    closes: str = ""

    @property
    def hides(self) -> RemarkKind:
        """What is between the marks of its pair."""
        return "tool calls" if (self.opens or self.closes) in _TOOL_CALLS else "reasoning"

    def ends(self, pair: str) -> bool:
        """Return whether it closes ``pair``."""
        return pair in (self.closes, self.text)


def marks_in(text: str) -> Iterator[TextMark]:
    """Yield the marks in ``text`` from left to right."""
    for found in _ANY_MARK.finditer(text.translate(_LOWER)):
        name = found["tag"] or found["bracket"]
        start, end, mark = found.start(), found.end(), found[0]
        if name is None:
            closes = mark if mark in _CLOSERS else ""
            yield TextMark(start, end, mark, _PAIRS.get(mark, ""), closes)
        elif found["empty"]:
            yield TextMark(start, end, mark)
        elif found["slash"] or found["bracket_slash"]:
            yield TextMark(start, end, mark, closes=name)
        else:
            yield TextMark(start, end, mark, opens=name)


def begun_mark(text: str) -> int:
    """Return how many characters at the end of ``text`` may begin a mark."""
    lowered = text.translate(_LOWER)
    at = max(lowered.rfind(letter) for letter in _FIRST_LETTERS)
    tail = lowered[at:] if at >= 0 else ""
    may_begin = any(word.startswith(tail) for word in _WHOLE_WORDS) or _BEGUN_TAG.fullmatch(tail)
    return len(tail) if tail and may_begin else 0
