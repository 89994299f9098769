"""One request on a line, and its answer as it is read: when each piece came, and when to give up.

The words of its errors are those of the synchronous client (`voicebench.remote.connection.http`),
so that a turn fails with the same sentence in both engines.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from voicebench.events import Connected, Fault, Stage
from voicebench.load.reading.exchange_words import ErrorWords, words_of
from voicebench.load.reading.http_framing import AnswerFraming, AnswerHead, BrokenFraming
from voicebench.load.reading.http_line import HttpLine
from voicebench.load.reading.read_log import KeptSound, ReadLog
from voicebench.load.reading.reading_loop import Timer
from voicebench.load.reading.turn_extras import Go, at_once
from voicebench.remote.connection.connecting import reaching_remedy
from voicebench.remote.connection.timeouts import WaitBudget
from voicebench.remote.failure import RemoteError
from voicebench.turn.playback import NS_PER_S

OnPiece = Callable[[bytes, int], None]


@dataclass(slots=True)
class ReadExchange:
    """One request and its answer as they were read; can be sent to another process."""

    sent_ns: int
    connected: Connected | None = None
    """None if there was no connection."""
    head: AnswerHead | None = None
    head_ns: int = 0
    error: ErrorWords | None = None
    ended_ns: int = 0
    """When the answer was whole, or when it failed."""


class HttpExchange:
    """Sends ``request`` on ``line`` and reads the answer (a `Receiver`).

    ``turn_ends_ns`` is the deadline of the turn. ``piece`` gets each piece of the body. ``ended``
    is called once. ``before_request`` is that of `TurnExtras`.
    """

    def __init__(
        self,
        line: HttpLine,
        request: bytes,
        *,
        kept: KeptSound,
        turn_ends_ns: int,
        ended: Callable[[HttpExchange], None],
        piece: OnPiece | None = None,
        before_request: Callable[[int, Go], None] = at_once,
    ) -> None:
        self.log = ReadLog()
        self.read = ReadExchange(time.perf_counter_ns())
        self._framing = AnswerFraming()
        self._line = line
        self._request = request
        self._kept = kept
        self._ended = ended
        self._piece = piece
        self._before_request = before_request
        self._has_ended = False
        self._latest_ns = 0
        self._silence_ns: int | None = None
        self._turn_ends_ns = turn_ends_ns
        self._budget: WaitBudget = line.peer.wait_budget(in_turn=False)
        self._connection, self._in_turn = line.take()
        self._timer: Timer | None = None
        self._connection.receiver = self
        if self._connection.is_open:
            self._send()
        else:
            limit_s = line.peer.access.timeouts.connect_s
            self._timer = line.loop.at(
                self.read.sent_ns + round(limit_s * NS_PER_S), self._does_not_connect
            )

    @property
    def has_ended(self) -> bool:
        """Whether the answer is whole, or has failed."""
        return self._has_ended

    def end_after_silence(self, seconds: float | None) -> None:
        """Fail by a time-out if nothing comes for ``seconds``; None waits as usual."""
        self._silence_ns = None if seconds is None else round(seconds * NS_PER_S)
        if seconds is not None:
            self._budget.end_within(seconds)
            self._look_later()

    def abandon(self) -> None:
        """Hang up; nothing is called."""
        self._finish()
        self._forget()
        self._line.hang_up()

    def opened(self, at_ns: int) -> None:
        """Send the request: the turn has waited for the connection."""
        self.read.sent_ns = at_ns
        self._send()

    def took(self, data: bytes, at_ns: int, received_ns: int | None) -> None:
        """Note the pieces of the body in ``data``."""
        self._latest_ns = at_ns
        framing = self._framing
        try:
            data, spans = framing.feed(data)
        except BrokenFraming as broken:
            self.fail(self._failure(f"violated the rules of HTTP ({broken})"), at_ns)
            return
        if self.read.head is None and framing.head is not None:
            self.read.head, self.read.head_ns = framing.head, at_ns
            self._budget.answer_began()
            self._look_later()  # from now on the wait between bytes counts
        log, kept = self.log, self._kept
        for begin, end in spans:
            log.add(at_ns, received_ns, end - begin)
            piece = memoryview(data)[begin:end]
            if kept.takes(piece):
                log.keep(piece)
            if self._piece is not None and not self._has_ended:
                self._piece(data[begin:end], at_ns)
        if framing.ended and not self._has_ended:
            self._end(at_ns)

    def closed(self, why: str, at_ns: int) -> None:
        """End the answer: a body without a length is whole now."""
        framing = self._framing
        if not self._connection.connect_ns:
            self.fail(
                self._failure(
                    f"cannot be reached ({why})",
                    reaching_remedy(why),
                    fault="refused",
                    stage="connect",
                ),
                at_ns,
            )
        elif why:
            self.fail(self._failure(f"closed the connection early ({why})"), at_ns)
        elif framing.ends_with_connection:
            self._end(at_ns)
        else:
            self.fail(self._failure(f"violated the rules of HTTP ({framing.cut_short()})"), at_ns)

    def fail(self, error: RemoteError, at_ns: int) -> None:
        """End the exchange with an error, and hang up."""
        if not self._has_ended:
            self.read.error = words_of(error)
            self._line.hang_up()
            self._end(at_ns)

    def _send(self) -> None:
        self.read.connected = self._line.connected(in_turn=self._in_turn)
        self._before_request(self._connection.port, self._send_now)

    def _send_now(self) -> None:
        if self._has_ended:
            return
        self._connection.send(self._request)
        self._budget.begin_exchange()
        self._look_later()

    def _end(self, at_ns: int) -> None:
        self.read.ended_ns = at_ns
        self._finish()
        head = self._framing.head
        if head is None or not head.keeps_open or self._framing.ends_with_connection:
            self._line.hang_up()
        ended = self._ended
        self._forget()
        ended(self)

    def _forget(self) -> None:
        """Leave no circle of references: the garbage collector is off while a level is held."""
        self._ended, self._piece, self._timer = _nothing, None, None
        self._before_request = at_once

    def _finish(self) -> None:
        self._has_ended = True
        if self._connection.receiver is self:
            self._connection.receiver = None
        if self._timer is not None:
            self._timer.cancel()

    def _limit_ns(self) -> int:
        """Return when the present wait is over."""
        timeouts = self._line.peer.access.timeouts
        if not self._latest_ns:
            limit_ns = self.read.sent_ns + round(timeouts.first_byte_s * NS_PER_S)
        else:
            limit_ns = self._latest_ns + round(timeouts.between_bytes_s * NS_PER_S)
        if self._silence_ns is not None:
            limit_ns = min(limit_ns, self._latest_ns + self._silence_ns)
        return min(limit_ns, self._turn_ends_ns)

    def _look_later(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._line.loop.at(self._limit_ns(), self._look)

    def _look(self) -> None:
        """Fail if nothing has come for too long."""
        now_ns = time.perf_counter_ns()
        if now_ns < self._limit_ns():
            self._look_later()
            return
        try:
            self._budget.left_s()
            error = self._budget.timeout_error()
        except RemoteError as passed:
            error = passed
        self.fail(error, now_ns)

    def _does_not_connect(self) -> None:
        limit = self._line.peer.access.timeouts.to_connect()
        error = self._failure(
            f"did not take a connection within {limit.words}",
            f"check the URL and the network, or raise {limit.setting}",
            fault="timeout",
            stage="connect",
        )
        self.fail(error, time.perf_counter_ns())

    def _failure(
        self, what: str, remedy: str = "", *, fault: Fault = "protocol", stage: Stage | None = None
    ) -> RemoteError:
        return self._line.peer.failure(what, remedy, fault=fault, stage=stage)


def _nothing(_exchange: HttpExchange) -> None:
    """Stand for a function that was called already."""
