"""The trade-off of a sweep: how early sound comes, against how steadily and in what pieces.

One row a candidate. First audio is what a listener waits for; gapless start and the deficit say
whether it lasts; the words of the chunks are what the voice can make a melody of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from rich.text import Text

from voicebench import format as form
from voicebench.report.style import GOOD, QUIET, Column, Sheet
from voicebench.timeline import Timeline


@dataclass(frozen=True, slots=True)
class Row:
    """One candidate: medians over its measured turns."""

    label: str
    turns: int
    first_audio_ms: float | None
    gapless_start_ms: float | None
    deficit_ms: float | None
    first_chunk_words: float | None
    later_chunk_words: float | None
    is_best: bool = False

    def as_dict(self) -> dict[str, object]:
        """Return the entry of ``tune --json``."""
        return {
            "candidate": self.label,
            "turns": self.turns,
            "first_audio_ms": self.first_audio_ms,
            "gapless_start_ms": self.gapless_start_ms,
            "worst_deficit_ms": self.deficit_ms,
            "first_chunk_words": self.first_chunk_words,
            "later_chunk_words": self.later_chunk_words,
            "best": self.is_best,
        }


def chunk_words(turns: Sequence[Timeline]) -> tuple[float | None, float | None]:
    """Return the median words of the first chunks and of the later ones of measured turns."""
    measured = [turn for turn in turns if turn.phase == "measured" and turn.chunks]
    first = [len(turn.chunks[0].text.split()) for turn in measured]
    later = [len(chunk.text.split()) for turn in measured for chunk in turn.chunks[1:]]
    return (median(first) if first else None), (median(later) if later else None)


BEST = (
    "best: the longest chunks, which sound most like speech, of those not shown to be later than "
    "the earliest whose audio keeps up"
)


def tuning_sheet(rows: Sequence[Row], title: str) -> Sheet:
    """Return the table."""
    columns = [
        Column("candidate", [_text(row, row.label) for row in rows], "left"),
        Column("turns", [Text(str(row.turns), QUIET) for row in rows], spare=3),
        Column("first\naudio", [_text(row, form.ms(row.first_audio_ms)) for row in rows]),
        Column("gapless\nstart", [_text(row, form.ms(row.gapless_start_ms)) for row in rows]),
        Column("worst\ndeficit", [_text(row, form.ms(row.deficit_ms)) for row in rows], spare=1),
        Column("words in\nfirst chunk", [_words(row.first_chunk_words) for row in rows]),
        Column("in later\nones", [_words(row.later_chunk_words) for row in rows], spare=2),
        Column("", [Text("best", f"bold {GOOD}") if row.is_best else Text() for row in rows]),
    ]
    notes = [Text("medians, in ms", QUIET)]
    if any(row.is_best for row in rows):
        notes.append(Text(BEST, QUIET))
    return Sheet(title, columns, notes)


def _text(row: Row, text: str) -> Text:
    return Text(text, "bold" if row.is_best else "")


def _words(words: float | None) -> Text:
    return Text(form.number(words, "count"))
