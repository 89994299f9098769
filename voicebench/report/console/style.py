"""The style of all terminal output: colours, tables that fit, characters that can be printed.

The colours are the terminal's own eight, so they fit a light and a dark palette. White and black
are not used: one of the palettes would hide them. A word or a character beside each colour says the
same, for terminals without colours and people who cannot see them.

A `Sheet` is a table that hides its least important columns in a narrow terminal, and says so.
`Printable` replaces each character that the encoding lacks by a plain one of the same width. If a
single plain character would change the meaning (``<`` for ``≤``), two are used, and sheets make
room for them.
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

_LOOKS = {
    Word.PASS: ("✓", GOOD),
    Word.CLOSE: ("≈", NEAR),
    Word.FAIL: ("✗", BAD),
    Word.NOT_SHOWN: ("?", UNSURE),
    Word.UNDECIDED: ("?", UNSURE),
    Word.NOT_MEASURED: ("?", UNSURE),
    Word.INVALID: ("!", BAD),
    Word.NOTHING_MEASURED: ("✗", BAD),
    Word.INTERRUPTED: ("!", UNSURE),
    Word.NOT_KEPT: ("!", BAD),
    Word.NOT_JUDGED: ("–", QUIET),
}
VERDICT_SIGNS: Mapping[str, str] = {word: sign for word, (sign, _) in _LOOKS.items()}
"""The sign of each verdict on a run or a gate."""
VERDICT_STYLES: Mapping[str, str] = {word: style for word, (_, style) in _LOOKS.items()}
"""The colour of each verdict on a run or a gate."""

GAP = 2
"""Spaces between two columns of a sheet."""

SQUEEZED = 8
"""No column of text becomes narrower."""

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
"""The replacement of each character that cannot be printed; ``?`` for all others."""

WIDER = {"≥": ">=", "≤": "<=", "→": "->"}
"""Characters that need two plain ones: ``<`` would change the limit ``≤ 5 %``."""


@dataclass(frozen=True, slots=True)
class Printable:
    """Draws ``content`` with characters that the console's encoding has."""

    content: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the segments of the content, without characters that cannot be printed."""
        # In ASCII, Rich would draw heavy frames; instead, light ones are drawn and then replaced.
        drawn = options.copy()
        drawn.encoding = "utf-8"
        content = self.content
        if isinstance(content, Text):
            content = widened(content, options.encoding)
        for segment in console.render(content, drawn):
            if segment.control:
                yield segment
            else:
                # The last step, so that no cell can send control characters to the terminal.
                yield Segment(spell(neutral(segment.text), options.encoding), segment.style)


def spell(text: str, encoding: str) -> str:
    """Return ``text`` in characters of ``encoding``; only those of `WIDER` change the width."""
    if can_print(text, encoding):
        return text
    plain = PLAIN | WIDER
    return "".join(
        character
        if can_print(character, encoding)
        else plain.get(character, "?" * cell_len(character))
        for character in text
    )


def widened(text: Text, encoding: str) -> Text:
    """Return ``text`` with the characters of `WIDER` replaced if ``encoding`` lacks them.

    This is done before the layout, which then makes room for them.
    """
    for sign, plain in WIDER.items():
        if sign in text.plain and not can_print(sign, encoding):
            text = Text(plain, text.style).join(text.split(sign, allow_blank=True))
    return text


def can_print(text: str, encoding: str) -> bool:
    """Return whether ``encoding`` has every character of ``text``."""
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a sheet.

    ``spare`` is 0 for a column that is always shown; of the others, the highest is hidden first.
    ``least`` is the width to which a column of text may be cut. It is cut further only if hiding
    every spare column was not enough.
    """

    head: str
    cells: Sequence[Text]
    justify: Literal["left", "right"] = "right"
    spare: int = 0
    least: int | None = None
    extra: bool = False
    """Whether the column is hidden without a note."""

    def natural(self) -> int:
        """Return the width at which nothing is cut."""
        head = max(cell_len(line) for line in self.head.split("\n"))
        return max([head, *(cell.cell_len for cell in self.cells)])

    def spelled(self, encoding: str) -> Column:
        """Return the column with the characters of `WIDER` replaced if ``encoding`` lacks them."""
        cells = [widened(cell, encoding) for cell in self.cells]
        return replace(self, head=widened(Text(self.head), encoding).plain, cells=cells)

    def smallest(self) -> int:
        """Return the smallest width before spare columns are hidden."""
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
    folds: bool = False
    """Whether a short report shows the table only on a click."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the table with the columns that fit."""
        # The encoding of the console: `Printable` sets that of the options to UTF-8.
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
    """Return the columns that fit in ``width``, without the sparest ones."""
    shown = list(columns)
    while _total(shown) > width and any(column.spare for column in shown):
        shown.remove(max(shown, key=lambda column: column.spare))
    return shown


def _total(columns: Sequence[Column]) -> int:
    return sum(column.smallest() for column in columns) + GAP * (len(columns) - 1)


def _widths(columns: Sequence[Column], width: int) -> list[int]:
    """Divide ``width``: first the smallest width of each column, then the rest from the left."""
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
