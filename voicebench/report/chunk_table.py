"""How long the voice takes for a text, by its length.

Each text chunk that was handed to the synthesizer in a measured turn counts: *first byte* is from
its hand-over to its first samples, *total* to its last. First chunks stand apart from later ones,
since a later chunk shares the machine with the language model. Chunks of one length share a row and
show their medians; many lengths are gathered in bands, each twice as wide as the one before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from rich.text import Text

from voicebench import format as form
from voicebench.metrics import NS_PER_MS, audio_by_chunk
from voicebench.report.style import QUIET, Column, Sheet
from voicebench.timeline import Timeline

MOST_ROWS = 8
"""Up to so many lengths get a row of their own."""
NARROWEST_BAND = 8
"""The shortest band of lengths is 1 to 8 characters; the next 9 to 16, then 17 to 32."""


@dataclass(frozen=True, slots=True)
class SpokenChunk:
    """One text chunk and what the synthesizer took for it."""

    first: bool
    characters: int
    first_byte_ms: float
    total_ms: float
    audio_s: float


@dataclass(frozen=True, slots=True)
class _Band:
    first: bool
    chunks: tuple[SpokenChunk, ...]

    def lengths(self) -> str:
        shortest = min(chunk.characters for chunk in self.chunks)
        longest = max(chunk.characters for chunk in self.chunks)
        return str(shortest) if shortest == longest else f"{shortest}–{longest}"

    def first_byte_ms(self) -> float:
        return median(chunk.first_byte_ms for chunk in self.chunks)

    def total_ms(self) -> float:
        return median(chunk.total_ms for chunk in self.chunks)

    def audio_s(self) -> float:
        return median(chunk.audio_s for chunk in self.chunks)

    def speed(self) -> float | None:
        busy_s = sum(chunk.total_ms for chunk in self.chunks) / 1000
        return sum(chunk.audio_s for chunk in self.chunks) / busy_s if busy_s > 0 else None


def spoken_chunks(turns: Iterable[Timeline]) -> list[SpokenChunk]:
    """Return every text chunk of the measured turns that brought audio, in order."""
    spoken = []
    for turn in turns:
        if turn.phase != "measured" or turn.failed or turn.sound is None:
            continue
        pairs = zip(turn.chunks, audio_by_chunk(turn), strict=True)
        for index, (chunk, (handed_ns, audio)) in enumerate(pairs):
            if audio:
                spoken.append(
                    SpokenChunk(
                        first=index == 0,
                        characters=len(chunk.text.strip()),
                        first_byte_ms=(audio[0].at_ns - handed_ns) / NS_PER_MS,
                        total_ms=(audio[-1].at_ns - handed_ns) / NS_PER_MS,
                        audio_s=sum(part.samples for part in audio) / turn.sound.sample_rate,
                    )
                )
    return spoken


def chunk_sheet(turns: Iterable[Timeline]) -> Sheet | None:
    """Return the table; None where no text chunk can be seen."""
    chunks = spoken_chunks(turns)
    if not chunks:
        return None
    bands = _bands(chunks)
    notes = []
    if len(bands) < len(chunks):
        notes.append(Text("medians over the chunks of each row", QUIET))
    columns = [
        Column("text chunk", [Text("first" if band.first else "later") for band in bands], "left"),
        Column("characters", [Text(band.lengths()) for band in bands]),
        Column("chunks", [Text(str(len(band.chunks)), QUIET) for band in bands], spare=3),
        Column("first byte", [Text(f"{form.ms(band.first_byte_ms())} ms") for band in bands]),
        Column("total", [Text(f"{form.ms(band.total_ms())} ms") for band in bands], spare=1),
        Column("audio", [Text(form.seconds(band.audio_s())) for band in bands], spare=2),
        Column("speed", [Text(form.times(band.speed())) for band in bands], spare=4),
    ]
    return Sheet("TTS first byte by text length", columns, notes)


def length_rows(turns: Iterable[Timeline]) -> list[tuple[str, float, float, int]]:
    """Return for each length its characters, the median first byte and total, and its chunks."""
    return [
        (band.lengths(), band.first_byte_ms(), band.total_ms(), len(band.chunks))
        for band in _bands(spoken_chunks(turns))
    ]


def _bands(chunks: Sequence[SpokenChunk]) -> list[_Band]:
    """Gather the chunks by their lengths, by bands of lengths where there are many."""
    exact = {(chunk.first, chunk.characters) for chunk in chunks}
    gathered: dict[tuple[bool, int], list[SpokenChunk]] = {}
    for chunk in chunks:
        length = chunk.characters if len(exact) <= MOST_ROWS else _band_of(chunk.characters)
        gathered.setdefault((not chunk.first, length), []).append(chunk)
    return [_Band(not later, tuple(found)) for (later, _), found in sorted(gathered.items())]


def _band_of(characters: int) -> int:
    """Return the number of the band that a length falls in: 0 for 1–8, 1 for 9–16, 2 for 17–32."""
    return ((max(characters, 1) - 1) // NARROWEST_BAND).bit_length()
