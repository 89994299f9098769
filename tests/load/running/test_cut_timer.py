"""Interruptions that come at their moments, and never to a later turn."""

from __future__ import annotations

import threading

from voicebench.load.running.cut_timer import CutTimer, PlannedCut
from voicebench.load.running.level_clock import recorder_ns

PATIENCE_S = 20.0


def test_functions_are_called_in_order_of_their_moments_and_never_before() -> None:
    timer, called, done = CutTimer(), list[tuple[str, int]](), threading.Event()
    now_ns = recorder_ns()

    def action(name: str) -> None:
        called.append((name, recorder_ns()))
        if len(called) == 3:
            done.set()

    timer.call_at(now_ns + 60_000_000, lambda: action("third"))
    timer.call_at(now_ns + 20_000_000, lambda: action("first"))
    timer.call_at(now_ns + 40_000_000, lambda: action("second"))
    assert done.wait(PATIENCE_S)
    assert [name for name, _ in called] == ["first", "second", "third"]
    for (_, at_ns), after_ms in zip(called, (20, 40, 60), strict=True):
        assert at_ns >= now_ns + after_ms * 1_000_000


def test_a_turn_that_has_ended_is_not_cut_off() -> None:
    timer, cancelled, over = CutTimer(), list[float](), threading.Event()
    late, in_time = PlannedCut(0.02, timer), PlannedCut(0.04, timer)

    def cancel(heard_s: float) -> None:
        cancelled.append(heard_s)
        over.set()

    for cut in (late, in_time):
        cut.offer(cancel)
        cut.first_audio(recorder_ns())
    late.turn_ended()
    assert over.wait(PATIENCE_S)
    assert cancelled == [0.04]
