"""Noise: what besides the thing measured moved the figures, and when it was too much.

Looked for in the measured turns of a run, after it. Nothing is removed: an outlier stays in every
figure and is named. Most findings are there to be read; those that **invalidate** say that another
run on this machine would give other figures, so that no verdict holds (exit code 5). The bounds are
wide: a shared machine with two cores, such as CI gives, has jitter of some ten percent, a few
outliers and other processes at 5 to 20 % of its cores, and none of that invalidates.

==================  ==============================================================================
the instrument      the 95th percentile of recorded minus scripted stamps is above 20 ms and above
                    a tenth of the median first audio: voicebench itself woke up too late. Up to
                    10 ms are common on a busy machine with two cores. *Invalidates*
other processes     used more than a quarter of the cores in the median turn; *invalidates* above
                    two thirds: then a thread that is ready mostly finds no free core
CPU quota           the container was held back for more than a tenth of the turns' time.
                    *Invalidates*
thermal throttling  the processor reported it in a turn; *invalidates* in half of the turns
shared GPU          another process computed on the GPU in a turn; *invalidates* in half of them
drift               first audio rises or falls over the run: Spearman's rank correlation with the
                    turn's number, two-sided level 0.001, and the last third differs from the first
                    by more than 10 % (and 10 ms); *invalidates* above 30 %: the figures of a run
                    describe no state that it was in
outliers            modified Z-score of first audio above 3.5 (Iglewicz and Hoaglin 1993)
clock changes       the processor's clock differs by more than a fifth between turns
garbage collection  Python's took more than a twentieth of the time of a turn, and 5 ms
==================  ==============================================================================

Under `FEWEST_TURNS` measured turns nothing is said. Other processes' share is known only for turns
of at least `SHORTEST_NS`, since the system counts in steps of 10 ms.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray

from voicebench.format import plural
from voicebench.metrics import BY_NAME
from voicebench.timeline import MachineState, Timeline

FEWEST_TURNS = 8
SHORTEST_NS = 100_000_000
OUTLIER_SCORE = 3.5
LAG_MS, LAG_SHARE = 20.0, 0.10
OTHERS_NAMED, OTHERS_INVALID = 0.25, 0.67
QUOTA_INVALID = 0.10
OFTEN = 0.5
DRIFT_LEVEL, DRIFT_MS, DRIFT_NAMED, DRIFT_INVALID = 0.001, 10.0, 0.10, 0.30
CLOCK_NAMED = 0.20
COLLECTION_NAMED, COLLECTION_MS = 0.05, 5.0
MOST_LISTED = 10

_FIRST_AUDIO = BY_NAME["first_audio_ms"]


@dataclass(frozen=True, slots=True)
class Noise:
    """One finding, with its figure, and the remedy."""

    kind: str
    finding: str
    remedy: str
    invalidates: bool = False

    def __str__(self) -> str:
        """Return both as one line."""
        return f"{self.finding}; {self.remedy}"

    def as_dict(self) -> dict[str, object]:
        """Return the entry of ``summary.json``."""
        return {
            "kind": self.kind,
            "finding": self.finding,
            "remedy": self.remedy,
            "invalidates": self.invalidates,
        }


@dataclass(frozen=True, slots=True)
class _Sampled:
    """The measured turns that did not fail, and the first audio of each."""

    turns: Sequence[Timeline]
    runs: Sequence[int]
    """Which of all measured turns each is, from 1."""
    first_audio: NDArray[np.float64]
    lag_ms: float | None

    def machine(self, of: Callable[[MachineState], float | None]) -> list[tuple[Timeline, float]]:
        found = []
        for turn in self.turns:
            value = None if turn.machine is None else of(turn.machine)
            if value is not None:
                found.append((turn, value))
        return found


def find_noise(turns: Sequence[Timeline], lag_ms: float | None = None) -> list[Noise]:
    """Return what moved the figures. ``lag_ms`` is the 95th percentile of the instrument's error.

    Findings that invalidate come first.
    """
    measured = [turn for turn in turns if turn.phase == "measured"]
    timed = [
        (turn, run, ms)
        for run, turn in enumerate(measured, start=1)
        if not turn.failed and (ms := _FIRST_AUDIO.of(turn)) is not None
    ]
    if len(timed) < FEWEST_TURNS:
        return []
    sampled = _Sampled(
        [turn for turn, _, _ in timed],
        [run for _, run, _ in timed],
        np.array([ms for _, _, ms in timed], dtype=np.float64),
        lag_ms,
    )
    rules = (
        _instrument,
        _other_processes,
        _quota,
        _throttling,
        _shared_gpu,
        _drift,
        _outliers,
        _clock,
        _collections,
    )
    found = [noise for rule in rules if (noise := rule(sampled)) is not None]
    return sorted(found, key=lambda noise: not noise.invalidates)


def outliers(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which of ``values`` ``(turns,)`` have a modified Z-score above 3.5.

    ``0.6745 (x - median) / MAD``; where more than half of the values are equal (MAD of 0), the mean
    absolute deviation stands for it, times 1.2533, as Iglewicz and Hoaglin have it.
    """
    away = np.abs(values - np.median(values))
    spread = float(np.median(away)) / 0.6745
    if spread == 0:
        spread = 1.2533 * float(away.mean())
    if spread == 0:
        return np.zeros(values.size, dtype=np.bool_)
    flagged: NDArray[np.bool_] = away / spread > OUTLIER_SCORE
    return flagged


def drift_probability(values: NDArray[np.float64]) -> float:
    """Return how likely so strong a rank correlation with the order would be without drift."""
    from scipy.special import stdtr

    n = values.size
    if n < 3 or np.all(values == values[0]):
        return 1.0
    correlation = float(np.corrcoef(np.arange(n), _ranks(values))[0, 1])
    if abs(correlation) >= 1:
        return 0.0
    score = abs(correlation) * math.sqrt((n - 2) / (1 - correlation * correlation))
    return 2 * float(stdtr(n - 2, -score))


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rank of each value; equal ones share the mean of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: NDArray[np.float64] = (np.cumsum(counts) - (counts - 1) / 2)[place]
    return ranks


def _instrument(run: _Sampled) -> Noise | None:
    middle = float(np.median(run.first_audio))
    if run.lag_ms is None or run.lag_ms <= max(LAG_MS, LAG_SHARE * middle):
        return None
    return Noise(
        "instrument",
        f"the instrument's own error is {run.lag_ms:.1f} ms at its 95th percentile, beside a "
        f"median first audio of {middle:.0f} ms",
        "stop what else runs, or measure on a machine with more cores",
        invalidates=True,
    )


def _other_processes(run: _Sampled) -> Noise | None:
    shares = [
        share
        for turn, share in run.machine(lambda state: state.cpu_others)
        if turn.end_ns >= SHORTEST_NS
    ]
    if len(shares) < FEWEST_TURNS or median(shares) <= OTHERS_NAMED:
        return None
    return Noise(
        "other processes",
        f"other processes used {100 * median(shares):.0f} % of the cores in the median turn",
        "stop them, or measure on a machine of your own",
        invalidates=median(shares) > OTHERS_INVALID,
    )


def _quota(run: _Sampled) -> Noise | None:
    held = run.machine(lambda state: state.quota_ms)
    total_ms = sum(turn.end_ns for turn, _ in held) / 1e6
    held_ms = sum(value for _, value in held)
    if not total_ms or held_ms <= QUOTA_INVALID * total_ms:
        return None
    return Noise(
        "CPU quota",
        f"the container's CPU quota held it back for {100 * held_ms / total_ms:.0f} % of the time",
        "raise the quota, or set run.threads to the cores that it allows",
        invalidates=True,
    )


def _throttling(run: _Sampled) -> Noise | None:
    counts = run.machine(lambda state: state.throttled)
    hit = [turn for turn, count in counts if count > 0]
    if not hit:
        return None
    return Noise(
        "thermal throttling",
        f"the processor throttled itself in {len(hit)} of {len(counts)} turns",
        "let it cool, or set run.pause_s",
        invalidates=len(hit) >= OFTEN * len(counts),
    )


def _shared_gpu(run: _Sampled) -> Noise | None:
    counts = run.machine(lambda state: state.gpu_others)
    hit = [turn for turn, count in counts if count > 0]
    if not hit:
        return None
    return Noise(
        "shared GPU",
        f"another process computed on the GPU in {len(hit)} of {len(counts)} turns",
        "stop it (nvidia-smi names it), or choose another device with --device",
        invalidates=len(hit) >= OFTEN * len(counts),
    )


def _drift(run: _Sampled) -> Noise | None:
    third = run.first_audio.size // 3
    early = float(np.median(run.first_audio[:third]))
    late = float(np.median(run.first_audio[-third:]))
    moved, middle = late - early, float(np.median(run.first_audio))
    if abs(moved) <= max(DRIFT_MS, DRIFT_NAMED * middle):
        return None
    if drift_probability(run.first_audio) >= DRIFT_LEVEL:
        return None
    word = "rose" if moved > 0 else "fell"
    return Noise(
        "drift",
        f"first audio {word} over the run from {early:.0f} to {late:.0f} ms",
        "look for heat or other load" if moved > 0 else "warm up longer (--warmup)",
        invalidates=abs(moved) > DRIFT_INVALID * middle,
    )


def _outliers(run: _Sampled) -> Noise | None:
    flagged = [
        number for number, is_far in zip(run.runs, outliers(run.first_audio), strict=True) if is_far
    ]
    if not flagged:
        return None
    listed = ", ".join(str(number) for number in flagged[:MOST_LISTED])
    more = len(flagged) - MOST_LISTED
    return Noise(
        "outliers",
        f"first audio lies far off in {len(flagged)} of {len(run.turns)} turns "
        f"(run {listed}{f' and {more} more' if more > 0 else ''})",
        "they are kept; look at them in the waterfall",
    )


def _clock(run: _Sampled) -> Noise | None:
    clocks = [clock for _, clock in run.machine(lambda state: state.clock_mhz)]
    if not clocks or max(clocks) - min(clocks) <= CLOCK_NAMED * max(clocks):
        return None
    return Noise(
        "clock changes",
        f"the processor's clock moved between {min(clocks):.0f} and {max(clocks):.0f} MHz",
        "set the governor to 'performance'",
    )


def _collections(run: _Sampled) -> Noise | None:
    hit = [
        turn.turn
        for turn, spent_ms in run.machine(lambda state: state.collection_ms)
        if spent_ms > max(COLLECTION_MS, COLLECTION_NAMED * turn.end_ns / 1e6)
    ]
    if not hit:
        return None
    return Noise(
        "garbage collection",
        f"Python's garbage collection took over 5 % of the time in {plural(len(hit), 'turn')}",
        "the turns are kept; fewer objects alive in the process make it shorter",
    )
