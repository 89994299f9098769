"""The judgement of a run: its gates, its baseline, its machine and its audio, and what that means.

Each part stands by itself in the results. Together they give the exit code: *invalid* where the
machine was too noisy for any verdict, or the baseline's numbers mean other things; else the worst
of the gates and regressions.

**Sampling on** (``--until-decided``) looks at the gates several times, and a straddling interval
gets several chances to leave its limit by luck. So the looks are planned beforehand (`look_counts`:
each after half as many turns again) and share the error between them: every look's interval is so
wide that the chance of a wrong decision in any of them stays what one interval would have.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from voicebench.comparability import comparability
from voicebench.comparison import Side, side_of
from voicebench.gates import GateResult, Verdict, judge, overall, parse_gate
from voicebench.intervals import LEVEL
from voicebench.noise import Noise
from voicebench.regression import RegressionResult, check_regressions
from voicebench.results.columns import RecordedColumns
from voicebench.settings import Settings
from voicebench.streaming_check import StreamingCheck
from voicebench.summary import Summary
from voicebench.validity import Flag

LOOK_GROWTH = 1.5


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is said of a run."""

    gates: tuple[GateResult, ...] = ()
    regressions: tuple[RegressionResult, ...] = ()
    noise: tuple[Noise, ...] = ()
    flags: tuple[Flag, ...] = ()
    baseline: str | None = None
    allow_noise: bool = False
    refused: tuple[str, ...] = ()
    """Why the run cannot be compared with the baseline."""
    streaming: StreamingCheck = field(default_factory=StreamingCheck)
    warnings: tuple[str, ...] = ()
    """What is off in the comparison with the baseline."""

    @property
    def is_invalid(self) -> bool:
        """Whether the machine was too noisy for a verdict, and that was not allowed."""
        return not self.allow_noise and any(noise.invalidates for noise in self.noise)

    @property
    def is_incomparable(self) -> bool:
        """Whether a baseline was named and the numbers mean other things there."""
        return self.baseline is not None and bool(self.refused)

    @property
    def verdict(self) -> Verdict:
        """The worst of the gates and the regressions."""
        return worst([overall(self.gates), *(result.verdict for result in self.regressions)])

    def as_dict(self) -> dict[str, object]:
        """Return the entry ``judgement`` of ``summary.json``."""
        return {
            "verdict": self.verdict.value,
            "invalid": self.is_invalid,
            "baseline": self.baseline,
            "regressions": [result.as_dict() for result in self.regressions],
            "noise": [noise.as_dict() for noise in self.noise],
            "flagged": [flag.as_dict() for flag in self.flags],
            "streamed_against_whole": self.streaming.as_dict(),
            "refused": list(self.refused),
            "warnings": list(self.warnings),
        }


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """Return the verdict that decides; PASS of none."""
    order = (Verdict.FAIL, Verdict.NOT_MEASURED, Verdict.CLOSE, Verdict.UNDECIDED)
    return next((verdict for verdict in order if verdict in verdicts), Verdict.PASS)


def judge_gates(settings: Settings, summary: Summary) -> tuple[GateResult, ...]:
    """Judge ``summary`` by the gates of ``settings``, in the way that they ask for."""
    return judge_stored(settings.model_dump(), summary, settings.gates)


def judge_stored(
    settings: Mapping[str, object], summary: Summary, gates: Iterable[str]
) -> tuple[GateResult, ...]:
    """Judge ``summary`` by ``gates`` in the way that a run's stored ``settings`` asked for.

    What a result stored before there was a choice asks for is to compare the observed figures.
    """
    judged, run = _section(settings, "judge"), _section(settings, "run")
    sampled_on = bool(judged.get("until_decided"))
    looks = 1
    if sampled_on:
        looks = len(_looks(_count(run.get("runs")), _count(judged.get("max_runs"))))
    return tuple(
        judge(
            parse_gate(gate),
            summary,
            decide=sampled_on or bool(judged.get("decide")),
            level=1 - (1 - LEVEL) / looks,
        )
        for gate in gates
    )


def judge_against(
    judgement: Judgement, settings: Settings, run: Side, baseline: RecordedColumns | None
) -> Judgement:
    """Return ``judgement`` with what the baseline says of ``run``, if there is one."""
    if baseline is None:
        return judgement
    before = side_of(baseline.columns, baseline.settings, baseline.environment)
    found = comparability(before, run)
    regressions = (
        []
        if found.refused
        else check_regressions(
            [parse_gate(gate).figure for gate in settings.gates],
            before,
            run,
            allowed=settings.judge.max_regression,
            decide=settings.judge.decide,
        )
    )
    return replace(
        judgement,
        baseline=str(baseline.path),
        regressions=tuple(regressions),
        refused=found.refused,
        warnings=tuple(f"other machine: {one}" for one in found.warned),
    )


def look_counts(settings: Settings) -> list[int]:
    """Return after how many measured turns the gates are looked at; the last ends the run."""
    if not settings.judge.until_decided:
        return [settings.run.runs]
    return _looks(settings.run.runs, settings.judge.max_runs)


def _looks(runs: int, max_runs: int) -> list[int]:
    counts = [runs]
    while counts[-1] < max_runs:
        grown = max(counts[-1] + 1, round(counts[-1] * LOOK_GROWTH))
        counts.append(min(grown, max_runs))
    return counts


def _section(settings: Mapping[str, object], name: str) -> Mapping[str, object]:
    section = settings.get(name)
    return section if isinstance(section, dict) else {}


def _count(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 1
