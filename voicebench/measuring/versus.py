"""Two set-ups measured alternately on the same prompts, which compares them fairly.

A machine drifts over a day. So both set-ups are open at once and answer each prompt one right after
the other, in the order A B B A A B B A. A drift then moves both alike, and neither always goes
first. Each set-up has a run folder of its own; differences are paired by prompt.

The first set-up's prompts, number of turns, warm-up, pauses and results folder are used for both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from voicebench.errors import UsageError
from voicebench.figures.comparison import ComparedFigure, compare, default_figures
from voicebench.figures.figure import Figure
from voicebench.judging.comparability import Comparability, comparability
from voicebench.measuring.open_run import open_run, take_in_turn
from voicebench.measuring.plan import Observer
from voicebench.measuring.session import check_session
from voicebench.results.run import RecordedRun
from voicebench.settings import Effective

SHARED = ("runs", "warmup", "prompts", "prompt", "pause_s", "results", "save_audio")
"""Settings of ``[run]`` that both take from the first set-up."""


@dataclass(frozen=True, slots=True)
class Versus:
    """Both runs and their differences."""

    first: RecordedRun
    second: RecordedRun
    compared: tuple[ComparedFigure, ...]
    found: Comparability


def run_versus(first: Effective, second: Effective, observer: Observer) -> Versus:
    """Measure both set-ups alternately. Raises a `VoicebenchError` if one cannot be measured."""
    second = fitted(first, second)
    check_both(first, second)
    with (
        open_run(first, observer) as ours,
        open_run(second, observer, ours.prompts) as theirs,
    ):
        take_in_turn((ours, theirs), lambda number: (0, 1) if number % 2 == 0 else (1, 0), observer)
        one, other = ours.finish(), theirs.finish()
        compared = compare(_figures(one, other), one.side, other.side)
        return Versus(one, other, tuple(compared), comparability(one, other))


def fitted(first: Effective, second: Effective) -> Effective:
    """Return ``second`` with the shared settings of ``first``, under a name of its own."""
    ours, theirs = first.settings.run, second.settings.run
    shared: dict[str, object] = {key: getattr(ours, key) for key in SHARED}
    if theirs.name == ours.name:
        shared["name"] = f"{ours.name[:62]}-b"
    settings = second.settings.model_copy(update={"run": theirs.model_copy(update=shared)})
    return replace(second, settings=settings)


def check_both(first: Effective, second: Effective) -> None:
    """Raise `UsageError` for set-ups that cannot be compared, before a model is loaded."""
    for settings in (first.settings, second.settings):
        if settings.judge.until_decided:
            raise UsageError(
                "--until-decided cannot be used with --against",
                "give the number of turns with --runs",
            )
        if settings.judge.baseline is not None or settings.judge.is_held_to_nothing:
            raise UsageError(
                "--baseline and --max-regression cannot be used with --against",
                "leave one of them out",
            )
    if first.settings.audible != second.settings.audible:
        raise UsageError(
            "--against compares set-ups whose sound counts as audible by the same rule ([audible])",
            "give both the same",
        )
    for settings in (first.settings, second.settings):
        check_session(settings)


def _figures(one: RecordedRun, other: RecordedRun) -> Sequence[Figure]:
    gated = [result.gate.figure for result in one.gate_results]
    return list(dict.fromkeys([*gated, *default_figures(one.summary, other.summary)]))
