"""Small steps: pauses while a process computes, and none after it."""

from __future__ import annotations

import os
import signal
import time

import pytest

from voicebench.load.running.small_steps import PAUSE_S, STEP_S, small_steps

pytestmark = pytest.mark.skipif(
    not hasattr(os, "SCHED_IDLE"), reason="this system has no idle class"
)

ENOUGH_S = 10.0


def test_who_computes_pauses_again_and_again_and_then_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    before = signal.getsignal(signal.SIGALRM)
    with small_steps():
        _compute_until(lambda: len(pauses) >= 20)
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGALRM) == before
    assert set(pauses) == {PAUSE_S}


def test_a_pause_that_takes_long_is_not_interrupted_by_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    depth, depths = 0, []

    def take_long(_seconds: float) -> None:
        nonlocal depth
        depth += 1
        depths.append(depth)
        limit_ns = time.perf_counter_ns() + round(3e9 * STEP_S)
        _compute_until(lambda: time.perf_counter_ns() > limit_ns)
        depth -= 1

    monkeypatch.setattr(time, "sleep", take_long)
    with small_steps():
        _compute_until(lambda: len(depths) >= 5)
    assert set(depths) == {1}


def test_an_error_ends_the_steps() -> None:
    before = signal.getsignal(signal.SIGALRM)
    with pytest.raises(EOFError), small_steps():
        raise EOFError
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGALRM) == before


def _compute_until(is_enough: object) -> None:
    assert callable(is_enough)
    limit_ns = time.perf_counter_ns() + round(ENOUGH_S * 1e9)
    while not is_enough():
        assert time.perf_counter_ns() < limit_ns, "nothing interrupted the computation"
