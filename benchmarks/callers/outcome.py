"""Figures of each level, how many callers a side carries, and the promise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from benchmarks.callers.calls import Turn
from benchmarks.callers.consumed import Reading
from benchmarks.callers.sides import OURS, PEER
from benchmarks.promised import word_for
from voicebench.figures.summary import percentile

FIRST_AUDIO_MS = 300.0
WITHOUT_GAP = 0.99
FAILED = 0.01
TIMES = 4.0
LEAST_TURNS = 20
"""Fewer turns cannot carry a p95; the largest value stands for it."""


@dataclass(frozen=True, slots=True)
class Level:
    """What one side did with one number of callers."""

    side: str
    callers: int
    turns: tuple[Turn, ...]
    consumed: Reading

    @property
    def first_audio(self) -> list[float]:
        """First audio of the turns that had some, in milliseconds from the moment they were due."""
        return [one.first_audio_ms for one in self.turns if one.first_audio_ms is not None]

    @property
    def failed(self) -> int:
        """How many turns failed."""
        return sum(one.failure is not None for one in self.turns)

    @property
    def with_gap(self) -> int:
        """In how many turns playback had a gap."""
        return sum(one.gaps > 0 for one in self.turns)

    @property
    def p95_ms(self) -> float | None:
        """p95 of first audio; the largest of fewer turns than can carry a p95."""
        if not self.first_audio:
            return None
        return percentile(self.first_audio, 95 if len(self.first_audio) >= LEAST_TURNS else 100)

    @property
    def is_carried(self) -> bool:
        """Whether every caller was answered in time and heard no gap."""
        count = len(self.turns)
        return (
            self.p95_ms is not None
            and self.p95_ms < FIRST_AUDIO_MS
            and self.with_gap <= (1 - WITHOUT_GAP) * count
            and self.failed <= FAILED * count
        )

    def per_turn(self, consumed: float | None) -> float | None:
        """Return a share of what was consumed for each turn that succeeded."""
        count = len(self.turns) - self.failed
        return consumed / count if consumed is not None and count else None


def carried(levels: Sequence[Level], side: str) -> int:
    """Return the highest number of callers up to which the side carries every level; 0 for none."""
    most = 0
    for level in sorted((one for one in levels if one.side == side), key=lambda one: one.callers):
        if not level.is_carried:
            break
        most = level.callers
    return most


def promise(levels: Sequence[Level]) -> tuple[str, bool | None]:
    """Return how many times as many callers are carried as by the peer, and whether that is enough.

    None if one of the sides was not measured. If the peer carries not even one caller, it is
    counted as one: the ratio is at least that large.
    """
    sides = {level.side for level in levels}
    if sides != {OURS, PEER}:
        return "not measured", None
    ours, peer = carried(levels, OURS), carried(levels, PEER)
    measured = max(level.callers for level in levels)
    least = "at least " if ours == measured or (ours and not peer) else ""
    ratio = ours / max(peer, 1)
    text = f"{ours} against {peer} callers: {least}{ratio:g} ×"
    return text, ratio >= TIMES


def markdown(levels: Sequence[Level], about: str) -> str:
    """Return the table of all levels, and the promise."""
    columns = [
        *("callers", "side", "turns", "`first_audio` p50 / p95, ms", "of it late, p95, ms"),
        "turns with a gap",
        *("mean gap, ms", "failed", "processor, s a turn", "a second of speech", "carried"),
    ]
    energy = any(level.consumed.energy_j is not None for level in levels)
    if energy:
        columns.insert(-1, "energy, J a turn")
    rows = [_row(level, energy=energy) for level in levels]
    lines = [columns, ["---:", "---", *["---:"] * (len(columns) - 2)], *rows]
    text, held = promise(levels)
    word = word_for(held)
    notes = [
        about,
        "\n".join("| " + " | ".join(cells) + " |" for cells in lines),
        f"**At least {TIMES:g} × as many callers at p95 < {FIRST_AUDIO_MS:g} ms without a gap:** "
        f"{text}. {word[0].upper()}{word[1:]}.",
    ]
    notes.append(
        "*Late* is how much later than due a turn was started: callers and servers share the "
        "cores, so busy servers delay the callers too."
    )
    if not energy:
        notes.append("This machine does not show the energy that its processor uses.")
    return "\n\n".join(notes)


def _row(level: Level, *, energy: bool) -> list[str]:
    good = [turn for turn in level.turns if turn.failure is None]
    speech_s = sum(turn.audio_s for turn in good)
    p50 = percentile(level.first_audio, 50) if level.first_audio else None
    processor = level.per_turn(level.consumed.processor_s)
    cells = [
        str(level.callers),
        level.side,
        str(len(level.turns)),
        f"{_number(p50, 0)} / {_number(level.p95_ms, 0)}",
        _number(percentile([turn.late_ms for turn in level.turns], 95), 0),
        f"{level.with_gap} ({100 * level.with_gap / max(1, len(level.turns)):.0f} %)",
        _number(sum(turn.gap_ms for turn in good) / len(good) if good else None, 0),
        str(level.failed),
        _number(processor, 2),
        _number(level.consumed.processor_s / speech_s if speech_s else None, 3),
        "yes" if level.is_carried else "no",
    ]
    if energy:
        cells.insert(-1, _number(level.per_turn(level.consumed.energy_j), 1))
    return cells


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def as_json(levels: Sequence[Level]) -> list[dict[str, object]]:
    """Return the levels as plain values, turn by turn."""
    return [asdict(level) for level in levels]


def from_json(values: Sequence[Mapping[str, object]]) -> list[Level]:
    """Return the levels that `as_json` made plain."""
    return [
        Level(
            str(value["side"]),
            int(str(value["callers"])),
            tuple(Turn(**turn) for turn in value["turns"]),  # type: ignore[attr-defined]
            Reading(**value["consumed"]),  # type: ignore[arg-type]
        )
        for value in values
    ]
