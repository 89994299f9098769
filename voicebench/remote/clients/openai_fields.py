"""The fields of OpenAI's chat protocol, in a chunk of a stream or in a whole answer.

(Format: OpenAI, "API reference: Chat completions", and the fields that other servers add.)
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from voicebench.events import RemarkKind, Usage
from voicebench.remote.formats.json_text import count_at, list_at, part, text_at
from voicebench.remote.formats.reported_failure import (
    names_failure,
    reported_failure,
    words_without_content,
)

COMPLETE = ("stop", "length", "tool_calls", "function_call")
"""The finish reasons of a complete reply."""
_CUT = ("content_filter", "abort")

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
    """The part of the reply in one chunk, or in one whole answer."""

    text: str
    hidden: tuple[RemarkKind, ...]
    """The kinds of content in it that must not be spoken."""
    finish_reason: str
    """In lower case; empty where the reply goes on."""


def choice_in(document: Mapping[str, object], key: str) -> ReplyChoice | None:
    """Return the first choice, None where there is none; ``key`` is the field with its text.

    Servers answer with several choices where ``n`` asks for them; the others are not spoken.
    """
    choices = [each for each in list_at(document, "choices") if isinstance(each, dict)]
    choice = next((each for each in choices if each.get("index") in (None, 0)), None)
    if choice is None:
        return None
    # A gateway may add the whole message so far to each delta, so ``message`` is read only where
    # there is no delta at all.
    content = choice.get(key if key in choice else "message")
    finish_reason = text_at(choice, "finish_reason").strip().lower()
    return ReplyChoice(_text_of(part(content, "content")), _hidden_kinds(content), finish_reason)


def is_cut(finish_reason: str) -> bool:
    """Tell whether ``finish_reason`` says that the reply was cut."""
    return finish_reason in _CUT or names_failure(finish_reason)


def _text_of(content: object) -> str:
    """Return the text of a ``content``: a string, or a list of parts of which some are text."""
    if isinstance(content, str):
        return content
    parts = list_at(content)
    return "".join(text_at(item, "text") for item in parts if part(item, "type") == "text")


def _hidden_kinds(content: object) -> tuple[RemarkKind, ...]:
    """Return the kinds of content in a delta or a message that must not be spoken."""
    part_types = [text_at(item, "type") for item in list_at(content, "content")]
    kinds = (
        *(kind for key, kind in _HIDDEN.items() if part(content, key)),
        *(_HIDDEN_PARTS.get(kind, "non-text") for kind in part_types if kind != "text"),
    )
    return tuple(dict.fromkeys(kinds))


def failure_in(document: Mapping[str, object], event_name: str = "") -> str | None:
    """Return the failure that a chunk or an answer reports, in the server's words, or None.

    ``event_name`` is that of the chunk's server-sent event.
    """
    words = reported_failure(document, event_name)
    choices = [each for each in list_at(document, "choices") if isinstance(each, dict)]
    if words is None and not choices and not document.get("usage"):
        words = words_without_content(document)
    return words


def is_known(document: Mapping[str, object]) -> bool:
    """Tell whether a chunk that reports no failure has any field of the protocol."""
    choices = document.get("choices")
    if choices is not None and not _is_list_of_objects(choices):
        return False
    return not document or any(key in document for key in ("choices", "usage", "timings"))


def _is_list_of_objects(choices: object) -> bool:
    return isinstance(choices, list) and all(isinstance(each, dict | None) for each in choices)


class TokenCounts(NamedTuple):
    """The tokens that a server counted: of the answer, and of its reasoning if it says so.

    ``prompt`` are those of all messages, ``cached`` those of them that it did not compute again;
    None where it does not say.
    """

    tokens: int
    reasoning: int
    prompt: int | None = None
    cached: int | None = None

    def usage(self, withheld: Collection[RemarkKind]) -> Usage:
        """Return the count of a reply of which ``withheld`` was not shown."""
        counted_apart = {"reasoning"} if self.reasoning else set()
        if set(withheld) <= counted_apart:
            return Usage(self.tokens, self.reasoning, self.prompt, self.cached)
        return Usage(self.tokens + self.reasoning, None, self.prompt, self.cached)


def counts_in(document: object) -> TokenCounts | None:
    """Return the counts in ``document``, None where it has none.

    Most servers count reasoning among the completion's tokens, some beside them. The total shows
    which.
    """
    usage = part(document, "usage")
    tokens = count_at(usage, "completion_tokens")
    if tokens is None:
        return None
    details = count_at(usage, "completion_tokens_details", "reasoning_tokens")
    reasoning = details or count_at(usage, "reasoning_tokens") or 0
    prompt, total = count_at(usage, "prompt_tokens"), count_at(usage, "total_tokens")
    cached = count_at(usage, "prompt_tokens_details", "cached_tokens")
    if cached is not None and (prompt is None or cached > prompt):
        cached = None
    beside = prompt is not None and total == prompt + tokens + reasoning
    if reasoning > tokens or (reasoning and beside):
        return TokenCounts(tokens, reasoning, prompt, cached)
    return TokenCounts(tokens - reasoning, reasoning, prompt, cached)


def llama_cpp_ms(chunk: object) -> float | None:
    """Return llama.cpp's time for the prompt in ms, which ends with its first token; or None."""
    span = part(chunk, "timings", "prompt_ms")
    return float(span) if isinstance(span, int | float) and 0 <= span < 1e9 else None
