"""Two set-ups measured in turn on the same prompts: the honest way to compare them.

A machine is another one in the afternoon. So both set-ups are open at once, and each prompt is
answered by both, one right after the other, in the order A B B A A B B A: whatever drifts over the
session moves both alike, and neither always goes first. Each set-up leaves a run folder of its own;
the differences are paired by their prompts.

What is measured (prompts, number of turns, warm-up, pauses, where results go) is the first set-up's
for both; what answers is each one's own.
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
"""Settings of ``[run]`` that the first set-up gives both."""


@dataclass(frozen=True, slots=True)
class Versus:
    """Both runs, and what their differences show."""

    first: RecordedRun
    second: RecordedRun
    compared: tuple[ComparedFigure, ...]
    found: Comparability


def run_versus(first: Effective, second: Effective, observer: Observer) -> Versus:
    """Measure both set-ups in turn. Raises a `VoicebenchError` where nothing can be."""
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
    """Return ``second`` measured as ``first`` is, under a name of its own."""
    ours, theirs = first.settings.run, second.settings.run
    shared: dict[str, object] = {key: getattr(ours, key) for key in SHARED}
    if theirs.name == ours.name:
        shared["name"] = f"{ours.name[:62]}-b"
    settings = second.settings.model_copy(update={"run": theirs.model_copy(update=shared)})
    return replace(second, settings=settings)


def check_both(first: Effective, second: Effective) -> None:
    """Refuse what cannot be measured in turn, before a model is loaded."""
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
