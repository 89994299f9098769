"""Check the measured window of a level: begun where the rule says, and ended when it was decided.

A window that is chosen after the fact could leave out slow turns. So its begin is found again from
the turns that had ended at each look, and its end must be the longest time or a decided look.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from voicebench.load.call_plan import Arrivals, Behaviour, CallRate, Population, Trace, TurnRate
from voicebench.load.distributions import read_count, read_duration
from voicebench.load.holding import Times, is_decided
from voicebench.load.interruption import read_interruption
from voicebench.load.level import judge_level
from voicebench.load.level_rule import LEAST_BLOCKS
from voicebench.load.level_times import level_times
from voicebench.load.loaded_turn import LevelTurns
from voicebench.load.recorded.judged_again import RecordedLevel
from voicebench.load.steadiness import STEADY_BLOCKS, steady_from, unsteady_until
from voicebench.results.reading import number_in, object_in

NEAR_S = 1e-6


def planned_times(load: Mapping[str, object], level: RecordedLevel) -> tuple[float, Times]:
    """Return the block and the times that the settings give a level. Raises `UsageError`."""
    behaviour = Behaviour(
        read_duration(str(load.get("think")), "load.think"),
        read_duration(str(load.get("speech")), "load.speech"),
        read_count(str(load.get("turns")), "load.turns"),
        None
        if load.get("interrupt") is None
        else read_interruption(str(load["interrupt"]), "load.interrupt"),
    )
    block_s, times = level_times(
        _arrivals(level.stored),
        behaviour,
        reply_s=number_in(load, "reply_s") or 0.0,
        ramp_s=number_in(load, "ramp_s") or 0.0,
        for_s=number_in(load, "for_s") or 0.0,
        drain_s=number_in(load, "drain_s") or 0.0,
        is_judged=bool(level.rule.gates),
    )
    if level.purpose == "again":
        times = Times(times.first_s, LEAST_BLOCKS * block_s, times.drain_s)
    return block_s, times


def _arrivals(level: Mapping[str, object]) -> Arrivals:
    callers, calls = number_in(level, "callers"), number_in(level, "calls_per_s")
    if callers is not None:
        return Population(int(callers))
    if calls is not None:
        return CallRate(calls)
    turns = number_in(level, "turns_per_s")
    return Trace(()) if turns is None else TurnRate(turns)


def wrong_times(load: Mapping[str, object], level: RecordedLevel) -> Iterator[str]:
    """Yield where the times of a level are not those of the settings. Raises `UsageError`."""
    block_s, times = planned_times(load, level)
    stored = object_in(level.stored, "times")
    expected = {
        "block_s": (number_in(level.stored, "block_s"), block_s),
        "times.first_s": (number_in(stored, "first_s"), times.first_s),
        "times.longest_s": (number_in(stored, "longest_s"), times.longest_s),
        "times.drain_s": (number_in(stored, "drain_s"), times.drain_s),
    }
    for name, (found, planned) in expected.items():
        if found != planned:
            yield f"{name} is {found}, and the settings give {planned}"


def wrong_window(load: Mapping[str, object], level: RecordedLevel) -> Iterator[str]:
    """Yield what is wrong with the window of a level that has ended. Raises `UsageError`."""
    if level.held.interrupted or level.held.client.broken:
        return
    block_s, times = planned_times(load, level)
    window, turns = level.held.judgement.window, level.held.turns
    start_s, looked_s = _steady_again(turns, block_s, times)
    if start_s is None:
        if level.held.steady:
            yield "it counts as steady, and its turns never were"
        elif abs(window.end_s - looked_s) > NEAR_S:
            yield f"its window ends at {window.end_s:g} s, and it was given up at {looked_s:g} s"
        return
    if not level.held.steady or abs(window.start_s - start_s) > NEAR_S:
        yield f"its window begins at {window.start_s:g} s, and it was steady from {start_s:g} s"
        return
    longest = abs(window.length_s - times.longest_s) <= NEAR_S
    if longest:
        return
    blocks = window.length_s / block_s
    if level.purpose == "load" or window.length_s > times.longest_s:
        yield f"its window is {window.length_s:g} s long, and {times.longest_s:g} s were planned"
    elif abs(blocks - round(blocks)) > NEAR_S:
        yield f"its window of {window.length_s:g} s is not one of whole blocks"
    elif not _was_decided(level, window.end_s):
        yield f"its window ends at {window.end_s:g} s, and it was not decided then"


def _steady_again(turns: LevelTurns, block_s: float, times: Times) -> tuple[float | None, float]:
    """Return from when the level was steady (None: never), and the look at which that was known."""
    if times.longest_s < STEADY_BLOCKS * block_s - NEAR_S:
        return times.first_s, times.first_s  # too short to see it, and not judged
    given_up_s = unsteady_until(times.first_s, times.longest_s, block_s)
    now_s = times.first_s
    while True:
        now_s += block_s
        start_s = steady_from(
            _ended_by(turns, now_s), times.first_s, block_s, now_s, _open_at(turns, now_s)
        )
        if start_s is not None or now_s >= given_up_s - NEAR_S:
            return start_s, now_s


def _was_decided(level: RecordedLevel, at_s: float) -> bool:
    turns = level.held.turns
    judged = judge_level(
        _ended_by(turns, at_s),
        level.held.judgement.window,
        level.rule,
        open_due_s=_open_at(turns, at_s),
        client=level.held.client,
    )
    return is_decided(judged, level.rule)


def _open_at(turns: LevelTurns, at_s: float) -> list[float]:
    found: list[float] = turns.due_s[(turns.due_s <= at_s) & (turns.ended_s > at_s)].tolist()
    return found


def _ended_by(turns: LevelTurns, at_s: float) -> LevelTurns:
    rows = np.flatnonzero(turns.ended_s <= at_s)
    return turns.rows(rows)
