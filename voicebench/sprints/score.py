"""The score card: five aspects of ten points, each by a formula (docs/how-to/sprint.md).

* **quality**: 10 × the share of measured turns that succeeded and have no clipped sample.
* **latency**: the mean over the three durations of `voicebench.sprints.readings.TARGETS` of
  10 × (2 − figure / target), between 0 and 10, × the share of turns that succeeded. Ten at the
  target or better, none at twice the target.
* **streaming**: 10 × the mean of two shares: of turns that lag at most 100 ms behind a listener who
  starts at once (`worst_deficit_ms`), and of turns that speak before their reply is complete. If
  the reply's text cannot be seen, the first share alone counts.
* **humanity**: people answer each other after about 200 ms, and hear a second of silence as
  trouble. 10 × (1200 − median `first_sound_ms`) / 1000, between 0 and 10, × the share of turns
  without a stall.
* **connectivity**: 10 × the share of turns that did not fail in connect, transport or turn. Only
  for targets that are reached over a connection.

Points are rounded to a tenth. An aspect that was not measured has no points, and counts neither for
the total nor for the highest possible total. If a run is not judged (invalid, interrupted), or no
turn succeeded, no formula gives points. Points that a person entered replace a formula, and are
marked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from voicebench.errors import UsageError
from voicebench.figures.metrics import BY_NAME
from voicebench.results.run import RecordedRun
from voicebench.sprints.readings import TARGETS, Reading
from voicebench.sprints.sprint import ASPECTS, Score, Sentence
from voicebench.sprints.standing import standing_of

CONTINUITY_MS = 100.0
QUICKEST_ANSWER_MS = 200.0
SLOWEST_ANSWER_MS = 1200.0
_WIRE_STAGES = ("connect", "transport", "turn")


def parse_scores(texts: Sequence[str]) -> dict[str, float]:
    """Read ``humanity=6`` and the like. Raises `UsageError` for anything else."""
    entered = {}
    for text in texts:
        aspect, _, points = text.partition("=")
        try:
            value = float(points)
        except ValueError:
            value = -1.0
        if aspect not in ASPECTS or not 0 <= value <= 10:
            raise UsageError(
                f"--score {text!r} is not an aspect with 0 to 10 points",
                f"write for example 'humanity=6'; the aspects are {', '.join(ASPECTS)}",
            )
        entered[aspect] = value
    return entered


def score_card(
    runs: Sequence[RecordedRun], readings: Sequence[Reading], by_hand: Mapping[str, float]
) -> tuple[Score, ...]:
    """Return the points of each aspect; ``by_hand`` replaces the formula of an aspect."""
    computed = dict.fromkeys(ASPECTS, NO_POINTS)
    if not all(standing_of(run).judged for run in runs):
        computed = dict.fromkeys(ASPECTS, (None, (Sentence("score.not judged"),)))
    elif any(run.summary.turns > run.summary.failed for run in runs):
        computed = {
            "quality": _quality(runs),
            "latency": _latency(runs, readings),
            "streaming": _streaming(runs),
            "humanity": _humanity(runs),
            "connectivity": _connectivity(runs),
        }
    card = []
    for aspect in ASPECTS:
        if aspect in by_hand:
            card.append(Score(aspect, by_hand[aspect], by_hand=True))
        else:
            points, why = computed[aspect]
            card.append(Score(aspect, None if points is None else round(points, 1), why=why))
    return tuple(card)


Points = tuple[float | None, tuple[Sentence, ...]]
NO_POINTS: Points = (None, ())


def _quality(runs: Sequence[RecordedRun]) -> Points:
    turns = sum(run.summary.turns for run in runs)
    good = sum(
        int((~run.columns.failed & (run.columns.traits["clipped_samples"] == 0)).sum())
        for run in runs
    )
    return 10 * good / turns, (_counted(good, turns),)


def _latency(runs: Sequence[RecordedRun], readings: Sequence[Reading]) -> Points:
    held = {target.name: target.limit_ms for target in TARGETS}
    points: list[float] = []
    why: list[Sentence] = []
    for reading in readings:
        if reading.name in held and reading.value is not None:
            limit_ms = held[reading.name]
            points.append(10 * min(max(2 - reading.value / limit_ms, 0.0), 1.0))
            why.append(Sentence("score.duration", {"took_ms": reading.value, "limit_ms": limit_ms}))
    if not points:
        return NO_POINTS
    turns = sum(run.summary.turns for run in runs)
    succeeded = 1 - sum(run.summary.failed for run in runs) / turns
    if succeeded < 1:
        why.append(Sentence("score.succeeded", {"good_share": succeeded}))
    return succeeded * sum(points) / len(points), tuple(why)


def _streaming(runs: Sequence[RecordedRun]) -> Points:
    deficits = _values(runs, "worst_deficit_ms")
    if not deficits.size:
        return NO_POINTS
    count = sum(run.summary.turns for run in runs)
    continuity = float((deficits <= CONTINUITY_MS).sum()) / count
    lag = Sentence("score.continuity", {"kept_share": continuity, "limit_ms": CONTINUITY_MS})
    early = [
        run.columns.values["first_audio_ms"] < run.columns.values["llm_total_ms"]
        for run in runs
        if run.summary.metrics["llm_total_ms"].values
    ]
    if not early:
        return 10 * continuity, (lag,)
    overlap = float(np.concatenate(early).mean())
    return 10 * (continuity + overlap) / 2, (
        lag,
        Sentence("score.overlap", {"early_share": overlap}),
    )


def _humanity(runs: Sequence[RecordedRun]) -> Points:
    sounds, stalls = _values(runs, "first_sound_ms"), _values(runs, "stall_count")
    if not sounds.size:
        return NO_POINTS
    middle = float(np.median(sounds))
    span = SLOWEST_ANSWER_MS - QUICKEST_ANSWER_MS
    quick = min(max((SLOWEST_ANSWER_MS - middle) / span, 0.0), 1.0)
    smooth = float((stalls == 0).sum()) / sum(run.summary.turns for run in runs)
    why = (
        Sentence("score.sound", {"sound_ms": middle}),
        Sentence("score.smooth", {"smooth_share": smooth}),
    )
    return 10 * quick * smooth, why


def _connectivity(runs: Sequence[RecordedRun]) -> Points:
    wired = [run for run in runs if run.is_over_a_wire]
    turns = sum(run.summary.turns for run in wired)
    if not turns:
        return NO_POINTS
    lost = sum(failed.stage in _WIRE_STAGES for run in wired for failed in run.digest.failures)
    return 10 * (1 - lost / turns), (_counted(turns - lost, turns),)


def _counted(good: int, of: int) -> Sentence:
    return Sentence("score.counted", {"good": good, "of": of})


def _values(runs: Sequence[RecordedRun], name: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    metric = BY_NAME[name]
    return np.concatenate([run.columns.usable(metric) for run in runs] or [np.zeros(0)])
