"""The waterfall: turns drawn in the terminal on one time axis.

First, every turn is one line with the stages up to the first audio one after the other, to compare
turns at a glance. Then the fastest, the median and the slowest run have a line each for the
language model, the voice and the listener. Each kind of span has its own character, so no colour is
needed; `voicebench.report.console.style.Printable` replaces the characters that a terminal lacks.

A stall and a mark are at least one cell wide. A line that goes on past the axis ends in ``»``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from voicebench import format as form
from voicebench.figures.metrics import BY_NAME
from voicebench.judging.digest import Digest, MeasuredRun
from voicebench.report.console.style import BAD, GOOD, HEAD, QUIET, heading
from voicebench.report.lanes import (
    Kind,
    Lane,
    Span,
    heard_until_ms,
    lanes,
    path,
    start_ms,
    whole_ms,
)
from voicebench.report.runs import TurnLimit, keeps, phase_label, shortlist, shortlist_note
from voicebench.turn.timeline import Timeline

GLYPHS: dict[Kind, tuple[str, str]] = {
    Kind.PREFILL: ("░", "blue"),
    Kind.WRITING: ("▒", "blue"),
    Kind.TOKEN: ("▌", "blue"),
    Kind.WAIT: ("┄", "yellow"),
    Kind.SYNTHESIS: ("▓", "cyan"),
    Kind.ARRIVING: ("█", "cyan"),
    Kind.SILENCE: ("┈", "green"),
    Kind.PLAYING: ("━", "green"),
    Kind.STALL: ("╳", "bold red"),
    Kind.LLM_DONE: ("◇", "bold blue"),
    Kind.FIRST_AUDIO: ("▶", "bold green"),
    Kind.FIRST_SOUND: ("◆", "bold green"),
    Kind.FAILED: ("✗", "bold red"),
}
TARGET = ("│", "bold")
BEYOND = ("»", "bold")
GUTTER = 9
"""Columns left of the axis: the run, the lane's name."""
MARGIN = 10
"""Columns right of the axis: the first audio, the number of stalls."""
NARROWEST_AXIS = 16
LONGEST_AXIS = 4.0
"""The longest axis, in multiples of the median turn; slower turns go past its end."""
_TICK_GAP = 4


@dataclass(frozen=True, slots=True)
class Axis:
    """Time along the columns: from 0 to ``end_ms`` over ``columns`` cells."""

    end_ms: float
    columns: int

    def cell(self, at_ms: float) -> int:
        """Return the cell of a moment; ``columns`` or more is past the end."""
        return math.floor(at_ms / self.end_ms * self.columns)

    def cells(self, span: Span) -> range:
        """Return the cells of a span, at least one, cut at the end of the axis.

        A stall covers the speech that it interrupts, so its length is rounded. Any other span gets
        all cells that it touches; the next span covers its last one.
        """
        first = self.cell(span.start_ms)
        if span.kind is Kind.STALL:
            last = first + round((span.end_ms - span.start_ms) / self.end_ms * self.columns)
        else:
            last = math.ceil(span.end_ms / self.end_ms * self.columns)
        return range(first, min(max(last, first + 1), self.columns))


def fit_axis(needs_ms: Sequence[float], target_ms: float, columns: int) -> Axis:
    """Return an axis for turns of these lengths and for the target line."""
    typical = max(median(needs_ms), target_ms)
    longest = min(max(needs_ms), LONGEST_AXIS * typical)
    return Axis(max(longest, target_ms) * 1.05 or 1.0, columns)


@dataclass(frozen=True, slots=True)
class Waterfall:
    """All turns as one line each, and three of them in detail."""

    digest: Digest
    limit: TurnLimit

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the drawing in the width of the console."""
        columns = max(options.max_width - GUTTER - MARGIN, NARROWEST_AXIS)
        few = shortlist(self.digest)
        if not few:
            return
        yield heading("Waterfall, in ms from the end of the user's words")
        yield from self._overview(few, columns)
        if shortlist_note(self.digest):
            yield Text(shortlist_note(self.digest), QUIET)
        yield Text()
        yield from self._details(chosen_runs(self.digest), columns)
        kinds = {kind for run in few for kind in _kinds_shown(run.turn)}
        yield from legend(kinds, self.limit.ms, options.max_width)

    def _overview(self, runs: Sequence[MeasuredRun], columns: int) -> Iterable[Text]:
        axis = fit_axis([start_ms(run.turn) for run in runs], self.limit.ms, columns)
        yield _ruler(axis, "audio at")
        yield from self._apart(self.digest.before, axis)
        for run in runs:
            style = GOOD if keeps(run, self.limit) else BAD
            yield self._line(str(run.number), path(run.turn), axis).append_text(
                _margin(run.turn, style)
            )
        yield from self._apart(self.digest.after, axis)

    def _apart(self, turns: Sequence[Timeline], axis: Axis) -> Iterable[Text]:
        for turn in turns:
            line = self._line(phase_label(turn.phase), path(turn), axis)
            line.append_text(_margin(turn, ""))
            line.stylize(QUIET)
            yield line

    def _details(self, chosen: Sequence[tuple[str, MeasuredRun]], columns: int) -> Iterable[Text]:
        if not chosen:
            return
        needs = [whole_ms(run.turn) for _, run in chosen]
        axis = fit_axis(needs, self.limit.ms, columns)
        for why, run in chosen:
            yield Text.assemble((f"run {run.number}, {why}", HEAD), ("  " + in_figures(run), QUIET))
            yield _ruler(axis, "")
            for lane in lanes(run.turn):
                yield self._line(lane.name, lane, axis)
            yield Text()

    def _line(self, name: str, lane: Lane, axis: Axis) -> Text:
        line = Text(f"{name:>{GUTTER - 2}}  ", no_wrap=True)
        return line.append_text(paint(lane, axis, self.limit.ms))


def paint(lane: Lane, axis: Axis, target_ms: float) -> Text:
    """Return a lane as ``axis.columns`` cells; marks cover the target's line."""
    cells: list[tuple[str, str]] = [(" ", "")] * axis.columns
    beyond = False
    for span in lane.spans:
        beyond = beyond or span.end_ms > axis.end_ms
        for cell in axis.cells(span):
            cells[cell] = GLYPHS[span.kind]
    _put(cells, axis.cell(target_ms), TARGET)
    for mark in lane.marks:
        _put(cells, axis.cell(mark.at_ms), GLYPHS[mark.kind])
    if beyond:
        _put(cells, axis.columns - 1, BEYOND)
    return Text.assemble(*cells)


def chosen_runs(digest: Digest) -> list[tuple[str, MeasuredRun]]:
    """Return the fastest, the median and the slowest run by first audio, each only once."""
    names = ("the fastest", "the median", "the slowest")
    chosen: dict[int, tuple[str, MeasuredRun]] = {}
    for name, run in zip(names, digest.extremes(), strict=True):
        if run is not None:
            chosen.setdefault(run.number, (name, run))
    return list(chosen.values())


def in_figures(run: MeasuredRun) -> str:
    """Return the figures of a run in one line."""
    turn = run.turn
    stalls = [span for span in path(turn).spans if span.kind is Kind.STALL]
    parts = [f"first audio {form.quantity(run.first_audio_ms(), 'ms')}"]
    heard_until = heard_until_ms(turn)
    if heard_until is not None:
        parts.append(f"heard until {form.seconds(heard_until / 1000)}")
    if stalls:
        stalled = sum(stall.end_ms - stall.start_ms for stall in stalls)
        parts.append(f"{form.plural(len(stalls), 'stall')}, {form.quantity(stalled, 'ms')}")
    return " · ".join(parts)


def legend(kinds: Iterable[Kind], target_ms: float, width: int) -> Iterable[Text]:
    """Yield the meaning of each character, in lines of at most ``width``."""
    shown = set(kinds)
    entries = [(glyph, kind.value) for kind, glyph in GLYPHS.items() if kind in shown]
    entries.append((TARGET, f"target {form.limit(target_ms, 'ms')}"))
    entries.append((BEYOND, "goes on"))
    line = Text()
    for (glyph, style), meaning in entries:
        entry = Text.assemble((glyph, style), (f" {meaning}", QUIET))
        if line and line.cell_len + 3 + entry.cell_len > width:
            yield line
            line = Text()
        line.append("   " if line else "").append_text(entry)
    yield line


def _kinds_shown(turn: Timeline) -> set[Kind]:
    return path(turn).kinds().union(*(lane.kinds() for lane in lanes(turn)))


def _put(cells: list[tuple[str, str]], index: int, glyph: tuple[str, str]) -> None:
    if 0 <= index < len(cells):
        cells[index] = glyph


def _margin(turn: Timeline, style: str) -> Text:
    """Return a turn's first audio and its number of stalls."""
    if turn.failed:
        return Text(f"{'failed':>{MARGIN}}", BAD)
    margin = Text(f"{form.ms(BY_NAME['first_audio_ms'].of(turn)):>5}", style)
    stalls = BY_NAME["stall_count"].of(turn)
    if stalls:
        glyph, stall_style = GLYPHS[Kind.STALL]
        margin.append(f" {glyph}{form.number(stalls, 'count')}", stall_style)
    return margin


def _ruler(axis: Axis, margin_head: str) -> Text:
    """Return the numbers of the axis, each starting at its cell and none of them cut."""
    apart = len(f"{axis.end_ms:.0f}") + _TICK_GAP
    step = _round_step(axis.end_ms * apart / axis.columns)
    ruler = ""
    for tick in range(math.ceil(axis.end_ms / step)):
        longer = ruler.ljust(axis.cell(tick * step)) + f"{tick * step:g}"
        if len(longer) <= axis.columns:
            ruler = longer
    line = f"{'':{GUTTER}}{ruler:<{axis.columns}}  {margin_head}"
    return Text(line.rstrip(), QUIET, no_wrap=True)


def _round_step(least: float) -> float:
    """Return the smallest of 1, 2, 5, 10, 20, 50, … that is at least ``least``."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least * (1 - 1e-9))
