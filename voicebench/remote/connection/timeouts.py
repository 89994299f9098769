"""How long to wait for a peer: four limits, and the nearest of them at any moment.

A limit on each read alone would let a server that sends one byte every few seconds go on for ever.
So every wait is cut to what is left of the nearest limit.
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

Seconds = Callable[[], float]
"""Returns seconds on a monotonic clock."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """The limits of one exchange with a peer, in seconds; all positive, else `UsageError`."""

    connect_s: float = 5.0
    """Name lookup, TCP, TLS and a WebSocket's opening handshake, all together."""
    first_byte_s: float = 20.0
    """From the request to the first byte of the answer's body; headers do not stop it."""
    between_bytes_s: float = 10.0
    """Silence in the middle of an answer."""
    turn_s: float = 60.0
    """The whole turn, however steadily the bytes come."""

    def __post_init__(self) -> None:
        """Check the values."""
        for field in fields(self):
            value = getattr(self, field.name)
            if not 0 < value < math.inf:
                raise UsageError(
                    f"timeout {field.name} = {value} is out of range", "use 0.001 or more"
                )

    def to_connect(self) -> ConnectLimit:
        """Return the limit of a connect that no turn waits for."""
        return ConnectLimit(self.connect_s, f"{self.connect_s:g} s")


@dataclass(frozen=True, slots=True)
class ConnectLimit:
    """How long opening a connection may take, in seconds and in words; ``setting`` is its key."""

    seconds: float
    words: str
    setting: str = "wire.connect_s"


class TurnDeadline:
    """The end of the running turn, shared by all engines that work on it."""

    def __init__(self, turn_s: float, clock: Seconds = time.monotonic) -> None:
        self._turn_s = turn_s
        self._clock = clock
        self.ends_at = math.inf
        """When the turn has to be over; infinity before the first turn."""

    def start(self) -> None:
        """Begin a turn now."""
        self.ends_at = self._clock() + self._turn_s


class WaitBudget:
    """How much longer one exchange may wait. It begins when this is made.

    ``peer`` is the URL as it may be shown, ``stage`` the engine's.
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
        self._ends_at = self._turn_ends_at
        self._nearest: Literal["first byte", "between bytes", "turn"] = "first byte"
        self.begin_exchange()

    def begin_exchange(self) -> None:
        """Start the wait for the first byte: the connection is open."""
        self._is_answering = False
        self._first_byte_by = self._clock() + self._timeouts.first_byte_s

    def to_connect(self) -> ConnectLimit:
        """Return the limit of a connect inside the turn. Raises `RemoteError` if no time is left"""
        limit, left = self._timeouts.to_connect(), self._ends_at - self._clock()
        if left <= 0:
            self._nearest = "turn"
            raise self.timeout_error()
        if left < limit.seconds:
            words = f"what was left of the turn's {self._timeouts.turn_s:g} s"
            return ConnectLimit(left, words, "wire.turn_s")
        return limit

    def answer_began(self) -> None:
        """Note that the first byte of the answer has arrived."""
        self._is_answering = True

    def end_within(self, seconds: float) -> None:
        """Set the end of the exchange to ``seconds`` from now; the latest call counts."""
        self._ends_at = min(self._turn_ends_at, self._clock() + seconds)

    def left_s(self) -> float:
        """Return how long the next read may wait. Raises `RemoteError` if no time is left."""
        now = self._clock()
        if self._is_answering:
            left, self._nearest = self._timeouts.between_bytes_s, "between bytes"
        else:
            left, self._nearest = self._first_byte_by - now, "first byte"
        if self._ends_at - now <= left:
            left, self._nearest = self._ends_at - now, "turn"
        if left <= 0:
            raise self.timeout_error()
        return left

    def timeout_error(self) -> RemoteError:
        """Return the error that names the limit of the last wait.

        Another limit may have passed by now, because the waiting thread can wake late.
        """
        timeouts = self._timeouts
        reason = {
            "first byte": f"sent no byte of an answer within {timeouts.first_byte_s:g} s",
            "between bytes": f"sent nothing for {timeouts.between_bytes_s:g} s within an answer",
            "turn": f"was not done within the turn's {timeouts.turn_s:g} s",
        }[self._nearest]
        return RemoteError(f"{self._peer} {reason}", fault="timeout", stage=self._stage)


class BudgetedTimeout(float):
    """A timeout for httpcore, which takes numbers: our `Connection` asks its budget at each read.

    As a plain number it is the limit between two bytes.
    """

    budget: WaitBudget

    def __new__(cls, budget: WaitBudget, between_bytes_s: float) -> BudgetedTimeout:
        """Return the timeout that stands for ``budget``."""
        timeout = super().__new__(cls, between_bytes_s)
        timeout.budget = budget
        return timeout


def seconds_left(timeout: float | None) -> float | None:
    """Return the seconds that ``timeout`` allows now. Raises `RemoteError` if none are left."""
    return timeout.budget.left_s() if isinstance(timeout, BudgetedTimeout) else timeout
