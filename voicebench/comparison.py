"""Two runs side by side: figures, their difference with its interval, and what that shows.

**May they be compared?** What two runs differ in decides (`RULES`):

==============  ==================================================================================
refused         what changes the meaning of a number: when a sample counts as audible, and runs
                whose prompts have less than half in common (other questions, other answers)
warned of       what is not the set-up and still moves figures: the machine, its processor, cores,
                devices and software
shown           everything else in the settings: usually what is being compared
left out        name, folders, number of turns, gates and how they are judged
==============  ==================================================================================

**Pairs.** Turns pair up by their prompt (its k-th time in one run with its k-th in the other) where
at least `PAIRED_FROM` of the turns of the longer run find a partner; then differences are paired.
Both runs' own figures are always over all their turns, so the paired change may differ a little
from the difference of the two.

**The verdict** is better or worse where the interval leaves out 0, else no difference shown; where
the interval is open on the deciding side, too few turns. "No difference shown" is not "no
difference": the interval says how large one could be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from voicebench.columns import Columns
from voicebench.differences import (
    Difference,
    Values,
    mean_difference,
    pair_up,
    paired_mean_difference,
    quantile_correlation,
    recovered_difference,
)
from voicebench.figures import Figure, find_metric, parse_figure
from voicebench.intervals import LEVEL
from voicebench.metrics import METRICS
from voicebench.summary import Summary

PAIRED_FROM = 0.9
SAME_PROMPTS_FROM = 0.5

REFUSED = ("audible",)
"""Sections of the settings whose difference changes what a number means."""
LEFT_OUT = (
    "origins",
    "gates",
    "judge",
    "run.name",
    "run.results",
    "run.save_audio",
    "run.runs",
    "run.prompts",
    "run.prompt",
)
"""Settings that need not agree. Prompts are compared as they were used, not by a file's name."""
MACHINE = ("machine", "cpu", "cores", "memory_bytes", "system", "governor", "python", "voicebench")
MACHINE_PACKAGES = ("torch", "transformers", "tokenizers", "numpy", "piper-tts", "httpx")
RULES = {
    "refused": ("audible.*", "prompts with less than half in common"),
    "warned": (*MACHINE, *(f"packages.{name}" for name in MACHINE_PACKAGES)),
    "left out": LEFT_OUT,
}


class Outcome(StrEnum):
    """What a difference shows."""

    BETTER = "better"
    WORSE = "worse"
    CHANGED = "changed"
    """A difference is shown in a metric of which neither way is better."""
    NONE_SHOWN = "no difference shown"
    TOO_FEW = "too few turns"
    NOT_MEASURED = "not measured"


@dataclass(frozen=True, slots=True)
class ComparedFigure:
    """One figure of both runs."""

    figure: Figure
    first: float | None
    second: float | None
    difference: Difference | None
    outcome: Outcome

    @property
    def relative(self) -> float | None:
        """The change as a share of the first run's figure."""
        if self.difference is None or not self.first:
            return None
        return self.difference.change / abs(self.first)

    def as_dict(self) -> dict[str, object]:
        """Return the entry of ``compare --json``."""
        difference = self.difference
        interval = difference.interval if difference else None
        return {
            "figure": self.figure.name,
            "unit": self.figure.unit,
            "first": self.first,
            "second": self.second,
            "change": difference.change if difference else None,
            "change_share": self.relative,
            "interval": interval.as_dict() if interval else None,
            "pairs": difference.pairs if difference else None,
            "verdict": self.outcome.value,
        }


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One thing in which two runs differ: the setting's key, and both values."""

    key: str
    first: object
    second: object

    def __str__(self) -> str:
        """Return ``chunker.first_words: 3 → 2``."""
        return f"{self.key}: {_shown(self.first)} → {_shown(self.second)}"


@dataclass(frozen=True, slots=True)
class Comparability:
    """What two runs differ in, by how much it matters."""

    refused: tuple[str, ...]
    warned: tuple[Disagreement, ...]
    shown: tuple[Disagreement, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """One of two runs: its figures, settings and environment."""

    columns: Columns
    settings: Mapping[str, object]
    environment: Mapping[str, object]
    summary: Summary


def side_of(
    columns: Columns, settings: Mapping[str, object], environment: Mapping[str, object]
) -> Side:
    """Return a run's side of a comparison."""
    return Side(columns, settings, environment, columns.summary())


def default_figures(first: Summary, second: Summary) -> list[Figure]:
    """Return the median of every metric that both runs show and that can be better, and errors."""
    figures = [
        Figure(metric, "p50")
        for metric in METRICS
        if metric.better != "neither"
        and metric.name != "unattributed_ms"
        and first.metrics[metric.name].values
        and second.metrics[metric.name].values
    ]
    return [*figures, Figure(None, "rate")]


def chosen_figure(text: str) -> Figure:
    """Read ``--metric``: a figure, or a metric, whose median is meant.

    Raises `voicebench.errors.UsageError`.
    """
    if "." in text:
        return parse_figure(text)
    metric = find_metric(text.strip().lower(), f"metric {text!r}")
    return Figure(metric, "p50") if metric else Figure(None, "rate")


def comparability(first: Side, second: Side) -> Comparability:
    """Return in what two runs differ."""
    refused: list[str] = []
    shown = []
    for found in _differing(_flat(first.settings), _flat(second.settings)):
        if found.key.partition(".")[0] in REFUSED:
            refused.append(str(found))
        elif not any(_is_at_or_under(found.key, key) for key in LEFT_OUT):
            shown.append(found)
    common = shared_prompts(first.columns.prompts, second.columns.prompts)
    if common < SAME_PROMPTS_FROM:
        refused.append(f"prompts: {100 * common:.0f} % in common")
    machines = [_machine(side.environment) for side in (first, second)]
    return Comparability(tuple(refused), tuple(_differing(machines[0], machines[1])), tuple(shown))


def shared_prompts(first: Sequence[str], second: Sequence[str]) -> float:
    """Return the share of the smaller set of prompts that the other run used too."""
    ours, theirs = set(first), set(second)
    smaller = min(len(ours), len(theirs))
    return len(ours & theirs) / smaller if smaller else 1.0


def compare(
    figures: Sequence[Figure], first: Side, second: Side, level: float = LEVEL
) -> list[ComparedFigure]:
    """Return each figure of both runs with its difference."""
    pairs = pair_up(first.columns.prompts, second.columns.prompts)
    turns = max(first.columns.turns, second.columns.turns)
    paired = pairs if turns and len(pairs) >= PAIRED_FROM * turns else None
    return [_compare_figure(figure, first, second, paired, level) for figure in figures]


def _compare_figure(
    figure: Figure,
    first: Side,
    second: Side,
    pairs: Sequence[tuple[int, int]] | None,
    level: float,
) -> ComparedFigure:
    was, now = figure.observe(first.summary)[0], figure.observe(second.summary)[0]
    if was is None or now is None:
        return ComparedFigure(figure, was, now, None, Outcome.NOT_MEASURED)
    both = _paired_values(figure, first.columns, second.columns, pairs)
    if figure.statistic == "mean":
        difference = _difference_of_means(figure, first, second, both, level)
    else:
        difference = _recovered(figure, (was, first), (now, second), both, level)
    return ComparedFigure(figure, was, now, difference, _outcome(figure, difference))


def _paired_values(
    figure: Figure, first: Columns, second: Columns, pairs: Sequence[tuple[int, int]] | None
) -> tuple[Values, Values] | None:
    """Return the values of the pairs in which both turns have one."""
    if pairs is None or figure.metric is None:
        return None
    indices = np.array(pairs, dtype=np.intp).reshape(-1, 2)
    ours = first.values[figure.metric.name][indices[:, 0]]
    theirs = second.values[figure.metric.name][indices[:, 1]]
    known = ~(np.isnan(ours) | np.isnan(theirs))
    return (ours[known], theirs[known]) if known.sum() > 1 else None


def _difference_of_means(
    figure: Figure,
    first: Side,
    second: Side,
    both: tuple[Values, Values] | None,
    level: float,
) -> Difference:
    assert figure.metric is not None
    if both is not None:
        interval = paired_mean_difference(*both, level)
        ours, theirs, pairs = *both, both[0].size
    else:
        ours, theirs = (side.columns.usable(figure.metric) for side in (first, second))
        interval, pairs = mean_difference(ours, theirs, level), None
    was, now = float(ours.mean()), float(theirs.mean())
    return Difference(was, now, now - was, interval, pairs)


def _recovered(
    figure: Figure,
    first: tuple[float, Side],
    second: tuple[float, Side],
    both: tuple[Values, Values] | None,
    level: float,
) -> Difference:
    (was, before), (now, after) = first, second
    around = figure.interval(before.summary, level), figure.interval(after.summary, level)
    if around[0] is None or around[1] is None:
        return Difference(was, now, now - was, None)
    correlation, pairs = 0.0, None
    if both is not None and figure.percentile is not None:
        correlation, pairs = quantile_correlation(*both, was, now), both[0].size
    interval = recovered_difference((was, around[0]), (now, around[1]), correlation)
    return Difference(was, now, now - was, interval, pairs)


def _outcome(figure: Figure, difference: Difference) -> Outcome:
    interval = difference.interval
    if interval is None:
        return Outcome.TOO_FEW
    if difference.is_shown:
        if figure.better == "neither":
            return Outcome.CHANGED
        has_risen = interval.low is not None and interval.low > 0
        return Outcome.BETTER if has_risen == (figure.better == "higher") else Outcome.WORSE
    return Outcome.NONE_SHOWN if interval.is_closed else Outcome.TOO_FEW


def _differing(first: Mapping[str, object], second: Mapping[str, object]) -> list[Disagreement]:
    """Return the keys with different values; one that a side does not have differs by nothing."""
    return [
        Disagreement(key, first[key], second[key])
        for key in first
        if key in second and first[key] != second[key]
    ]


def _flat(tree: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _machine(environment: Mapping[str, object]) -> dict[str, object]:
    flat = _flat(environment)
    wanted = [*MACHINE, *(f"packages.{name}" for name in MACHINE_PACKAGES)]
    wanted += ["target.llm.device", "target.tts.device"]
    return {key: flat[key] for key in wanted if key in flat}


def _is_at_or_under(key: str, parent: str) -> bool:
    return key == parent or key.startswith(f"{parent}.")


def _shown(value: object) -> str:
    text = "–" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
