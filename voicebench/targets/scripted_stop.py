"""A scripted turn that is asked to stop, exactly as a simulated target plays it."""

from __future__ import annotations

from collections.abc import Sequence

from voicebench.events import TurnFinished, TurnInterrupted, TurnStopped
from voicebench.targets.simulated import Scripted


def plan_stop(plan: Sequence[Scripted], cut_ns: int, stop_ns: int) -> list[Scripted]:
    """Return the turn of ``plan`` that is asked to stop at ``cut_ns``, before its end.

    It goes on for ``stop_ns``. A reply that is complete by then has stopped with its last sample.
    """
    ends_ns = min(cut_ns + stop_ns, plan[-1].at_ns)
    stopped = [scripted for scripted in plan[:-1] if scripted.at_ns <= ends_ns]
    stopped.append(Scripted(cut_ns, TurnInterrupted()))
    # Stable: what comes at the moment of the request came before it.
    stopped.sort(key=lambda scripted: scripted.at_ns)
    return [*stopped, Scripted(ends_ns, TurnStopped()), Scripted(ends_ns, TurnFinished())]
