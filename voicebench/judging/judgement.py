"""The judgement of a run: its gates, its baseline, its machine and its audio.

``summary.json`` has each part by itself, and every report reads them from there. Together with the
turns that were taken they give the final verdict (`voicebench.judging.final`).

``--until-decided`` looks at the gates several times, so a straddling interval has several chances
to leave its limit by luck. Therefore the looks are planned beforehand (`look_counts`: each after
half as many turns again), and every look uses a wider interval: the chance of a wrong decision in
any of them is that of a single interval.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from voicebench.figures.comparison import Side
from voicebench.figures.intervals import LEVEL
from voicebench.figures.summary import Summary
from voicebench.judging.comparability import comparability
from voicebench.judging.gates import GateResult, judge, parse_gate
from voicebench.judging.noise import Noise
from voicebench.judging.regression import Regressions, check_regressions
from voicebench.judging.streaming_check import StreamingCheck
from voicebench.judging.validity import Flag

LOOK_GROWTH = 1.5
MOST_DIFFERENCES = 12
"""The number of differing settings that are listed; the others are counted."""


def judge_gates(
    settings: Mapping[str, object],
    summary: Summary,
    gates: Iterable[str] | None = None,
    *,
    decide: bool | None = None,
) -> tuple[GateResult, ...]:
    """Judge ``summary`` by ``gates``, else by the gates of a run's stored ``settings``.

    The settings also say how to judge. If they are older than that choice, the observed figures
    are compared with the limits. ``decide`` replaces their choice.
    """
    if gates is None:
        own = settings.get("gates")
        gates = [str(gate) for gate in own] if isinstance(own, list) else []
    judged = _section(settings, "judge")
    sampled_on = bool(judged.get("until_decided"))
    by_interval = bool(judged.get("decide")) if decide is None else decide
    looks = len(look_counts(settings)) if sampled_on else 1
    return tuple(
        judge(
            parse_gate(gate),
            summary,
            decide=sampled_on or by_interval,
            level=1 - (1 - LEVEL) / looks,
        )
        for gate in gates
    )


def judgement_entry(
    noise: Sequence[Noise],
    flags: Sequence[Flag],
    streaming: StreamingCheck,
    *,
    allow_noise: bool,
    against: Mapping[str, object] | None = None,
) -> dict[str, object]:
    """Return the entry ``judgement`` of ``summary.json``: all judgements besides the gates.

    ``against`` is the result of `against_baseline`, if a baseline is named.
    """
    return {
        "invalid": not allow_noise and any(finding.invalidates for finding in noise),
        "baseline": None,
        "regressions": [],
        "noise": [finding.as_dict() for finding in noise],
        "flagged": [flag.as_dict() for flag in (*flags, *streaming.flags)],
        "streamed_against_whole": streaming.as_dict(),
        "refused": [],
        "warnings": [],
    } | dict(against or {})


def against_baseline(
    gates: Sequence[GateResult],
    settings: Mapping[str, object],
    run: Side,
    before: Side,
    baseline: str,
) -> dict[str, object]:
    """Return the entries of ``summary.json`` on the comparison of ``run`` with its baseline.

    ``before`` is the baseline, stored at ``baseline``; ``settings`` are the complete settings of
    the run. Each figure of its ``gates`` is compared.
    """
    judged = _section(settings, "judge")
    found = comparability(before, run)
    compared = Regressions()
    if not found.refused:
        compared = check_regressions(
            [result.gate.figure for result in gates],
            before,
            run,
            allowed=cast(float, judged["max_regression"]),
            decide=bool(judged["decide"] or judged["until_decided"]),
        )
    differing = [
        f"differs from the baseline: {setting}" for setting in found.shown[:MOST_DIFFERENCES]
    ]
    more = len(found.shown) - MOST_DIFFERENCES
    if more > 0:
        differing.append(f"differs from the baseline: and {more} more settings")
    machine = [f"other machine: {setting}" for setting in found.warned]
    return {
        "baseline": baseline,
        "regressions": [result.as_dict() for result in compared.results],
        "refused": list(found.refused),
        "warnings": [*machine, *differing, *compared.left_out],
    }


def look_counts(settings: Mapping[str, object]) -> list[int]:
    """Return after how many measured turns the gates are judged; the last look ends the run."""
    judged, run = _section(settings, "judge"), _section(settings, "run")
    counts = [_count(run.get("runs"))]
    most = _count(judged.get("max_runs")) if judged.get("until_decided") else 0
    while counts[-1] < most:
        grown = max(counts[-1] + 1, round(counts[-1] * LOOK_GROWTH))
        counts.append(min(grown, most))
    return counts


def planned_turns(settings: Mapping[str, object]) -> int | None:
    """Return the largest number of measured turns that the stored settings allow."""
    known = isinstance(_section(settings, "run").get("runs"), int)
    return look_counts(settings)[-1] if known else None


def _section(settings: Mapping[str, object], name: str) -> Mapping[str, object]:
    section = settings.get(name)
    return section if isinstance(section, dict) else {}


def _count(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 1
