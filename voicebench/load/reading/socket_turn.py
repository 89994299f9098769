"""One turn over a WebSocket in the reader's loop.

What a message means is decided by the same class as in the synchronous client
(`voicebench.targets.socket_answer`). Of messages with nothing but sound only the framing is looked
at; so a turn costs the loop little more than its reads.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np

from voicebench.audio.pcm import AudibleRule, first_audible_sample, from_int16, to_int16
from voicebench.errors import EngineError
from voicebench.events import AudioChunk, TurnFailed
from voicebench.load.reading.budget_timer import BudgetTimer
from voicebench.load.reading.exchange_words import words_of
from voicebench.load.reading.heard_reply import Heard, heard_reply
from voicebench.load.reading.read_log import KeptSound
from voicebench.load.reading.read_socket import ReadSocket
from voicebench.load.reading.reading_loop import Timer
from voicebench.load.reading.socket_line import SocketLine
from voicebench.load.reading.socket_log import CutMark, Message
from voicebench.load.reading.turn_extras import PLAIN_TURN, TurnExtras
from voicebench.remote.connection.socket_messages import Beginning, Incoming
from voicebench.remote.failure import RemoteError
from voicebench.targets import remote_turn
from voicebench.turn.playback import NS_PER_S

MOST_BYTES = 64 << 20
"""The limit for the messages of a turn that are kept."""


class SocketTurn:
    """One turn; it begins when this is made. ``done`` is called once, when it has ended.

    ``kept_bytes`` of its sound are kept, from its first audible piece on; None keeps all.
    """

    def __init__(
        self,
        line: SocketLine,
        prompt: str,
        kept_bytes: int | None,
        rule: AudibleRule,
        done: Callable[[SocketTurn], None],
        *,
        extras: TurnExtras = PLAIN_TURN,
    ) -> None:
        self._line = line
        self._rule = rule
        self._done = done
        self._extras = extras
        self._rate = 0
        self._bytes = 0
        self._is_over = self._has_failed = False
        self._cut_ns: int | None = None
        self._cut: Timer | None = None
        self._received: list[Incoming] = []
        self._kept = KeptSound(kept_bytes, self._is_audible)
        self._answer = line.target.new_answer(prompt)
        started_at = datetime.now(UTC).isoformat(timespec="milliseconds")
        started_ns = time.perf_counter_ns()
        self.read = ReadSocket(prompt, started_ns, started_at, line.target.before)
        self._log = self.read.log
        self._budget = line.target.service.wait_budget()
        self._limit: BudgetTimer | None = None
        self._in_turn = line.take(self)
        if line.is_open:
            self.opened(started_ns)

    @property
    def has_ended(self) -> bool:
        """Whether it is over."""
        return self._is_over

    @property
    def has_failed(self) -> bool:
        """Whether it has failed, as far as the loop looks."""
        return self._has_failed

    def cut_off(self) -> None:
        """End it as unfinished: the level is over. The connection is hung up."""
        self.read.was_cut_off = True
        self._hang_up(time.perf_counter_ns())

    def largest_lag_ns(self) -> int | None:
        """Return the largest lag of our reads up to first audio; None without kernel stamps."""
        sound = self._log.sound()
        return self._log.largest_lag_ns(sound[0].at_ns if sound else self.read.ended_ns)

    def heard(self) -> Heard:
        """Return until when its caller listened."""
        sound = self._log.sound()
        if not sound or self._has_failed or self.read.was_cut_off:
            return Heard(self.read.ended_ns)
        after_ns = self._extras.cut_after_ns
        return heard_reply(sound, self._rate, self.read.ended_ns, self._cut_ns, after_ns)

    # What the line says.

    def opened(self, at_ns: int) -> None:
        """Ask for the answer; first for the fault that it is to meet, if there is one."""
        del at_ns
        self._budget.begin_exchange()
        self.read.connected = self._line.connected(in_turn=self._in_turn)
        self.read.sent_ns = time.perf_counter_ns()
        self._extras.before_request(self._line.port or 0, self._ask)

    def took(self, message: Message, at_ns: int, received_ns: int | None) -> None:
        """Take a message, or its beginning."""
        answer, log = self._answer, self._log
        if isinstance(message, Beginning):
            if not self._rate and not answer.done:
                log.add(at_ns, received_ns, message)
                self._take(message, at_ns)
            return
        if answer.done:
            log.add(at_ns, received_ns, message)
            self._received.append(Incoming(message, len(log)))
            return
        self._budget.answer_began()
        if self._limit is not None:
            self._limit.heard(at_ns)
        try:
            sound = answer.take_plain(message)
        except EngineError:
            log.add(at_ns, received_ns, message)
            self._fail(at_ns)
            return
        if sound is None:
            log.add(at_ns, received_ns, message)
            self._bytes += len(message)
            self._take(Incoming(message, len(log)), at_ns)
        else:
            kept = message if self._kept.takes(memoryview(sound.samples)) else None
            self._bytes += len(message) if kept is not None else 0
            log.add(at_ns, received_ns, kept, len(sound.samples) // 2)
        if not self._is_over and (len(log) >= remote_turn.MAX_EVENTS or self._bytes > MOST_BYTES):
            self.failed(self._too_much(), at_ns)

    def read_over(self, at_ns: int) -> None:
        """End the turn, if what was read holds its end."""
        if not self._answer.done or self._is_over:
            return
        self.read.set_aside = tuple(self._line.set_aside.take())
        try:
            for _ in self._answer.end(self._received, self.read.set_aside):
                pass
        except EngineError:
            self._fail(at_ns)
            return
        self._end(at_ns)

    def failed(self, error: RemoteError, at_ns: int) -> None:
        """Fail: the connection is gone, or a limit has passed."""
        if not self._is_over:
            self.read.error = words_of(error)
            self._fail(at_ns)

    def _ask(self) -> None:
        """Send the request."""
        if self._is_over:
            return
        for message in self._answer.request():
            self._line.send(message)
        self._limit = BudgetTimer(self._line.loop, self._budget, self.failed)

    def _take(self, incoming: Incoming | Beginning, at_ns: int) -> None:
        try:
            for event in self._answer.take(incoming):
                if isinstance(event, AudioChunk):
                    self._take_sound(event, at_ns)
                self._has_failed = isinstance(event, TurnFailed)
        except EngineError:
            self._fail(at_ns)

    def _take_sound(self, chunk: AudioChunk, at_ns: int) -> None:
        log = self._log
        if not self._rate:
            self._rate = self.read.sample_rate = chunk.sample_rate
            self._plan_cut(at_ns)
        log.samples[-1] += chunk.pcm.size
        self._kept.takes(memoryview(to_int16(chunk.pcm).astype("<i2").tobytes()))

    def _is_audible(self, data: memoryview) -> bool:
        pcm = from_int16(np.frombuffer(data, dtype="<i2"))
        return first_audible_sample(pcm, self._rate, self._rule) is not None

    # The caller interrupts.

    def _plan_cut(self, at_ns: int) -> None:
        after_ns = self._extras.cut_after_ns
        if after_ns is not None:
            self._cut = self._line.loop.at(at_ns + after_ns, self._interrupt)

    def _interrupt(self) -> None:
        """Ask the server to stop, and wait for its word a little longer."""
        after_ns = self._extras.cut_after_ns
        if self._is_over or self._answer.done or after_ns is None:
            return
        heard_s = after_ns / NS_PER_S
        self._cut_ns = time.perf_counter_ns()
        self._log.add(self._cut_ns, None, CutMark(heard_s))
        for message in self._answer.cancelling(heard_s):
            self._line.send(message)
        self._budget.end_within(remote_turn.STOP_S)
        if self._limit is not None:
            self._limit.look_again()

    # The end.

    def _too_much(self) -> RemoteError:
        service = self._line.target.service
        if len(self._log) >= remote_turn.MAX_EVENTS:
            return remote_turn.too_many_events(service)
        return service.failure(f"sends more than {MOST_BYTES >> 20} MB in one turn")

    def _fail(self, at_ns: int) -> None:
        error = self.read.error
        is_unconfirmed = self._cut_ns is not None and error is not None and error.fault == "timeout"
        self._has_failed = not is_unconfirmed
        self._hang_up(at_ns)

    def _hang_up(self, at_ns: int) -> None:
        if not self._is_over:
            self._line.hang_up()
            self._end(at_ns)

    def _end(self, at_ns: int) -> None:
        self._is_over = True
        self.read.ended_ns = at_ns
        self._line.release()
        self._line.target.before = self._answer.after()
        if self._limit is not None:
            self._limit.cancel()
        if self._cut is not None:
            self._cut.cancel()
        self._kept.forget()
        done, self._done = self._done, _nothing
        done(self)


def _nothing(_turn: SocketTurn) -> None:
    """Stand for a function that was called already: no circle of references is left."""
