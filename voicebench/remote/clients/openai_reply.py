"""A streamed reply of OpenAI's chat protocol while its chunks come in, and when it is whole.

**The end.** A chunk with a ``finish_reason`` of the protocol ends the reply; then usage and
``[DONE]`` follow at once, or the body ends. Servers differ, so an end is a claim:

- Content after it disproves it (a gateway may write ``"stop"`` into every chunk). From then on only
  ``[DONE]`` or the end of the body ends the reply.
- Where the stream stays open, the end is believed after a silence of `END_S`. A reply whose stream
  breaks off is whole only if its end came in a chunk of its own: one with text may be a gateway's.
- ``[DONE]`` without any reason, or after one that the protocol does not know, ends nothing: servers
  close a stream so after a failure as well. After ``[DONE]`` nobody waits for the body's end; what
  comes until the turn's speech is over is looked at then (`ReplyReader.check_rest`).

**What is withheld** is in the remarks: reasoning in a field of its own or in the text
(`voicebench.text.visible`), tool calls, white space before the first word.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Iterator, Mapping

from voicebench.events import LlmEvent, Remark, RemarkKind, ServerTiming, Token
from voicebench.remote.clients.openai_words import (
    COMPLETE,
    CUT,
    ReplyChoice,
    TokenCounts,
    choice_in,
    counts_in,
    failure_in,
    is_known,
    llama_cpp_ms,
)
from voicebench.remote.connection.answer import Answer, Piece
from voicebench.remote.failure import RemoteError, message_in
from voicebench.remote.formats.json_text import TextDeltas, json_object
from voicebench.remote.formats.sse import ServerSentEvent
from voicebench.remote.formats.told_failure import names_failure
from voicebench.text.visible import Remarks, VisibleText

MAX_REPLY_CHARS = 1 << 20
END_S = 1.0
"""After this much silence the end of a reply is believed, whatever else is due. Nearly every server
sends ``[DONE]`` at once; of a gateway that writes an end into every chunk the next word may be as
long in coming."""


def until_the_end(answer: Answer, reading: ReplyReader) -> Iterator[Piece]:
    """Yield the pieces of a streamed reply; where it says that it is finished, wait less long."""
    limit = math.inf
    while True:
        if reading.wait_s != limit:
            limit = reading.wait_s
            answer.end_within(limit)
        try:
            piece = next(answer.pieces(), None)
        except RemoteError as error:
            if not reading.may_end_with(error):
                raise
            return
        if piece is None:
            return
        yield piece


class ReplyReader:
    """A streamed reply while its chunks come in."""

    def __init__(self, answer: Answer) -> None:
        self.complete = False
        """Whether the stream said that it is over."""
        self.wait_s = math.inf
        """How long to wait for what follows, as far as the reply says how it stands."""
        self._answer = answer
        self._letters = TextDeltas()
        self._visible = VisibleText()
        self._remarks = Remarks()
        self._withheld: dict[RemarkKind, None] = {}
        self._has_content = False
        self._chars = 0
        self._arrival = -1
        self._end = ""
        self._unknown_end = ""
        self._unknown = ""
        self._was_disproved = self._end_stood_alone = self._stayed_open = False
        self._counts: TokenCounts | None = None
        self._prompt_ms: float | None = None
        self._first_token_ms: float | None = None

    def take(self, event: ServerSentEvent, arrival: int) -> Iterator[LlmEvent]:
        """Yield the token that ``event`` holds, if it holds one, and what there is to remark."""
        data = event.data.strip()
        if data == "[DONE]":
            self.complete = True
        elif data or names_failure(event.name):
            chunk = _chunk_in(event, self._answer)
            self._raise_failure(failure_in(chunk, event.name))
            yield from self._take_chunk(chunk, arrival)

    def finish(self, stray: str = "") -> Iterator[LlmEvent]:
        """Yield what the stream's end brings. Raises `RemoteError` where it came too early.

        ``stray`` is what the stream held beside its events.
        """
        if stray and not self._unknown:
            self._unknown = self._answer.quote(message_in(stray))
        self._letters.finish()
        yield from self._shown(self._visible.finish(), self._arrival)
        if not self._end:
            raise self._unfinished()
        if not self._chars:
            raise no_text(self._answer, tuple(self._withheld))
        if self._visible.is_thinking:
            raise self._answer.failure(
                "ended the reply in the middle of its reasoning",
                "raise max_tokens, or switch reasoning off",
                fault="engine",
            )
        if self._stayed_open:
            yield from self._remarks.of(("open end",))
        if self._counts is not None:
            if self._counts.reasoning:
                yield from self._remarks.of(("reasoning",))
            yield self._counts.usage(self._unheard_tokens())
        if self._prompt_ms is not None:
            yield ServerTiming(self._prompt_ms, self._first_token_ms, "llm")
        else:
            yield from self._answer.server_timing()

    def check_rest(self, events: Iterator[ServerSentEvent]) -> None:
        """Raise `RemoteError` where ``events``, which came after the end, say that it was none."""
        for event in events:
            data = event.data.strip()
            if data == "[DONE]" or not (data or names_failure(event.name)):
                continue
            chunk = _chunk_in(event, self._answer)
            self._raise_failure(failure_in(chunk, event.name))
            choice = choice_in(chunk, "delta")
            if choice is not None and choice.text.strip():
                said = self._answer.quote(choice.text)
                raise self._answer.failure(
                    f"went on after it had said that the reply was finished: {said!r}"
                )

    def may_end_with(self, error: RemoteError) -> bool:
        """Whether the reply is whole although its stream ends with ``error``."""
        if self.wait_s == math.inf:
            return False
        self._stayed_open = error.fault == "timeout"
        # An end that came with text is believed after a silence, not after a broken connection.
        return self._stayed_open or self._end_stood_alone

    def _take_chunk(self, chunk: Mapping[str, object], arrival: int) -> Iterator[LlmEvent]:
        self._counts = counts_in(chunk) or self._counts
        self._prompt_ms = llama_cpp_ms(chunk) or self._prompt_ms
        choice = choice_in(chunk, "delta")
        if choice is not None:
            yield from self._follow_end(choice)
            yield from self._withhold(choice.hidden)
            yield from self._shown(self._visible.push(self._letters.take(choice.text)), arrival)
        elif not is_known(chunk):
            self._unknown = self._answer.quote(json.dumps(chunk, ensure_ascii=False))
            yield from self._remarks.of(("unknown",), self._unknown)
        elif self._end:
            self._end_stood_alone = True  # Usage comes after the reply.

    def _follow_end(self, choice: ReplyChoice) -> Iterator[Remark]:
        """Take down whether the reply ends here, and whether an end before was none."""
        goes_on = bool(choice.text or choice.hidden)
        if goes_on:
            if self._end:
                self._was_disproved = True
                yield from self._remarks.of(("false end",))
            self._has_content = True
            self._end = self._unknown_end = ""
        reason = choice.finish_reason
        if reason in CUT:
            raise self._answer.failure(
                f"cut the reply short (finish_reason {reason!r})", fault="engine"
            )
        if reason in COMPLETE:
            self._end = reason
        elif reason:
            self._unknown_end = self._answer.quote(reason)
        if not self._end or self._was_disproved or not self._has_content:
            self.wait_s = math.inf
        elif reason:
            self.wait_s = END_S
            self._end_stood_alone = not goes_on

    def _withhold(self, kinds: Iterable[RemarkKind]) -> Iterator[Remark]:
        self._withheld |= dict.fromkeys(kinds)
        yield from self._remarks.of(kinds)

    def _shown(self, text: str, arrival: int) -> Iterator[LlmEvent]:
        yield from self._withhold(self._visible.withheld)
        if not text:
            return
        if not self._chars:
            self._first_token_ms = self._answer.elapsed_ms()
        self._chars += len(text)
        if self._chars > MAX_REPLY_CHARS:
            raise self._answer.failure(f"sends a reply of more than {MAX_REPLY_CHARS} letters")
        yield Token(text, joined=arrival == self._arrival)
        self._arrival = arrival

    def _unheard_tokens(self) -> set[RemarkKind]:
        """Return what was withheld and is made of tokens that no visible text holds."""
        kinds = set(self._withheld) - {"blank", "mark"}
        return kinds | ({"reasoning"} if self._visible.had_thought else set())

    def _raise_failure(self, said: str | None) -> None:
        if said is not None:
            words = self._answer.quote(said) or "(without a word)"
            raise self._answer.failure(f"failed in mid-answer: {words}", fault="engine")

    def _unfinished(self) -> RemoteError:
        if self._unknown_end:
            known = ", ".join(COMPLETE)
            what = f"ended the reply with finish_reason {self._unknown_end!r}, none of {known}"
        elif self.complete:
            what = "sent [DONE] and no finish_reason: nothing says that the reply is whole"
        else:
            what = "broke the reply off before it was finished"
        also = f"; it also sent {self._unknown}" if self._unknown else ""
        remedy = 'the last chunk of a reply has "finish_reason": "stop"' if self.complete else ""
        return self._answer.failure(what + also, remedy)


def no_text(answer: Answer, withheld: Collection[RemarkKind]) -> RemoteError:
    """Return the error that a reply has no text but, maybe, what is ``withheld``."""
    if not withheld:
        return answer.failure("sent a reply without text", fault="engine")
    named = " and ".join(_NAMES.get(kind, kind) for kind in withheld)
    return answer.failure(
        f"sent a reply without text: nothing but {named}",
        "raise max_tokens, or switch reasoning and tools off",
        fault="engine",
    )


_NAMES: Mapping[RemarkKind, str] = {
    "blank": "white space",
    "mark": "special tokens",
    "refusal": "a refusal",
    "non-text": "content that is no text",
}


def _chunk_in(event: ServerSentEvent, answer: Answer) -> Mapping[str, object]:
    """Return the chunk that ``event`` holds; the words of a failure may be no JSON."""
    try:
        return json_object(event.data)
    except RemoteError:
        if names_failure(event.name):
            words = answer.quote(event.data) or "(without a word)"
            raise answer.failure(f"failed in mid-answer: {words}", fault="engine") from None
        raise
