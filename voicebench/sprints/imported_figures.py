"""The figures of an imported sprint: what was reported of each metric, and of each run.

A report gives one number of a metric, or a range. Where its runs are listed too and agree with what
it reports (the same mean, the same ends of the range), every statistic of the metric follows from
them; where they disagree they are other measurements, and only the reported figure stands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from voicebench.figures.summary import Distribution
from voicebench.sprints.entries import SprintEntry
from voicebench.sprints.readings import Reading, statistics_of
from voicebench.sprints.sprint import RunFigures, RunTable
from voicebench.sprints.targets import LIMITS_MS
from voicebench.sprints.test_report import suite_reading

_DURATIONS: dict[str, tuple[str, Callable[[RunFigures], float | None]]] = {
    "e2e_latency_ms": ("llm_total.mean", lambda run: run.llm_ms),
    "tts_ttfb_ms": ("tts_ttfb", lambda run: run.tts_ttfb_ms),
    "first_audio_ms": ("first_audio", lambda run: run.first_audio_ms),
}
"""Each duration's key, the reading that it becomes, and the same of a run."""


def readings_of(figures: SprintEntry, table: RunTable | None) -> tuple[Reading, ...]:
    """Return a reading of each duration that has a target, and of the other keys that are there."""
    readings = [_duration(key, figures, table) for key in _DURATIONS]
    if figures.has("tests"):
        readings.append(_tests(figures, "tests"))
    if figures.has("websocket"):
        works = float(figures.string("websocket") == "ok")
        readings.append(Reading("websocket", "bool", works))
    return tuple(readings)


def run_table(entries: Sequence[SprintEntry], name: str) -> RunTable | None:
    """Return the per-run table; None where no run is listed."""
    if not entries:
        return None
    limit_ms = LIMITS_MS["first_audio"]
    runs = [
        RunFigures(
            run=number,
            llm_ms=entry.number_or_none("llm_ms"),
            tts_ttfb_ms=entry.number_or_none("tts_ttfb_ms"),
            first_audio_ms=entry.number_or_none("first_audio_ms"),
        )
        for number, entry in enumerate(entries, start=1)
    ]
    timed = [(run.first_audio_ms, run.run) for run in runs if run.first_audio_ms is not None]
    best = min(timed, default=(None, None))
    return RunTable(
        name=name,
        limit_ms=limit_ms,
        runs=tuple(runs),
        count=len(runs),
        kept=sum(run.keeps(limit_ms) for run in runs),
        best_ms=best[0],
        best_run=best[1],
    )


def _duration(key: str, figures: SprintEntry, table: RunTable | None) -> Reading:
    name, of_run = _DURATIONS[key]
    metric = name.partition(".")[0]
    if not figures.has(key):
        return Reading(name, "ms", None, limit=LIMITS_MS[metric])
    value, low, high = _reported(key, figures)
    runs = [] if table is None else [of_run(run) for run in table.runs]
    timed = Distribution(tuple(ms for ms in runs if ms is not None), 0)
    known, count = statistics_of(timed), len(timed.values)
    agrees = _agree(known, value, low, high)
    if not agrees:
        known = {} if low is None or high is None else {"min": low, "max": high}
    kept = table if table is not None and metric == "first_audio" else None
    return Reading(
        name=name,
        unit="ms",
        value=value,
        low=low,
        high=high,
        limit=LIMITS_MS[metric],
        kept=kept.kept if kept else None,
        of=kept.count if kept else None,
        count=count if agrees else None,
        statistics=known,
    )


def _reported(key: str, figures: SprintEntry) -> tuple[float, float | None, float | None]:
    """Return the figure, and of a range its worse end and both ends."""
    reported = figures.get(key)
    if not isinstance(reported, list):
        return figures.as_number(key, reported), None, None
    if len(reported) != 2:
        raise figures.error(key, f"{reported!r} is no range: write [low, high]")
    low, high = (figures.as_number(key, end) for end in reported)
    if low > high:
        raise figures.error(key, f"{reported!r} is no range: its low end comes first")
    return high, low, high


def _agree(known: dict[str, float], value: float, low: float | None, high: float | None) -> bool:
    """Return whether the runs give what was reported, to the millisecond."""
    if not known:
        return False
    if low is None or high is None:
        return round(known["mean"]) == round(value)
    return (round(known["min"]), round(known["max"])) == (round(low), round(high))


def _tests(figures: SprintEntry, key: str) -> Reading:
    passed, _, total = figures.string(key).partition("/")
    if not (passed.isdecimal() and total.isdecimal() and int(passed) <= int(total)):
        raise figures.error(
            key, f"{figures.string(key)!r} is none of its kind: write 'passed/total'"
        )
    return suite_reading(int(passed), int(total))
