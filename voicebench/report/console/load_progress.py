"""Shows the levels of a run under load while it goes on: one row a level, the last one "so far".

On a terminal it is a table that is drawn again after each block of a level, about every 30 seconds,
so it costs the client nothing. In a pipe each level gets one plain line when it ends. A quiet
console shows nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from voicebench import format as form
from voicebench.load.level import LevelJudgement
from voicebench.load.level_document import offered
from voicebench.report.console.level_table import level_sheet
from voicebench.report.console.style import QUIET, Printable

MOST_ROWS = 20
"""Earlier levels are summed up in a line, so that the table fits a screen."""


class LoadProgress:
    """Follows the levels of a run; a context manager. ``console`` is usually stderr's."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._levels: list[Mapping[str, object]] = []
        self._present: dict[str, object] | None = None
        self._since_s = 0.0
        self._live: Live | None = None
        if console.is_interactive and not console.quiet:
            self._live = Live(console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> LoadProgress:
        """Begin to show progress."""
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        """Remove the table: the report of the run has it again."""
        if self._live is not None:
            self._live.stop()

    def began(self, level: Mapping[str, object]) -> None:
        """Show a level that begins."""
        self._present = {**level, "interrupted": True}
        self._since_s = 0.0
        self._draw()

    def looked(self, judgement: LevelJudgement, at_s: float) -> None:
        """Show the judgement so far of the present level."""
        if self._present is None:
            return
        self._since_s = at_s
        self._present |= {
            "turns": {"measured": judgement.turns},
            "rates": judgement.rates,
            "in_flight": judgement.in_flight,
        }
        self._draw()

    def ended(self, level: Mapping[str, object]) -> None:
        """Show a level that has ended."""
        self._levels.append(level)
        self._present = None
        if self._live is None:
            standing = level.get("standing") or "so far"
            line = f"level {level['level']} ({level['purpose']}), {offered(level)}: {standing}"
            self._console.print(Printable(Text(line)), highlight=False, soft_wrap=True)
        self._draw()

    def shown(self) -> Group:
        """Return the table of the levels so far, and what goes on."""
        rows = [*self._levels, *([] if self._present is None else [self._present])]
        parts: list[RenderableType] = []
        if len(rows) > MOST_ROWS:
            parts.append(Text(f"{len(rows) - MOST_ROWS} earlier levels are not shown", QUIET))
        parts.append(level_sheet(rows[-MOST_ROWS:], "Levels so far"))
        if self._present is not None:
            since = form.quantity(self._since_s, "s")
            parts.append(Text(f"level {self._present['level']}: {since} held", QUIET))
        return Group(*map(Printable, parts))

    def _draw(self) -> None:
        if self._live is not None:
            self._live.update(self.shown(), refresh=True)
