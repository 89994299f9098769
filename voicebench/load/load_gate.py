"""Gates of a level: each says at least which share of the turns must keep a limit.

============================  =====================================================================
``first_audio_due.p95 < 3s``  at least 95 % of the turns are under 3 seconds
``….under(3s) >= 90%``        the same with the share written out; ``within``: at most 3 seconds
``errors.rate <= 1%``         at least 99 % of the turns are answered
``refused.rate <= 1%``        at least 99 % of the turns are not refused by the server (429, 503)
``unfinished.rate <= 1%``     at least 99 % of the turns came to their end
``good.rate >= 95%``          at least 95 % of the turns keep the limits of all other gates together
``good_calls.rate >= 90%``    at least 90 % of the calls have nothing but such turns
``cut_in.rate <= 5%``         the agent cuts in on at most 5 % of the caller's lines (spoken calls)
============================  =====================================================================

A turn that failed, was refused or did not end keeps no limit: it counts as bad, and in n. (In a run
of single turns a percentile is taken over the turns that were answered.) Means, deviations and
extremes are not shares of turns and cannot be judged here. A limit that allows no exception cannot
be shown by any number of turns.

**Turns that the caller interrupts** show only a part of their reply. They count for what they show
before it (first audio) and for errors. For limits on the whole reply, such as stalls, only turns
count that the plan does not interrupt: which turns were cut off depends on how long they played,
so leaving out those alone would favour a slow server. Limits on the interruption itself (``stop``,
``wasted_audio``) count the turns that were interrupted; one that failed, or whose target never
said that it stopped, keeps none of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from voicebench.errors import UsageError
from voicebench.figures.figure import Figure
from voicebench.judging.gates import Gate, parse_gate
from voicebench.load.loaded_turn import ANSWERED, CUT, REFUSED, UNFINISHED, LevelTurns, Marks
from voicebench.load.turn_mix import (
    OF_FIRST_TURNS,
    OF_INTERRUPTED,
    OF_INTERRUPTING,
    UNTIL_FIRST_AUDIO,
    kinds_of,
)

LOAD_GATES = (
    "first_audio_due.p95 < 300ms",
    "stall_count.within(0) >= 99%",
    "errors.rate <= 1%",
)
"""The gates of ``load`` and ``capacity`` by default."""
SPOKEN_GATES = ("response.p95 < 800ms", "errors.rate <= 1%")
"""Those of callers who speak to an agent."""
QUICK_SHARE = 0.95
"""The largest share that ``--quick`` asks for."""

OF_SPOKEN_TURNS = ("missed", "stopped")
"""Metrics that only spoken turns show: which of them ask for an answer, and which for silence."""

_EXAMPLE = "write for example 'first_audio_due.p95 < 300ms' or 'errors.rate <= 1%'"
OPERATORS_ON_COLUMNS = {
    "<=": np.less_equal,
    ">=": np.greater_equal,
    "<": np.less,
    ">": np.greater,
}


@dataclass(frozen=True, slots=True)
class LoadGate:
    """A gate as a limit for each turn, and the share of the turns that must keep it."""

    gate: Gate
    share: float

    @property
    def metric(self) -> str | None:
        """The metric that is limited; None for a rate."""
        return None if self.gate.metric is None else self.gate.metric.name

    @property
    def counts_calls(self) -> bool:
        """Whether calls are counted instead of turns."""
        return self.gate.figure.rate == "good_calls"

    @property
    def limits_turns(self) -> bool:
        """Whether it says when a single turn is good."""
        return self.gate.figure.rate not in ("good", "good_calls")

    def counted(self, turns: LevelTurns) -> Marks:
        """Return which turns count for this limit, kept or not, shape ``(turns,)``."""
        spoken = self._counted_of_spoken(turns)
        if spoken is not None:
            return spoken
        if self.metric in OF_FIRST_TURNS:
            first: Marks = ~np.isnan(turns.values[self.metric])
            return first
        if self.metric in OF_INTERRUPTED:
            shown = ~np.isnan(turns.values[self.metric])
            counts: Marks = (turns.outcome == CUT) | (turns.to_be_cut & ~turns.went_well) | shown
            return counts
        if self.metric in OF_INTERRUPTING:
            return turns.interrupts
        if self.metric in UNTIL_FIRST_AUDIO or (self.metric is None and self.limits_turns):
            return np.ones(turns.n, dtype=np.bool_)
        return full_turns(turns)

    def _counted_of_spoken(self, turns: LevelTurns) -> Marks | None:
        """Return which spoken turns count; None if the turns are of text.

        A limit counts the steps of the kinds that its metric is of, but for those that were not
        played. One on the answer counts the steps that ask for one. One on ``stop`` counts the
        interruptions: one after which the agent talked on keeps none. One on a rate counts the
        steps that show it. What failed counts.
        """
        metric = self.gate.metric
        if metric is None or metric.name in OF_FIRST_TURNS:
            return None
        shown = {name: turns.values.get(name) for name in OF_SPOKEN_TURNS}
        if not any(values is not None and not np.isnan(values).all() for values in shown.values()):
            return None
        counts_as = "stopped" if metric.name in OF_INTERRUPTED else "missed"
        values = turns.values[metric.name] if metric.unit == "bool" else shown[counts_as]
        if values is None:
            return None
        noises, interruptions = turns.noises, turns.interrupts
        of = {"noise": noises, "interruption": interruptions, "line": ~noises & ~interruptions}
        of_kind = np.logical_or.reduce([of[kind] for kind in kinds_of(metric)])
        counts: Marks = of_kind & (~np.isnan(values) | ~turns.went_well)
        return counts

    def kept(self, turns: LevelTurns) -> Marks:
        """Return which turns keep the limit, shape ``(turns,)``. Not for good turns or calls."""
        return np.asarray(self._kept(turns), dtype=np.bool_)

    def _kept(self, turns: LevelTurns) -> Marks:
        if self.metric is None:
            wrong = {"refused": REFUSED, "unfinished": UNFINISHED}.get(self.gate.rate)
            ended_well: Marks = turns.outcome != wrong
            return turns.went_well if wrong is None else ended_well
        values, limit = turns.values[self.metric], self.gate.argument
        with np.errstate(invalid="ignore"):
            if limit is None:
                keeps = OPERATORS_ON_COLUMNS[self.gate.operator](values, self.gate.limit)
            elif self.gate.statistic == "under":
                keeps = np.less(values, limit)
            else:
                keeps = np.less_equal(values, limit)
        return np.logical_and(turns.went_well, keeps)

    def tail(self, turns: LevelTurns) -> Marks | None:
        """Return which turns are the worst 1 - share of them; None for a rate.

        They show how bad turns come together, even where none is over the limit.
        """
        if self.metric is None or not turns.n:
            return None
        values = np.where(turns.went_well, turns.values[self.metric], np.nan)
        lower = self.gate.argument is not None or self.gate.operator in ("<", "<=")
        badness = np.where(np.isnan(values), np.inf, values if lower else -values)
        marks: Marks = badness > np.quantile(badness, self.share, method="lower")
        return marks


def good_marks(gates: Sequence[LoadGate], turns: LevelTurns) -> Marks:
    """Return which turns are answered and keep every limit that they count for.

    A turn that was cut off is never good.
    """
    marks: Marks = turns.outcome == ANSWERED
    for gate in gates:
        if gate.limits_turns:
            marks = marks & (gate.kept(turns) | ~gate.counted(turns))
    return marks


def full_turns(turns: LevelTurns) -> Marks:
    """Return the turns of which some can be good: not those that the caller was to interrupt,
    unless they failed, were refused or did not end."""
    return ~turns.to_be_cut | ~turns.went_well


def load_gates(texts: Sequence[str], *, quick: bool = False) -> tuple[LoadGate, ...]:
    """Read the gates of a level. Raises `UsageError` for one that no number of turns decides."""
    gates = [load_gate(parse_gate(text)) for text in texts]
    if quick:
        gates = [LoadGate(gate.gate, min(gate.share, QUICK_SHARE)) for gate in gates]
    return tuple(gates)


def load_gate(gate: Gate) -> LoadGate:
    """Return ``gate`` as a share of turns. Raises `UsageError` if it is not one."""
    figure = gate.figure
    upper = gate.operator in ("<", "<=")
    if gate.percentile is not None:
        share = gate.percentile / 100
        return LoadGate(gate, share if upper else 1 - share)
    share_of = _share_of_rate(figure, gate.limit, upper=upper)
    if share_of is None:
        raise UsageError(
            f"gate {gate.text!r} is not a share of turns, so a level cannot be judged by it",
            _EXAMPLE,
        )
    if not 0 < share_of < 1:
        raise UsageError(
            f"gate {gate.text!r} allows no exception, which no number of turns can show",
            "allow a small share, for example 'errors.rate <= 1%'",
        )
    return LoadGate(gate, share_of)


def _share_of_rate(figure: Figure, limit: float, *, upper: bool) -> float | None:
    is_good = figure.argument is not None or figure.rate in ("good", "good_calls")
    if is_good:
        return None if upper else limit
    if figure.metric is None:
        return 1 - limit if upper else None
    if figure.statistic == "rate":  # of a metric that is 0 or 1
        return 1 - limit if upper else limit
    return None
