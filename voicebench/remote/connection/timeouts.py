"""How long one may wait for a peer: four limits, and the one that is next to run out.

A limit on each read alone would let a peer that drips a byte every few seconds go on for ever. So
every wait is cut to what is left of the nearest limit.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Literal

from voicebench.errors import UsageError
from voicebench.events import Stage
from voicebench.remote.failure import RemoteError

_Nearest = Literal["first byte", "between bytes", "turn"]
Seconds = Callable[[], float]
"""Return seconds on a monotonic clock."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """The limits of one exchange with a peer, in seconds; all positive."""

    connect_s: float = 5.0
    """Name lookup, TCP, TLS and, for a socket, its opening handshake: all together."""
    first_byte_s: float = 20.0
    """Request sent to the first byte of the answer's body; headers do not stop it."""
    between_bytes_s: float = 10.0
    """Silence in the middle of an answer."""
    turn_s: float = 60.0
    """The whole turn, however steadily the bytes come."""

    def __post_init__(self) -> None:
        """Raise `UsageError` for a limit that is none."""
        for field in fields(self):
            value = getattr(self, field.name)
            if not 0 < value < math.inf:
                raise UsageError(f"timeout {field.name} = {value} is no time", "use 0.001 or more")

    def to_connect(self) -> ConnectLimit:
        """Return how long a connect may take that no turn waits for."""
        return ConnectLimit(self.connect_s, f"{self.connect_s:g} s")


@dataclass(frozen=True, slots=True)
class ConnectLimit:
    """How long opening a connection may take, that limit in words, and whether a turn waits.

    ``setting`` is what the limit comes from.
    """

    seconds: float
    words: str
    in_turn: bool = False
    setting: str = "wire.connect_s"


class TurnDeadline:
    """The end of the running turn, shared by all engines that work on it."""

    def __init__(self, turn_s: float, clock: Seconds = time.monotonic) -> None:
        self._turn_s = turn_s
        self._clock = clock
        self._ends_at: float | None = None

    def start(self) -> None:
        """Say that a turn begins now."""
        self._ends_at = self._clock() + self._turn_s

    @property
    def ends_at(self) -> float:
        """When the turn has to be over; infinity as long as none has begun."""
        return math.inf if self._ends_at is None else self._ends_at


class WaitBudget:
    """How much longer one exchange may wait, at any moment of it.

    ``peer`` is the URL as it may be shown, ``stage`` the engine's. Begins when it is made.
    """

    def __init__(
        self,
        timeouts: Timeouts,
        *,
        peer: str,
        stage: Stage,
        deadline: TurnDeadline | None = None,
        clock: Seconds = time.monotonic,
    ) -> None:
        self._timeouts = timeouts
        self._peer = peer
        self._stage: Stage = stage
        self._clock = clock
        own_end = clock() + timeouts.turn_s
        self._turn_ends_at = own_end if deadline is None else min(own_end, deadline.ends_at)
        self._over_at = self._turn_ends_at
        self._nearest: _Nearest = "first byte"
        self.begin_exchange()

    def begin_exchange(self) -> None:
        """Say that the connection stands: only now does the wait for the first byte begin."""
        self._answering = False
        self._first_byte_by = self._clock() + self._timeouts.first_byte_s

    def to_connect(self) -> ConnectLimit:
        """Return how long a connect inside the turn may take. Raises `RemoteError` for no time."""
        limit, left = self._timeouts.to_connect(), self._over_at - self._clock()
        if left <= 0:
            self._nearest = "turn"
            raise self.run_out()
        if left < limit.seconds:
            words = f"what was left of the turn's {self._timeouts.turn_s:g} s"
            return ConnectLimit(left, words, in_turn=True, setting="wire.turn_s")
        return ConnectLimit(limit.seconds, limit.words, in_turn=True)

    def answer_began(self) -> None:
        """Say that the first byte of the answer is in hand."""
        self._answering = True

    def end_within(self, seconds: float) -> None:
        """Bring the end of the exchange forward to ``seconds`` from now; the last word counts."""
        self._over_at = min(self._turn_ends_at, self._clock() + seconds)

    def left_s(self) -> float:
        """Return how long the next read may wait. Raises `RemoteError` where time is up."""
        now = self._clock()
        of_turn = self._over_at - now
        if self._answering:
            left, self._nearest = self._timeouts.between_bytes_s, "between bytes"
        else:
            left, self._nearest = self._first_byte_by - now, "first byte"
        if of_turn <= left:
            left, self._nearest = of_turn, "turn"
        if left <= 0:
            raise self.run_out()
        return left

    def run_out(self) -> RemoteError:
        """Return the error that names the limit which the last wait was cut to.

        Not the one that is reached by now: whoever waited may have been woken late.
        """
        timeouts = self._timeouts
        reason = {
            "first byte": f"sent no byte of an answer within {timeouts.first_byte_s:g} s",
            "between bytes": f"stood still for {timeouts.between_bytes_s:g} s in mid-answer",
            "turn": f"was not done within the turn's {timeouts.turn_s:g} s",
        }[self._nearest]
        return RemoteError(f"{self._peer} {reason}", fault="timeout", stage=self._stage)


class Allowance(float):
    """A timeout for HTTP libraries that take a number: at each read it asks its `WaitBudget`.

    As a plain number it is the limit between two bytes.
    """

    patience: WaitBudget

    def __new__(cls, patience: WaitBudget, between_bytes_s: float) -> Allowance:
        """Return the allowance of ``patience``."""
        allowance = super().__new__(cls, between_bytes_s)
        allowance.patience = patience
        return allowance


def seconds_of(timeout: float | None) -> float | None:
    """Return the seconds that ``timeout`` stands for now. Raises `RemoteError` where none are."""
    return timeout.patience.left_s() if isinstance(timeout, Allowance) else timeout
