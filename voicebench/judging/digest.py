"""What is kept of a run's turns: the figures of all of them, and a few turns whole.

A run may have 20 turns or 200,000. Figures are columns of numbers, some hundred bytes a turn. Whole
turns, which are a hundred events each, are kept only where a person looks at them one by one: all
measured ones of a short run; of a long one the failed and slowest, the fastest and the median one;
and the first of those before and after the measured ones. So a digest is made in one pass over any
number of turns, batch by batch, and its size hardly depends on them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from voicebench.events import Phase, RemarkKind, Stage
from voicebench.figures.columns import Columns, GrowingColumns, columns_of, joined
from voicebench.figures.metrics import FIRST_AUDIO, NS_PER_MS, audio_by_chunk
from voicebench.figures.summary import Summary
from voicebench.judging.validity import Flag, audio_faults
from voicebench.turn.timeline import Timeline

MOST_WHOLE = 300
"""Up to so many measured turns are all kept whole."""
SLOWEST_WHOLE = 40
"""Of more, so many of the failed and slowest are."""
MOST_APART = 10
"""Of the turns before the measured ones, and of those after, the first so many are kept."""


@dataclass(frozen=True, slots=True)
class MeasuredRun:
    """A measured turn and its number among the measured ones, from 1."""

    number: int
    turn: Timeline

    def first_audio_ms(self) -> float | None:
        """Return when the first samples came; None for a failed turn."""
        return None if self.turn.failed else FIRST_AUDIO.of(self.turn)

    def slowness(self) -> float:
        """Return the first audio to sort by; a failed run is slower than any other."""
        first_audio = self.first_audio_ms()
        return math.inf if first_audio is None else first_audio


@dataclass(frozen=True, slots=True)
class FailedRun:
    """A measured turn that failed: its number among the measured ones, where and why."""

    number: int
    stage: Stage
    reason: str


@dataclass(frozen=True, slots=True)
class Remarked:
    """What a measured turn that did not fail remarked, the first time of each kind."""

    kind: RemarkKind
    wait_ms: float | None
    """How long after it the first word came; None where it delayed none."""
    said: str


@dataclass(frozen=True, slots=True, eq=False)
class Chunks:
    """The text chunks of the measured turns that did not fail: arrays, ``(chunks,)``.

    *First byte* and *total* are from a chunk's hand-over to its first and its last samples; NaN
    where it brought none.
    """

    is_first: NDArray[np.bool_]
    """Whether the chunk is the first one of its turn."""
    words: NDArray[np.int64]
    characters: NDArray[np.int64]
    first_byte_ms: NDArray[np.float64]
    total_ms: NDArray[np.float64]
    audio_s: NDArray[np.float64]

    def where(self, mask: NDArray[np.bool_]) -> Chunks:
        """Return the chunks that ``mask`` ``(chunks,)`` names."""
        return Chunks(**{one.name: getattr(self, one.name)[mask] for one in fields(Chunks)})


@dataclass(frozen=True, eq=False)
class Digest:
    """A run's turns: the figures of all, and a few of them whole."""

    started_at: str | None
    """When the first turn began."""
    phases: Mapping[Phase, Columns]
    """The figures of each phase that has a turn."""
    chunks: Chunks
    failures: tuple[FailedRun, ...]
    flags: tuple[Flag, ...]
    """What is wrong with the audio of measured turns."""
    remarks: tuple[Remarked, ...]
    runs: tuple[MeasuredRun, ...]
    """The measured turns that are kept whole, in their order."""
    before: tuple[Timeline, ...]
    """The first of the cold and warm-up turns."""
    after: tuple[Timeline, ...]
    """The first of the turns that follow a silence."""

    @cached_property
    def columns(self) -> Columns:
        """The figures of the measured turns."""
        return self.phases["measured"] if "measured" in self.phases else columns_of(())

    @cached_property
    def summary(self) -> Summary:
        """The distributions of the measured turns."""
        return self.columns.summary()

    def turns(self, phase: Phase) -> int:
        """Return how many turns of ``phase`` there are."""
        return self.phases[phase].turns if phase in self.phases else 0

    def slowest(self, most: int) -> Sequence[MeasuredRun]:
        """Return the failed and slowest runs, at most ``most`` (up to 40), in their order."""
        by_slowness = sorted(self.runs, key=MeasuredRun.slowness, reverse=True)
        return sorted(by_slowness[:most], key=lambda run: run.number)

    def telling(self) -> tuple[MeasuredRun | None, MeasuredRun | None, MeasuredRun | None]:
        """Return the runs with the earliest, the median and the latest first audio.

        None where no run was heard; of one or two runs the median is the earliest.
        """
        ordered = numbers_by_first_audio(self.columns)
        if not ordered.size:
            return None, None, None
        known = {run.number: run for run in self.runs}
        middle = median_rank(ordered.size)
        earliest, median, latest = (known.get(int(ordered[at])) for at in (0, middle, -1))
        return earliest, median, latest


def digest_of(turns: Iterable[Timeline]) -> Digest:
    """Return the digest of turns that are in hand."""
    known = list(turns)
    measured = [turn for turn in known if turn.phase == "measured"]
    return merged([part_of(known)], lambda number: measured[number - 1])


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """What is kept of a batch of turns; runs are numbered from 1 within it."""

    digest: Digest
    measured: int


def part_of(turns: Sequence[Timeline]) -> Part:
    """Return what is kept of one batch of a run's turns, in the order in which they were taken."""
    growing: dict[Phase, GrowingColumns] = {}
    for turn in turns:
        growing.setdefault(turn.phase, GrowingColumns()).add(turn)
    runs = [
        MeasuredRun(number, turn)
        for number, turn in enumerate((one for one in turns if one.phase == "measured"), start=1)
    ]
    digest = Digest(
        started_at=turns[0].started_at if turns else None,
        phases={phase: found.columns() for phase, found in growing.items()},
        chunks=_chunks_of([run.turn for run in runs]),
        failures=tuple(
            FailedRun(run.number, run.turn.failure.stage, run.turn.failure.reason)
            for run in runs
            if run.turn.failure is not None
        ),
        flags=tuple(
            Flag(run.turn.turn, finding, run.number)
            for run in runs
            for finding in audio_faults(run.turn)
        ),
        remarks=tuple(
            remark for run in runs if not run.turn.failed for remark in _remarks(run.turn)
        ),
        runs=tuple(_worth_keeping(runs, len(runs))),
        before=tuple(turn for turn in turns if turn.phase in ("cold", "warmup"))[:MOST_APART],
        after=tuple(turn for turn in turns if turn.phase == "idle")[:MOST_APART],
    )
    return Part(digest, len(runs))


def merged(parts: Iterable[Part], whole: Callable[[int], Timeline]) -> Digest:
    """Return the digest of all turns, of which ``parts`` come in order.

    ``whole`` returns a measured turn by its number, from 1. Of a long run it is asked for the
    median one, which nobody can know before the last turn.
    """
    phases: dict[Phase, list[Columns]] = {}
    chunks: list[Chunks] = []
    failures: list[FailedRun] = []
    flags: list[Flag] = []
    remarks: list[Remarked] = []
    runs: list[MeasuredRun] = []
    before: list[Timeline] = []
    after: list[Timeline] = []
    texts: dict[str, str] = {}
    started_at, taken = None, 0
    for part in parts:
        found = part.digest
        started_at = started_at or found.started_at
        for phase, columns in found.phases.items():
            phases.setdefault(phase, []).append(columns)
        chunks.append(found.chunks)
        failures += [
            FailedRun(one.number + taken, one.stage, texts.setdefault(one.reason, one.reason))
            for one in found.failures
        ]
        flags += [replace(flag, run=flag.run + taken) for flag in found.flags]
        remarks += [
            replace(one, said=texts.setdefault(one.said, one.said)) for one in found.remarks
        ]
        runs += [MeasuredRun(run.number + taken, run.turn) for run in found.runs]
        taken += part.measured
        runs = _worth_keeping(runs, taken)
        before = [*before, *found.before][:MOST_APART]
        after = [*after, *found.after][:MOST_APART]
    columns_by_phase = {phase: joined(found) for phase, found in phases.items()}
    if taken > MOST_WHOLE:
        runs = _with_the_median(runs, columns_by_phase["measured"], whole)
    return Digest(
        started_at=started_at,
        phases=columns_by_phase,
        chunks=joined_chunks(chunks),
        failures=tuple(failures),
        flags=tuple(flags),
        remarks=tuple(remarks),
        runs=tuple(runs),
        before=tuple(before),
        after=tuple(after),
    )


def numbers_by_first_audio(columns: Columns) -> NDArray[np.intp]:
    """Return the numbers of the runs that have a first audio, from 1, the earliest first."""
    first_audio = columns.values["first_audio_ms"]
    order = np.argsort(first_audio, kind="stable")
    return order[: int(np.isfinite(first_audio).sum())] + 1


def median_rank(count: int) -> int:
    """Return which of ``count`` runs in the order of their first audio is the median one."""
    return (count - 1) // 2


def _worth_keeping(runs: Sequence[MeasuredRun], of: int) -> list[MeasuredRun]:
    """Return those of ``runs`` that are kept whole in a run ``of`` so many."""
    if of <= MOST_WHOLE:
        return list(runs)
    # Sorted stably from the slowest on, so of equal runs the first ones are kept.
    kept = sorted(runs, key=MeasuredRun.slowness, reverse=True)[:SLOWEST_WHOLE]
    numbers = {run.number for run in kept}
    timed = [run for run in runs if math.isfinite(run.slowness())]
    if timed:
        numbers.add(min(timed, key=MeasuredRun.slowness).number)
        numbers.add(max(reversed(timed), key=MeasuredRun.slowness).number)
    return [run for run in runs if run.number in numbers]


def _with_the_median(
    runs: Sequence[MeasuredRun], columns: Columns, whole: Callable[[int], Timeline]
) -> list[MeasuredRun]:
    ordered = numbers_by_first_audio(columns)
    if not ordered.size:
        return list(runs)
    number = int(ordered[median_rank(ordered.size)])
    if any(run.number == number for run in runs):
        return list(runs)
    return sorted([*runs, MeasuredRun(number, whole(number))], key=lambda run: run.number)


def _remarks(turn: Timeline) -> Iterator[Remarked]:
    first_word_ns = turn.tokens[0].at_ns if turn.tokens else None
    kinds: set[RemarkKind] = set()
    for made in turn.remarks:
        if made.kind not in kinds:
            kinds.add(made.kind)
            delays = first_word_ns is not None and made.at_ns <= first_word_ns
            wait_ms = ((first_word_ns or 0) - made.at_ns) / NS_PER_MS if delays else None
            yield Remarked(made.kind, wait_ms, made.said)


def _chunks_of(turns: Iterable[Timeline]) -> Chunks:
    rows: list[tuple[bool, int, int, float, float, float]] = []
    for turn in turns:
        if turn.failed:
            continue
        pairs = zip(turn.chunks, audio_by_chunk(turn), strict=True)
        for index, (chunk, (handed_ns, audio)) in enumerate(pairs):
            text = chunk.text.strip()
            first_ms = total_ms = audio_s = math.nan
            if audio and turn.sound is not None:
                first_ms = (audio[0].at_ns - handed_ns) / NS_PER_MS
                total_ms = (audio[-1].at_ns - handed_ns) / NS_PER_MS
                audio_s = sum(part.samples for part in audio) / turn.sound.sample_rate
            rows.append((index == 0, len(text.split()), len(text), first_ms, total_ms, audio_s))
    columns = list(zip(*rows, strict=True)) or [()] * len(fields(Chunks))
    return Chunks(
        is_first=np.array(columns[0], dtype=np.bool_),
        words=np.array(columns[1], dtype=np.int64),
        characters=np.array(columns[2], dtype=np.int64),
        first_byte_ms=np.array(columns[3], dtype=np.float64),
        total_ms=np.array(columns[4], dtype=np.float64),
        audio_s=np.array(columns[5], dtype=np.float64),
    )


def joined_chunks(parts: Sequence[Chunks]) -> Chunks:
    """Return the chunks of all ``parts``, one after the other."""
    parts = parts or [_chunks_of(())]
    return Chunks(
        **{
            one.name: np.concatenate([getattr(part, one.name) for part in parts])
            for one in fields(Chunks)
        }
    )
