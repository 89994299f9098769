"""The parts that all pages are made of: the head of a run, an answer, a section."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rich.text import Text

from voicebench.judging.final import Word
from voicebench.report.console.style import VERDICT_STYLES, Column, Sheet
from voicebench.report.html.charts import Spec

CLASSES = {
    "green": "good",
    "red": "bad",
    "yellow": "near",
    "magenta": "unsure",
    "dim": "quiet",
    "bold": "strong",
}
"""The class in the page's style sheet for each of the terminal's styles."""


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page, such as a history: tables, and charts as Vega-Lite."""

    title: str
    sheets: Sequence[Sheet] = ()
    charts: Sequence[tuple[str, str, Spec]] = ()
    """Each chart has a title, and words that say the same."""
    intro: str = ""


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a run that is shown in sections: its verdict, its line and its notes."""

    name: str
    verdict: str
    word: Word
    line: str
    folder: str
    environment: Mapping[str, object] = field(default_factory=dict)
    settings: Mapping[str, object] = field(default_factory=dict)
    warnings: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class PageAnswer:
    """A question that readers come with, answered at the top of the page."""

    question: str
    word: str
    """The answer in a few words."""
    style: str = ""
    """The colour of the word, as a style of the terminal."""
    because: Sequence[str] = ()
    """What it stands on, one sentence each."""
    anchor: str = ""
    """The part of the page that says more; empty if none does."""
    more: str = ""
    """The name of the link to it."""

    @property
    def css(self) -> str:
        """The classes of the word."""
        return classes_of(self.style)


def classes_of(style: object) -> str:
    """Return the classes in the page's style sheet for a style of the terminal."""
    return " ".join(CLASSES[part] for part in str(style).split() if part in CLASSES)


def cell_classes(column: Column, most_spare: int | None, cell: Text | None = None) -> str:
    """Return the classes of a cell; a phone hides columns above ``most_spare``."""
    found = ["number" if column.justify == "right" else "text"]
    if most_spare is not None and column.spare > most_spare:
        found.append("wide")
    return " ".join(filter(None, [*found, "" if cell is None else classes_of(cell.style)]))


def verdict_class(word: Word) -> str:
    """Return the class of a verdict."""
    return classes_of(VERDICT_STYLES[word])
