"""Traces: calls to repeat, one a line of JSON.

::

    {"at_s": 0.0, "turns": [{"speech_s": 1.8, "prompt": "What time is it?"}, {"think_s": 2.5,
     "speech_s": 3.1}]}

``at_s`` is when the call begins, in seconds after the start of the level, in rising order.
Each turn has ``think_s`` (the pause after the assistant was heard out, or after the begin of the
call; 0 if left out), ``speech_s`` (the length of the caller's speech), and maybe its ``prompt``. A
turn is due when its speech ends. The assistant may take longer than it did when the trace was
made, so later turns move with it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator

from voicebench.errors import UsageError
from voicebench.load.call_plan import Trace, TracedCall, TracedTurn
from voicebench.load.distributions import LONGEST_S, MOST_TURNS

MOST_CALLS = 1_000_000
LONGEST_TRACE_S = 7 * 86_400.0
LONGEST_LINE = 1_000_000
LONGEST_PROMPT = 10_000
_EXAMPLE = 'write for example {"at_s": 0, "turns": [{"think_s": 1.5, "speech_s": 2}]}'


def read_trace(lines: Iterable[str], where: str) -> Trace:
    """Read the lines of a trace. Raises `UsageError` naming ``where`` and the line."""
    calls: list[TracedCall] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        place = f"{where}, line {number}"
        if len(calls) >= MOST_CALLS:
            raise UsageError(f"{where} has more than {MOST_CALLS} calls", "use a part of it")
        call = _call(line, place)
        if calls and call.at_s < calls[-1].at_s:
            raise UsageError(f"{place}: the call begins before the one above it", "sort by at_s")
        calls.append(call)
    if not calls:
        raise UsageError(f"{where} has no call", _EXAMPLE)
    return Trace(tuple(calls))


def _call(line: str, place: str) -> TracedCall:
    if len(line) > LONGEST_LINE:
        raise UsageError(f"{place} is longer than {LONGEST_LINE} characters", "split the call")
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        raise UsageError(f"{place} is not JSON", _EXAMPLE) from None
    if not isinstance(found, dict) or not isinstance(found.get("turns"), list):
        raise UsageError(f"{place} is not a call", _EXAMPLE)
    _only(found, ("at_s", "turns"), place)
    if not 1 <= len(found["turns"]) <= MOST_TURNS:
        raise UsageError(f"{place} has {len(found['turns'])} turns", f"allowed: 1 to {MOST_TURNS}")
    turns = tuple(_turns(found["turns"], place))
    return TracedCall(_seconds(found, "at_s", LONGEST_TRACE_S, place), turns)


def _turns(listed: list[object], place: str) -> Iterator[TracedTurn]:
    for number, turn in enumerate(listed, 1):
        where = f"{place}, turn {number}"
        if not isinstance(turn, dict):
            raise UsageError(f"{where} is not an object", _EXAMPLE)
        _only(turn, ("think_s", "speech_s", "prompt"), where)
        prompt = turn.get("prompt")
        if prompt is not None and not (isinstance(prompt, str) and prompt.strip()):
            raise UsageError(f"{where}: prompt is not a text", "leave it out, or write one")
        if prompt is not None and len(prompt) > LONGEST_PROMPT:
            raise UsageError(f"{where}: prompt is longer than {LONGEST_PROMPT} characters")
        think_s = _seconds({"think_s": 0, **turn}, "think_s", LONGEST_S, where)
        yield TracedTurn(think_s, _seconds(turn, "speech_s", LONGEST_S, where), prompt)


def _only(found: dict[str, object], known: tuple[str, ...], place: str) -> None:
    for key in found:
        if key not in known:
            raise UsageError(f"{place} has an unknown key {key!r}", f"use {', '.join(known)}")


def _seconds(found: dict[str, object], key: str, most: float, place: str) -> float:
    value = found.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UsageError(f"{place}: {key} is missing or not a number", _EXAMPLE)
    if not (math.isfinite(value) and 0 <= value <= most):
        raise UsageError(f"{place}: {key} = {value} is out of range", f"allowed: 0 to {most:g} s")
    return float(value)
