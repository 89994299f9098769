"""A run as people read it in the terminal, told in order.

The verdict and the figures against their targets come first, then every run, the cold and idle
turns beside the measured ones, what the voice takes for a text, what servers say of themselves, the
distributions, the waterfall, and what is said of the machine, the audio and the baseline; last, the
instrument's own error, where the results lie, and the verdict once more, since the end is what is
left on the screen. Advice is printed by itself (`print_advice`), so that it can go to stderr beside
results on stdout.

The console is passed in and decides width, colour and encoding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from voicebench import format as form
from voicebench.advice import Advice, advise
from voicebench.final import Final, Word
from voicebench.gates import GateResult
from voicebench.judgement import Judgement
from voicebench.report.chunk_table import chunk_sheet
from voicebench.report.distribution_table import distribution_sheet
from voicebench.report.head import notes_on
from voicebench.report.judgement import judgement_sections
from voicebench.report.phase_table import phase_sheet
from voicebench.report.run_table import run_sheet
from voicebench.report.runs import first_audio_limit
from voicebench.report.server_table import server_sheet
from voicebench.report.style import (
    HEAD,
    NEAR,
    QUIET,
    VERDICT_SIGNS,
    VERDICT_STYLES,
    Printable,
    heading,
    widened,
)
from voicebench.report.verdicts import verdict_sheet, verdict_text
from voicebench.report.waterfall import Waterfall
from voicebench.summary import Summary
from voicebench.timeline import Timeline

WIDEST = 160
"""Nothing is drawn wider; longer lines are not read."""


class Instrument(Protocol):
    """The instrument's own error, recorded minus scripted."""

    @property
    def transport(self) -> str:
        """Through which transport the script was played."""
        ...

    @property
    def p50_ms(self) -> float:
        """The median error."""
        ...

    @property
    def p95_ms(self) -> float:
        """The 95th percentile of the errors."""
        ...


class Outcome(Protocol):
    """What a run brought, as far as it is told here."""

    @property
    def folder(self) -> Path:
        """Where the results lie."""
        ...

    @property
    def turns(self) -> Sequence[Timeline]:
        """Every turn, of all phases, in order."""
        ...

    @property
    def summary(self) -> Summary:
        """The distributions of the measured turns."""
        ...

    @property
    def gate_results(self) -> Sequence[GateResult]:
        """What the gates say."""
        ...

    @property
    def environment(self) -> Mapping[str, object]:
        """The machine and the software; see `voicebench.environment`."""
        ...

    @property
    def previous(self) -> Summary | None:
        """The summary of the run of the same name before this one."""
        ...

    @property
    def instrument(self) -> Instrument:
        """The instrument's own error."""
        ...

    @property
    def judgement(self) -> Judgement:
        """What is said of the run beside its gates."""
        ...

    @property
    def final(self) -> Final:
        """The final verdict."""
        ...


def print_run(console: Console, outcome: Outcome) -> None:
    """Print the results of a run."""
    width = min(console.width, WIDEST)
    for section in _sections(outcome):
        console.print(Printable(section), width=width, highlight=False)


def print_advice(console: Console, outcome: Outcome) -> None:
    """Print what is off in a run and its remedy; nothing where nothing is off."""
    advice = advise(outcome.turns, outcome.summary, outcome.gate_results, outcome.environment)
    if advice:
        width = min(console.width, WIDEST)
        console.print(Printable(Group(Text(), heading("Advice"))), width=width)
        listed = _advice_list(advice, console.encoding)
        console.print(Printable(listed), width=width, highlight=False)


def _sections(outcome: Outcome) -> list[RenderableType]:
    limit = first_audio_limit(outcome.gate_results)
    sections: list[RenderableType | None] = [
        _title(outcome),
        verdict_sheet(outcome.gate_results, outcome.summary, outcome.previous)
        if outcome.gate_results
        else None,
        run_sheet(outcome.turns, limit),
        phase_sheet(outcome.turns, outcome.summary),
        chunk_sheet(outcome.turns),
        server_sheet(outcome.summary),
        distribution_sheet(outcome.summary),
        Waterfall(outcome.turns, limit) if outcome.summary.turns else None,
        *judgement_sections(outcome.judgement),
        _closing(outcome),
    ]
    told: list[RenderableType] = []
    for section in sections:
        if section is not None:
            told += [Text(), section] if told else [section]
    return told


def _title(outcome: Outcome) -> Text:
    title = Text.assemble((outcome.folder.name, HEAD), "  ", _badge(outcome))
    title.append(f"\n{_first_audio(outcome.summary)}")
    machine = _machine(outcome.environment)
    if machine:
        title.append(f"\n{machine}", QUIET)
    for note in notes_on(outcome.environment):
        title.append(f"\n{note}", NEAR)
    if outcome.final.word is Word.INTERRUPTED:
        title.append(f"\n{outcome.final.obstacles[0].told()}: the figures cover these", NEAR)
    return title


def _badge(outcome: Outcome) -> Text:
    word = outcome.final.word
    badge = Text(f" {VERDICT_SIGNS[word]} {word} ", f"bold reverse {VERDICT_STYLES[word]}")
    if outcome.final.obstacles or word is Word.NOT_JUDGED:
        badge.append(f" {outcome.final.why()}", f"not reverse not bold {VERDICT_STYLES[word]}")
    return badge


def _first_audio(summary: Summary) -> str:
    """Return the run in a line: turns, failures, first audio."""
    counts = f"{form.plural(summary.turns, 'measured turn')}, {summary.failed} failed"
    found = summary.metrics["first_audio_ms"]
    if not found.values:
        return counts
    middle, _ = found.quantile(50)
    tail, carried = found.quantile(95)
    named = "p95" if carried else f"max of {len(found.values)}"
    return (
        f"{counts} · first audio {form.quantity(middle, 'ms')} p50, "
        f"{form.quantity(tail, 'ms')} {named}"
    )


def _machine(environment: Mapping[str, object]) -> str:
    cores, load = environment.get("cores"), environment.get("load_1min")
    parts = [
        str(environment["cpu"]) if environment.get("cpu") else "",
        form.plural(cores, "core") if isinstance(cores, int) else "",
        f"load {load:.1f}" if isinstance(load, int | float) else "",
        f"voicebench {environment['voicebench']}" if environment.get("voicebench") else "",
        f"commit {environment['commit']}" if environment.get("commit") else "",
    ]
    return form.one_line(" · ".join(part for part in parts if part))


def _closing(outcome: Outcome) -> Text:
    error = outcome.instrument
    closing = Text()
    closing.append(
        f"instrument: recorded minus scripted is {error.p50_ms:.2f} ms p50, "
        f"{error.p95_ms:.2f} ms p95 ({error.transport})\nresults: {outcome.folder}",
        QUIET,
    )
    closing.append("\n").append_text(verdict_text(outcome.final.word))
    closing.append(f"  {outcome.final.why()}")
    return closing


def _advice_list(advice: Sequence[Advice], encoding: str) -> Table:
    listed = Table.grid(padding=(0, 1, 0, 0))
    for item in advice:
        listed.add_row(Text("•", "yellow"), Text(item.finding))
        listed.add_row(Text(), widened(Text(f"→ {item.remedy}", QUIET), encoding))
    return listed
