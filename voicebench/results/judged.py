"""What a run's own judgement said beside its gates, as ``summary.json`` keeps it.

The gates are judged anew from the turns. A comparison with a baseline, and what the machine did
meanwhile, cannot be: they are told as they were stored, and `Judged.of` reads them from whatever
lies in the file, so that an old result without them is simply one of which there is less to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from voicebench import format as form
from voicebench.errors import UsageError
from voicebench.figures.figure import parse_figure
from voicebench.figures.intervals import Interval
from voicebench.judging.final import Final, Taken, final_verdict
from voicebench.judging.gates import Verdict

MOST_FLAGS = 10


@dataclass(frozen=True, slots=True)
class Regression:
    """One figure against the baseline's."""

    figure: str
    unit: str
    before: float | None
    now: float | None
    allowed: float | None
    verdict: Verdict
    note: str
    change: float | None = None
    """What is held to ``allowed``, a share of the figure; of a share, in its points."""
    around: Interval | None = None
    """How far the change may be off, in the figure's unit."""

    def told(self) -> str:
        """Return the figures in words."""
        change = "" if self.change is None else f" ({self.change_text()})"
        allowed = "" if self.allowed is None else f", {form.limit(self.allowed, 'share')} allowed"
        before, now = form.quantity(self.before, self.unit), form.quantity(self.now, self.unit)
        note = f"; {self.note}" if self.note else ""
        return f"{before} before, {now} now{change}{allowed}{note}"

    def change_text(self) -> str:
        """Return the change as it is held to what is allowed: ``+36.0 %``."""
        return form.NOTHING if self.change is None else f"{100 * self.change:+z.1f} %"


@dataclass(frozen=True, slots=True)
class Caveat:
    """One line that a reader has to know besides the figures."""

    text: str
    weight: Literal["grave", "doubtful", "mentioned"] = "mentioned"


@dataclass(frozen=True, slots=True)
class Judged:
    """The stored judgement."""

    baseline: str | None = None
    regressions: tuple[Regression, ...] = ()
    invalid: bool = False
    caveats: tuple[Caveat, ...] = ()
    """What speaks against the comparison, noise, and flagged audio."""
    noise: tuple[str, ...] = ()
    """What the machine did to the figures."""
    invalidating: tuple[str, ...] = ()
    """The noise that makes the run invalid, where ``invalid``."""
    refused: tuple[str, ...] = ()
    """Why the run cannot be compared with its baseline."""

    @classmethod
    def of(cls, stored: Mapping[str, object]) -> Judged:
        """Read the entry ``judgement`` of ``summary.json``; what is missing is empty."""
        judgement = stored.get("judgement")
        if not isinstance(judgement, dict):
            return cls()
        baseline = judgement.get("baseline")
        return cls(
            baseline=None if baseline is None else str(baseline),
            regressions=tuple(
                found
                for entry in _entries(judgement.get("regressions"))
                if (found := _regression(entry)) is not None
            ),
            invalid=judgement.get("invalid") is True,
            caveats=tuple(_caveats(judgement)),
            noise=tuple(_noise(noise) for noise in _entries(judgement.get("noise"))),
            invalidating=tuple(
                _noise(noise)
                for noise in _entries(judgement.get("noise"))
                if noise.get("invalidates") is True
            ),
            refused=tuple(_texts(judgement.get("refused"))) if baseline is not None else (),
        )

    def final(self, taken: Taken, gates: Iterable[Verdict]) -> Final:
        """Return the final verdict of the run whose turns were ``taken``, judged by ``gates``."""
        return final_verdict(
            taken,
            gates,
            [one.verdict for one in self.regressions],
            has_baseline=self.baseline is not None,
            noise=self.invalidating if self.invalid else None,
            refused=self.refused,
        )


def _regression(entry: Mapping[str, object]) -> Regression | None:
    try:
        figure = parse_figure(str(entry.get("figure")))
        verdict = Verdict(str(entry.get("verdict")))
    except (UsageError, ValueError):
        return None
    before, now = _number(entry.get("first")), _number(entry.get("second"))
    return Regression(
        figure=figure.name,
        unit=figure.unit,
        before=before,
        now=now,
        allowed=_number(entry.get("allowed")),
        verdict=verdict,
        note=str(entry.get("note") or ""),
        change=_change(entry, figure.unit, before, now),
        around=_interval(entry.get("interval")),
    )


def _change(
    entry: Mapping[str, object], unit: str, before: float | None, now: float | None
) -> float | None:
    """Return the change as it was held to the limit; older results have only both figures."""
    stored = _number(entry.get("change" if unit == "share" else "change_share"))
    if stored is not None or before is None or now is None:
        return stored
    if unit == "share":
        return now - before
    return (now - before) / abs(before) if before else None


def _interval(entry: object) -> Interval | None:
    if not isinstance(entry, dict):
        return None
    level = _number(entry.get("level"))
    low, high = _number(entry.get("low")), _number(entry.get("high"))
    return Interval(low, high) if level is None else Interval(low, high, level)


def _caveats(judgement: Mapping[str, object]) -> Iterator[Caveat]:
    for why in _texts(judgement.get("refused")):
        yield Caveat(
            f"not compared with the baseline, whose numbers mean other things: {why}", "grave"
        )
    for warning in _texts(judgement.get("warnings")):
        yield Caveat(warning, "doubtful")
    for noise in _entries(judgement.get("noise")):
        yield Caveat(_noise(noise), "grave" if noise.get("invalidates") is True else "mentioned")
    flags = _entries(judgement.get("flagged"))
    for flag in flags[:MOST_FLAGS]:
        yield Caveat(f"audio: {_turn(flag)}: {flag.get('finding')}", "doubtful")
    if len(flags) > MOST_FLAGS:
        yield Caveat(f"audio: and {len(flags) - MOST_FLAGS} more", "doubtful")


def _noise(noise: Mapping[str, object]) -> str:
    remedy = noise.get("remedy")
    return f"{noise.get('finding')}; {remedy}" if remedy else str(noise.get("finding"))


def _turn(flag: Mapping[str, object]) -> str:
    """Return ``run 3``; results from before the runs' numbers have the turn's."""
    return f"run {flag['run']}" if "run" in flag else f"turn {flag.get('turn')}"


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _entries(value: object) -> Sequence[Mapping[str, object]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _texts(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else []
