"""Recorded runs in the terminal: one run in full, or several side by side.

`voicebench run` and `voicebench report` print the same, since both print what was recorded: first
the verdict and the figures against their targets, then the other tables, the waterfall and the
caveats. The last lines are the instrument's own error, the run folder, and the verdict again,
since the end stays on the screen. Advice is printed separately (`print_advice`), so that it can go
to stderr and the results to stdout.

The console is passed in; it decides width, colour and encoding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from voicebench import format as form
from voicebench.judging.advice_sentences import Advice
from voicebench.judging.final import Final, Word
from voicebench.report.console.call_drawing import CallDrawing
from voicebench.report.console.call_table import is_of_calls
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
"""The largest width of all output: longer lines are hard to read."""
CAVEAT_STYLES = {"grave": BAD, "doubtful": NEAR, "mentioned": ""}


def print_runs(console: Console, runs: Sequence[RecordedRun]) -> None:
    """Print one run in full, or several side by side."""
    print_parts(console, _one(runs[0]) if len(runs) == 1 else _several(runs))


def print_short(console: Console, name: str, run: RecordedRun) -> None:
    """Print the verdict, the warnings, and the figures against their targets."""
    parts: list[RenderableType] = [_short_title(name, run)]
    if run.gate_results:
        parts.append(verdict_sheet(run.gate_results, run.summary))
    print_parts(console, parts)


def print_advice(console: Console, run: RecordedRun) -> None:
    """Print each finding in a run and its remedy; nothing if there is no advice."""
    if run.advice:
        listed = advice_list(run.advice, console.encoding)
        print_parts(console, [Group(Text(), heading("Advice")), listed])


def print_parts(console: Console, parts: Sequence[RenderableType]) -> None:
    """Print the parts of a report, not wider than people read well."""
    for part in parts:
        console.print(Printable(part), width=min(console.width, WIDEST), highlight=False)


def _one(run: RecordedRun) -> list[RenderableType]:
    sections: list[RenderableType] = [_title(run), *sheets_of(run)]
    if is_of_calls(run.digest):
        sections.append(CallDrawing(run.digest))
    elif run.summary.turns:
        sections.append(Waterfall(run.digest, first_audio_limit(run.gate_results)))
    if run.judged.caveats:
        lines = [Text(caveat.text, CAVEAT_STYLES[caveat.weight]) for caveat in run.judged.caveats]
        sections.append(Group(heading("Caveats"), *lines))
    sections.append(_closing(run))
    return [part for section in sections for part in (Text(), section)][1:]


def _several(runs: Sequence[RecordedRun]) -> list[RenderableType]:
    titles = [
        _short_title(form.one_line(name), run) for name, run in zip(names(runs), runs, strict=True)
    ]
    return [*titles, *(part for sheet in side_by_side(runs) for part in (Text(), sheet))]


def _short_title(name: str, run: RecordedRun) -> Text:
    title = Text.assemble((name, HEAD), "  ", _verdict(run.final), f"\n{first_audio_line(run)}")
    for warning in warnings_of(run):
        title.append(f"\n{warning}", BAD)
    return title


def _title(run: RecordedRun) -> Text:
    title = Text.assemble((run.path.name, HEAD), "  ", badge_text(run.final))
    title.append(f"\n{first_audio_line(run)}")
    machine = machine_line(run.environment)
    if machine:
        title.append(f"\n{machine}", QUIET)
    for note in head_notes(run):
        title.append(f"\n{note}", NEAR)
    return title


def _verdict(final: Final) -> Text:
    return verdict_text(final.word).append(f"  {final.why()}")


def badge_text(final: Final) -> Text:
    """Return a final verdict for a title: its sign and word, and why it has no better one."""
    word = final.word
    badge = Text(f" {VERDICT_SIGNS[word]} {word} ", f"bold reverse {VERDICT_STYLES[word]}")
    if final.obstacles or word is Word.NOT_JUDGED:
        badge.append(f" {final.why()}", f"not reverse not bold {VERDICT_STYLES[word]}")
    return badge


def machine_line(environment: Mapping[str, object]) -> str:
    """Return the machine and the version of a run in one line."""
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


def advice_list(advice: Sequence[Advice], encoding: str) -> Table:
    """Return each finding, and its remedy below it."""
    listed = Table.grid(padding=(0, 1, 0, 0))
    for item in advice:
        listed.add_row(Text("•", "yellow"), Text(item.finding))
        listed.add_row(Text(), widened(Text(f"→ {item.remedy}", QUIET), encoding))
    return listed
