"""Recorded runs as people read them in the terminal: one told in full, several side by side.

`voicebench run` and `voicebench report` print the same, since both print what was recorded. The
verdict and the figures against their targets come first, then every run, the cold and idle turns
beside the measured ones, what the voice takes for a text, what servers say of themselves, the
distributions, the waterfall, and what is said of the machine, the audio and the baseline; last, the
instrument's own error, where the results lie, and the verdict once more, since the end is what is
left on the screen. Advice is printed by itself (`print_advice`), so that it can go to stderr beside
results on stdout.

The console is passed in and decides width, colour and encoding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from voicebench import format as form
from voicebench.judging.advice_sentences import Advice
from voicebench.judging.final import Final, Word
from voicebench.report.console.sheets import first_audio_line, names, sheets_of, side_by_side
from voicebench.report.console.style import (
    BAD,
    HEAD,
    NEAR,
    QUIET,
    VERDICT_SIGNS,
    VERDICT_STYLES,
    Printable,
    heading,
    widened,
)
from voicebench.report.console.verdicts import verdict_sheet, verdict_text
from voicebench.report.console.waterfall import Waterfall
from voicebench.report.head import head_notes, warnings_of
from voicebench.report.runs import first_audio_limit
from voicebench.results.reading import object_in
from voicebench.results.run import RecordedRun

WIDEST = 160
"""Nothing is drawn wider; longer lines are not read."""
CAVEAT_STYLES = {"grave": BAD, "doubtful": NEAR, "mentioned": ""}


def print_runs(console: Console, runs: Sequence[RecordedRun]) -> None:
    """Print one run in full, or several side by side, in the width that the console has."""
    width = min(console.width, WIDEST)
    for section in _one(runs[0]) if len(runs) == 1 else _several(runs):
        console.print(Printable(section), width=width, highlight=False)


def print_short(console: Console, name: str, run: RecordedRun) -> None:
    """Print the verdict, the figures against their targets, and what a reader has to know."""
    width = min(console.width, WIDEST)
    parts: list[RenderableType] = [_short_title(name, run)]
    if run.gate_results:
        parts.append(verdict_sheet(run.gate_results, run.summary))
    for part in parts:
        console.print(Printable(part), width=width, highlight=False)


def print_advice(console: Console, run: RecordedRun) -> None:
    """Print what is off in a run and its remedy; nothing where nothing is off."""
    advice = run.advice
    if advice:
        width = min(console.width, WIDEST)
        console.print(Printable(Group(Text(), heading("Advice"))), width=width)
        listed = _advice_list(advice, console.encoding)
        console.print(Printable(listed), width=width, highlight=False)


def _one(run: RecordedRun) -> list[RenderableType]:
    sections: list[RenderableType] = [_title(run), *sheets_of(run)]
    if run.summary.turns:
        sections.append(Waterfall(run.digest, first_audio_limit(run.gate_results)))
    if run.judged.caveats:
        lines = [Text(one.text, CAVEAT_STYLES[one.weight]) for one in run.judged.caveats]
        sections.append(Group(heading("Caveats"), *lines))
    sections.append(_closing(run))
    told = [sections[0]]
    for section in sections[1:]:
        told += [Text(), section]
    return told


def _several(runs: Sequence[RecordedRun]) -> list[RenderableType]:
    told: list[RenderableType] = []
    for name, run in zip(names(runs), runs, strict=True):
        told.append(_short_title(form.one_line(name), run))
    for sheet in side_by_side(runs):
        told += [Text(), sheet]
    return told


def _short_title(name: str, run: RecordedRun) -> Text:
    title = Text.assemble((name, HEAD), "  ", _verdict(run.final), f"\n{first_audio_line(run)}")
    for warning in warnings_of(run):
        title.append(f"\n{warning}", BAD)
    return title


def _title(run: RecordedRun) -> Text:
    title = Text.assemble((run.path.name, HEAD), "  ", _badge(run.final))
    title.append(f"\n{first_audio_line(run)}")
    machine = _machine(run.environment)
    if machine:
        title.append(f"\n{machine}", QUIET)
    for note in head_notes(run):
        title.append(f"\n{note}", NEAR)
    return title


def _verdict(final: Final) -> Text:
    return verdict_text(final.word).append(f"  {final.why()}")


def _badge(final: Final) -> Text:
    word = final.word
    badge = Text(f" {VERDICT_SIGNS[word]} {word} ", f"bold reverse {VERDICT_STYLES[word]}")
    if final.obstacles or word is Word.NOT_JUDGED:
        badge.append(f" {final.why()}", f"not reverse not bold {VERDICT_STYLES[word]}")
    return badge


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


def _closing(run: RecordedRun) -> Text:
    closing = Text()
    error = object_in(run.environment, "instrument")
    middle, tail, over = (error.get(key) for key in ("p50_ms", "p95_ms", "transport"))
    if isinstance(middle, int | float) and isinstance(tail, int | float):
        closing.append(
            f"instrument: recorded minus scripted is {middle:.2f} ms p50, {tail:.2f} ms p95 "
            f"({over})\n",
            QUIET,
        )
    closing.append(f"results: {run.path}\n", QUIET)
    return closing.append_text(_verdict(run.final))


def _advice_list(advice: Sequence[Advice], encoding: str) -> Table:
    listed = Table.grid(padding=(0, 1, 0, 0))
    for item in advice:
        listed.add_row(Text("•", "yellow"), Text(item.finding))
        listed.add_row(Text(), widened(Text(f"→ {item.remedy}", QUIET), encoding))
    return listed
