"""Finds noise: causes besides the target that changed the figures, and whether they are too strong.

The rules look at the measured turns after the run. Nothing is removed: an outlier stays in every
figure and is named. Most findings only inform. A finding that **invalidates** means that another
run on this machine would give other figures, so no verdict holds (exit code 5). The bounds are
wide: a shared machine with two cores, as in CI, has jitter of some ten percent, a few outliers and
other processes at 5 to 20 % of its cores, and none of that invalidates.

==================  ==============================================================================
the instrument      the 95th percentile of recorded minus scripted stamps is above 20 ms and above
                    a tenth of the median first audio: voicebench itself woke up too late. Up to
                    10 ms are common on a busy machine with two cores. *Invalidates*
other processes     used more than a quarter of the cores in the median turn; *invalidates* above
                    two thirds: a ready thread then rarely finds a free core
CPU quota           the container was held back for more than a tenth of the turns' time.
                    *Invalidates*
thermal throttling  the processor reported it in a turn; *invalidates* in half of the turns
shared GPU          another process computed on the GPU in a turn; *invalidates* in half of them
drift               first audio rises or falls over the run: Spearman's rank correlation with the
                    turn's number, two-sided level 0.001, and the last third differs from the first
                    by more than 10 % (and 10 ms); *invalidates* above 30 %: the figures then
                    describe no single state of the machine
outliers            modified Z-score of first audio above 3.5 (Iglewicz and Hoaglin 1993)
clock changes       the processor's clock differs by more than a fifth between turns
garbage collection  took more than a twentieth of the time of a turn, and 5 ms
==================  ==============================================================================

A run with fewer than `FEWEST_TURNS` measured turns has no findings. The share of other processes is
known only for turns of at least `SHORTEST_MS`, since the system counts in steps of 10 ms.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from voicebench.figures.columns import Columns
from voicebench.figures.probabilities import student_probability
from voicebench.format import plural

FEWEST_TURNS = 8
SHORTEST_MS = 100.0
OUTLIER_SCORE = 3.5
LAG_MS, LAG_SHARE = 20.0, 0.10
OTHERS_NAMED, OTHERS_INVALID = 0.25, 0.67
QUOTA_INVALID = 0.10
OFTEN = 0.5
DRIFT_LEVEL, DRIFT_MS, DRIFT_NAMED, DRIFT_INVALID = 0.001, 10.0, 0.10, 0.30
CLOCK_NAMED = 0.20
COLLECTION_NAMED, COLLECTION_MS = 0.05, 5.0
MOST_LISTED = 10


@dataclass(frozen=True, slots=True)
class Noise:
    """A finding with its figure, and the remedy."""

    kind: str
    finding: str
    remedy: str
    invalidates: bool = False

    def __str__(self) -> str:
        """Return both as one line."""
        return f"{self.finding}; {self.remedy}"

    def as_dict(self) -> dict[str, object]:
        """Return the entry of ``summary.json``."""
        return asdict(self)


@dataclass(frozen=True, slots=True, eq=False)
class _Sampled:
    """The measured turns that did not fail and have audio: arrays, ``(turns,)``."""

    runs: NDArray[np.intp]
    """Their numbers among all measured turns, from 1."""
    first_audio: NDArray[np.float64]
    traits: Mapping[str, NDArray[np.float64]]
    lag_ms: float | None

    def known(self, trait: str) -> NDArray[np.bool_]:
        """Return which turns have ``trait``: not every system reports everything."""
        return ~np.isnan(self.traits[trait])


def find_noise(columns: Columns, lag_ms: float | None = None) -> list[Noise]:
    """Return the noise in the measured turns in ``columns``, what invalidates first.

    ``lag_ms`` is the 95th percentile of the instrument's error.
    """
    first_audio = columns.values["first_audio_ms"]
    timed = ~columns.failed & ~np.isnan(first_audio)
    if int(timed.sum()) < FEWEST_TURNS:
        return []
    sampled = _Sampled(
        np.flatnonzero(timed) + 1,
        first_audio[timed],
        {name: values[timed] for name, values in columns.traits.items()},
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

    ``0.6745 (x - median) / MAD``. If more than half of the values are equal, MAD is 0: it is then
    replaced by 1.2533 times the mean absolute deviation (Iglewicz and Hoaglin 1993).
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
    """Return the probability of such a rank correlation with the order if there is no drift."""
    n = values.size
    if n < 3 or np.all(values == values[0]):
        return 1.0
    correlation = float(np.corrcoef(np.arange(n), _ranks(values))[0, 1])
    if abs(correlation) >= 1:
        return 0.0
    score = abs(correlation) * math.sqrt((n - 2) / (1 - correlation * correlation))
    return 2 * student_probability(n - 2, -score)


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rank of each value; equal values share the mean of their ranks."""
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
    long_enough = run.traits["end_ms"] >= SHORTEST_MS
    shares = run.traits["cpu_others"][run.known("cpu_others") & long_enough]
    if shares.size < FEWEST_TURNS or (middle := float(np.median(shares))) <= OTHERS_NAMED:
        return None
    return Noise(
        "other processes",
        f"other processes used {100 * middle:.0f} % of the cores in the median turn",
        "stop them, or measure on a machine of your own",
        invalidates=middle > OTHERS_INVALID,
    )


def _quota(run: _Sampled) -> Noise | None:
    known = run.known("quota_ms")
    total_ms = float(run.traits["end_ms"][known].sum())
    held_ms = float(run.traits["quota_ms"][known].sum())
    if not total_ms or held_ms <= QUOTA_INVALID * total_ms:
        return None
    return Noise(
        "CPU quota",
        f"the container's CPU quota held it back for {100 * held_ms / total_ms:.0f} % of the time",
        "raise the quota, or set run.threads to the cores that it allows",
        invalidates=True,
    )


def _throttling(run: _Sampled) -> Noise | None:
    turns, often = _affected(run, "throttled")
    finding = f"the processor throttled itself in {turns}"
    remedy = "let it cool, or set run.pause_s"
    return Noise("thermal throttling", finding, remedy, often) if turns else None


def _shared_gpu(run: _Sampled) -> Noise | None:
    turns, often = _affected(run, "gpu_others")
    finding = f"another process computed on the GPU in {turns}"
    remedy = "stop it (nvidia-smi names it), or choose another device with --device"
    return Noise("shared GPU", finding, remedy, often) if turns else None


def _affected(run: _Sampled, trait: str) -> tuple[str, bool]:
    """Return ``3 of 20 turns`` in which ``trait`` is above 0, and whether those are many."""
    counts = run.traits[trait][run.known(trait)]
    affected = int((counts > 0).sum())
    return f"{affected} of {counts.size} turns" if affected else "", affected >= OFTEN * counts.size


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
    flagged = run.runs[outliers(run.first_audio)].tolist()
    if not flagged:
        return None
    listed = ", ".join(str(number) for number in flagged[:MOST_LISTED])
    more = len(flagged) - MOST_LISTED
    return Noise(
        "outliers",
        f"{len(flagged)} of {run.runs.size} turns are outliers in first audio "
        f"(run {listed}{f' and {more} more' if more > 0 else ''})",
        "they are kept; look at them in the waterfall",
    )


def _clock(run: _Sampled) -> Noise | None:
    clocks = run.traits["clock_mhz"][run.known("clock_mhz")]
    if not clocks.size or clocks.max() - clocks.min() <= CLOCK_NAMED * clocks.max():
        return None
    return Noise(
        "clock changes",
        f"the processor's clock moved between {clocks.min():.0f} and {clocks.max():.0f} MHz",
        "set the governor to 'performance'",
    )


def _collections(run: _Sampled) -> Noise | None:
    known = run.known("collection_ms")
    spent_ms, end_ms = run.traits["collection_ms"][known], run.traits["end_ms"][known]
    hit = int((spent_ms > np.maximum(COLLECTION_MS, COLLECTION_NAMED * end_ms)).sum())
    if not hit:
        return None
    return Noise(
        "garbage collection",
        f"Python's garbage collection took over 5 % of the time in {plural(hit, 'turn')}",
        "the turns are kept; with fewer live objects in the process it is shorter",
    )
