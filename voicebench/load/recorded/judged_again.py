"""Levels judged again from their recorded turns, and the search that asked for them replayed.

A search is a generator that takes results and asks for the next level. So it can be replayed: it is
given the recorded levels, judged again, and its answer is the answer of the run. If it asks for
another level than the recorded one, the levels are not those of a search, and there is no answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from voicebench.errors import ResultsError
from voicebench.load.draws import derived_seed
from voicebench.load.drift import ALLOWED, SoakSamples
from voicebench.load.holding import HeldFor, judge_ended
from voicebench.load.level import judge_level
from voicebench.load.level_document import level_figures
from voicebench.load.level_rule import ClientState, LevelRule, Window
from voicebench.load.load_answer import probe_result
from voicebench.load.load_gate import LoadGate
from voicebench.load.loaded_turn import LevelTurns, columns_of_turns
from voicebench.load.recorded.level_columns import AllTurns, RecordedTurns
from voicebench.load.search import ERROR, CapacityAnswer, Probe, find_capacity
from voicebench.results.reading import number_in, object_in, texts_in

Document = Mapping[str, object]


@dataclass(frozen=True, eq=False)
class RecordedLevel:
    """One level, judged again."""

    stored: Document
    """Its line in ``levels.jsonl``."""
    document: Document
    """The same, with every figure computed again from its turns."""
    held: HeldFor
    rule: LevelRule
    reasons: Mapping[str, int]
    """How many of its turns failed, were refused or did not end, by the reason."""

    @property
    def number(self) -> int:
        """Its number in the run, from 1."""
        return int(number_in(self.stored, "level") or 0)

    @property
    def callers(self) -> int | None:
        """Its callers at once; None if calls or turns arrive at a rate."""
        callers = number_in(self.stored, "callers")
        return None if callers is None else int(callers)

    @property
    def purpose(self) -> str:
        """``load``, or the step of the search."""
        return str(self.stored.get("purpose"))

    def percentile(self, metric: str, q: int) -> float | None:
        """Return a percentile of the answered turns of the window; None if they are too few."""
        return number_in(object_in(object_in(self.document, "metrics"), metric), f"p{q}")


@dataclass(frozen=True, eq=False)
class LoadReplay:
    """The levels of a run, judged again, and the answer that they give."""

    levels: tuple[RecordedLevel, ...]
    answer: CapacityAnswer | None = None
    """None for a run of one level, and for a search that did not come to its end."""
    contradiction: str = ""
    """Why the levels are not those that a search asks for; empty if they are."""


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """The settings of a search, from ``settings.json`` and ``capacity.json``."""

    most: int
    precision: float
    at_least: int | None
    least: int
    first: int
    seed: int


def replay_level(level: Document, turns: AllTurns, gates: Sequence[LoadGate]) -> LoadReplay:
    """Judge the level of a run of ``load`` again. Raises `ResultsError`."""
    return LoadReplay((_judged(level, turns, _rule(level, gates, ERROR)),))


def replay_search(
    levels: Sequence[Document], turns: AllTurns, gates: Sequence[LoadGate], of: SearchSettings
) -> LoadReplay:
    """Judge the levels of a run of ``capacity`` again, as the search asks for them.

    Raises `ResultsError` for a level that cannot be judged.
    """
    search = find_capacity(
        of.most, of.precision, at_least=of.at_least, least=of.least, first=of.first
    )
    found: list[RecordedLevel] = []
    probe = next(search)
    for place, level in enumerate(levels):
        wrong = _unlike(level, probe, of.seed)
        judged = _judged(level, turns, _rule_of(probe, level, gates))
        found.append(judged)
        if wrong:
            rest = [_judged(one, turns, _rule(one, gates, ERROR)) for one in levels[place + 1 :]]
            return LoadReplay((*found, *rest), None, wrong)
        if judged.held.interrupted:
            return LoadReplay(tuple(found))
        try:
            probe = search.send(probe_result(judged.held))
        except StopIteration as ended:
            more = len(levels) - place - 1
            extra = f"{more} levels come after the end of the search" if more else ""
            return LoadReplay(tuple(found), None if extra else ended.value, extra)
    missing = f"the search would go on with {probe.callers} callers ({probe.purpose})"
    return LoadReplay(tuple(found), None, missing)


def _unlike(level: Document, probe: Probe, seed: int) -> str:
    """Return how a level differs from the one that the search asks for; empty if it does not."""
    wanted: dict[str, object] = {
        "callers": probe.callers,
        "purpose": probe.purpose,
        "seed": derived_seed(seed, "confirm", probe.attempt)
        if probe.purpose == "confirm"
        else seed,
    }
    for name, value in wanted.items():
        if level.get(name) != value:
            return (
                f"{name} of level {level.get('level')} is {level.get(name)}, and the search asks "
                f"for {value}"
            )
    return ""


def _rule(level: Document, gates: Sequence[LoadGate], error: float) -> LevelRule:
    block_s = number_in(level, "block_s")
    if block_s is None or not block_s > 0:
        raise ResultsError(f"level {level.get('level')} has no length of its blocks")
    return LevelRule(tuple(gates), block_s, error)


def _rule_of(probe: Probe, level: Document, gates: Sequence[LoadGate]) -> LevelRule:
    plain = _rule(level, gates, probe.error)
    return LevelRule(
        plain.gates, plain.block_s, probe.error, probe.screen_error, climbs=probe.climbs
    )


def _judged(level: Document, turns: AllTurns, rule: LevelRule) -> RecordedLevel:
    number = number_in(level, "level")
    taken = turns.levels.get(int(number)) if number is not None else None
    recorded = taken or RecordedTurns(no_turns(rule), {})
    held = held_again(level, recorded.turns, rule)
    document = {**level, **level_figures(rule, held)}
    return RecordedLevel(level, document, held, rule, recorded.reasons)


def held_again(level: Document, turns: LevelTurns, rule: LevelRule) -> HeldFor:
    """Return the level of ``turns``, judged in the window that its line has."""
    window, client = _window(level), _client(level)
    steady = level.get("steady") is not False
    interrupted = level.get("interrupted") is True
    ended_s = number_in(level, "ended_s") or window.end_s
    if interrupted:
        judged = judge_level(turns, window, rule, client=client)
    else:
        judged = judge_ended(turns, window, rule, client, steady=steady)
    held = HeldFor(judged, turns, ended_s, interrupted=interrupted, steady=steady, client=client)
    return replace(held, soak=_soak(level, rule.block_s))


def no_turns(rule: LevelRule) -> LevelTurns:
    """Return the columns of a level without a turn."""
    return columns_of_turns((), rule.metrics())


def _window(level: Document) -> Window:
    stored = object_in(level, "window")
    start_s, end_s = number_in(stored, "start_s"), number_in(stored, "end_s")
    if start_s is None or end_s is None or not 0 <= start_s <= end_s:
        raise ResultsError(f"level {level.get('level')} has no measured window")
    return Window(start_s, end_s)


def _soak(level: Document, block_s: float) -> SoakSamples | None:
    stored = level.get("soak")
    if not isinstance(stored, dict):
        return None
    curves: dict[str, list[float | None]] = {}
    for name, values in object_in(stored, "samples").items():
        if name not in ALLOWED or not isinstance(values, list):
            raise ResultsError(f"level {level.get('level')} has an unknown curve {name!r}")
        curves[name] = [float(v) if isinstance(v, int | float) else None for v in values]
    return SoakSamples(block_s, curves)


def _client(level: Document) -> ClientState:
    stored = object_in(level, "client")
    busiest, foreign = number_in(stored, "busiest_core"), number_in(stored, "foreign")
    return ClientState(busiest, foreign, tuple(texts_in(stored, "broken")))
