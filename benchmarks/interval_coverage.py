"""Simulate how often intervals include the true figure, and regressions are found.

Turns are drawn from distributions whose true figures are known, and the product's own functions
judge them; everything is seeded. ``python benchmarks/interval_coverage.py`` prints the tables of
``docs/explanation/statistics.md``; ``--repetitions 100`` gives a quick look.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from voicebench.figures.columns import columns_of
from voicebench.figures.comparison import side_of
from voicebench.figures.differences import mean_difference, recovered_difference
from voicebench.figures.figure import Figure, parse_figure
from voicebench.figures.intervals import (
    Interval,
    mean_interval,
    percentile_interval,
    share_interval,
    values_to_bound,
)
from voicebench.figures.metrics import BY_NAME
from voicebench.judging.gates import Verdict, worst
from voicebench.judging.regression import check_regressions
from voicebench.turn.playback import Arrival
from voicebench.turn.timeline import Sound, Timeline

Values = NDArray[np.float64]
RATE = 16_000
MEASURED = (BY_NAME["first_audio_ms"], BY_NAME["turn_ms"])


@dataclass(frozen=True)
class Kind:
    """A distribution of first audio in milliseconds, with its true figures."""

    name: str
    draw: Callable[[np.random.Generator, int], Values]
    mean: float
    deviation: float
    quantile: Callable[[float], float]


def bimodal_draw(rng: np.random.Generator, n: int) -> Values:
    """Draw 70 % around 250 ms and 30 % around 400 ms: a cache that sometimes misses."""
    return np.where(rng.random(n) < 0.3, rng.normal(400, 20, n), rng.normal(250, 10, n))


def bimodal_quantile(p: float) -> float:
    """Return the true quantile of the two modes."""
    low, high = stats.norm(250, 10), stats.norm(400, 20)
    return float(optimize.brentq(lambda x: 0.7 * low.cdf(x) + 0.3 * high.cdf(x) - p, 100, 600))


def lognormal(name: str, sigma: float) -> Kind:
    """Return a skewed distribution with its median at 300 ms."""
    true = stats.lognorm(sigma, scale=300)
    return Kind(
        name,
        lambda rng, n: 300 * np.exp(rng.normal(0, sigma, n)),
        float(true.mean()),
        float(true.std()),
        lambda p: float(true.ppf(p)),
    )


KINDS = (
    Kind(
        "normal",
        lambda rng, n: rng.normal(300, 15, n),
        300,
        15,
        lambda p: float(stats.norm(300, 15).ppf(p)),
    ),
    lognormal("lognormal 0.25", 0.25),
    lognormal("lognormal 0.5", 0.5),
    Kind(
        "bimodal",
        bimodal_draw,
        295,
        math.sqrt(0.7 * 10**2 + 0.3 * 20**2 + 0.21 * 150**2),
        bimodal_quantile,
    ),
)


def turn_of(first_audio_ms: float, number: int) -> Timeline:
    """Return a turn with one piece of audio at this time."""
    return Timeline(
        turn=number,
        phase="measured",
        prompt=f"prompt {number}",
        started_at="",
        end_ns=round(first_audio_ms * 1e6),
        audio=(Arrival(round(first_audio_ms * 1e6), RATE),),
        sound=Sound(RATE, 0, 0.5, 0.1, 0),
    )


def covers(interval: Interval | None, truth: float) -> bool:
    """Return whether the interval includes the true figure; an open end includes everything."""
    if interval is None:
        return False
    low = -math.inf if interval.low is None else interval.low
    high = math.inf if interval.high is None else interval.high
    return low <= truth <= high


def generator(kind: Kind, n: int) -> np.random.Generator:
    """Return the draws of one row of a table, independent of those of the others."""
    return np.random.default_rng([n, *kind.name.encode()])


def coverage(repetitions: int) -> Iterator[tuple[str, str, int, float]]:
    """Yield distribution, figure, turns, and the share of intervals with the true figure."""
    for kind in KINDS:
        for figure, sizes in (
            ("mean", (10, 20, 30, 100)),
            ("p50", (10, 20, 30, 100)),
            ("p90", (40, 100)),
            ("p95", (80, 100, 200)),
            ("under(320ms)", (20, 30, 100)),
        ):
            for n in sizes:
                rng, truth = generator(kind, n), true_figure(kind, figure)
                hits = sum(
                    covers(interval_of(figure, kind.draw(rng, n)), truth)
                    for _ in range(repetitions)
                )
                yield kind.name, figure, n, hits / repetitions


def true_figure(kind: Kind, figure: str) -> float:
    """Return the figure of an endless run."""
    if figure == "mean":
        return kind.mean
    if figure.startswith("under"):
        return float(optimize.brentq(lambda p: kind.quantile(p) - 320, 1e-6, 1 - 1e-6))
    return kind.quantile(float(figure[1:]) / 100)


def interval_of(figure: str, values: Values) -> Interval | None:
    """Return voicebench's interval for these turns."""
    if figure == "mean":
        return mean_interval(values.tolist())
    if figure.startswith("under"):
        return share_interval(int((values < 320).sum()), values.size)
    return percentile_interval(values.tolist(), float(figure[1:]))


def difference_coverage(repetitions: int) -> Iterator[tuple[str, str, int, float]]:
    """Yield the same for differences of two equal runs."""
    for kind in KINDS:
        for n in (20, 30, 100):
            rng = generator(kind, n)
            means = medians = 0
            for _ in range(repetitions):
                first, second = kind.draw(rng, n), kind.draw(rng, n)
                means += covers(mean_difference(first, second), 0)
                sides = []
                for values in (first, second):
                    interval = percentile_interval(values.tolist(), 50)
                    assert interval is not None
                    sides.append((float(np.median(values)), interval))
                medians += covers(recovered_difference(sides[0], sides[1]), 0)
            yield kind.name, "mean", n, means / repetitions
            yield kind.name, "p50", n, medians / repetitions


def alarms(
    figures: list[Figure], shift: float, noise: float, n: int, repetitions: int
) -> tuple[float, float]:
    """Return the shares of runs that are FAIL and NOT SHOWN at this shift, with a limit of 10 %."""
    rng = np.random.default_rng(round(1000 * shift) + n)
    failed = not_shown = 0
    for _ in range(repetitions):
        sides = []
        for middle in (300.0, 300.0 * (1 + shift)):
            values = middle * (1 + rng.normal(0, noise, n))
            turns = [turn_of(value, number) for number, value in enumerate(values, 1)]
            sides.append(side_of(columns_of(turns, MEASURED), {}, {}))
        found = check_regressions(figures, sides[0], sides[1], allowed=0.10)
        verdict = worst([result.verdict for result in found.results])
        failed += verdict is Verdict.FAIL
        not_shown += verdict is Verdict.NOT_SHOWN
    return failed / repetitions, not_shown / repetitions


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=2000)
    repetitions = parser.parse_args().repetitions
    print(f"Coverage of nominal 95 % intervals, {repetitions} repetitions each\n")
    print("| distribution | figure | turns | covered |\n|---|---|---:|---:|")
    for name, figure, n, share in coverage(repetitions):
        print(f"| {name} | {figure} | {n} | {100 * share:.1f} % |", flush=True)
    print("\nCoverage of 0 by the interval of the difference of two equal runs\n")
    print("| distribution | figure | turns each | covered |\n|---|---|---:|---:|")
    for name, figure, n, share in difference_coverage(repetitions):
        print(f"| {name} | {figure} | {n} | {100 * share:.1f} % |", flush=True)
    print(f"\nRuns failed by `--max-regression 10%`, {repetitions // 2} repetitions each\n")
    print("| gates | noise | turns | true shift | failed | not shown |")
    print("|---|---:|---:|---:|---:|---:|")
    one = [parse_figure("first_audio.mean")]
    three = [*one, parse_figure("first_audio.p50"), parse_figure("turn.mean")]
    for label, figures in (("1", one), ("3", three)):
        for noise in (0.05, 0.20):
            for shift in (0.0, 0.03, 0.05, 0.10, 0.20):
                failed, open_ = alarms(figures, shift, noise, 30, repetitions // 2)
                print(
                    f"| {label} | {100 * noise:.0f} % | 30 | {100 * shift:+.0f} % "
                    f"| {100 * failed:.1f} % | {100 * open_:.1f} % |",
                    flush=True,
                )
    bounds = ", ".join(f"p{q:g}: {values_to_bound(q)}" for q in (50, 90, 95, 99))
    print(f"\nTurns that bound a percentile on both sides at 95 %: {bounds}")


if __name__ == "__main__":
    main()
