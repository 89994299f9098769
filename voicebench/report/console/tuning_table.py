"""The table of a sweep: earliness against steadiness and the length of the chunks.

One row a candidate. First audio is the time that a listener waits, with its interval. Gapless start
and the deficit say whether the audio then goes on without a stall. Longer chunks give the voice a
better melody. The last column compares the candidate with the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.text import Text

from voicebench import format as form
from voicebench.figures.intervals import Interval
from voicebench.judging.best_setting import GAPLESS, CandidateStanding, Choice
from voicebench.judging.digest import Chunks
from voicebench.report.console.style import BAD, GOOD, NEAR, QUIET, UNSURE, Column, Sheet


@dataclass(frozen=True, slots=True)
class TradeOffRow:
    """One candidate: medians over its measured turns."""

    label: str
    turns: int
    failed: int
    first_audio_ms: float | None
    first_audio_around: Interval | None
    """The interval of first audio."""
    gapless_start_ms: float | None
    deficit_ms: float | None
    first_chunk_words: float | None
    later_chunk_words: float | None
    standing: str
    noise: tuple[str, ...] = ()

    @property
    def is_best(self) -> bool:
        """Whether it was chosen."""
        return self.standing == CandidateStanding.BEST

    def as_dict(self) -> dict[str, object]:
        """Return the entry of ``tune --json``."""
        around = self.first_audio_around
        return {
            "candidate": self.label,
            "turns": self.turns,
            "failed": self.failed,
            "first_audio_ms": self.first_audio_ms,
            "first_audio_interval": around.as_dict() if around else None,
            "gapless_start_ms": self.gapless_start_ms,
            "worst_deficit_ms": self.deficit_ms,
            "first_chunk_words": self.first_chunk_words,
            "later_chunk_words": self.later_chunk_words,
            "standing": str(self.standing),
            "best": self.is_best,
            "noise": list(self.noise),
        }


def chunk_words(chunks: Chunks) -> tuple[float | None, float | None]:
    """Return the median words of the first chunks and of the later ones."""
    first, later = (chunks["words"][chunks["is_first"] == is_first] for is_first in (True, False))
    return _median(first), _median(later)


def _median(words: NDArray[np.int64]) -> float | None:
    return float(np.median(words)) if words.size else None


def choice_line(
    choice: Choice,
    rows: Sequence[TradeOffRow],
    *,
    invalid: bool = False,
    interrupted: str | None = None,
) -> str:
    """Return the chosen candidate and the rule, or the reason why none was chosen.

    ``interrupted`` says after how many turns the user interrupted the sweep.
    """
    if interrupted:
        return (
            f"interrupted after {interrupted}: the candidates answered different prompts, "
            "so none is chosen"
        )
    if invalid:
        return "INVALID: the machine was too noisy for a choice; measure again"
    if choice.best is not None:
        label = rows[choice.best].label
        if len(rows) == 1:
            return f"{label}: the only candidate"
        by = "gapless start, since all starve" if choice.figure == GAPLESS else "first audio"
        return f"{label}: the longest chunks of those that are as early as the others (by {by})"
    if choice.turns_needed is None:
        return "no candidate is chosen: all have failed turns"
    about = "at least" if choice.at_least else "about"
    needed = form.plural(choice.turns_needed, "turn")
    return f"too few turns to choose: {about} {needed} of each candidate would decide (--runs)"


def tuning_sheet(rows: Sequence[TradeOffRow], title: str, line: str) -> Sheet:
    """Return the table; ``line`` is the result of `choice_line`."""
    columns = [
        Column("candidate", [_text(row, row.label) for row in rows], "left"),
        Column("turns", [Text(_turns(row), QUIET) for row in rows], spare=4),
        Column("first\naudio", [_text(row, form.ms(row.first_audio_ms)) for row in rows]),
        Column("95 %\ninterval", [_interval(row) for row in rows], spare=2),
        Column("gapless\nstart", [_text(row, form.ms(row.gapless_start_ms)) for row in rows]),
        Column("worst\ndeficit", [_text(row, form.ms(row.deficit_ms)) for row in rows], spare=1),
        Column("words in\nfirst chunk", [_words(row.first_chunk_words) for row in rows], spare=3),
        Column("in later\nones", [_words(row.later_chunk_words) for row in rows], spare=3),
        Column("", [Text(row.standing, _STYLES.get(row.standing, "")) for row in rows], "left"),
    ]
    chosen = any(row.is_best for row in rows)
    notes = [Text("medians, in ms", QUIET), Text(line, "bold" if chosen else f"bold {UNSURE}")]
    notes += [
        Text(f"{', '.join(row.label for row in rows if text in row.noise)}: {text}", NEAR)
        for text in dict.fromkeys(text for row in rows for text in row.noise)
    ]
    return Sheet(title, columns, notes)


_STYLES = {
    str(CandidateStanding.BEST): f"bold {GOOD}",
    str(CandidateStanding.IN_DOUBT): UNSURE,
    str(CandidateStanding.STARVES): BAD,
    str(CandidateStanding.FAILED_TURNS): BAD,
    str(CandidateStanding.NOT_MEASURED): UNSURE,
}


def _turns(row: TradeOffRow) -> str:
    return f"{row.turns}, {row.failed} failed" if row.failed else str(row.turns)


def _interval(row: TradeOffRow) -> Text:
    around = row.first_audio_around
    if around is None or not around.is_closed:
        return Text("open" if around else form.NOTHING, QUIET)
    return Text(f"{form.ms(around.low)}–{form.ms(around.high)}", QUIET)


def _text(row: TradeOffRow, text: str) -> Text:
    return Text(text, "bold" if row.is_best else "")


def _words(words: float | None) -> Text:
    return Text(form.number(words, "count"))
