"""Calls drawn in the terminal: the waits for each answer, and a call with both its tracks.

A wait is one line: its stages from the caller's last sample to the agent's first. The line at
208 ms is the silence that people leave between two turns. Below, a call is drawn in bands of time:
how loud each side is, where both speak at once, and the moments that were measured.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from voicebench import format as form
from voicebench.judging.digest import Digest
from voicebench.report.call_picture import (
    AUDIBLE_LEVEL,
    HUMAN_GAP_MS,
    LEVEL_STEP_MS,
    CallPicture,
    CallWait,
    call_pictures,
)
from voicebench.report.console.style import HEAD, QUIET, heading

STAGES = {
    "end of turn": ("░", "yellow"),
    "transcript": ("▒", "blue"),
    "reply text": ("▓", "magenta"),
    "voice": ("█", "cyan"),
}
LEVELS = " ▁▂▃▄▅▆▇█"
MARKS = {
    "interruption": ("↯", "bold yellow"),
    "noise": ("~", "bold yellow"),
    "stop": ("■", "bold green"),
    "answer": ("◆", "bold green"),
    "cut in": ("✗", "bold red"),
}
BOTH = ("╳", "red")
HUMAN = ("│", "bold")
GUTTER = 9
MARGIN = 8
NARROWEST = 16
CELL_MS = 200.0
MOST_WAITS = 40
LONGEST_AXIS = 4.0


@dataclass(frozen=True, slots=True)
class CallDrawing:
    """The waits of a run's calls, and its worst call."""

    digest: Digest

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the drawing in the width of the console."""
        pictures = call_pictures(self.digest, most=1_000_000)
        if not pictures:
            return
        width = options.max_width
        columns = max(width - GUTTER - MARGIN, NARROWEST)
        waits = sorted((wait for one in pictures for wait in one.waits), key=lambda one: one.run)
        if waits:
            yield heading("Waits, in ms from the caller's last sample to the agent's first")
            yield from _waits(waits[:MOST_WAITS], columns, width)
            yield Text()
        yield from _call(pictures[0], columns, width)


def _waits(waits: Sequence[CallWait], columns: int, width: int) -> Iterable[Text]:
    longest = max(*(wait.response_ms for wait in waits), HUMAN_GAP_MS)
    middle = sorted(wait.response_ms for wait in waits)[len(waits) // 2]
    end_ms = 1.05 * min(longest, LONGEST_AXIS * max(middle, HUMAN_GAP_MS))
    for wait in waits:
        cells = [(" ", "")] * columns
        for name, start, stop in wait.stages:
            first = max(0, math.floor(start / end_ms * columns))
            last = min(columns, math.ceil(stop / end_ms * columns))
            cells[first:last] = [STAGES[name]] * max(0, last - first)
        _put(cells, math.floor(HUMAN_GAP_MS / end_ms * columns), HUMAN)
        style = "red" if wait.response_ms < 0 else ""
        figure = Text(f"{form.ms(wait.response_ms):>{MARGIN - 1}}", style)
        yield (
            Text(f"{wait.run:>{GUTTER - 2}}  ", no_wrap=True)
            .append_text(Text.assemble(*cells))
            .append_text(figure)
        )
    shown = {name for wait in waits for name, _, _ in wait.stages}
    entries = [(glyph, name) for name, glyph in STAGES.items() if name in shown]
    human = f"people leave {HUMAN_GAP_MS:.0f} ms (Stivers et al. 2009)"
    yield from _legend([*entries, (HUMAN, human)], width)


def _call(picture: CallPicture, columns: int, width: int) -> Iterable[Text]:
    length = form.seconds(picture.length_ms / 1000)
    yield Text.assemble((f"call {picture.call}", HEAD), (f"  {length}, in seconds", QUIET))
    per_band = columns * CELL_MS
    for band in range(max(1, math.ceil(picture.length_ms / per_band))):
        start_ms = band * per_band
        count = min(columns, math.ceil((picture.length_ms - start_ms) / CELL_MS))
        yield _ruler(start_ms, count)
        caller, agent = (
            [_loudest(track, start_ms + cell * CELL_MS) for cell in range(count)]
            for track in (picture.caller, picture.agent)
        )
        yield _track("caller", caller, "cyan")
        marks = [(" ", "")] * count
        for cell, (one, other) in enumerate(zip(caller, agent, strict=True)):
            if min(one, other) >= AUDIBLE_LEVEL:
                marks[cell] = BOTH
        for mark in picture.marks:
            _put(marks, math.floor((mark.at_ms - start_ms) / CELL_MS), MARKS[mark.kind])
        yield Text(" " * GUTTER, no_wrap=True).append_text(Text.assemble(*marks))
        yield _track("agent", agent, "green")
    kinds = {mark.kind for mark in picture.marks}
    words = {"answer": "answer", "stop": "the agent stopped"}
    entries = [(glyph, words.get(kind, kind)) for kind, glyph in MARKS.items() if kind in kinds]
    yield from _legend([*entries, (BOTH, "both speak")], width)


def _track(name: str, levels: Sequence[int], style: str) -> Text:
    signs = []
    for level in levels:
        # From -50 dB of full scale to -10 dB.
        height = (level - 30) / 40 * (len(LEVELS) - 1)
        signs.append(LEVELS[max(0, min(len(LEVELS) - 1, round(height)))])
    return Text.assemble((f"{name:>{GUTTER - 2}}  ", ""), ("".join(signs), style), no_wrap=True)


def _loudest(track: Sequence[int], at_ms: float) -> int:
    first = round(at_ms / LEVEL_STEP_MS)
    return max(track[first : first + round(CELL_MS / LEVEL_STEP_MS)], default=0)


def _ruler(start_ms: float, count: int) -> Text:
    ruler = ""
    for cell in range(0, count, 10):
        ruler = ruler.ljust(cell) + f"{(start_ms + cell * CELL_MS) / 1000:g}"
    return Text(f"{'':{GUTTER}}{ruler}", QUIET, no_wrap=True)


def _legend(entries: Iterable[tuple[tuple[str, str], str]], width: int) -> Iterable[Text]:
    """Yield the meaning of each character, in lines of at most ``width``."""
    line = Text()
    for (glyph, style), meaning in entries:
        entry = Text.assemble((glyph, style), (f" {meaning}", QUIET))
        if line and line.cell_len + 3 + entry.cell_len > width:
            yield line
            line = Text()
        line.append("   " if line else "").append_text(entry)
    yield line


def _put(cells: list[tuple[str, str]], index: int, glyph: tuple[str, str]) -> None:
    if 0 <= index < len(cells):
        cells[index] = glyph
