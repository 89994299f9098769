"""What a run's own judgement said beside its gates, as ``summary.json`` keeps it.

The gates are judged anew from the turns. A comparison with a baseline, and what the machine did
meanwhile, cannot be: they are told as they were stored, and `Judged.of` reads them from whatever
lies in the file, so that an old result without them is simply one of which there is less to say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.text import Text

from voicebench import format as form
from voicebench.errors import UsageError
from voicebench.figures import parse_figure
from voicebench.gates import Verdict
from voicebench.report.style import QUIET, Column, Sheet
from voicebench.report.verdicts import verdict_text

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

    def told(self) -> str:
        """Return the figures in words."""
        change = ""
        if self.before is not None and self.now is not None:
            change = f" ({form.change(self.before, self.now)})"
        allowed = "" if self.allowed is None else f", {form.limit(self.allowed, 'share')} allowed"
        before, now = form.quantity(self.before, self.unit), form.quantity(self.now, self.unit)
        return f"{before} before, {now} now{change}{allowed}"


@dataclass(frozen=True, slots=True)
class Judged:
    """The stored judgement."""

    baseline: str | None = None
    regressions: tuple[Regression, ...] = ()
    invalid: bool = False
    lines: tuple[str, ...] = ()
    """Noise, flagged audio, and what speaks against the comparison."""

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
            lines=tuple(_lines(judgement)),
        )

    def sheet(self) -> Sheet | None:
        """Return the table of the comparison; None where there was none."""
        if not self.regressions:
            return None
        rows = self.regressions
        columns = [
            Column("figure", [Text(row.figure) for row in rows], "left"),
            Column("baseline", [Text(form.quantity(row.before, row.unit), QUIET) for row in rows]),
            Column("this\nrun", [Text(form.quantity(row.now, row.unit), "bold") for row in rows]),
            Column("change", [Text(_change(row)) for row in rows]),
            Column("allowed", [Text(_allowed(row)) for row in rows], spare=1),
            Column("status", [verdict_text(row.verdict) for row in rows], "left"),
            Column("", [Text(row.note, QUIET) for row in rows], "left", spare=3, least=20),
        ]
        notes = [Text(f"baseline: {self.baseline}", QUIET)] if self.baseline else []
        return Sheet("Against the baseline", columns, notes)


def _regression(entry: Mapping[str, object]) -> Regression | None:
    try:
        figure = parse_figure(str(entry.get("figure")))
        verdict = Verdict(str(entry.get("verdict")))
    except (UsageError, ValueError):
        return None
    return Regression(
        figure=figure.name,
        unit=figure.unit,
        before=_number(entry.get("first")),
        now=_number(entry.get("second")),
        allowed=_number(entry.get("allowed")),
        verdict=verdict,
        note=str(entry.get("note") or ""),
    )


def _lines(judgement: Mapping[str, object]) -> list[str]:
    lines = [
        f"not compared with the baseline, whose numbers mean other things: {why}"
        for why in _texts(judgement.get("refused"))
    ]
    lines += _texts(judgement.get("warnings"))
    for noise in _entries(judgement.get("noise")):
        remedy = noise.get("remedy")
        lines.append(f"{noise.get('finding')}; {remedy}" if remedy else str(noise.get("finding")))
    flags = _entries(judgement.get("flagged"))
    lines += [f"audio: {_turn(flag)}: {flag.get('finding')}" for flag in flags[:MOST_FLAGS]]
    if len(flags) > MOST_FLAGS:
        lines.append(f"audio: and {len(flags) - MOST_FLAGS} more")
    return lines


def _turn(flag: Mapping[str, object]) -> str:
    """Return ``run 3``; results from before the runs' numbers have the turn's."""
    return f"run {flag['run']}" if "run" in flag else f"turn {flag.get('turn')}"


def _change(row: Regression) -> str:
    if row.before is None or row.now is None:
        return form.NOTHING
    return form.change(row.before, row.now)


def _allowed(row: Regression) -> str:
    return form.NOTHING if row.allowed is None else form.limit(row.allowed, "share")


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _entries(value: object) -> Sequence[Mapping[str, object]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _texts(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else []
