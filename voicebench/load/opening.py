"""The first turns of a plan, for ``--dry-run``: every reply takes the same expected time."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from voicebench.load.call_plan import Call, DueTurn, LoadPlan


def first_turns(plan: LoadPlan, reply_s: float, count: int) -> list[DueTurn]:
    """Return the first ``count`` turns in order of time, each heard out ``reply_s`` after it."""
    waiting: list[tuple[float, int, DueTurn]] = []
    calls: Iterator[Call] = plan.calls()
    coming = next(calls, None)
    found: list[DueTurn] = []
    number = 0
    while len(found) < count and (coming is not None or waiting):
        if coming is not None and (not waiting or coming.begins_s <= waiting[0][0]):
            turn = plan.first_turn(coming)
            coming = next(calls, None)
        else:
            due = heapq.heappop(waiting)[2]
            found.append(due)
            following = plan.following(due, due.due_s + reply_s)
            if following is None:
                continue
            turn = following
        number += 1
        heapq.heappush(waiting, (turn.due_s, number, turn))
    return found
