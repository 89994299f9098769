"""Compares a run with its baseline: is it slower?

The figures of the run's gates are compared. The median of the metric is compared in place of
``min``, ``max`` and ``stdev``, which have no interval, and of a percentile that either run has too
few turns to bound (p95 under 72). Two kinds of figures are left out, and a note says so: a metric
of which neither direction is better, and a figure that the baseline does not show. If the gates
then leave no duration (only ``errors.rate`` is gated, or nothing), `USUAL` is compared.

The first row that applies decides:

=============  ====================================================================================
FAIL           the interval of the change lies wholly on the worse side of 0 (there is a change),
               and reaches the allowed size (it may be that large); for a duration, it also reaches
               beyond the instrument's own median error
NOT SHOWN      the observed change is larger than allowed (and than that error), but its interval
               includes 0; the result says how many turns would decide
UNDECIDED      the turns are too few for an interval that could have failed; or, *by confidence*
               (``--decide``), the change may be larger than allowed and is not shown
PASS           anything else: the change is not shown, or is shown to be small enough
=============  ====================================================================================

So without a difference, a false alarm is as rare as the interval says, and a shift of the allowed
size is found if the turns are enough to show it (figures in ``docs/explanation/statistics.md``).

Several figures are compared at once, and each could raise a false alarm. Their intervals are
widened (Bonferroni), so that all of them together do so in at most `FALSE_ALARMS` of the runs.

The change is relative to the baseline's figure. The change of a share (failed turns, turns under a
limit) is a difference of shares.
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
"""The figures that are compared if the gates name no duration."""


@dataclass(frozen=True, slots=True)
class RegressionResult:
    """One figure compared with the baseline's, and the verdict."""

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
    """The comparison of a run with its baseline."""

    results: tuple[RegressionResult, ...] = ()
    left_out: tuple[str, ...] = ()
    """A sentence on each figure of the gates that was not compared, with the reason."""


def check_regressions(
    gated: Iterable[Figure],
    baseline: Side,
    run: Side,
    *,
    allowed: float,
    decide: bool = False,
) -> Regressions:
    """Compare ``run`` with ``baseline`` in the ``gated`` figures.

    ``allowed`` is a share. If nothing was compared, there is no result.
    """
    named = tuple(dict.fromkeys(gated))
    wanted, left_out = _wanted(named, baseline.summary)
    level = family_level(len(wanted))
    notes: dict[Figure, list[str]] = {}
    for figure, note in wanted.items():
        comparable, why = _comparable(figure, baseline, run, level)
        notes.setdefault(comparable, []).extend([note, why] if figure in named else [note])
    compared = compare(list(notes), baseline, run, family_level(len(notes)))
    blur_ms = max(instrument_error_ms(side.environment) for side in (baseline, run))
    limits = ChangeLimits(allowed, decide, blur_ms)
    results = []
    for found in compared:
        verdict, why = verdict_on_change(found, limits)
        note = "; ".join(filter(None, dict.fromkeys((*notes[found.figure], why))))
        results.append(RegressionResult(found, allowed, verdict, note))
    return Regressions(tuple(results), tuple(left_out))


@dataclass(frozen=True, slots=True)
class ChangeLimits:
    """The limits on a change."""

    allowed: float
    decide: bool
    blur_ms: float
    """The instrument's own error: a change within it does not count."""


def family_level(figures: int) -> float:
    """Return the level of each interval at which all false alarms together stay rare enough.

    A false alarm needs an interval that misses on one side only, so 95 % is enough for two figures.
    """
    return max(LEVEL, 1 - 2 * FALSE_ALARMS / max(figures, 1))


def _wanted(gated: tuple[Figure, ...], baseline: Summary) -> tuple[dict[Figure, str], list[str]]:
    """Return the figures to compare, each with its note, and a sentence on each one left out."""
    wanted: dict[Figure, str] = {}
    left_out = []
    for figure in gated:
        if figure.better == "neither":
            left_out.append(f"{figure.name} is not compared: neither way is better")
        elif figure.observe(baseline)[0] is None:
            left_out.append(f"{figure.name} is not compared: the baseline does not show it")
        elif figure.statistic in WITHOUT_INTERVAL:
            note = f"the median replaces {figure.statistic}, which has no interval"
            wanted.setdefault(Figure(figure.metric, "p50"), note)
        else:
            wanted.setdefault(figure, "")
    if all(figure.metric is None for figure in wanted):
        shown = [figure for figure in USUAL if figure.observe(baseline)[0] is not None]
        wanted = dict.fromkeys(shown, "") | wanted
    return wanted, left_out


def _comparable(figure: Figure, baseline: Side, run: Side, level: float) -> tuple[Figure, str]:
    """Return ``figure``, or the median and the reason if either run has too few turns for it."""
    if figure.percentile is None or figure.metric is None:
        return figure, ""
    around = [figure.interval(side.summary, level) for side in (baseline, run)]
    if all(interval is None or interval.is_closed for interval in around):
        return figure, ""
    median = Figure(figure.metric, "p50")
    return median, "" if figure == median else f"too few turns to compare {figure.statistic}"


def verdict_on_change(compared: ComparedFigure, limits: ChangeLimits) -> tuple[Verdict, str]:
    """Return the verdict on one compared figure, and a note on it."""
    if compared.outcome is Outcome.NOT_MEASURED:
        return Verdict.NOT_MEASURED, "the baseline shows it, and this run does not"
    if compared.outcome is Outcome.BETTER:
        return Verdict.PASS, ""
    assert compared.difference is not None
    change, interval = compared.difference.change, compared.difference.interval
    ends = (None, None) if interval is None else (interval.low, interval.high)
    worse, worst = change, ends[1]
    if compared.figure.better == "higher":
        worse, worst = -change, None if ends[0] is None else -ends[0]
    may_be_larger = worst is None or _share_of(compared, worst) >= limits.allowed
    blur_ms = limits.blur_ms if compared.figure.unit == "ms" else -math.inf
    if compared.outcome is not Outcome.WORSE:
        is_larger = _share_of(compared, worse) > limits.allowed and abs(change) > blur_ms
        return _verdict_of_unshown(compared, limits, is_larger, may_be_larger)
    if worst is not None and worst <= blur_ms:
        return Verdict.PASS, f"worse, by less than the instrument's own error ({blur_ms:.2g} ms)"
    if may_be_larger:
        return Verdict.FAIL, ""
    return Verdict.PASS, "worse, by less than is allowed"


def _verdict_of_unshown(
    compared: ComparedFigure, limits: ChangeLimits, is_larger: bool, may_be_larger: bool
) -> tuple[Verdict, str]:
    """Return the verdict on a change whose interval includes 0, or is open.

    It may be observed as larger than allowed, or the interval may include such a change.
    """
    if is_larger:
        return Verdict.NOT_SHOWN, _too_few(compared, "to show it")
    if compared.outcome is Outcome.TOO_FEW:
        return Verdict.UNDECIDED, _too_few(compared, "to compare")
    if not may_be_larger:
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


def _share_of(compared: ComparedFigure, worsening: float) -> float:
    """Return ``worsening`` as a share of the baseline's figure; of a share, as it is.

    If the baseline's figure is 0, any worsening is infinite.
    """
    if compared.figure.unit == "share" or worsening == 0:
        return worsening
    was = abs(compared.first or 0.0)
    return worsening / was if was else math.copysign(math.inf, worsening)
