"""The turns of a run under load as columns, one set for each level.

A level keeps some numbers of each turn instead of the turn: 200,000 turns take about 30 MB. The
lines of ``turns.jsonl`` are read once, on all cores if there are many. Turns of several levels are
never joined.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from voicebench.errors import ResultsError
from voicebench.figures.metrics import BY_NAME
from voicebench.load.loaded_turn import CODES, LevelTurns, Values, is_ours, outcome_of
from voicebench.load.recorded.light_lines import LIGHT_METRICS, decode_light
from voicebench.results.batches import map_turns
from voicebench.results.codec import decode_line
from voicebench.results.folder import TURNS
from voicebench.turn.playback import NS_PER_S
from voicebench.turn.timeline import Timeline

SHOWN_METRICS = (
    "late_ms",
    "client_lag_ms",
    "setup_ms",
    "first_audio_ms",
    "first_audio_due_ms",
    "first_sound_due_ms",
    "stall_count",
    "stall_ms",
    "audio_s",
)
"""The metrics that reports of levels show, beside those of the gates."""
MOST_REASONS = 50
"""Further reasons of failed turns are counted together."""
OTHER_REASONS = "other reasons"


@dataclass(frozen=True, slots=True)
class RecordedTurns:
    """The turns of one level."""

    turns: LevelTurns
    reasons: Mapping[str, int]
    """How many turns failed, were refused or did not end, by the reason."""


@dataclass(slots=True)
class _Part:
    """Turns of one level in a batch: rows of numbers, and reasons."""

    rows: list[tuple[float, ...]] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)


Levels = dict[int, tuple[Values, Counter[str]]]
"""Rows of numbers and reasons, by level."""


@dataclass(frozen=True, slots=True)
class AllTurns:
    """All turns of a run under load, by level."""

    count: int
    started_at: str | None
    levels: Mapping[int, RecordedTurns]
    missing: tuple[str, ...] = ()
    """A sentence for each gap in the numbers of the turns."""


@dataclass(frozen=True, slots=True)
class TurnsPart:
    """The turns of a batch: numbers of turns, and what each level keeps of them."""

    numbers: Sequence[int]
    started_at: str
    levels: Levels


def read_turns(folder: Path, metrics: Iterable[str] = (), *, whole_lines: bool = False) -> AllTurns:
    """Read the turns of ``folder`` with `SHOWN_METRICS` and these ``metrics``.

    ``whole_lines`` also reads and checks what none of them needs.

    Raises `ResultsError` for a line that is not a turn, or not one of a level.
    """
    names = tuple(dict.fromkeys((*SHOWN_METRICS, *metrics)))
    is_light = set(names) <= LIGHT_METRICS and not whole_lines
    decode = decode_light if is_light else decode_line
    count, last, started_at = 0, 0, None
    missing: list[str] = []
    found: dict[int, list[Values]] = {}
    reasons: dict[int, Counter[str]] = {}
    for part in map_turns(folder, partial(part_of, names), decode=decode):
        count += len(part.numbers)
        started_at = started_at or part.started_at
        for number in part.numbers:
            if number != last + 1:
                missing.append(_gap(last + 1, number - 1))
            last = number
        for level, (rows, why) in part.levels.items():
            found.setdefault(level, []).append(rows)
            _add(reasons.setdefault(level, Counter()), why)
    return AllTurns(
        count,
        started_at,
        {
            level: RecordedTurns(columns_of_rows(names, np.concatenate(rows)), reasons[level])
            for level, rows in sorted(found.items())
        },
        tuple(missing),
    )


def _gap(first: int, last: int) -> str:
    return f"turn {first} is missing" if first == last else f"turns {first} to {last} are missing"


def part_of(metrics: Sequence[str], turns: Sequence[Timeline]) -> TurnsPart:
    """Return the turns of a batch as numbers, by level. Raises `ResultsError`."""
    of = [BY_NAME[name].of for name in metrics]
    parts: dict[int, _Part] = {}
    for turn in turns:
        place = turn.load
        if place is None:
            raise ResultsError(
                f"turn {turn.turn} in {TURNS} is not a turn of a level",
                "the file has the turns of another run",
            )
        part = parts.setdefault(place.level, _Part())
        outcome = outcome_of(turn)
        ended_ns = place.due_ns + place.late_ns + turn.end_ns
        figures = [measure(turn) for measure in of]
        part.rows.append(
            (
                place.due_ns / NS_PER_S,
                ended_ns / NS_PER_S,
                CODES[outcome],
                place.caller,
                place.call,
                place.cut_after_ns is not None,
                place.interrupts,
                place.fault is not None,
                turn.call is not None and turn.call.kind == "noise",
                is_ours(turn.failure),
                *(np.nan if value is None else value for value in figures),
            )
        )
        if turn.failure is not None:
            part.reasons[turn.failure.reason] += 1
    return TurnsPart(
        [turn.turn for turn in turns],
        turns[0].started_at,
        {
            level: (np.array(part.rows, dtype=np.float64), part.reasons)
            for level, part in parts.items()
        },
    )


def columns_of_rows(metrics: Sequence[str], rows: Values) -> LevelTurns:
    """Return rows (as `part_of` makes them) as columns, in order of their due moments."""
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    return LevelTurns(
        rows[:, 0].copy(),
        rows[:, 1].copy(),
        rows[:, 2].astype(np.int8),
        rows[:, 3].astype(np.int64),
        rows[:, 4].astype(np.int64),
        {name: rows[:, 10 + place].copy() for place, name in enumerate(metrics)},
        rows[:, 5] > 0,
        rows[:, 6] > 0,
        rows[:, 7] > 0,
        rows[:, 8] > 0,
        rows[:, 9] > 0,
    )


def _add(all_reasons: Counter[str], more: Mapping[str, int]) -> None:
    for reason, count in more.items():
        known = reason in all_reasons or len(all_reasons) < MOST_REASONS
        all_reasons[reason if known else OTHER_REASONS] += count
