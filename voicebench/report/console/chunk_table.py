"""How long the voice takes for a text, by its length.

Each text chunk that was handed to the synthesizer in a measured turn counts: *first byte* is from
its hand-over to its first samples, *total* to its last. First chunks stand apart from later ones,
since a later chunk shares the machine with the language model. Chunks of one length share a row and
show their medians; many lengths are gathered in bands, each twice as wide as the one before.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from rich.text import Text

from voicebench import format as form
from voicebench.judging.digest import Chunks
from voicebench.report.console.style import QUIET, Column, Sheet

MOST_ROWS = 8
"""Up to so many lengths get a row of their own."""
NARROWEST_BAND = 8
"""The shortest band of lengths is 1 to 8 characters; the next 9 to 16, then 17 to 32."""


@dataclass(frozen=True, slots=True, eq=False)
class _Band:
    """The chunks of one row."""

    is_first: bool
    chunks: Chunks

    def lengths(self) -> str:
        shortest, longest = self.chunks.characters.min(), self.chunks.characters.max()
        return str(shortest) if shortest == longest else f"{shortest}–{longest}"

    def count(self) -> int:
        return int(self.chunks.characters.size)

    def first_byte_ms(self) -> float:
        return float(np.median(self.chunks.first_byte_ms))

    def total_ms(self) -> float:
        return float(np.median(self.chunks.total_ms))

    def audio_s(self) -> float:
        return float(np.median(self.chunks.audio_s))

    def speed(self) -> float | None:
        busy_s = float(self.chunks.total_ms.sum()) / 1000
        return float(self.chunks.audio_s.sum()) / busy_s if busy_s > 0 else None


def chunk_sheet(chunks: Chunks) -> Sheet | None:
    """Return the table; None where no text chunk that was spoken can be seen."""
    bands = _bands(chunks)
    if not bands:
        return None
    notes = []
    if any(band.count() > 1 for band in bands):
        notes.append(Text("medians over the chunks of each row", QUIET))
    columns = [
        Column(
            "text chunk", [Text("first" if band.is_first else "later") for band in bands], "left"
        ),
        Column("characters", [Text(band.lengths()) for band in bands]),
        Column("chunks", [Text(str(band.count()), QUIET) for band in bands], spare=3),
        Column("first byte", [Text(f"{form.ms(band.first_byte_ms())} ms") for band in bands]),
        Column("total", [Text(f"{form.ms(band.total_ms())} ms") for band in bands], spare=1),
        Column("audio", [Text(form.seconds(band.audio_s())) for band in bands], spare=2),
        Column("speed", [Text(form.times(band.speed())) for band in bands], spare=4),
    ]
    return Sheet("TTS first byte by text length", columns, notes)


def length_rows(chunks: Chunks) -> list[tuple[str, float, float, int]]:
    """Return for each length its characters, the median first byte and total, and its chunks."""
    return [
        (band.lengths(), band.first_byte_ms(), band.total_ms(), band.count())
        for band in _bands(chunks)
    ]


def _bands(chunks: Chunks) -> list[_Band]:
    """Gather the spoken chunks by their lengths, by bands of lengths where there are many."""
    spoken = chunks.where(~np.isnan(chunks.first_byte_ms))
    keys = np.stack([~spoken.is_first, spoken.characters], axis=1).astype(np.int64)
    if len(np.unique(keys, axis=0)) > MOST_ROWS:
        keys[:, 1] = [_band_of(int(characters)) for characters in spoken.characters]
    return [
        _Band(not later, spoken.where((keys[:, 0] == later) & (keys[:, 1] == length)))
        for later, length in np.unique(keys, axis=0).tolist()
    ]


def _band_of(characters: int) -> int:
    """Return the number of the band that a length falls in: 0 for 1–8, 1 for 9–16, 2 for 17–32."""
    return ((max(characters, 1) - 1) // NARROWEST_BAND).bit_length()
