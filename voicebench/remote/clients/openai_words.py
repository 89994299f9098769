"""What the words of OpenAI's chat protocol mean, in a chunk of a stream or in a whole answer.

(Format: OpenAI, "API reference: Chat completions", and the fields that other servers add.)
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from voicebench.events import RemarkKind, Usage
from voicebench.remote.formats.json_text import count_at, part, text_at
from voicebench.remote.formats.told_failure import told_failure, told_without_content

COMPLETE = ("stop", "length", "tool_calls", "function_call")
"""The reasons for an end with which a reply is all that it was meant to be."""
CUT = ("content_filter", "error", "abort", "aborted", "cancelled", "canceled", "timeout")
"""The reasons that say that it is not."""

_HIDDEN: dict[str, RemarkKind] = {
    "reasoning_content": "reasoning",
    "reasoning": "reasoning",
    "reasoning_details": "reasoning",
    "thinking": "reasoning",
    "thinking_blocks": "reasoning",
    "tool_calls": "tool calls",
    "function_call": "tool calls",
    "refusal": "refusal",
    "audio": "non-text",
}
_HIDDEN_PARTS: dict[str, RemarkKind] = {"thinking": "reasoning", "reasoning": "reasoning"}


class ReplyChoice(NamedTuple):
    """What one chunk, or one whole answer, says of the reply."""

    text: str
    hidden: tuple[RemarkKind, ...]
    """What it holds that a listener is not meant to hear."""
    finish_reason: str
    """In lower case; empty where the reply goes on."""


def choice_in(document: Mapping[str, object], key: str) -> ReplyChoice | None:
    """Return the first choice, None where there is none; ``key`` is where a server puts its text.

    Servers answer with several choices where ``n`` asks for them; the others are not spoken.
    """
    listed = part(document, "choices")
    choices = listed if isinstance(listed, list) else []
    choice = next((one for one in choices if part(one, "index") in (None, 0)), None)
    if choice is None:
        return None
    # A gateway may add the whole message so far to each delta, so the one stands in for the other
    # only where there is no delta at all.
    has_key = isinstance(choice, dict) and key in choice
    content = part(choice, key if has_key else "message")
    return ReplyChoice(
        text_of(part(content, "content")),
        hidden_kinds(content),
        text_at(choice, "finish_reason").strip().lower(),
    )


def text_of(content: object) -> str:
    """Return the text of a ``content``: a string, or a list of parts of which some are text."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(text_at(item, "text") for item in parts if part(item, "type") == "text")


def hidden_kinds(content: object) -> tuple[RemarkKind, ...]:
    """Return what a delta or a message holds that a listener is not meant to hear."""
    listed = part(content, "content")
    parts = [text_at(item, "type") for item in listed] if isinstance(listed, list) else []
    kinds = (
        *(kind for key, kind in _HIDDEN.items() if part(content, key)),
        *(_HIDDEN_PARTS.get(kind, "non-text") for kind in parts if kind != "text"),
    )
    return tuple(dict.fromkeys(kinds))


def failure_in(document: Mapping[str, object], name: str = "") -> str | None:
    """Return the failure that a chunk or an answer tells of, in the server's words, or None.

    ``name`` is that of the chunk's event.
    """
    listed = part(document, "choices")
    choices = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    for choice in choices:
        if choice.get("error"):
            return told_failure(choice)
    told = told_failure(document, name)
    if told is None and not choices and "usage" not in document:
        told = told_without_content(document)
    return told


def is_known(document: Mapping[str, object]) -> bool:
    """Tell whether a chunk that tells of no failure has anything of the protocol in it."""
    return not document or any(key in document for key in ("choices", "usage", "timings"))


class TokenCounts(NamedTuple):
    """What a server says it made: tokens of the answer, and of its reasoning where it says so."""

    tokens: int
    reasoning: int

    def usage(self, withheld: Collection[RemarkKind]) -> Usage:
        """Return the count of a reply of which ``withheld`` was not shown."""
        told_apart = {"reasoning"} if self.reasoning else set()
        if set(withheld) <= told_apart:
            return Usage(self.tokens, self.reasoning)
        return Usage(self.tokens + self.reasoning, None)


def counts_in(document: object) -> TokenCounts | None:
    """Return the counts in ``document``, None where it has none.

    Most servers count reasoning among the completion's tokens, some beside them; the total tells.
    """
    tokens = count_at(document, "usage", "completion_tokens")
    if tokens is None:
        return None
    reasoning = (
        count_at(document, "usage", "completion_tokens_details", "reasoning_tokens")
        or count_at(document, "usage", "reasoning_tokens")
        or 0
    )
    prompt = count_at(document, "usage", "prompt_tokens")
    total = count_at(document, "usage", "total_tokens")
    beside = None not in (prompt, total) and total == (prompt or 0) + tokens + reasoning
    if reasoning > tokens or (reasoning and beside):
        return TokenCounts(tokens, reasoning)
    return TokenCounts(tokens - reasoning, reasoning)


def llama_cpp_ms(chunk: object) -> float | None:
    """Return how long llama.cpp took over the prompt, which is to its first token."""
    span = part(chunk, "timings", "prompt_ms")
    return float(span) if isinstance(span, int | float) and 0 <= span < 1e9 else None
