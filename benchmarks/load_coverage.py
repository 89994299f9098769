"""Simulate how often levels and searches for capacity are right, in a queue whose truth is known.

The queue is the M/M/c//N queue of `voicebench.load.queue_theory`: 8 slots, an exponential service
of 1.2 s, and callers who pause. A turn is good within a limit. The product's own plan, engine,
rule and search run on the virtual clock; everything is seeded.

``python benchmarks/load_coverage.py`` prints the tables of ``docs/explanation/statistics.md`` (half
an hour of processor time); ``--seeds 20`` gives a quick look, ``--table`` and ``--queue`` a part.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from voicebench.figures.intervals import percentile_interval, share_interval
from voicebench.load.call_plan import Behaviour, LoadPlan, Population
from voicebench.load.distributions import read_count, read_duration
from voicebench.load.draws import derived_seed
from voicebench.load.holding import HeldFor, Times, hold
from voicebench.load.level_document import above_shares
from voicebench.load.level_rule import LevelRule, LevelStanding
from voicebench.load.load_gate import load_gates
from voicebench.load.loaded_turn import ANSWERED
from voicebench.load.queue_theory import FiniteQueue
from voicebench.load.running.virtual_engine import VirtualEngine
from voicebench.load.search import CapacityAnswer, Probe, ProbeResult, find_capacity
from voicebench.targets.script import parse_script

BLOCK_S = 30.0
FIRST_S = 10.0
SHORT_S = 8 * BLOCK_S
SHARE = 0.95


@dataclass(frozen=True)
class Case:
    """A queue, callers, and the limit of a good turn."""

    name: str
    slots: int
    service_s: float
    think: str
    limit_s: float
    longest_s: float = 600.0
    most: int = 400
    precision: float = 0.10
    near: tuple[int, ...] = ()
    """The numbers of callers of the tables: below, at and above the capacity."""

    @property
    def engine(self) -> VirtualEngine:
        """The server on the virtual clock; its reply is short beside the service time."""
        script = (
            f"sim:ttft=10ms,token=1ms,ttfb=10ms,speed=50x,words=3,slots={self.slots},"
            f"service=exp:{self.service_s}s"
        )
        return VirtualEngine(parse_script(script), self.rule(0.05).metrics())

    @property
    def behaviour(self) -> Behaviour:
        """Callers with an exponential pause; no time is spent speaking."""
        return Behaviour(
            read_duration(self.think, "think"),
            read_duration("0s", "speech"),
            read_count("geometric:8", "turns"),
        )

    @property
    def _reply(self) -> tuple[float, float]:
        """First audio and the end of playback after the service, in seconds."""
        reply = self.engine.answered
        first_ms = reply.values(0)["first_audio_due_ms"]
        assert first_ms is not None
        return first_ms / 1000, reply.heard_s

    def truth(self, callers: int) -> float:
        """Return the true share of good turns."""
        first_s, heard_s = self._reply
        pause_s = self.behaviour.pause_s + heard_s
        queue = FiniteQueue(self.slots, self.service_s, pause_s)
        return queue.share_within(callers, self.limit_s - first_s)

    def capacity(self) -> int:
        """Return the true capacity."""
        callers = 0
        while self.truth(callers + 1) >= SHARE:
            callers += 1
        return callers

    def rule(self, error: float, screen_error: float | None = None, *, climbs: bool = False) -> (
        LevelRule
    ):  # fmt: skip
        """Return the rule of a level with the one gate."""
        gates = load_gates([f"first_audio_due.p95 < {self.limit_s}s"])
        return LevelRule(gates, BLOCK_S, error, screen_error, climbs)


CROWDED = Case(
    "8 slots, service 1.2 s, pause 8.8 s, good within 5 s",
    *(8, 1.2, "exp:8.8s", 5.0),
    most=128,
    precision=0.25,
    near=(45, 75),
)
SMALL = Case(
    "2 slots, service 0.5 s, pause 4 s, good within 2.5 s",
    *(2, 0.5, "exp:4s", 2.5),
    most=64,
    precision=0.25,
    near=(11, 18, 19, 22),
)
CASES = (CROWDED, SMALL)


def held(
    case: Case, callers: int, seed: int, rule: LevelRule, longest_s: float, *, whole: bool = False
) -> HeldFor:
    """Hold one level."""
    plan = LoadPlan(seed, Population(callers), case.behaviour)
    times = Times(FIRST_S, longest_s, 60.0, whole=whole)
    return hold(case.engine.start(plan, 1), rule, times)


def searched(case: Case, seed: int) -> CapacityAnswer:
    """Return the answer of a whole search."""
    search = find_capacity(case.most, case.precision)
    probe = next(search)
    while True:
        try:
            probe = search.send(_result(case, seed, probe))
        except StopIteration as ended:
            answer: CapacityAnswer = ended.value
            return answer


def _result(case: Case, seed: int, probe: Probe) -> ProbeResult:
    fresh = probe.purpose == "confirm"
    level = held(
        case,
        probe.callers,
        derived_seed(seed, "confirm", probe.attempt) if fresh else seed,
        case.rule(probe.error, probe.screen_error, climbs=probe.climbs),
        SHORT_S if probe.purpose == "again" else case.longest_s,
    )
    window = level.judgement.window
    inside = level.turns.due_in(window.start_s, window.end_s)
    values = inside.values["first_audio_due_ms"][inside.outcome == ANSWERED]
    middle = percentile_interval(values.tolist(), 50, 0.99)
    return ProbeResult(level.judgement.standing, above_shares(level), middle)


@dataclass(frozen=True)
class Covered:
    """How often intervals at 95 % included the true share of good turns."""

    naive: float
    widened: float
    sequence: float
    levels: int
    inflation: float


def coverage(case: Case, callers: int, seeds: int) -> Covered:
    """Return the coverage of three intervals on the same levels.

    *naive*: Wilson's interval of n independent turns. *widened*: the normal interval with the
    inflation of the level, which has Student's t in it. *sequence*: the bounds that judge a level,
    which hold at all looks together.
    """
    truth = case.truth(callers)
    hits = np.zeros(3)
    inflations = []
    used = 0
    for seed in range(seeds):
        level = held(case, callers, seed, case.rule(0.05), case.longest_s, whole=True)
        [gate] = level.judgement.gates
        bounds = gate.bounds
        inflations.append(bounds.inflation)
        if level.judgement.turns == 0:
            continue
        used += 1
        naive = share_interval(bounds.good, bounds.n)
        assert naive is not None
        assert naive.low is not None
        assert naive.high is not None
        hits[0] += naive.low <= truth <= naive.high
        share = bounds.good / bounds.n
        reach = 1.959964 * np.sqrt(share * (1 - share) / bounds.effective_n)
        hits[1] += abs(share - truth) <= reach
        hits[2] += bounds.low <= truth <= bounds.high
    naive_hits, widened_hits, sequence_hits = (float(hit) / used for hit in hits)
    return Covered(naive_hits, widened_hits, sequence_hits, used, float(np.median(inflations)))


def standings(
    case: Case, callers: int, seeds: int, longest_s: float | None = None
) -> dict[LevelStanding, int]:
    """Return how often a level, held until it is decided, has each result."""
    longest_s = longest_s or case.longest_s
    found = dict.fromkeys(LevelStanding, 0)
    for seed in range(seeds):
        found[held(case, callers, seed, case.rule(0.05), longest_s).judgement.standing] += 1
    return found


@dataclass(frozen=True)
class Bracketed:
    """How often searches bracketed the true capacity."""

    seeds: int
    true: int
    bracketed: int
    false_holds: int
    false_fails: int
    unconfirmed: int
    open_above: int
    median: float
    median_high: float


def brackets(
    case: Case, seeds: int, say: Callable[[int, CapacityAnswer], None] = lambda *_: None
) -> Bracketed:
    """Return the results of one search for each seed.

    A search brackets the true capacity if it publishes no higher one and calls no level up to it a
    failing one. A search that confirmed no level claims nothing, and counts as not bracketed.
    """
    true = case.capacity()
    answers = []
    for seed in range(seeds):
        answers.append(searched(case, seed))
        say(seed, answers[-1])
    holds = sum(a.capacity is not None and a.capacity > true for a in answers)
    fails = sum(a.high is not None and a.high <= true for a in answers)
    bracketed = sum(
        a.capacity is not None and a.capacity <= true and (a.high is None or a.high > true)
        for a in answers
    )
    lows = [a.capacity for a in answers if a.capacity is not None]
    highs = [a.high for a in answers if a.high is not None]
    return Bracketed(
        seeds,
        true,
        bracketed,
        holds,
        fails,
        sum(a.capacity is None for a in answers),
        sum(a.high is None for a in answers),
        float(np.median(lows)) if lows else 0.0,
        float(np.median(highs)) if highs else 0.0,
    )


def _percent(part: float, whole: float = 1.0) -> str:
    return f"{100 * part / whole:.1f} %"


def print_intervals(cases: Sequence[Case], seeds: int) -> None:
    """Print how often intervals include the truth."""
    print(f"\nIntervals at 95 % of the share of good turns, {seeds} levels of 600 s each\n")
    print("| queue | callers | true share | naive | widened | sequence | median inflation |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for case in cases:
        for callers in case.near:
            found = coverage(case, callers, seeds)
            print(
                f"| {case.name} | {callers} | {_percent(case.truth(callers))} "
                f"| {_percent(found.naive)} | {_percent(found.widened)} "
                f"| {_percent(found.sequence)} | {found.inflation:.1f} |",
                flush=True,
            )


def print_levels(
    cases: Sequence[Case], seeds: int, longest_s: float | None = None, of: str = "a level"
) -> None:
    """Print the results of levels."""
    print(f"\nResults of {of} that ends when it is decided, {seeds} levels each\n")
    print("| queue | callers | true share | holds | fails | undecided |")
    print("|---|---:|---:|---:|---:|---:|")
    for case in cases:
        for callers in case.near:
            results = standings(case, callers, seeds, longest_s)
            shown = results[LevelStanding.HOLDS], results[LevelStanding.FAILS]
            print(
                f"| {case.name} | {callers} | {_percent(case.truth(callers))} "
                f"| {_percent(shown[0], seeds)} | {_percent(shown[1], seeds)} "
                f"| {_percent(seeds - sum(shown), seeds)} |",
                flush=True,
            )


def print_short_levels(cases: Sequence[Case], seeds: int) -> None:
    """Print the results of levels of eight blocks, which often fail to become steady at once."""
    print_levels(cases, seeds, SHORT_S, f"a level of {SHORT_S:.0f} s")


def print_searches(cases: Sequence[Case], seeds: int) -> None:
    """Print the results of whole searches."""
    print(f"\nWhole searches, {seeds} seeds each\n")
    print(
        "| queue | true capacity | bracketed | false holds | false fails | none confirmed "
        "| no failing level | median capacity | median high |\n"
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|"
    )
    for case in cases:
        total = brackets(case, seeds)
        print(
            f"| {case.name} | {total.true} | {_percent(total.bracketed, seeds)} "
            f"| {_percent(total.false_holds, seeds)} | {_percent(total.false_fails, seeds)} "
            f"| {_percent(total.unconfirmed, seeds)} | {_percent(total.open_above, seeds)} "
            f"| {total.median:g} | {total.median_high:g} |",
            flush=True,
        )


TABLES: dict[str, Callable[[Sequence[Case], int], None]] = {
    "intervals": print_intervals,
    "levels": print_levels,
    "short": print_short_levels,
    "searches": print_searches,
}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--table", choices=TABLES, help="only this table")
    parser.add_argument("--queue", type=int, choices=range(len(CASES)), help="only this queue")
    asked = parser.parse_args()
    cases = CASES if asked.queue is None else CASES[asked.queue : asked.queue + 1]
    for name, table in TABLES.items():
        if asked.table in (None, name):
            table(cases, asked.seeds)


if __name__ == "__main__":
    main()
