"""The judgement of a run: its gates, its baseline, its machine and its audio, and what that means.

Each part stands by itself in the results (``summary.json``), and is read from there by whatever
tells of the run. Together with the turns that were taken they give the final verdict
(`voicebench.judging.final`).

**Sampling on** (``--until-decided``) looks at the gates several times, and a straddling interval
gets several chances to leave its limit by luck. So the looks are planned beforehand (`look_counts`:
each after half as many turns again) and share the error between them: every look's interval is so
wide that the chance of a wrong decision in any of them stays what one interval would have.
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
"""Settings in which the baseline differs; more are counted."""


def judge_gates(
    settings: Mapping[str, object], summary: Summary, gates: Iterable[str] | None = None
) -> tuple[GateResult, ...]:
    """Judge ``summary`` by ``gates``, else by those of a run's stored ``settings``, as these ask.

    What a result stored before there was a choice asks for is to compare the observed figures.
    """
    if gates is None:
        own = settings.get("gates")
        gates = [str(gate) for gate in own] if isinstance(own, list) else []
    judged = _section(settings, "judge")
    sampled_on = bool(judged.get("until_decided"))
    looks = len(look_counts(settings)) if sampled_on else 1
    return tuple(
        judge(
            parse_gate(gate),
            summary,
            decide=sampled_on or bool(judged.get("decide")),
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
    """Return the entry ``judgement`` of ``summary.json``: what is said of a run beside its gates.

    ``against`` is what `against_baseline` says, where a baseline is named.
    """
    return {
        "invalid": not allow_noise and any(one.invalidates for one in noise),
        "baseline": None,
        "regressions": [],
        "noise": [one.as_dict() for one in noise],
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
    """Return what ``before``, the run at ``baseline``, says of ``run``, as it is stored.

    ``settings`` are those of the run, complete. Each figure of its ``gates`` is held against the
    baseline's.
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
    told = [f"differs from the baseline: {one}" for one in found.shown]
    if len(told) > MOST_DIFFERENCES:
        told[MOST_DIFFERENCES:] = [
            f"differs from the baseline: and {len(told) - MOST_DIFFERENCES} more settings"
        ]
    machine = [f"other machine: {one}" for one in found.warned]
    return {
        "baseline": baseline,
        "regressions": [result.as_dict() for result in compared.results],
        "refused": list(found.refused),
        "warnings": [*machine, *told, *compared.left_out],
    }


def look_counts(settings: Mapping[str, object]) -> list[int]:
    """Return after how many measured turns the gates are looked at; the last ends the run."""
    judged, run = _section(settings, "judge"), _section(settings, "run")
    counts = [_count(run.get("runs"))]
    most = _count(judged.get("max_runs")) if judged.get("until_decided") else 0
    while counts[-1] < most:
        grown = max(counts[-1] + 1, round(counts[-1] * LOOK_GROWTH))
        counts.append(min(grown, most))
    return counts


def planned_turns(settings: Mapping[str, object]) -> int | None:
    """Return how many measured turns a run's stored settings asked for, at most."""
    known = isinstance(_section(settings, "run").get("runs"), int)
    return look_counts(settings)[-1] if known else None


def _section(settings: Mapping[str, object], name: str) -> Mapping[str, object]:
    section = settings.get(name)
    return section if isinstance(section, dict) else {}


def _count(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 1
