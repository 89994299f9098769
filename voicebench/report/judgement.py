"""What is said of a run beside its gates: the baseline, the machine's noise, the audio.

Told after the run's tables, and only where there is something to say.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from voicebench import format as form
from voicebench.judgement import Judgement
from voicebench.regression import RegressionResult
from voicebench.report.comparison_table import signed_interval
from voicebench.report.style import BAD, NEAR, QUIET, Column, Sheet, heading
from voicebench.report.verdicts import verdict_text

MOST_FLAGS = 10


def judgement_sections(judgement: Judgement) -> list[RenderableType]:
    """Return the regressions, what the machine did to the figures, and audio that is not right."""
    sections: list[RenderableType] = []
    if judgement.regressions:
        sections.append(regression_sheet(judgement.regressions, judgement.baseline or ""))
    lines = judgement_lines(judgement)
    if lines:
        sections.append(Group(heading("What to know of these figures"), *lines))
    return sections


def judgement_lines(judgement: Judgement) -> list[Text]:
    """Return noise, flagged turns and what speaks against the baseline, one line each."""
    lines = [
        Text(f"not compared with the baseline, whose numbers mean other things: {why}", BAD)
        for why in judgement.refused
    ]
    lines += [Text(warning, NEAR) for warning in judgement.warnings]
    lines += [Text(str(noise), BAD if noise.invalidates else "") for noise in judgement.noise]
    lines += [Text(f"audio: {flag}", NEAR) for flag in judgement.flags[:MOST_FLAGS]]
    if len(judgement.flags) > MOST_FLAGS:
        lines.append(Text(f"audio: and {len(judgement.flags) - MOST_FLAGS} more", NEAR))
    return lines


def regression_sheet(results: Sequence[RegressionResult], baseline: str) -> Sheet:
    """Return the table of the figures against the baseline's."""
    units = [result.compared.figure.unit for result in results]
    columns = [
        Column("figure", [Text(result.compared.figure.name) for result in results], "left"),
        Column(
            "baseline",
            [
                Text(form.number(result.compared.first, unit), QUIET)
                for result, unit in zip(results, units, strict=True)
            ],
        ),
        Column(
            "this\nrun",
            [
                Text(form.number(result.compared.second, unit), "bold")
                for result, unit in zip(results, units, strict=True)
            ],
        ),
        Column("change", [Text(_relative(result)) for result in results]),
        Column("interval of\nthe change", [Text(_interval(result)) for result in results], spare=1),
        Column(
            "allowed", [Text(form.limit(result.allowed, "share")) for result in results], spare=2
        ),
        Column("status", [verdict_text(result.verdict) for result in results], "left"),
        Column("", [Text(result.note, QUIET) for result in results], "left", spare=3, least=20),
    ]
    return Sheet("Against the baseline", columns, [Text(f"baseline: {baseline}", QUIET)])


def _relative(result: RegressionResult) -> str:
    share = result.compared.relative
    if result.compared.figure.unit == "share":
        difference = result.compared.difference
        share = difference.change if difference else None
    return form.NOTHING if share is None else f"{100 * share:+z.1f} %"


def _interval(result: RegressionResult) -> str:
    difference = result.compared.difference
    return signed_interval(difference.interval if difference else None, result.compared.figure.unit)
