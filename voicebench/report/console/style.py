"""The look of everything in the terminal: a few colours, sheets that fit, characters that print.

Colours are the terminal's own eight, so a person's light or dark palette decides how they look;
each stands beside a word or a character that says the same, for terminals and people that see no
colour. Nothing is drawn in white or black, which one of the two palettes would swallow.

A `Sheet` is a table that knows which of its columns can be missed, and leaves them out, saying so,
where the terminal is narrow. `Printable` keeps a terminal or pipe whose encoding lacks a character
from failing on it: each such character is replaced by a plain one of the same width. Where one sign
alone would say something else (``<`` for ``≤``), two stand for it, and sheets make room for them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from voicebench.judging.final import Word
from voicebench.quoting import neutral

QUIET = "dim"
GOOD = "green"
NEAR = "yellow"
BAD = "red"
UNSURE = "magenta"
HEAD = "bold"

VERDICT_STYLES: Mapping[str, str] = {
    Word.PASS: GOOD,
    Word.CLOSE: NEAR,
    Word.FAIL: BAD,
    Word.NOT_SHOWN: UNSURE,
    Word.UNDECIDED: UNSURE,
    Word.NOT_MEASURED: UNSURE,
    Word.INVALID: BAD,
    Word.NOTHING_MEASURED: BAD,
    Word.INTERRUPTED: UNSURE,
    Word.NOT_KEPT: BAD,
    Word.NOT_JUDGED: QUIET,
}
"""The colour of each word that a run, or a gate of it, is called by."""
VERDICT_SIGNS: Mapping[str, str] = {
    Word.PASS: "✓",
    Word.CLOSE: "≈",
    Word.FAIL: "✗",
    Word.NOT_SHOWN: "?",
    Word.UNDECIDED: "?",
    Word.NOT_MEASURED: "?",
    Word.INVALID: "!",
    Word.NOTHING_MEASURED: "✗",
    Word.INTERRUPTED: "!",
    Word.NOT_KEPT: "!",
    Word.NOT_JUDGED: "–",
}

GAP = 2
"""Spaces between two columns of a sheet."""

SQUEEZED = 8
"""No column of text gets narrower than this."""

PLAIN = {
    "–": "-",
    "—": "-",
    "─": "-",
    "×": "x",
    "≈": "~",
    "✓": "+",
    "✗": "!",
    "…": "~",
    "·": "-",
    "•": "*",
    "“": '"',
    "”": '"',
    "‘": "'",
    "’": "'",
    "\N{NO-BREAK SPACE}": " ",
    "░": ".",
    "▒": "-",
    "▓": ":",
    "█": "#",
    "▌": "+",
    "┄": "~",
    "┈": "_",
    "━": "=",
    "╳": "X",
    "▶": ">",
    "◆": "*",
    "◇": "o",
    "│": "|",
    "»": "}",
}
"""What stands for a character where it cannot be printed; `?` for all others."""

WIDER = {"≥": ">=", "≤": "<=", "→": "->"}
"""Characters that no single plain one stands for: ``<`` would change the limit ``≤ 5 %``."""


@dataclass(frozen=True, slots=True)
class Printable:
    """Draws ``content`` in the characters that the console's encoding has."""

    content: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the content's segments, each character replaced that cannot be printed."""
        # Rich would fall back to heavy ASCII frames; what is drawn here is translated instead.
        drawn = options.copy()
        drawn.encoding = "utf-8"
        content = self.content
        if isinstance(content, Text):
            content = widened(content, options.encoding)
        for segment in console.render(content, drawn):
            if segment.control:
                yield segment
            else:
                # Last of all, so that no cell of any table can bring what a terminal obeys.
                yield Segment(spell(neutral(segment.text), options.encoding), segment.style)


def spell(text: str, encoding: str) -> str:
    """Return ``text`` in characters that ``encoding`` has, as wide as before but for `WIDER`."""
    if _fits(text, encoding):
        return text
    plain = PLAIN | WIDER
    return "".join(
        character if _fits(character, encoding) else plain.get(character, "?" * cell_len(character))
        for character in text
    )


def widened(text: Text, encoding: str) -> Text:
    """Return ``text`` with the signs of `WIDER` spelled out where ``encoding`` lacks them.

    What is laid out afterwards has room for them.
    """
    for sign, plain in WIDER.items():
        if sign in text.plain and not _fits(sign, encoding):
            text = Text(plain, text.style).join(text.split(sign, allow_blank=True))
    return text


def _fits(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a sheet: its head, its cells, and how much it would be missed.

    ``spare`` is 0 for a column that always stays; of the others the highest goes first.
    ``least`` is set for a column of text that may be squeezed to that width, and further only where
    leaving out every spare column was not enough.
    """

    head: str
    cells: Sequence[Text]
    justify: Literal["left", "right"] = "right"
    spare: int = 0
    least: int | None = None
    extra: bool = False
    """Leaving it out is not worth a word."""

    def natural(self) -> int:
        """Return the width at which nothing is squeezed."""
        head = max(cell_len(line) for line in self.head.split("\n"))
        return max([head, *(cell.cell_len for cell in self.cells)])

    def spelled(self, encoding: str) -> Column:
        """Return the column with the signs of `WIDER` spelled out where ``encoding`` lacks them."""
        cells = [widened(cell, encoding) for cell in self.cells]
        return replace(self, head=widened(Text(self.head), encoding).plain, cells=cells)

    def smallest(self) -> int:
        """Return the width that the column cannot do with less than."""
        if self.least is None:
            return self.natural()
        head = max(cell_len(line) for line in self.head.split("\n"))
        return max(head, min(self.natural(), self.least))


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table of columns, with a title above and notes below."""

    title: str
    columns: Sequence[Column]
    notes: Sequence[Text] = ()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the table in the columns that the width has room for."""
        # Not the options' encoding: `Printable` draws as if every character could be printed.
        columns = [column.spelled(console.encoding) for column in self.columns]
        shown = fitting(columns, options.max_width)
        left_out = [column.head for column in columns if not (column in shown or column.extra)]
        yield heading(self.title)
        yield _draw(shown, options.max_width)
        notes = [widened(note, console.encoding) for note in self.notes]
        if left_out:
            names = ", ".join(head.replace("\n", " ") for head in left_out)
            notes.append(Text(f"hidden (terminal too narrow): {names}", QUIET))
        yield Group(*notes)


def heading(title: str) -> Text:
    """Return a section's title."""
    return Text(title, HEAD)


def fitting(columns: Sequence[Column], width: int) -> list[Column]:
    """Return the columns that fit in ``width``, leaving out first what is missed least."""
    shown = list(columns)
    while _total(shown) > width and any(column.spare for column in shown):
        shown.remove(max(shown, key=lambda column: column.spare))
    return shown


def _total(columns: Sequence[Column]) -> int:
    return sum(column.smallest() for column in columns) + GAP * (len(columns) - 1)


def _widths(columns: Sequence[Column], width: int) -> list[int]:
    """Hand ``width`` out: first what every column needs, then the rest from the left."""
    widths = [column.smallest() for column in columns]
    room = width - _total(columns)
    for index, column in enumerate(columns):
        if room >= 0:
            change = min(column.natural() - widths[index], room)
        elif column.least is not None:
            change = -min(-room, max(widths[index] - SQUEEZED, 0))
        else:
            change = 0
        widths[index] += change
        room -= change
    return widths


def _draw(columns: Sequence[Column], width: int) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, GAP - 1, 0, 0),
        header_style=QUIET,
        border_style=QUIET,
    )
    for column, given in zip(columns, _widths(columns, width), strict=True):
        table.add_column(
            Text(column.head),
            width=given,
            justify=column.justify,
            vertical="top",
            no_wrap=True,
            overflow="ellipsis",
        )
    for cells in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*cells)
    return table
