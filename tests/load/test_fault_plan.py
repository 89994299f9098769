"""Faults as they are written, and the turns that meet one."""

from __future__ import annotations

from collections import Counter

import pytest

from voicebench.errors import UsageError
from voicebench.load.fault_plan import FaultPlan, PlannedFault, read_faults


def test_shares_and_times_are_read() -> None:
    assert read_faults("reset=1%,slow=2%,stall=0.5%:3s", "it") == FaultPlan(
        (
            PlannedFault("reset", 0.01, 0.0),
            PlannedFault("slow", 0.02, 0.4),
            PlannedFault("stall", 0.005, 3.0),
        )
    )
    assert read_faults("slow=100%:250ms", "it").faults[0].held_s == 0.25


@pytest.mark.parametrize(
    "text",
    ["", "reset", "reset=1", "reset=0%", "reset=101%", "drop=1%", "reset=1%:2s", "slow=1%:61s",
     "reset=1%,reset=2%", "reset=60%,slow=60%", "slow=1%:fast"],
)  # fmt: skip
def test_what_is_no_fault_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="write for example 'reset=1%"):
        read_faults(text, "load.faults")


def test_as_many_turns_meet_a_fault_as_were_asked_for_and_always_the_same() -> None:
    plan = read_faults("reset=10%,slow=20%", "it")
    drawn = [plan.drawn(7, caller, 0, turn) for caller in range(100) for turn in range(100)]
    counts = Counter(None if fault is None else fault.kind for fault in drawn)
    assert counts["reset"] / 10_000 == pytest.approx(0.10, abs=0.01)
    assert counts["slow"] / 10_000 == pytest.approx(0.20, abs=0.015)
    again = [plan.drawn(7, caller, 0, turn) for caller in range(100) for turn in range(100)]
    assert drawn == again
    assert drawn != [plan.drawn(8, caller, 0, turn) for caller in range(100) for turn in range(100)]
