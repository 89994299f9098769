"""A reply of OpenAI's chat protocol: its chunks as they come in, and when it is complete.

**The end.** A chunk with a ``finish_reason`` of the protocol ends the reply; then usage and
``[DONE]`` follow at once, or the body ends. Servers differ, so an end is only a claim:

- Content after it disproves it (a gateway may write ``"stop"`` into every chunk). From then on only
  ``[DONE]`` or the end of the body ends the reply.
- Where the stream stays open, the end is believed after a silence of `END_S`. An end beside text
  may be a gateway's: it needs a silence of `END_BESIDE_TEXT_S`, and earlier text without one. If
  the stream breaks off, the reply is complete only if its end came in a chunk of its own.
- ``[DONE]`` without a finish reason, or after an unknown one, ends nothing: servers close a stream
  so after a failure too. After ``[DONE]`` the turn does not wait for the body's end. What comes
  until the turn's speech is over is checked later (`ReplyReader.check_rest`).

**What is withheld** is remarked: reasoning in a field of its own or in the text
(`voicebench.text.visible`), tool calls, white space before the first word.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Iterator, Mapping

from voicebench.events import LlmEvent, Remark, RemarkKind, Reply, ServerTiming, Token
from voicebench.remote.clients.openai_fields import (
    COMPLETE,
    ReplyChoice,
    TokenCounts,
    choice_in,
    counts_in,
    failure_in,
    is_cut,
    is_known,
    llama_cpp_ms,
)
from voicebench.remote.connection.answer import Answer, Piece
from voicebench.remote.failure import RemoteError, message_in
from voicebench.remote.formats.json_text import TextDeltas, json_object, whole_letters
from voicebench.remote.formats.reported_failure import failure_outside_events, names_failure
from voicebench.remote.formats.sse import ServerSentEvent
from voicebench.text.visible import Remarks, VisibleText, visible_reply

MAX_REPLY_CHARS = 1 << 20
MAX_ANSWER_BYTES = 16 << 20
END_S = 1.0
"""After this much silence an end in a chunk of its own is believed. Nearly every server sends
``[DONE]`` at once."""
END_BESIDE_TEXT_S = 5.0
"""The same for an end beside text: a gateway that writes an end into every chunk may take long to
its next word."""
_NAMES: Mapping[RemarkKind, str] = {
    "blank": "white space",
    "mark": "special tokens",
    "refusal": "a refusal",
    "non-text": "content that is not text",
}


def until_the_end(answer: Answer, reader: ReplyReader) -> Iterator[Piece]:
    """Yield the pieces of a streamed reply, with a shorter wait once ``reader`` found an end."""
    limit = math.inf
    while True:
        if reader.wait_s != limit:
            limit = reader.wait_s
            answer.end_within(limit)
        try:
            piece = next(answer.pieces(), None)
        except RemoteError as error:
            if not reader.may_end_with(error):
                raise
            return
        if piece is None:
            return
        yield piece


class ReplyReader:
    """Reads the chunks of one streamed reply."""

    def __init__(self, answer: Answer) -> None:
        self.complete = False
        """Whether the stream said ``[DONE]``."""
        self.wait_s = math.inf
        """How long to wait for what follows."""
        self._answer = answer
        self._peer = answer.peer
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
        self._had_text_without_end = False
        self._counts: TokenCounts | None = None
        self._prompt_ms: float | None = None
        self._first_token_ms: float | None = None

    def take(self, event: ServerSentEvent, arrival: int) -> Iterator[LlmEvent]:
        """Yield the token in ``event``, if any, and remarks. Raises `RemoteError`."""
        data = event.data.strip()
        if data == "[DONE]":
            self.complete = True
        elif data or names_failure(event.name):
            yield from self._take_chunk(self._chunk_in(event), arrival)

    def finish(self, stray: str = "") -> Iterator[LlmEvent]:
        """Yield what the stream's end brings. Raises `RemoteError` for an incomplete reply.

        ``stray`` is the text of the stream outside its events.
        """
        if stray and not self._unknown:
            self._unknown = self._peer.quote(message_in(stray))
        self._letters.finish()
        yield from self._shown(self._visible.finish(), self._arrival)
        self._peer.raise_reported(failure_outside_events(stray))
        if not self._end:
            raise self._unfinished()
        if stray:
            yield from self._remarks.of(("unknown",), self._unknown)
        if not self._chars:
            raise _no_text(self._answer, tuple(self._withheld))
        if self._visible.is_thinking:
            raise self._peer.failure(
                "ended the reply in the middle of its reasoning",
                "raise max_tokens, or switch reasoning off",
                fault="engine",
            )
        if self._stayed_open:
            yield from self._remarks.of(("open end",))
        if self._counts is not None:
            if self._counts.reasoning:
                yield from self._remarks.of(("reasoning",))
            yield self._counts.usage(_counted_kinds(self._withheld, self._visible.had_thought))
        if self._prompt_ms is not None:
            yield ServerTiming(self._prompt_ms, self._first_token_ms, "llm")
        else:
            yield from self._answer.server_timing()

    def check_rest(self, events: Iterable[ServerSentEvent]) -> None:
        """Raise `RemoteError` where ``events`` after the end show that it was not the end."""
        for event in events:
            data = event.data.strip()
            if data == "[DONE]" or not (data or names_failure(event.name)):
                continue
            choice = choice_in(self._chunk_in(event), "delta")
            if choice is not None and choice.text.strip():
                said = self._peer.quote(choice.text)
                raise self._peer.failure(
                    f"went on after it had said that the reply was finished: {said!r}"
                )

    def may_end_with(self, error: RemoteError) -> bool:
        """Tell whether the reply is complete although its stream ends with ``error``."""
        if self.wait_s == math.inf:
            return False
        self._stayed_open = error.fault == "timeout"
        # An end beside text is believed after a silence, not after a broken connection.
        return self._stayed_open or self._end_stood_alone

    def _chunk_in(self, event: ServerSentEvent) -> Mapping[str, object]:
        chunk = self._peer.fields_of(event)
        self._peer.raise_reported(failure_in(chunk, event.name))
        return chunk

    def _take_chunk(self, chunk: Mapping[str, object], arrival: int) -> Iterator[LlmEvent]:
        self._counts = counts_in(chunk) or self._counts
        self._prompt_ms = llama_cpp_ms(chunk) or self._prompt_ms
        choice = choice_in(chunk, "delta")
        if choice is not None:
            yield from self._follow_end(choice)
            yield from self._withhold(choice.hidden)
            yield from self._shown(self._visible.push(self._letters.take(choice.text)), arrival)
        elif not is_known(chunk):
            self._unknown = self._peer.quote(json.dumps(chunk, ensure_ascii=False))
            yield from self._remarks.of(("unknown",), self._unknown)
        elif self._end:
            self._end_stood_alone = True  # Usage comes after the reply.
            if not self._was_disproved:
                self.wait_s = END_S

    def _follow_end(self, choice: ReplyChoice) -> Iterator[Remark]:
        """Note whether the reply ends here, and whether an earlier end is disproved."""
        goes_on = bool(choice.text or choice.hidden)
        if goes_on:
            if self._end:
                self._was_disproved = True
                yield from self._remarks.of(("false end",))
            self._has_content = True
            self._end = self._unknown_end = ""
        reason = choice.finish_reason
        _raise_if_cut(reason, self._answer)
        if reason in COMPLETE:
            self._end = reason
        elif reason:
            self._unknown_end = self._peer.quote(reason)
        if not self._end or self._was_disproved or not self._has_content:
            self.wait_s = math.inf
        elif reason:
            self._end_stood_alone = not goes_on
            self.wait_s = self._silence_at_end()
        self._had_text_without_end |= goes_on and not reason

    def _silence_at_end(self) -> float:
        if self._end_stood_alone:
            return END_S
        return END_BESIDE_TEXT_S if self._had_text_without_end else math.inf

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
            raise self._peer.failure(f"sends a reply of more than {MAX_REPLY_CHARS} letters")
        yield Token(text, joined=arrival == self._arrival, read_ns=self._answer.read_ns)
        self._arrival = arrival

    def _unfinished(self) -> RemoteError:
        if self._unknown_end:
            known = ", ".join(COMPLETE)
            what = f"ended the reply with finish_reason {self._unknown_end!r}, not one of {known}"
        elif self.complete:
            what = "sent [DONE] and no finish_reason: nothing says that the reply is complete"
        else:
            what = "stopped before the reply was complete"
        also = f"; it also sent {self._unknown}" if self._unknown else ""
        remedy = 'the last chunk of a reply has "finish_reason": "stop"' if self.complete else ""
        return self._peer.failure(what + also, remedy)


def read_whole(answer: Answer) -> Iterator[LlmEvent]:
    """Yield the reply of an answer that is one JSON document, remarks, and its token count.

    Raises `RemoteError` where there is no reply, or where it was cut.
    """
    with answer.peer.adding_context():
        document = json_object(answer.whole(MAX_ANSWER_BYTES))
        words = failure_in(document)
        if words is not None:
            raise answer.peer.failure(f"failed: {answer.peer.quote(words)}", fault="engine")
        choice = choice_in(document, "message") or ReplyChoice("", (), "")
        text, withheld_text, had_thought = visible_reply(whole_letters(choice.text))
        withheld = dict.fromkeys((*choice.hidden, *withheld_text))
        _raise_if_cut(choice.finish_reason, answer)
        if not text:
            raise _no_text(answer, withheld)
        yield from Remarks().of(withheld)
        yield Reply(text, read_ns=answer.read_ns)
        counts = counts_in(document)
        if counts is not None:
            yield counts.usage(_counted_kinds(withheld, had_thought))


def _raise_if_cut(finish_reason: str, answer: Answer) -> None:
    if is_cut(finish_reason):
        raise answer.peer.failure(
            f"cut the reply short (finish_reason {finish_reason!r})", fault="engine"
        )


def _no_text(answer: Answer, withheld: Collection[RemarkKind]) -> RemoteError:
    """Return the error for a reply without text, which may hold what is ``withheld``."""
    if not withheld:
        return answer.peer.failure("sent a reply without text", fault="engine")
    named = " and ".join(_NAMES.get(kind, kind) for kind in withheld)
    return answer.peer.failure(
        f"sent a reply without text: nothing but {named}",
        "raise max_tokens, or switch reasoning and tools off",
        fault="engine",
    )


def _counted_kinds(withheld: Iterable[RemarkKind], had_thought: bool) -> set[RemarkKind]:
    """Return the withheld kinds that are made of tokens which no visible text holds."""
    kinds = set(withheld) - {"blank", "mark"}
    return kinds | {"reasoning"} if had_thought else kinds
