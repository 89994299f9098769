"""Turns under load: what an engine says of a finished turn, and all turns of a level as columns.

Times are seconds on the clock of the level, which is 0 when its first caller joins.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from voicebench.turn.timeline import Failure, Timeline

Outcome = Literal["answered", "failed", "refused", "unfinished", "cut"]
"""``refused``: the server said that it has no room (429, 503). ``unfinished``: the turn was still
open when the level ended. ``cut``: the caller interrupted the reply before all of it had come,
which is neither a failure nor a full turn (`LoadGate.counted`). None of them is dropped."""

OUTCOMES: tuple[Outcome, ...] = ("answered", "failed", "refused", "unfinished", "cut")
ANSWERED, FAILED, REFUSED, UNFINISHED, CUT = range(5)
"""The codes of the outcomes in `LevelTurns.outcome`."""
CODES = {name: code for code, name in enumerate(OUTCOMES)}

Values = NDArray[np.float64]
Marks = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class LoadedTurn:
    """One turn that an engine carried out."""

    caller: int
    call: int
    number: int
    """The turn's number in its call, from 0."""
    due_s: float
    ended_s: float
    """When its last sample was in hand, or when it failed."""
    outcome: Outcome
    values: Mapping[str, float | None]
    """Its metrics by name: those that the gates limit, `late_ms` and `first_audio_due_ms`."""
    to_be_cut: bool = False
    """Whether the plan has the caller interrupt it, whatever happened then."""
    interrupts: bool = False
    """Whether with it the caller interrupts the turn before."""
    fault: str | None = None
    """The fault of the network that was made for it."""
    is_noise: bool = False
    """Whether it is a noise of a spoken call, which asks for no answer."""
    is_ours: bool = False
    """Whether it failed because this machine had nothing left to connect with."""


def outcome_of(turn: Timeline) -> Outcome:
    """Return the outcome of a turn that was taken under load."""
    if turn.load is not None and turn.load.unfinished:
        return "unfinished"
    if turn.failure is None:
        return "answered" if turn.is_whole else "cut"
    return "refused" if _is_refusal(turn.failure) else "failed"


SIGNS_OF_REFUSAL = (
    *("answers 429", "answers 503"),  # over HTTP: `voicebench.remote.connection.answer`
    *("try again later", "is shutting down"),  # our own server's words over a socket
    *("rate_limit", "rate limit", "overloaded"),  # those of others
)
"""What a failure says whose server has no room."""


NOTHING_LEFT = (
    "Too many open files",
    "Cannot assign requested address",
    "Can't assign requested address",
    "No buffer space available",
)
"""Words of the system when this machine has no file descriptor, port or memory left to connect."""


def is_ours(failure: Failure | None) -> bool:
    """Return whether this machine, not the server, made the turn fail."""
    reason = "" if failure is None else failure.reason
    return any(f"cannot be reached ({words}" in reason for words in NOTHING_LEFT)


def _is_refusal(failure: Failure) -> bool:
    """Return whether the server said that it has no room."""
    return failure.fault == "refused" and any(sign in failure.reason for sign in SIGNS_OF_REFUSAL)


@dataclass(frozen=True, slots=True, eq=False)
class LevelTurns:
    """Turns as columns, each of shape ``(turns,)``, in order of their due moments."""

    due_s: Values
    ended_s: Values
    outcome: NDArray[np.int8]
    caller: NDArray[np.int64]
    call: NDArray[np.int64]
    values: Mapping[str, Values]
    """Metrics by name; NaN where a turn does not show it."""
    to_be_cut: Marks
    interrupts: Marks
    disturbed: Marks
    """For which a fault of the network was made."""
    noises: Marks
    """Noises of a spoken call."""
    ours: Marks
    """Turns that failed because this machine had nothing left to connect with."""

    @property
    def n(self) -> int:
        """The number of turns."""
        return int(self.due_s.size)

    def due_in(self, start_s: float, end_s: float) -> LevelTurns:
        """Return the turns that are due from ``start_s`` on and before ``end_s``."""
        first, last = np.searchsorted(self.due_s, [start_s, end_s])
        return self.rows(slice(int(first), int(last)))

    def rows(self, chosen: slice | Marks | NDArray[np.int64]) -> LevelTurns:
        """Return the turns at these places, or those that are marked."""
        return LevelTurns(
            self.due_s[chosen],
            self.ended_s[chosen],
            self.outcome[chosen],
            self.caller[chosen],
            self.call[chosen],
            {name: column[chosen] for name, column in self.values.items()},
            self.to_be_cut[chosen],
            self.interrupts[chosen],
            self.disturbed[chosen],
            self.noises[chosen],
            self.ours[chosen],
        )

    @property
    def went_well(self) -> Marks:
        """Which turns were answered, to their end or until the caller interrupted."""
        marks: Marks = (self.outcome == ANSWERED) | (self.outcome == CUT)
        return marks

    def counted(self, marks: NDArray[np.bool_], edges: Values) -> NDArray[np.int64]:
        """Return how many marked turns are due in each block between two ``edges``."""
        counts, _ = np.histogram(self.due_s[marks], edges)
        return counts.astype(np.int64)


class GrowingTurns:
    """Collects the finished turns of a level, and gives them as columns at any time."""

    def __init__(self, metrics: Sequence[str]) -> None:
        self._due: list[float] = []
        self._ended: list[float] = []
        self._outcome: list[int] = []
        self._caller: list[int] = []
        self._call: list[int] = []
        self._to_be_cut: list[bool] = []
        self._interrupts: list[bool] = []
        self._disturbed: list[bool] = []
        self._noises: list[bool] = []
        self._ours: list[bool] = []
        self._values: dict[str, list[float]] = {name: [] for name in metrics}

    def add(self, turns: Iterable[LoadedTurn]) -> None:
        """Add finished turns, in any order."""
        for turn in turns:
            self._due.append(turn.due_s)
            self._ended.append(turn.ended_s)
            self._outcome.append(CODES[turn.outcome])
            self._caller.append(turn.caller)
            self._call.append(turn.call)
            self._to_be_cut.append(turn.to_be_cut)
            self._interrupts.append(turn.interrupts)
            self._disturbed.append(turn.fault is not None)
            self._noises.append(turn.is_noise)
            self._ours.append(turn.is_ours)
            for name, column in self._values.items():
                value = turn.values.get(name)
                column.append(math.nan if value is None else value)

    def columns(self) -> LevelTurns:
        """Return all turns so far, in order of their due moments."""
        due = np.array(self._due, dtype=np.float64)
        turns = LevelTurns(
            due,
            np.array(self._ended, dtype=np.float64),
            np.array(self._outcome, dtype=np.int8),
            np.array(self._caller, dtype=np.int64),
            np.array(self._call, dtype=np.int64),
            {name: np.array(column, dtype=np.float64) for name, column in self._values.items()},
            np.array(self._to_be_cut, dtype=np.bool_),
            np.array(self._interrupts, dtype=np.bool_),
            np.array(self._disturbed, dtype=np.bool_),
            np.array(self._noises, dtype=np.bool_),
            np.array(self._ours, dtype=np.bool_),
        )
        return turns.rows(np.argsort(due, kind="stable"))


def columns_of_turns(turns: Iterable[LoadedTurn], metrics: Sequence[str]) -> LevelTurns:
    """Return ``turns`` as columns, with these metrics."""
    growing = GrowingTurns(metrics)
    growing.add(turns)
    return growing.columns()


def mean_in_flight(turns: LevelTurns, edges: Values, open_due_s: Sequence[float] = ()) -> Values:
    """Return the mean number of turns under way between two edges, shape ``(edges - 1,)``.

    A turn is under way from its due moment to its end. ``open_due_s`` has the due moments of those
    that have not ended.
    """
    # Time under way before each edge, summed over all turns; two sorted columns make it fast.
    begun = np.sort(np.concatenate((turns.due_s, np.asarray(open_due_s, np.float64))))
    before = _covered(begun, edges) - _covered(np.sort(turns.ended_s), edges)
    widths = np.diff(edges)
    result: Values = np.diff(before) / widths
    return result


def _covered(moments: Values, edges: Values) -> Values:
    """Return the sum over ``moments`` (sorted) of the time from each to every edge behind it."""
    sums = np.concatenate([[0.0], np.cumsum(moments)])
    counts = np.searchsorted(moments, edges)
    covered: Values = counts * edges - sums[counts]
    return covered
