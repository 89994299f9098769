"""The table of how long the voice takes for a text, by its length.

It counts each text chunk of the measured turns: *first byte* is the time from its hand-over to its
first samples, *total* to its last. First chunks have rows of their own, since a later chunk shares
the machine with the language model. A row has the medians of the chunks of one length; many lengths
are grouped in bands, each twice as wide as the one before.
"""

from __future__ import annotations

import numpy as np
from rich.text import Text

from voicebench import format as form
from voicebench.judging.digest import Chunks
from voicebench.report.console.style import QUIET, Column, Sheet

MOST_ROWS = 8
"""If there are more lengths, they are grouped in bands."""
NARROWEST_BAND = 8
"""The shortest band of lengths is 1 to 8 characters; the next 9 to 16, then 17 to 32."""


def chunk_sheet(chunks: Chunks) -> Sheet | None:
    """Return the table; None if no spoken text chunk can be seen."""
    rows = _by_length(chunks)
    if not rows:
        return None
    notes = []
    if any(row.size > 1 for row in rows):
        notes.append(Text("medians over the chunks of each row", QUIET))
    columns = [
        Column(
            "text chunk", [Text("first" if row["is_first"][0] else "later") for row in rows], "left"
        ),
        Column("characters", [Text(_lengths(row)) for row in rows]),
        Column("chunks", [Text(str(row.size), QUIET) for row in rows], spare=3),
        Column("first byte", [_ms(row, "first_byte_ms") for row in rows]),
        Column("total", [_ms(row, "total_ms") for row in rows], spare=1),
        Column("audio", [Text(form.seconds(_median(row, "audio_s"))) for row in rows], spare=2),
        Column("speed", [Text(form.times(_speed(row))) for row in rows], spare=4),
    ]
    return Sheet("TTS first byte by text length", columns, notes, folds=True)


def length_rows(chunks: Chunks) -> list[tuple[str, float, float, int]]:
    """Return for each length its characters, the median first byte and total, and its chunks."""
    return [
        (_lengths(row), _median(row, "first_byte_ms"), _median(row, "total_ms"), row.size)
        for row in _by_length(chunks)
    ]


def _by_length(chunks: Chunks) -> list[Chunks]:
    """Group the spoken chunks by their length, or by bands of lengths if there are many."""
    spoken = chunks[~np.isnan(chunks["first_byte_ms"])]
    keys = np.stack([~spoken["is_first"], spoken["characters"]], axis=1).astype(np.int64)
    if len(np.unique(keys, axis=0)) > MOST_ROWS:
        keys[:, 1] = [_band_of(int(characters)) for characters in spoken["characters"]]
    return [spoken[(keys == key).all(axis=1)] for key in np.unique(keys, axis=0)]


def _band_of(characters: int) -> int:
    """Return the number of a length's band: 0 for 1–8 characters, 1 for 9–16, 2 for 17–32."""
    return ((max(characters, 1) - 1) // NARROWEST_BAND).bit_length()


def _lengths(row: Chunks) -> str:
    shortest, longest = row["characters"].min(), row["characters"].max()
    return str(shortest) if shortest == longest else f"{shortest}–{longest}"


def _median(row: Chunks, field: str) -> float:
    return float(np.median(row[field]))


def _ms(row: Chunks, field: str) -> Text:
    return Text(form.quantity(_median(row, field), "ms"))


def _speed(row: Chunks) -> float | None:
    busy_s = float(row["total_ms"].sum()) / 1000
    return float(row["audio_s"].sum()) / busy_s if busy_s > 0 else None
