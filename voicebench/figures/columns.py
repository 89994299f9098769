"""A run's turns of one phase as columns: one array per metric, in the order of the turns.

A hundred thousand timelines are gigabytes of objects, but their metrics are a few megabytes. So
turns are read one by one, and only columns are kept to judge, compare and draw runs. A failed turn
has a row without metrics, except the outcomes of a call.

`TRAITS` are further numbers of every turn, such as the load of the machine. They are not in tables
of metrics, and gates cannot name them.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voicebench.figures.metric import CALL_KINDS
from voicebench.figures.metrics import METRICS, NS_PER_MS, Metric, count_contradicts
from voicebench.figures.summary import Distribution, Summary, censored_in
from voicebench.turn.timeline import MachineState, Timeline


def _machine(of: Callable[[MachineState], float | None]) -> Callable[[Timeline], float | None]:
    return lambda turn: None if turn.machine is None else of(turn.machine)


def _waited(turn: Timeline) -> float | None:
    waits = [made.connect_ms for made in turn.connections if made.in_turn]
    return sum(waits) if waits else None


TRAITS: Mapping[str, Callable[[Timeline], float | None]] = {
    "turn": lambda turn: turn.turn,
    "end_ms": lambda turn: turn.end_ns / NS_PER_MS,
    "chunks": lambda turn: len(turn.chunks),
    "clipped_samples": lambda turn: turn.sound.clipped_samples if turn.sound else None,
    "waited_ms": _waited,
    "tokens_counted": lambda turn: turn.usage_tokens if count_contradicts(turn) else None,
    "tokens_seen": lambda turn: len(turn.tokens) if count_contradicts(turn) else None,
    "conversation": lambda turn: turn.conversation,
    "conversation_turn": lambda turn: turn.conversation_turn,
    "prompt_tokens": lambda turn: turn.prompt_tokens,
    "cached_tokens": lambda turn: turn.cached_tokens,
    "call": lambda turn: turn.call.call if turn.call else None,
    "caller_late": lambda turn: turn.call.late_ns / NS_PER_MS if turn.call else None,
    "call_kind": lambda turn: CALL_KINDS.index(turn.call.kind) if turn.call else None,
    "cpu_others": _machine(lambda state: state.cpu_others),
    "clock_mhz": _machine(lambda state: state.clock_mhz),
    "quota_ms": _machine(lambda state: state.quota_ms),
    "throttled": _machine(lambda state: state.throttled),
    "collection_ms": _machine(lambda state: state.collection_ms),
    "gpu_others": _machine(lambda state: state.gpu_others),
}
"""``waited_ms`` is how long the turn waited for new connections. ``tokens_counted`` and
``tokens_seen`` are set only if the model's count of tokens cannot be that of the text. ``call`` is
the number of a spoken call, ``caller_late`` is its ``caller_late_ms``, also of a failed turn, and
``call_kind`` the place in `voicebench.figures.metric.CALL_KINDS`. The
last six are those of `voicebench.turn.timeline.MachineState`."""


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Turns of one run and one phase. Numbers are float64, ``(turns,)``, NaN where missing."""

    prompts: tuple[str, ...]
    failed: NDArray[np.bool_]
    values: dict[str, NDArray[np.float64]]
    traits: dict[str, NDArray[np.float64]]

    @property
    def turns(self) -> int:
        """How many turns there are, failed ones included."""
        return len(self.prompts)

    @property
    def calls(self) -> int:
        """How many spoken calls the turns are steps of; 0 if they are turns of no call."""
        numbers = self.traits["call"]
        return int(np.unique(numbers[~np.isnan(numbers)]).size)

    def usable(self, metric: Metric) -> NDArray[np.float64]:
        """Return the values of ``metric`` that were observed."""
        column = self.values[metric.name]
        return column[~np.isnan(column)]

    def summary(self) -> Summary:
        """Return the distributions, the same as `summarize` gives for turns."""
        distributions = {}
        for metric in METRICS:
            found: tuple[float, ...] = ()
            if metric.name in self.values:
                found = tuple(self.usable(metric).tolist())
            distributions[metric.name] = Distribution(
                found, self._able(metric) - len(found), censored_in(metric, self._values_of)
            )
        return Summary(self.turns, int(self.failed.sum()), distributions)

    def _values_of(self, name: str) -> Sequence[float]:
        return self.values[name].tolist() if name in self.values else ()

    def _able(self, metric: Metric) -> int:
        """Return how many turns can show ``metric``."""
        if not metric.kinds or np.isnan(self.traits["call_kind"]).all():
            return self.turns
        kinds = [CALL_KINDS.index(kind) for kind in metric.kinds]
        return int(np.isin(self.traits["call_kind"], kinds).sum())


class GrowingColumns:
    """Columns to which turns are added one by one."""

    def __init__(self, metrics: Sequence[Metric] = METRICS) -> None:
        self._metrics = metrics
        self._prompts: list[str] = []
        self._known: dict[str, str] = {}
        self._failed: list[bool] = []
        self._values = {metric.name: array("d") for metric in metrics}
        self._traits = {name: array("d") for name in TRAITS}

    def add(self, turn: Timeline, computed: Mapping[str, float | None] | None = None) -> None:
        """Add ``turn``, whose metrics may be ``computed`` already."""
        self._prompts.append(self._known.setdefault(turn.prompt, turn.prompt))
        self._failed.append(turn.failed)
        for metric in self._metrics:
            value = None
            if metric.of_failed or not turn.failed:
                value = metric.of(turn) if computed is None else computed[metric.name]
            self._values[metric.name].append(np.nan if value is None else value)
        for name, of in TRAITS.items():
            trait = of(turn)
            self._traits[name].append(np.nan if trait is None else trait)

    @property
    def turns(self) -> int:
        """How many turns were added."""
        return len(self._prompts)

    def columns(self) -> Columns:
        """Return the columns of the turns so far."""
        return Columns(
            prompts=tuple(self._prompts),
            failed=np.array(self._failed, dtype=np.bool_),
            values={name: np.array(column) for name, column in self._values.items()},
            traits={name: np.array(column) for name, column in self._traits.items()},
        )


def columns_of(turns: Iterable[Timeline], metrics: Sequence[Metric] = METRICS) -> Columns:
    """Return the ``metrics`` of the measured turns; ``turns`` are read once."""
    growing = GrowingColumns(metrics)
    for turn in turns:
        if turn.phase == "measured":
            growing.add(turn)
    return growing.columns()


def joined(parts: Sequence[Columns]) -> Columns:
    """Return the columns of all ``parts``, one after the other; there must be at least one."""
    known: dict[str, str] = {}
    return Columns(
        prompts=tuple(known.setdefault(text, text) for part in parts for text in part.prompts),
        failed=np.concatenate([part.failed for part in parts]),
        values=_concatenated([part.values for part in parts]),
        traits=_concatenated([part.traits for part in parts]),
    )


def _concatenated(
    parts: Sequence[Mapping[str, NDArray[np.float64]]],
) -> dict[str, NDArray[np.float64]]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
