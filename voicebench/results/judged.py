"""The stored part of a run's judgement, as ``summary.json`` has it.

The gates are judged again from the turns. The comparison with a baseline and the noise of the
machine cannot be computed again, so they are read from the file. What an old result lacks stays
empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from voicebench import format as form
from voicebench.errors import UsageError
from voicebench.figures.figure import parse_figure
from voicebench.figures.intervals import Interval
from voicebench.judging.final import Final, Taken, final_verdict
from voicebench.judging.gates import Verdict
from voicebench.results.reading import number_in, object_in, objects_in, texts_in

MOST_FLAGS = 10


@dataclass(frozen=True, slots=True)
class Regression:
    """One figure compared with the baseline's."""

    figure: str
    unit: str
    before: float | None
    now: float | None
    allowed: float | None
    verdict: Verdict
    note: str
    change: float | None = None
    """The change as a share of the figure before; for shares, the difference."""
    around: Interval | None = None
    """The interval of the change, in the figure's unit."""

    def sentence(self) -> str:
        """Return the comparison as one sentence."""
        change = "" if self.change is None else f" ({self.change_text()})"
        allowed = "" if self.allowed is None else f", {form.limit(self.allowed, 'share')} allowed"
        before, now = form.quantity(self.before, self.unit), form.quantity(self.now, self.unit)
        note = f"; {self.note}" if self.note else ""
        return f"{before} before, {now} now{change}{allowed}{note}"

    def change_text(self) -> str:
        """Return the change in percent: ``+36.0 %``."""
        return form.NOTHING if self.change is None else f"{100 * self.change:+z.1f} %"


@dataclass(frozen=True, slots=True)
class Caveat:
    """One sentence that a reader must know besides the figures."""

    text: str
    weight: Literal["grave", "doubtful", "mentioned"] = "mentioned"


@dataclass(frozen=True, slots=True)
class Judged:
    """The stored judgement."""

    baseline: str | None = None
    regressions: tuple[Regression, ...] = ()
    invalid: bool = False
    caveats: tuple[Caveat, ...] = ()
    """Doubts about the comparison, noise, and flagged audio."""
    noise: tuple[str, ...] = ()
    """How the machine disturbed the figures."""
    invalidating: tuple[str, ...] = ()
    """The noise that makes the run invalid, if ``invalid``."""
    refused: tuple[str, ...] = ()
    """Why the run cannot be compared with its baseline."""

    @classmethod
    def of(cls, stored: Mapping[str, object]) -> Judged:
        """Read the entry ``judgement`` of ``summary.json``; what is missing stays empty."""
        judgement = object_in(stored, "judgement")
        baseline = judgement.get("baseline")
        noise = objects_in(judgement, "noise")
        return cls(
            baseline=None if baseline is None else str(baseline),
            regressions=tuple(
                found
                for entry in objects_in(judgement, "regressions")
                if (found := _regression(entry)) is not None
            ),
            invalid=judgement.get("invalid") is True,
            caveats=tuple(_caveats(judgement)),
            noise=tuple(map(_noise, noise)),
            invalidating=tuple(_noise(one) for one in noise if one.get("invalidates") is True),
            refused=tuple(texts_in(judgement, "refused")) if baseline is not None else (),
        )

    def final(self, taken: Taken, gates: Iterable[Verdict]) -> Final:
        """Return the final verdict of the run, from its turns and the verdicts of its gates."""
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
    before, now = number_in(entry, "first"), number_in(entry, "second")
    return Regression(
        figure=figure.name,
        unit=figure.unit,
        before=before,
        now=now,
        allowed=number_in(entry, "allowed"),
        verdict=verdict,
        note=str(entry.get("note") or ""),
        change=_change(entry, figure.unit, before, now),
        around=_interval(object_in(entry, "interval")),
    )


def _change(
    entry: Mapping[str, object], unit: str, before: float | None, now: float | None
) -> float | None:
    """Return the stored change; older results have only the two figures."""
    stored = number_in(entry, "change" if unit == "share" else "change_share")
    if stored is not None or before is None or now is None:
        return stored
    if unit == "share":
        return now - before
    return (now - before) / abs(before) if before else None


def _interval(entry: Mapping[str, object]) -> Interval | None:
    if not entry:
        return None
    level = number_in(entry, "level")
    low, high = number_in(entry, "low"), number_in(entry, "high")
    return Interval(low, high) if level is None else Interval(low, high, level)


def _caveats(judgement: Mapping[str, object]) -> Iterator[Caveat]:
    for why in texts_in(judgement, "refused"):
        yield Caveat(
            f"not compared with the baseline, whose numbers mean other things: {why}", "grave"
        )
    for warning in texts_in(judgement, "warnings"):
        yield Caveat(warning, "doubtful")
    for noise in objects_in(judgement, "noise"):
        yield Caveat(_noise(noise), "grave" if noise.get("invalidates") is True else "mentioned")
    flags = objects_in(judgement, "flagged")
    for flag in flags[:MOST_FLAGS]:
        yield Caveat(f"audio: {_turn(flag)}: {flag.get('finding')}", "doubtful")
    if len(flags) > MOST_FLAGS:
        yield Caveat(f"audio: and {len(flags) - MOST_FLAGS} more", "doubtful")


def _noise(noise: Mapping[str, object]) -> str:
    remedy = noise.get("remedy")
    return f"{noise.get('finding')}; {remedy}" if remedy else str(noise.get("finding"))


def _turn(flag: Mapping[str, object]) -> str:
    """Return ``run 3``; older results have only the number of the turn."""
    return f"run {flag['run']}" if "run" in flag else f"turn {flag.get('turn')}"
