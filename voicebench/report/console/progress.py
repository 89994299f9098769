"""Shows the progress of a run: a row for each finished turn, and one line for the present state.

Drawing during a turn costs processor time that the turn may need, so it is kept to a minimum. An
event only sets a variable, in well under a microsecond. A thread reads it four times a second and
writes the line without Rich, only if it changed. Rich draws the rows, between two turns. The thread
that emits the events does not write, because a paused terminal (Ctrl-S) blocks the writing thread,
and would delay tokens. ``benchmarks/progress_cost.py`` measures the remaining cost.

If the console is not a terminal, each finished turn gets one plain line, and nothing else fills the
log. With ``quiet`` nothing is shown.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from voicebench import format as form
from voicebench.events import (
    AudioChunk,
    Event,
    Phase,
    Reply,
    TextChunk,
    Token,
    TurnFailed,
    TurnFinished,
    TurnStarted,
)
from voicebench.figures.metrics import BY_NAME
from voicebench.report.console.style import BAD, QUIET, Printable, spell
from voicebench.report.runs import phase_label
from voicebench.turn.timeline import Timeline

REFRESH_S = 0.25
"""How often the line may change while a turn runs."""

BETWEEN = "between two turns"
STAGES: dict[type[Event], tuple[int, str]] = {
    TurnStarted: (0, "waiting for the first token"),
    Token: (1, "writing"),
    Reply: (1, "writing"),
    TextChunk: (2, "waiting for the first audio"),
    AudioChunk: (3, "speaking"),
    TurnFinished: (4, BETWEEN),
    TurnFailed: (4, BETWEEN),
}
"""The stage after each event, with its rank: tokens that come while the voice speaks do not lead
back to ``writing``."""

COLUMNS = (
    ("LLM first token", "llm_ttft_ms"),
    ("LLM complete", "llm_total_ms"),
    ("TTS first byte", "tts_ttfb_ms"),
    ("first audio", "first_audio_ms"),
    ("first sound", "first_sound_ms"),
)
SHORT_COLUMNS = COLUMNS[3:]
"""For narrow terminals."""
_RUN_WIDTH = 8


class Planned(Protocol):
    """A planned turn."""

    @property
    def phase(self) -> Phase:
        """Its phase."""
        ...


class Progress:
    """Shows the progress of a run; a context manager.

    ``console`` is usually stderr's. ``clock`` returns seconds and is only used for the time left.
    """

    def __init__(
        self,
        console: Console,
        *,
        quiet: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console = console
        self._quiet = quiet
        self._clock = clock
        self._live = console.is_interactive and not quiet
        self._stage: tuple[int, str] = (0, "")
        self._done = 0
        self._runs = 0
        self._total = 0
        self._measured = 0
        self._began_s = self._last_done_s = clock()
        self._line = ""
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        wide = console.width >= _RUN_WIDTH + sum(len(head) + 2 for head, _ in COLUMNS)
        self._columns = COLUMNS if wide else SHORT_COLUMNS

    def __enter__(self) -> Progress:
        """Begin to show progress."""
        if self._live:
            self._thread = threading.Thread(
                target=self._keep_drawing, name="voicebench-progress", daemon=True
            )
            self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        """Remove the line and stop."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        with self._lock:
            self._erase()

    def say(self, line: str) -> None:
        """Show a step outside the turns, such as loading a model."""
        if self._live:
            self._stage = (0, form.one_line(line))
            self.draw()
        elif not self._quiet:
            self._print(Text(form.one_line(line), QUIET))

    def planned(self, turns: Sequence[Planned]) -> None:
        """Set the planned turns, and print the heads of the rows."""
        self._total = len(turns)
        self._measured = sum(turn.phase == "measured" for turn in turns)
        self._began_s = self._last_done_s = self._clock()
        self._stage = STAGES[TurnFinished]
        if self._live:
            heads = "".join(f"  {head}" for head, _ in self._columns)
            self._print(Text(f"{'run':>{_RUN_WIDTH}}{heads}  (ms)", QUIET))

    def event(self, _at_ns: int, event: Event) -> None:
        """Note an event of the present turn, at almost no cost."""
        stage = STAGES.get(type(event))
        if stage is not None and (stage[0] == 0 or stage[0] > self._stage[0]):
            self._stage = stage

    def turn_done(self, turn: Timeline) -> None:
        """Show a finished turn. Called between two turns."""
        self._done += 1
        self._last_done_s = self._clock()
        self._runs += turn.phase == "measured"
        self._stage = STAGES[TurnFinished]
        if self._quiet:
            return
        self._print(self._row(turn) if self._live else self._plain_line(turn))

    def line(self) -> str:
        """Return the line for the present state: the run, its stage, the time left."""
        parts = [self._stage[1]]
        if self._total and self._done >= self._total:
            return "judging"
        if self._total:
            parts.insert(0, self._position())
            left_s = self.time_left_s()
            if left_s is not None:
                parts.append(f"{_duration(left_s)} left")
        return " · ".join(part for part in parts if part)

    def time_left_s(self) -> float | None:
        """Return an estimate of the seconds left; None until two turns are finished."""
        if self._done < 2 or self._done >= self._total:
            return None
        each_s = (self._last_done_s - self._began_s) / self._done
        already_s = self._clock() - self._last_done_s
        return max(each_s * (self._total - self._done) - already_s, 0.0)

    def draw(self) -> None:
        """Write the line if it changed."""
        if not self._live:
            return
        width = self._console.width - 1
        text = set_cell_size(spell(self.line(), self._console.encoding), width).rstrip()
        with self._lock:
            if text != self._line:
                covering = max(cell_len(text), cell_len(self._line))
                self._write("\r" + set_cell_size(text, covering))
                self._line = text

    def _keep_drawing(self) -> None:
        while not self._stop.wait(REFRESH_S):
            try:
                self.draw()
            except OSError:
                return  # the terminal is gone; the run goes on

    def _position(self) -> str:
        if self._done < self._total - self._measured:
            return f"warm-up {self._done + 1}/{self._total - self._measured}"
        return f"run {min(self._runs + 1, self._measured)}/{self._measured}"

    def _row(self, turn: Timeline) -> Text:
        measured = turn.phase == "measured"
        label = str(self._runs) if measured else phase_label(turn.phase)
        row = Text(f"{label:>{_RUN_WIDTH}}", "" if measured else QUIET, no_wrap=True)
        for head, name in self._columns:
            row.append(f"  {form.ms(BY_NAME[name].of(turn)):>{len(head)}}")
        if turn.failure is not None:
            row.append(f"  failed: {form.one_line(turn.failure.reason)}", BAD)
        return row

    def _plain_line(self, turn: Timeline) -> Text:
        if turn.phase == "measured":
            label = f"run {self._runs}/{self._measured}" if self._measured else f"run {self._runs}"
        else:
            label = phase_label(turn.phase)
        if turn.failure is not None:
            return Text(f"{label}: failed: {form.one_line(turn.failure.reason)}")
        audio = form.quantity(BY_NAME["first_audio_ms"].of(turn), "ms")
        sound = form.quantity(BY_NAME["first_sound_ms"].of(turn), "ms")
        return Text(f"{label}: first audio {audio}, first sound {sound}")

    def _print(self, text: Text) -> None:
        with self._lock:
            self._erase()
            if self._live:
                text.truncate(self._console.width, overflow="ellipsis")
            self._console.print(Printable(text), highlight=False, soft_wrap=True)

    def _erase(self) -> None:
        if self._line:
            self._write("\r" + " " * cell_len(self._line) + "\r")
            self._line = ""

    def _write(self, text: str) -> None:
        self._console.file.write(text)
        self._console.file.flush()


def _duration(seconds: float) -> str:
    """Return a rough duration: whole seconds, or minutes from two on."""
    if seconds < 120:
        return f"{math.ceil(seconds)} s"
    return f"{math.ceil(seconds / 60)} min"
