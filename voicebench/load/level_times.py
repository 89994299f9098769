"""The times of a level: its blocks, what is dropped at its beginning, and its longest window."""

from __future__ import annotations

from voicebench.load.call_plan import Arrivals, Behaviour, CallRate, cycle_s
from voicebench.load.holding import Times
from voicebench.load.level_rule import block_length


def level_times(
    arrivals: Arrivals,
    behaviour: Behaviour,
    *,
    reply_s: float,
    ramp_s: float,
    for_s: float,
    drain_s: float,
    is_judged: bool,
) -> tuple[float, Times]:
    """Return the length of a block and the times of a level, all of them whole blocks.

    Without gates (not ``is_judged``) a block is at most as long as the level. The ramp and a mean
    cycle are dropped. At a rate of calls a mean call is dropped, because it
    takes so long until calls end as often as they begin.
    """
    cycle = cycle_s(behaviour, reply_s)
    block_s = block_length(cycle) if is_judged else min(block_length(cycle), for_s)
    dropped_s = cycle * (behaviour.turns.mean if isinstance(arrivals, CallRate) else 1)
    blocks = max(int(for_s / block_s + 1e-9), 1)
    return block_s, Times(ramp_s + dropped_s, blocks * block_s, drain_s)
