"""A run's measured turns as columns: one array of each metric, in the order of the turns.

A hundred thousand timelines are gigabytes of objects; their metrics are a few megabytes of numbers.
Whatever compares runs or draws trends reads turns one by one and keeps only these. A failed turn
keeps its row, without figures, as METRICS asks: it counts, and says nothing about speed.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voicebench.metrics import METRICS, Metric
from voicebench.summary import Distribution, Summary
from voicebench.timeline import Timeline


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """The measured turns of one run. Every array is float64, ``(turns,)``, NaN where missing."""

    prompts: tuple[str, ...]
    failed: NDArray[np.bool_]
    values: dict[str, NDArray[np.float64]]

    @property
    def turns(self) -> int:
        """How many turns were measured, failed ones included."""
        return len(self.prompts)

    def usable(self, metric: Metric) -> NDArray[np.float64]:
        """Return the values of ``metric`` that were observed."""
        column = self.values[metric.name]
        return column[~np.isnan(column)]

    def summary(self) -> Summary:
        """Return the same distributions that `voicebench.summary.summarize` makes of turns."""
        distributions = {}
        for metric in METRICS:
            found: tuple[float, ...] = ()
            if metric.name in self.values:
                found = tuple(self.usable(metric).tolist())
            distributions[metric.name] = Distribution(found, self.turns - len(found))
        return Summary(self.turns, int(self.failed.sum()), distributions)


def columns_of(turns: Iterable[Timeline], metrics: Sequence[Metric] = METRICS) -> Columns:
    """Read ``turns`` once, and keep ``metrics`` of the measured ones."""
    prompts: list[str] = []
    failed: list[bool] = []
    known: dict[str, str] = {}
    gathered = {metric.name: array("d") for metric in metrics}
    for turn in turns:
        if turn.phase != "measured":
            continue
        prompts.append(known.setdefault(turn.prompt, turn.prompt))
        failed.append(turn.failed)
        for metric in metrics:
            value = None if turn.failed else metric.of(turn)
            gathered[metric.name].append(np.nan if value is None else value)
    return _columns(prompts, failed, gathered)


def columns_of_computed(
    turns: Iterable[tuple[Timeline, Mapping[str, float | None]]],
) -> Columns:
    """Return the columns of ``turns`` whose metrics (`voicebench.metrics.compute`) are known."""
    measured = [(turn, values) for turn, values in turns if turn.phase == "measured"]
    gathered = {
        metric.name: [
            np.nan if turn.failed or (value := values[metric.name]) is None else value
            for turn, values in measured
        ]
        for metric in METRICS
    }
    prompts = [turn.prompt for turn, _ in measured]
    return _columns(prompts, [turn.failed for turn, _ in measured], gathered)


def _columns(
    prompts: Sequence[str], failed: Sequence[bool], gathered: Mapping[str, Sequence[float]]
) -> Columns:
    return Columns(
        prompts=tuple(prompts),
        failed=np.array(failed, dtype=np.bool_),
        values={name: np.array(column, dtype=np.float64) for name, column in gathered.items()},
    )


def joined(parts: Sequence[Columns]) -> Columns:
    """Return the columns of all ``parts``, one after the other; at least one is needed."""
    known: dict[str, str] = {}
    return Columns(
        prompts=tuple(known.setdefault(text, text) for part in parts for text in part.prompts),
        failed=np.concatenate([part.failed for part in parts]),
        values={
            name: np.concatenate([part.values[name] for part in parts]) for name in parts[0].values
        },
    )
