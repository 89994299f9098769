"""Is this run slower than the baseline?

**What is compared** are the figures that the run's gates name. ``min``, ``max`` and ``stdev`` are
about the turns that were taken, and a percentile that either run has too few turns to bound (p95
under 72) cannot be compared: the median of the metric stands for them. A metric of which neither
way is better cannot become worse, and what the baseline does not show has not: both are left out,
and that is said. Where the gates leave no figure that says how fast (``errors.rate`` alone is
gated, or nothing is), `USUAL` is compared: a baseline is asked for to be held against.

**What it shows.** The first row that applies decides:

=============  ====================================================================================
FAIL           the interval of the change lies wholly on the worse side of 0 (there is a change),
               and reaches the allowed size (it may be as large as that); a duration's also reaches
               beyond the instrument's own median error
NOT SHOWN      the observed change is larger than allowed (and than that error), but its interval
               includes 0; so many turns as the result says would decide
UNDECIDED      the turns are too few for an interval that could have failed; or, *by confidence*
               (``--decide``), the change may be larger than allowed and is not shown
PASS           anything else: a change that is not shown, or is shown to be small enough
=============  ====================================================================================

So at no difference a false alarm is as rare as the interval says, and a shift of the allowed size
is found wherever the turns are enough to show it at all; ``docs/statistics.md`` has both figures.

Several figures are asked at once, and each could raise a false alarm; so that all of them together
do in at most `FALSE_ALARMS` of the runs, their intervals are widened (Bonferroni).

The change is relative to the baseline's figure; of shares (failed turns, turns under a limit) it is
in points of the share.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from voicebench import format as form
from voicebench.figures.comparison import ComparedFigure, Outcome, Side, compare
from voicebench.figures.figure import WITHOUT_INTERVAL, Figure, parse_figure
from voicebench.figures.intervals import LEVEL
from voicebench.figures.summary import Summary
from voicebench.judging.comparability import instrument_error_ms
from voicebench.judging.gates import Verdict

FALSE_ALARMS = 0.05
MOST_TURNS = 100_000
"""No run takes more."""
USUAL = tuple(
    parse_figure(name)
    for name in (
        *("first_audio.p50", "first_audio.p95", "first_sound.p50", "gapless_start.p50"),
        *("llm_total.p50", "tts_ttfb.p50", "errors.rate"),
    )
)
"""What is compared where the gates name no figure that says how fast a run is."""


@dataclass(frozen=True, slots=True)
class RegressionResult:
    """One figure against the baseline's, and the verdict."""

    compared: ComparedFigure
    allowed: float
    verdict: Verdict
    note: str = ""

    def as_dict(self) -> dict[str, object]:
        """Return the entry of ``summary.json``."""
        return self.compared.as_dict() | {
            "allowed": self.allowed,
            "shown": self.compared.outcome.value,
            "verdict": self.verdict.value,
            "note": self.note,
        }


@dataclass(frozen=True, slots=True)
class Regressions:
    """What the baseline says of a run."""

    results: tuple[RegressionResult, ...] = ()
    left_out: tuple[str, ...] = ()
    """Figures of the gates that were not compared, and why, one sentence each."""


def check_regressions(
    gated: Iterable[Figure],
    baseline: Side,
    run: Side,
    *,
    allowed: float,
    decide: bool = False,
) -> Regressions:
    """Return what ``baseline`` says of ``run``, by the figures that ``gated`` asks to compare.

    ``allowed`` is a share. Nothing was compared where there is no result.
    """
    named = tuple(dict.fromkeys(gated))
    wanted, left_out = _wanted(named, baseline.summary)
    level = family_level(len(wanted))
    asked: dict[Figure, list[str]] = {}
    for figure, told in wanted.items():
        comparable, why = _comparable(figure, baseline, run, level)
        asked.setdefault(comparable, []).extend([told, why] if figure in named else [told])
    compared = compare(list(asked), baseline, run, family_level(len(asked)))
    blur_ms = max(instrument_error_ms(side.environment) for side in (baseline, run))
    limits = _Limits(allowed, decide, blur_ms)
    results = [_result(one, limits, asked[one.figure]) for one in compared]
    return Regressions(tuple(results), tuple(left_out))


@dataclass(frozen=True, slots=True)
class _Limits:
    """What a change is held to."""

    allowed: float
    decide: bool
    blur_ms: float
    """The instrument's own error: a smaller change that is not shown is none."""


def family_level(figures: int) -> float:
    """Return the level of each interval so that all false alarms together stay rare enough.

    An alarm needs the interval to miss on one side only, so two figures are covered at 95 %.
    """
    return max(LEVEL, 1 - 2 * FALSE_ALARMS / max(figures, 1))


def _wanted(gated: tuple[Figure, ...], baseline: Summary) -> tuple[dict[Figure, str], list[str]]:
    """Return the figures to compare, each with what has to be said of it, and those left out."""
    wanted: dict[Figure, str] = {}
    left_out = []
    for figure in gated:
        if figure.better == "neither":
            left_out.append(f"{figure.name} is not compared: neither way is better")
        elif figure.observe(baseline)[0] is None:
            left_out.append(f"{figure.name} is not compared: the baseline does not show it")
        elif figure.statistic in WITHOUT_INTERVAL:
            told = f"the median stands for {figure.statistic}, which has no interval"
            wanted.setdefault(Figure(figure.metric, "p50"), told)
        else:
            wanted.setdefault(figure, "")
    if all(figure.metric is None for figure in wanted):
        shown = [figure for figure in USUAL if figure.observe(baseline)[0] is not None]
        wanted = dict.fromkeys(shown, "") | wanted
    return wanted, left_out


def _comparable(figure: Figure, baseline: Side, run: Side, level: float) -> tuple[Figure, str]:
    """Return ``figure``, or the median where either run has too few turns to bound it."""
    if figure.percentile is None or figure.metric is None:
        return figure, ""
    around = [figure.interval(side.summary, level) for side in (baseline, run)]
    if all(interval is None or interval.is_closed for interval in around):
        return figure, ""
    median = Figure(figure.metric, "p50")
    return median, "" if figure == median else f"too few turns to compare {figure.statistic}"


def _result(compared: ComparedFigure, limits: _Limits, told: Iterable[str]) -> RegressionResult:
    verdict, why = _verdict(compared, limits)
    note = "; ".join(filter(None, dict.fromkeys((*told, why))))
    return RegressionResult(compared, limits.allowed, verdict, note)


def _verdict(compared: ComparedFigure, limits: _Limits) -> tuple[Verdict, str]:
    match compared.outcome:
        case Outcome.NOT_MEASURED:
            return Verdict.NOT_MEASURED, "the baseline shows it, and this run does not"
        case Outcome.BETTER:
            return Verdict.PASS, ""
        case Outcome.WORSE if _is_within(compared, limits.blur_ms):
            blur = f"{limits.blur_ms:.2g} ms"
            return Verdict.PASS, f"worse, by less than the instrument's own error ({blur})"
        case Outcome.WORSE if _may_be_larger(compared, limits.allowed):
            return Verdict.FAIL, ""
        case Outcome.WORSE:
            return Verdict.PASS, "worse, by less than is allowed"
        case _:
            return _verdict_of_unshown(compared, limits)


def _verdict_of_unshown(compared: ComparedFigure, limits: _Limits) -> tuple[Verdict, str]:
    """Return the verdict on a change whose interval does not leave out 0."""
    assert compared.difference is not None
    blurred = compared.figure.unit == "ms" and abs(compared.difference.change) <= limits.blur_ms
    if _is_larger(compared, limits.allowed) and not blurred:
        return Verdict.NOT_SHOWN, _too_few(compared, "to show it")
    if compared.outcome is Outcome.TOO_FEW:
        return Verdict.UNDECIDED, _too_few(compared, "to compare")
    if not _may_be_larger(compared, limits.allowed):
        return Verdict.PASS, ""
    verdict = Verdict.UNDECIDED if limits.decide else Verdict.PASS
    allowed = form.limit(limits.allowed, "share")
    return verdict, f"{allowed} cannot be ruled out with so few turns"


def _too_few(compared: ComparedFigure, what: str) -> str:
    if compared.turns_needed is None:
        return f"too few turns {what}"
    if compared.turns_needed > MOST_TURNS:
        return f"too few turns {what}, and more than {MOST_TURNS:,} in each run would be needed"
    about = "at least" if compared.outcome is Outcome.TOO_FEW else "about"
    needed = form.plural(compared.turns_needed, "turn")
    return f"too few turns {what}: {about} {needed} in each run would decide"


def _is_within(compared: ComparedFigure, blur_ms: float) -> bool:
    """Return whether a duration is shown to have grown by no more than ``blur_ms``."""
    assert compared.difference is not None
    interval = compared.difference.interval
    if compared.figure.unit != "ms" or interval is None or interval.high is None:
        return False
    return interval.high <= blur_ms


def _is_larger(compared: ComparedFigure, allowed: float) -> bool:
    """Return whether the observed change is worse by more than ``allowed``."""
    assert compared.difference is not None
    change = compared.difference.change
    return _share_of(compared, -change if compared.figure.better == "higher" else change) > allowed


def _may_be_larger(compared: ComparedFigure, allowed: float) -> bool:
    """Return whether the interval allows a worsening of ``allowed``, or is open there."""
    assert compared.difference is not None
    interval = compared.difference.interval
    if interval is None:
        return True
    if compared.figure.better == "higher":
        worst = None if interval.low is None else -interval.low
    else:
        worst = interval.high
    return worst is None or _share_of(compared, worst) >= allowed


def _share_of(compared: ComparedFigure, worsening: float) -> float:
    """Return ``worsening`` as a share of the baseline's figure; of a share, in its points.

    Of a figure that was 0 any worsening is without bounds.
    """
    if compared.figure.unit == "share" or worsening == 0:
        return worsening
    was = abs(compared.first or 0.0)
    return worsening / was if was else math.copysign(math.inf, worsening)
