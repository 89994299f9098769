from __future__ import annotations

import numpy as np

from benchmarks.ears.__main__ import judge
from benchmarks.ears.caller_lines import LINES
from benchmarks.ears.heard_words import in_noise, over_mulaw
from benchmarks.ears.spoken_call import Answered


def answered(response_ms: float | None, *, cut_in: bool = False) -> Answered:
    return Answered("words", response_ms, 300.0, 310.0, 320.0, cut_in)


def test_promises_are_held_by_answers_in_time_only() -> None:
    good = [answered(400.0)] * 60
    assert [one.held for one in judge(good)] == [True, True, True]
    late = [answered(400.0)] * 56 + [answered(900.0)] * 4
    assert [one.held for one in judge(late)] == [True, False, True]
    slow = [answered(460.0)] * 60
    assert [one.held for one in judge(slow)] == [False, True, True]


def test_an_agent_that_never_answers_or_always_cuts_in_holds_no_promise() -> None:
    assert [one.held for one in judge([answered(None)] * 60)] == [False, False, True]
    # One that answers into every pause would be the fastest.
    assert [one.held for one in judge([answered(1.0, cut_in=True)] * 60)][2] is False


def test_a_part_of_the_lines_decides_nothing() -> None:
    assert [one.held for one in judge([answered(100.0)] * 5)] == [None, None, None]


def test_every_line_has_one_pause() -> None:
    assert len(LINES) == 60
    assert all(line.count("|") == 1 for line in LINES)


def test_noise_has_a_tenth_of_the_power_and_the_telephone_keeps_the_speech() -> None:
    tone = (0.3 * np.sin(np.arange(16_000) * 2 * np.pi * 500 / 16_000)).astype(np.float32)
    noise = in_noise(tone) - tone
    assert 0.9 < 10 * np.mean(noise**2) / np.mean(tone**2) < 1.1
    heard = over_mulaw(tone)
    assert heard.size == tone.size
    assert np.mean((heard - tone)[400:-400] ** 2) < 1e-3 * np.mean(tone**2)
