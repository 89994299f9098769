"""Every target keeps the contract. A new one is a new line in `SUBJECTS`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import contract
import pytest
from contract import Subject
from planned_engines import PlannedTurns

from voicebench.pipeline.scheduling import FreeForAll, TurnTaking
from voicebench.targets import Target
from voicebench.targets.cascade import Cascade
from voicebench.targets.script import Script
from voicebench.targets.simulated import Simulated, VirtualClock
from voicebench.turn.recorder import Clock


@contextmanager
def simulated(script: Script) -> Iterator[Target]:
    with closing(Simulated(script, VirtualClock())) as target:
        yield target


@contextmanager
def simulated_on_the_real_clock(script: Script) -> Iterator[Target]:
    with closing(Simulated(script)) as target:
        yield target


def clock_of_simulated(target: Target) -> Clock:
    assert isinstance(target, Simulated)
    return target.clock.now_ns


@contextmanager
def cascade(
    script: Script, new_schedule: Callable[[], FreeForAll] = FreeForAll
) -> Iterator[Target]:
    engines = PlannedTurns(script)
    target = Cascade(engines, engines, first_words=3, later_words=8, new_schedule=new_schedule)
    with closing(target):
        yield target


@contextmanager
def cascade_on_one_device(script: Script) -> Iterator[Target]:
    with cascade(script, TurnTaking) as target:
        yield target


SUBJECTS = (
    Subject("simulated, virtual clock", simulated, exact=True, clock_of=clock_of_simulated),
    Subject("simulated, real clock", simulated_on_the_real_clock),
    Subject("cascade", cascade),
    Subject("cascade on one device", cascade_on_one_device),
)


@pytest.mark.parametrize("check", contract.CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("subject", SUBJECTS, ids=str)
def test_every_target_keeps_the_contract(
    subject: Subject, check: Callable[[Subject], None]
) -> None:
    check(subject)
