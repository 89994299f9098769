"""Runs under load for other programs: the formats of benchmark trackers, and the badge.

The trackers get the capacity with its bracket, and of the level that the answer rests on the share
of good turns and of errors, and p50 and p95 of first audio and first sound from the due moment.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from voicebench import format as form
from voicebench.figures.figure import Figure, parse_figure
from voicebench.figures.intervals import Interval
from voicebench.load.recorded.judged_again import RecordedLevel
from voicebench.load.recorded.load_run import LoadRun
from voicebench.report.console.sheets import names
from voicebench.report.exchange.badge import value_badge
from voicebench.report.exchange.exchange import ExportedFigure

TIMES = ("first_audio_due", "first_sound_due")


def load_figures(runs: Sequence[LoadRun]) -> Iterator[ExportedFigure]:
    """Yield the figures of each run for benchmark trackers; none of a run without a verdict."""
    for name, run in zip(names(runs), runs, strict=True):
        if run.final.word.is_obstacle:
            continue
        answer = run.replay.answer
        if answer is not None and answer.capacity is not None:
            high = None if answer.high is None else float(answer.high)
            bracket = Interval(float(answer.capacity), high)
            capacity = float(answer.capacity)
            yield ExportedFigure(name, "capacity", "callers", "higher", capacity, bracket, "")
        level = run.shown_level
        if level is not None:
            yield from _of_level(name, level)


def _of_level(run: str, level: RecordedLevel) -> Iterator[ExportedFigure]:
    note = f"level {level.number}, {level.purpose}"
    for rate in ("good.rate", "errors.rate"):
        value = level.held.judgement.rates.get(rate)
        if value is not None:
            yield _exported(run, parse_figure(rate), value, note)
    for metric in TIMES:
        for q in (50, 95):
            value = level.percentile(f"{metric}_ms", q)
            if value is not None:
                yield _exported(run, parse_figure(f"{metric}.p{q}"), value, note)


def _exported(run: str, figure: Figure, value: float, note: str) -> ExportedFigure:
    return ExportedFigure(run, figure.name, figure.unit, figure.better, value, None, note)


def load_badge(run: LoadRun) -> str:
    """Return the badge of one run: its capacity, or first audio from the due moment."""
    word = run.final.word
    if run.is_search:
        answer = run.replay.answer
        capacity = None if answer is None else answer.capacity
        shown = "not confirmed" if capacity is None else form.plural(capacity, "caller")
        return value_badge("capacity", shown, word)
    level = run.shown_level
    p95 = None if level is None else level.percentile("first_audio_due_ms", 95)
    text = "not measured" if p95 is None else f"{form.quantity(p95, 'ms')} p95"
    return value_badge("first audio due", text, word)
