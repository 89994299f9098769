"""One turn of a cascade in the reader's loop: the reply's tokens, the chunker, speech by speech.

The reply is parsed here, by the parser of the synchronous client, because its words decide when a
text chunk is complete and its speech is asked for. Of the speech only the framing is looked at. As
in `voicebench.pipeline.pipeline`, the chunks are spoken one after the other; a reply that fails is
spoken as far as it came; a voice that fails ends the turn.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from voicebench.errors import EngineError
from voicebench.events import LlmEvent, Reply, Token
from voicebench.load.reading.cascade_way import CascadeLines, CascadeWay
from voicebench.load.reading.heard_reply import Heard, heard_reply
from voicebench.load.reading.http_exchange import HttpExchange
from voicebench.load.reading.raw_speech import frame_bytes, is_audible, raw_sound, sound_in
from voicebench.load.reading.read_log import KeptSound
from voicebench.load.reading.read_turn import (
    ReadCascade,
    ReadChunk,
    ReadReply,
    answer_of,
    replayed,
)
from voicebench.load.reading.reading_loop import Timer
from voicebench.load.reading.turn_extras import PLAIN_TURN, TurnExtras
from voicebench.remote.clients.openai_reply import ReplyReader
from voicebench.remote.connection.recorded_answer import RecordedClock
from voicebench.remote.formats.sse import EventStream
from voicebench.text.chunking import Chunker
from voicebench.turn.playback import NS_PER_S

SSE = b"text/event-stream"


class CascadeTurn:
    """One turn; it begins when this is made. ``done`` is called once, when it has ended.

    ``kept_bytes`` of its sound are kept, from its first audible piece on; None keeps all.
    """

    def __init__(
        self,
        way: CascadeWay,
        lines: CascadeLines,
        prompt: str,
        kept_bytes: int | None,
        done: Callable[[CascadeTurn], None],
        *,
        extras: TurnExtras = PLAIN_TURN,
    ) -> None:
        self._way = way
        self._extras = extras
        self._cut: Timer | None = None
        self._lines = lines
        self._kept = KeptSound(kept_bytes, self._is_audible)
        self._done = done
        self._waiting: deque[str] = deque()
        self._held_back: list[str] = []
        self._chunker = Chunker(way.first_words, way.later_words)
        self._stream = EventStream()
        self._reply: ReplyReader | None = None
        self._is_written = self._is_over = self._has_failed = False
        self._speech: HttpExchange | None = None
        started_at = datetime.now(UTC).isoformat(timespec="milliseconds")
        started_ns = time.perf_counter_ns()
        self.read = ReadCascade(prompt, started_ns, started_at)
        self._ends_ns = started_ns + round(way.turn_s * NS_PER_S)
        self._chat = HttpExchange(
            lines.chat,
            way.clients.request_of_prompt(prompt),
            kept=KeptSound(None),
            turn_ends_ns=self._ends_ns,
            ended=self._chat_ended,
            piece=self._chat_piece,
            before_request=extras.before_request,
        )
        self.read.chat = ReadReply(self._chat.read, self._chat.log)

    @property
    def has_ended(self) -> bool:
        """Whether it is over."""
        return self._is_over

    def cut_off(self) -> None:
        """End it as unfinished: the level is over. Both connections are hung up."""
        self.read.was_cut_off = True
        self._end(time.perf_counter_ns())

    def largest_lag_ns(self) -> int | None:
        """Return the largest lag of our reads up to first audio; None without kernel stamps."""
        first = next((c.speech for c in self.read.chunks if c.speech and c.speech.log.at_ns), None)
        until_ns = first.log.at_ns[0] if first else self.read.ended_ns
        logs = [self._chat.log, *([first.log] if first else [])]
        return max(
            (lag for log in logs if (lag := log.largest_lag_ns(until_ns)) is not None), default=None
        )

    def heard(self) -> Heard:
        """Return until when its caller listened; until it ended, if it has no sound."""
        spoken = [c.speech for c in self.read.chunks if c.speech and c.speech.exchange.head]
        head = spoken[0].exchange.head if spoken else None
        sound = None if head is None else raw_sound(head, self._way.sound)
        arrivals = sound_in([speech.log for speech in spoken], sound) if sound else []
        if sound is None or not arrivals or self._has_failed or self.read.was_cut_off:
            return Heard(self.read.ended_ns)
        after_ns = self._extras.cut_after_ns
        ended_ns, cut_ns = self.read.ended_ns, self.read.cut_ns
        return heard_reply(arrivals, sound.sample_rate, ended_ns, cut_ns, after_ns)

    # The reply.

    def _chat_piece(self, data: bytes, at_ns: int) -> None:
        if self._is_written or not self._is_streamed():
            return
        reply = self._reader()
        try:
            for event in self._stream.feed(data):
                self._say(reply.take(event, at_ns))
                if reply.complete:
                    break
        except EngineError:
            self._written(at_ns, failed=True)
            return
        if reply.complete:
            self._finish_reply(at_ns)
        else:
            self._chat.end_after_silence(None if reply.wait_s == float("inf") else reply.wait_s)

    def _chat_ended(self, exchange: HttpExchange) -> None:
        if self._is_written:
            self._go_on(exchange.read.ended_ns)
            return
        at_ns = exchange.read.ended_ns
        if not self._is_streamed():
            self._whole_answer(at_ns)
            return
        reply, error = self._reader(), exchange.read.error
        if error is not None and not reply.may_end_with(error.error()):
            self._written(at_ns, failed=True)
            return
        try:
            for event in self._stream.last():
                self._say(reply.take(event, at_ns))
        except EngineError:
            self._written(at_ns, failed=True)
            return
        self._finish_reply(at_ns)

    def _finish_reply(self, at_ns: int) -> None:
        assert self._reply is not None
        try:
            self._say(self._reply.finish(self._stream.stray))
        except EngineError:
            self._written(at_ns, failed=True)
            return
        self._written(at_ns, failed=False)

    def _whole_answer(self, at_ns: int) -> None:
        """Take an answer that is no stream: a failure, or the whole reply."""
        client, failed = self._way.clients.llm, False
        assert self.read.chat is not None
        with replayed(client, self.read.chat):
            try:
                self._say(client.reply(self.read.prompt))
            except EngineError:
                failed = True
        self._written(at_ns, failed=failed)

    def _is_streamed(self) -> bool:
        head = self._chat.read.head
        if head is None or not 200 <= head.status < 300 or head.status == 206:
            return False
        kind = head.field(b"content-type").partition(b";")[0].strip().lower()
        return kind in (SSE, b"") and head.field(b"content-encoding") in (b"", b"identity")

    def _reader(self) -> ReplyReader:
        if self._reply is None:
            assert self.read.chat is not None
            # Its body is not read there: the pieces come to `_chat_piece`.
            answer = answer_of(self._way.clients.llm, self.read.chat, RecordedClock())
            self._reply = ReplyReader(answer)
        return self._reply

    def _say(self, events: Iterable[LlmEvent]) -> None:
        """Give the reply's visible text to the chunker."""
        for event in events:
            if isinstance(event, Token | Reply):
                self._held_back += self._chunker.feed(event.text)
                if not self._way.sequential:
                    self._hand_over()

    def _written(self, at_ns: int, *, failed: bool) -> None:
        """The reply has ended; what is left of a failed one is not spoken."""
        self._is_written = True
        if failed:
            self._has_failed = True
            self._held_back.clear()
        else:
            self._held_back += self._chunker.finish()
        self._hand_over()
        self._go_on(at_ns)

    def _hand_over(self) -> None:
        self._waiting += self._held_back
        self._held_back.clear()
        self._go_on(None)

    # The speech.

    def _go_on(self, at_ns: int | None) -> None:
        """Speak the next chunk if the voice is free; end the turn if there will be none."""
        while self._speech is None and self._waiting and not self._is_over:
            chunk = ReadChunk(time.perf_counter_ns(), self._waiting.popleft())
            self.read.chunks.append(chunk)
            request = self._way.clients.request_of_speech(chunk.text)
            if request is None:
                continue
            self._speech = speech = HttpExchange(
                self._lines.speech,
                request,
                kept=self._kept,
                turn_ends_ns=self._ends_ns,
                ended=self._spoken,
                piece=self._first_sound if self._awaits_cut else None,
            )
            chunk.speech = ReadReply(speech.read, speech.log)
        if self._speech is None and self._is_written and at_ns is not None and not self._is_over:
            self._end(max(at_ns, self._latest_chunk_ns()))

    def _latest_chunk_ns(self) -> int:
        return self.read.chunks[-1].at_ns if self.read.chunks else 0

    def _spoken(self, exchange: HttpExchange) -> None:
        self._speech = None
        at_ns = exchange.read.ended_ns
        if not self._sounds_right(exchange):
            self._has_failed = True
            self._end(at_ns)
            return
        self._go_on(at_ns)

    def _sounds_right(self, exchange: HttpExchange) -> bool:
        """Return whether the answer is plain speech; in doubt the client says it."""
        head = exchange.read.head
        sound = None if head is None else raw_sound(head, self._way.sound)
        if sound is not None and exchange.read.error is None:
            size = sum(exchange.log.sizes)
            if size and size % frame_bytes(sound) == 0:
                return True
        client, chunk = self._way.clients.tts, self.read.chunks[-1]
        with replayed(client, ReadReply(exchange.read, exchange.log)):
            try:
                for _ in client.speak(chunk.text):
                    pass
            except EngineError:
                return False
        return True

    def _is_audible(self, data: memoryview) -> bool:
        """Return whether a piece of the present speech holds audible sound."""
        head = self._speech.read.head if self._speech is not None else None
        sound = None if head is None else raw_sound(head, self._way.sound)
        return sound is not None and is_audible(data, sound, self._way.audible)

    # The caller interrupts.

    @property
    def _awaits_cut(self) -> bool:
        return self._extras.cut_after_ns is not None and self._cut is None

    def _first_sound(self, _data: bytes, at_ns: int) -> None:
        if self._awaits_cut:
            assert self._extras.cut_after_ns is not None
            self._cut = self._lines.chat.loop.at(at_ns + self._extras.cut_after_ns, self._interrupt)

    def _interrupt(self) -> None:
        """Hang up: the servers have nothing else that would stop them."""
        if not self._is_over:
            self.read.cut_ns = time.perf_counter_ns()
            self._end(self.read.cut_ns)

    def _end(self, at_ns: int) -> None:
        if self._is_over:
            return
        self._is_over = True
        if self._cut is not None:
            self._cut.cancel()
        self.read.ended_ns = at_ns
        if self._speech is not None:
            self._speech.read.ended_ns = at_ns
            self._speech.abandon()
        if not self._is_written:
            self._chat.read.ended_ns = at_ns
            self._chat.abandon()
        self._kept.forget()
        self._done(self)
