"""What a server of OpenAI's chat protocol says in an answer: text, counts, and how it ended.

`Reading` takes the chunks of a streamed reply one after the other; the functions read one JSON
document, chunk or whole answer.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from voicebench.events import LlmEvent, ServerTiming, Token, Usage
from voicebench.remote.answer import Answer, Piece
from voicebench.remote.failure import RemoteError, message_in
from voicebench.remote.json_text import TextDeltas, count_at, part, text_at

MAX_REPLY_CHARS = 1 << 20
END_S = 0.05
"""How long a stream may go on once the reply is finished: its usage follows at once, or never."""


def until_the_end(answer: Answer, reading: Reading) -> Iterator[Piece]:
    """Yield the pieces of a streamed reply; once it is finished, nobody waits long for the rest."""
    hurried = False
    while True:
        if reading.finished and not hurried:
            hurried = True
            answer.end_within(END_S)
        try:
            piece = next(answer.pieces(), None)
        except RemoteError:
            if reading.finished:
                return
            raise
        if piece is None:
            return
        yield piece


class Reading:
    """A streamed reply while its chunks come in."""

    def __init__(self, answer: Answer) -> None:
        self.complete = False
        """Whether the stream said that it is over."""
        self.finished = False
        """Whether the reply said that it is; usage may follow."""
        self._answer = answer
        self._letters = TextDeltas()
        self._chars = 0
        self._arrival = -1
        self._hidden: dict[str, None] = {}
        self._usage: int | None = None
        self._prompt_ms: float | None = None
        self._first_token_ms: float | None = None

    def take(self, chunk: Mapping[str, object], name: str, arrival: int) -> Token | None:
        """Return the token that ``chunk`` holds, if it holds one."""
        raise_error_in(chunk, name, self._answer)
        tokens = visible_tokens(chunk)
        self._usage = self._usage if tokens is None else tokens
        self._prompt_ms = _llama_cpp_ms(chunk) or self._prompt_ms
        choice = part(chunk, "choices", 0)
        if part(choice, "index") not in (None, 0):
            return None
        delta = part(choice, "delta") or part(choice, "message")
        self._hidden |= dict.fromkeys(hidden_kinds(delta))
        self.finished |= bool(part(choice, "finish_reason"))
        text = self._letters.take(text_of(part(delta, "content")))
        if not text:
            return None
        if not self._chars:
            self._first_token_ms = self._answer.elapsed_ms()
        self._chars += len(text)
        if self._chars > MAX_REPLY_CHARS:
            raise self._answer.failure(f"sends a reply of more than {MAX_REPLY_CHARS} letters")
        token = Token(text, joined=arrival == self._arrival)
        self._arrival = arrival
        return token

    def finish(self) -> Iterator[LlmEvent]:
        """Yield what the stream's end brings. Raises `RemoteError` where it came too early."""
        self._letters.finish()
        if not (self.complete or self.finished):
            raise self._answer.failure("broke the reply off before it was finished")
        if not self._chars:
            raise no_text(self._answer, tuple(self._hidden))
        if self._usage is not None:
            yield Usage(self._usage)
        if self._prompt_ms is not None:
            yield ServerTiming(self._prompt_ms, self._first_token_ms, "llm")
        else:
            yield from self._answer.server_timing()


def text_of(content: object) -> str:
    """Return the text of a ``content``: a string, or a list of parts of which some are text."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(text_at(item, "text") for item in parts if part(item, "type") == "text")


_HIDDEN = {
    "reasoning_content": "reasoning",
    "reasoning": "reasoning",
    "tool_calls": "tool calls",
    "function_call": "tool calls",
    "refusal": "a refusal",
}


def hidden_kinds(delta: object) -> tuple[str, ...]:
    """Return what ``delta`` holds that a listener is not meant to hear."""
    return tuple(name for key, name in _HIDDEN.items() if part(delta, key))


def no_text(answer: Answer, hidden: tuple[str, ...]) -> RemoteError:
    """Return the error that a reply has no text but, maybe, ``hidden`` kinds of it."""
    if not hidden:
        return answer.failure("sent a reply without text", fault="engine")
    return answer.failure(
        f"sent a reply without text: nothing but {' and '.join(dict.fromkeys(hidden))}",
        "raise max_tokens, or switch reasoning and tools off",
        fault="engine",
    )


def visible_tokens(chunk: object) -> int | None:
    """Return the tokens of the answer less those of its reasoning, where the server counts them."""
    tokens = count_at(chunk, "usage", "completion_tokens")
    if tokens is None:
        return None
    details = ("usage", "completion_tokens_details", "reasoning_tokens")
    return max(0, tokens - (count_at(chunk, *details) or 0))


def _llama_cpp_ms(chunk: object) -> float | None:
    """Return how long llama.cpp took over the prompt, which is to its first token."""
    span = part(chunk, "timings", "prompt_ms")
    return float(span) if isinstance(span, int | float) and 0 <= span < 1e9 else None


def raise_error_in(chunk: Mapping[str, object], name: str, answer: Answer) -> None:
    """Raise the error that a server tells of in the middle of a stream."""
    if not chunk.get("error") and name != "error":
        return
    said = answer.quote(message_in(json.dumps(chunk)))
    raise answer.failure(f"failed in mid-answer: {said}", fault="engine")
