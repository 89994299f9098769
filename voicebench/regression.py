"""Is this run slower than the baseline? Asked of each figure that the run's gates name.

A regression **fails** where the interval of the change lies wholly on the worse side of 0 (there is
one) and reaches the allowed size (it may be as large as that). A change whose interval includes 0
is not shown, one whose interval ends before the allowed size is shown to be small enough: neither
fails. So at no difference a false alarm is as rare as the interval says, and a shift of the allowed
size is found wherever the turns are enough to show it at all; ``docs/statistics.md`` has both
figures. *By confidence* (``--decide``) a change that may be as large as allowed, but is not shown,
is UNDECIDED instead of passed.

Several figures are asked at once, and each could raise a false alarm; so that all of them together
do in at most `FALSE_ALARMS` of the runs, their intervals are widened (Bonferroni).

The change is relative to the baseline's figure; of shares (failed turns, turns under a limit) it is
in points of the share. A percentile that either run has too few turns to bound (p95 under 72)
cannot be compared; the median of its metric is, and the result says so. ``min`` and ``max`` are
not.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from voicebench.comparison import ComparedFigure, Outcome, Side, compare
from voicebench.figures import Figure
from voicebench.gates import Verdict
from voicebench.intervals import LEVEL

FALSE_ALARMS = 0.05


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


def check_regressions(
    figures: Iterable[Figure],
    baseline: Side,
    run: Side,
    *,
    allowed: float,
    decide: bool = False,
) -> list[RegressionResult]:
    """Return each of ``figures`` of ``run`` against ``baseline``; ``allowed`` is a share."""
    wanted = [figure for figure in figures if figure.statistic not in ("min", "max")]
    level = family_level(len(set(wanted)))
    asked: dict[Figure, str] = {}
    for figure in wanted:
        comparable, note = _comparable(figure, baseline, run, level)
        asked.setdefault(comparable, note)
    compared = compare(list(asked), baseline, run, family_level(len(asked)))
    return [_result(one, allowed, decide, asked[one.figure]) for one in compared]


def family_level(figures: int) -> float:
    """Return the level of each interval so that all false alarms together stay rare enough.

    An alarm needs the interval to miss on one side only, so two figures are covered at 95 %.
    """
    return max(LEVEL, 1 - 2 * FALSE_ALARMS / max(figures, 1))


def _comparable(figure: Figure, baseline: Side, run: Side, level: float) -> tuple[Figure, str]:
    """Return ``figure``, or the median where either run has too few turns to bound it."""
    if figure.percentile is None or figure.metric is None:
        return figure, ""
    around = [figure.interval(side.summary, level) for side in (baseline, run)]
    if all(interval is None or interval.is_closed for interval in around):
        return figure, ""
    return Figure(figure.metric, "p50"), f"too few turns to compare {figure.statistic}"


def _result(compared: ComparedFigure, allowed: float, decide: bool, note: str) -> RegressionResult:
    verdict, why = _verdict(compared, allowed, decide)
    return RegressionResult(compared, allowed, verdict, "; ".join(filter(None, (note, why))))


def _verdict(compared: ComparedFigure, allowed: float, decide: bool) -> tuple[Verdict, str]:
    if compared.outcome is Outcome.NOT_MEASURED:
        # What the baseline did not show cannot have become worse; what this run lost can.
        lost = compared.first is not None
        return (Verdict.NOT_MEASURED if lost else Verdict.PASS), "not measured in both runs"
    reach = _worst_share(compared)
    may_be_too_large = reach is None or reach >= allowed
    if compared.outcome is Outcome.WORSE and may_be_too_large:
        return Verdict.FAIL, ""
    if compared.outcome is Outcome.WORSE:
        return Verdict.PASS, "worse, by less than is allowed"
    if compared.outcome in (Outcome.NONE_SHOWN, Outcome.TOO_FEW) and may_be_too_large:
        verdict = Verdict.UNDECIDED if decide else Verdict.PASS
        return verdict, f"{100 * allowed:g} % cannot be ruled out with so few turns"
    return Verdict.PASS, ""


def _worst_share(compared: ComparedFigure) -> float | None:
    """Return the largest worsening that the interval allows; None where it is open there."""
    interval = compared.difference.interval if compared.difference else None
    if interval is None:
        return None
    if compared.figure.better == "higher":
        worst = None if interval.low is None else -interval.low
    else:
        worst = interval.high
    if worst is None or compared.figure.unit == "share":
        return worst
    return worst / abs(compared.first) if compared.first else None
