"""A digest of a run's turns: the figures of all turns, and a few turns whole.

A run has 20 turns, or 200,000. Figures are columns of numbers, some hundred bytes a turn. A whole
turn is a hundred events, so only those are kept that a person looks at one by one: all measured
turns of a short run; of a long run the failed and slowest ones, the fastest and the median; and the
first of the turns before and after the measured ones. A digest is made in one pass, batch by batch,
so its size hardly depends on the number of turns.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from voicebench.events import Fault, Phase, RemarkKind, Stage
from voicebench.figures.call_metrics import step_slowness_ms
from voicebench.figures.columns import Columns, GrowingColumns, columns_of, joined
from voicebench.figures.metrics import FIRST_AUDIO, NS_PER_MS, audio_by_chunk
from voicebench.figures.summary import Summary
from voicebench.judging.validity import Flag, audio_faults
from voicebench.turn.timeline import Timeline

MOST_WHOLE = 300
"""A run with no more measured turns is kept whole."""
SLOWEST_WHOLE = 40
"""The number of failed and slowest turns that are kept of a longer run."""
MOST_APART = 10
"""The number of turns that are kept before the measured ones, and after them."""


@dataclass(frozen=True, slots=True)
class MeasuredRun:
    """A measured turn and its number among the measured ones, from 1."""

    number: int
    turn: Timeline

    def first_audio_ms(self) -> float | None:
        """Return when the first samples came; None for a failed turn."""
        return None if self.turn.failed else FIRST_AUDIO.of(self.turn)

    def slowness(self) -> float:
        """Return the first audio, or the answer of a call, for sorting; infinite if failed."""
        took = step_slowness_ms(self.turn) if self.turn.call else self.first_audio_ms()
        return math.inf if took is None else took


@dataclass(frozen=True, slots=True)
class FailedRun:
    """A measured turn that failed: its number among the measured ones, the stage and the reason."""

    number: int
    stage: Stage
    reason: str
    fault: Fault


@dataclass(frozen=True, slots=True)
class Remarked:
    """The first remark of a kind in a measured turn that did not fail."""

    kind: RemarkKind
    wait_ms: float | None
    """The time from the remark to the first word; None if the word came earlier."""
    said: str


CHUNK = np.dtype(
    [
        ("is_first", np.bool_),
        ("words", np.int64),
        ("characters", np.int64),
        ("first_byte_ms", np.float64),
        ("total_ms", np.float64),
        ("audio_s", np.float64),
    ]
)
"""A text chunk of a measured turn that did not fail.

``is_first``: whether it is the first one of its turn. *First byte* and *total* are the times from
its hand-over to its first and its last samples; they and ``audio_s`` are NaN if it has no audio.
"""
Chunks = NDArray[np.void]
"""Text chunks, ``(chunks,)``, of dtype `CHUNK`."""


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
    """The faults in the audio of measured turns."""
    remarks: tuple[Remarked, ...]
    runs: tuple[MeasuredRun, ...]
    """The measured turns that are kept whole, in order."""
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
        """Return the failed and slowest runs in order, at most ``most`` (up to 40)."""
        by_slowness = sorted(self.runs, key=MeasuredRun.slowness, reverse=True)
        return sorted(by_slowness[:most], key=lambda run: run.number)

    def extremes(self) -> tuple[MeasuredRun | None, MeasuredRun | None, MeasuredRun | None]:
        """Return the runs with the earliest, the median and the latest first audio.

        None if no run has audio. Of one or two runs the median is the earliest.
        """
        known = {run.number: run for run in self.runs}
        earliest, median, latest = map(known.get, _extreme_numbers(self.columns))
        return earliest, median, latest


def digest_of(turns: Iterable[Timeline]) -> Digest:
    """Return the digest of turns that are in memory."""
    known = list(turns)
    measured = [turn for turn in known if turn.phase == "measured"]
    return merged([part_of(known)], lambda number: measured[number - 1])


def part_of(turns: Sequence[Timeline]) -> Digest:
    """Return the digest of one batch of turns, in the order in which they were taken.

    Its runs are numbered from 1.
    """
    growing: dict[Phase, GrowingColumns] = {}
    for turn in turns:
        growing.setdefault(turn.phase, GrowingColumns()).add(turn)
    measured = [turn for turn in turns if turn.phase == "measured"]
    runs = [MeasuredRun(number, turn) for number, turn in enumerate(measured, start=1)]
    return Digest(
        started_at=turns[0].started_at if turns else None,
        phases={phase: found.columns() for phase, found in growing.items()},
        chunks=_chunks_of(measured),
        failures=tuple(
            FailedRun(run.number, failure.stage, failure.reason, failure.fault)
            for run in runs
            if (failure := run.turn.failure) is not None
        ),
        flags=tuple(
            Flag(run.turn.turn, finding, run.number)
            for run in runs
            for finding in audio_faults(run.turn)
        ),
        remarks=tuple(remark for turn in measured if not turn.failed for remark in _remarks(turn)),
        runs=tuple(_worth_keeping(runs, len(runs))),
        before=tuple(turn for turn in turns if turn.phase in ("cold", "warmup"))[:MOST_APART],
        after=tuple(turn for turn in turns if turn.phase == "idle")[:MOST_APART],
    )


def merged(parts: Iterable[Digest], whole: Callable[[int], Timeline]) -> Digest:
    """Return the digest of all turns from the digests of its batches, which come in order.

    ``whole`` returns a measured turn by its number, from 1. It is called for the median turn of a
    long run, which is known only after the last batch.
    """
    batches: list[Digest] = []
    runs: list[MeasuredRun] = []
    before: list[Timeline] = []
    after: list[Timeline] = []
    texts: dict[str, str] = {}
    taken = 0
    for part in parts:
        runs += [replace(run, number=run.number + taken) for run in part.runs]
        before = [*before, *part.before][:MOST_APART]
        after = [*after, *part.after][:MOST_APART]
        batches.append(_numbered_from(part, taken, texts))
        taken += part.turns("measured")
        runs = _worth_keeping(runs, taken)
    phases = {
        phase: joined([batch.phases[phase] for batch in batches if phase in batch.phases])
        for phase in dict.fromkeys(phase for batch in batches for phase in batch.phases)
    }
    if taken > MOST_WHOLE:
        runs = _with_the_median(runs, phases["measured"], whole)
    return Digest(
        started_at=next((batch.started_at for batch in batches if batch.started_at), None),
        phases=phases,
        chunks=np.concatenate([np.empty(0, CHUNK), *(batch.chunks for batch in batches)]),
        failures=tuple(failed for batch in batches for failed in batch.failures),
        flags=tuple(flag for batch in batches for flag in batch.flags),
        remarks=tuple(remark for batch in batches for remark in batch.remarks),
        runs=tuple(runs),
        before=tuple(before),
        after=tuple(after),
    )


def _numbered_from(part: Digest, taken: int, texts: dict[str, str]) -> Digest:
    """Return ``part`` without whole turns, its runs counted on from ``taken``.

    ``texts`` keeps equal texts once: two hundred thousand turns may fail for the same reason.
    """
    return replace(
        part,
        failures=tuple(
            FailedRun(
                failed.number + taken,
                failed.stage,
                texts.setdefault(failed.reason, failed.reason),
                failed.fault,
            )
            for failed in part.failures
        ),
        flags=tuple(replace(flag, run=flag.run + taken) for flag in part.flags),
        remarks=tuple(
            replace(remark, said=texts.setdefault(remark.said, remark.said))
            for remark in part.remarks
        ),
        runs=(),
        before=(),
        after=(),
    )


def _extreme_numbers(columns: Columns) -> tuple[int, int, int]:
    """Return the runs with the earliest, the median and the latest first audio, from 1; else 0."""
    first_audio = columns.values["first_audio_ms"]
    heard = int(np.isfinite(first_audio).sum())
    if not heard:
        return 0, 0, 0
    numbers = np.argsort(first_audio, kind="stable")[:heard] + 1
    return int(numbers[0]), int(numbers[(heard - 1) // 2]), int(numbers[-1])


def _worth_keeping(runs: Sequence[MeasuredRun], of: int) -> list[MeasuredRun]:
    """Return the ``runs`` that are kept whole when ``of`` turns were measured so far."""
    if of <= MOST_WHOLE:
        return list(runs)
    # The sort is stable, so the first of several equal runs is kept.
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
    number = _extreme_numbers(columns)[1]
    if not number or any(run.number == number for run in runs):
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
    return np.array(rows, CHUNK)
