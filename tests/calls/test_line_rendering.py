"""The caller's lines as sound: pauses are as long as the script says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from voicebench.audio.synthetic_voice import synthetic_voice
from voicebench.calls.call_script import CallScript, CallStep
from voicebench.calls.running.line_rendering import LONGEST_OWN_PAUSE_S, SPOKEN_RATE, rendered

RATE = 16_000


class PausingVoice:
    """Says half a second, pauses, and says half a second, with silence at both ends."""

    def __init__(self, pause_s: float) -> None:
        self._pause_s = pause_s

    def speak(self, _text: str) -> NDArray[np.float32]:
        said = synthetic_voice(SPOKEN_RATE // 2, SPOKEN_RATE)
        quiet, end = (np.zeros(round(s * SPOKEN_RATE), np.float32) for s in (self._pause_s, 0.3))
        return np.concatenate((end, said, quiet, said, end))

    def describe(self) -> dict[str, object]:
        return {"voice": "pausing"}


def length_s(pause_s: float, *pieces: str | float) -> float:
    """Return the time from the first to the last sound of a line."""
    step = CallStep("line", pieces=pieces, text="One. Two.", limit_ms=1000)
    script = CallScript("test", (step,))
    (line,) = rendered(script, RATE, lambda: PausingVoice(pause_s), Path())
    return (line.runs[-1][1] - line.runs[0][0]) / RATE


@pytest.mark.parametrize(("pause_s", "left_s"), [(0.2, 0.2), (0.45, 0.45), (0.9, 0.5), (3.0, 0.5)])
def test_a_voice_pauses_between_its_sentences_for_half_a_second_at_most(
    pause_s: float, left_s: float
) -> None:
    spoken_s = length_s(0.0, "One. Two.")
    assert length_s(pause_s, "One. Two.") - spoken_s == pytest.approx(left_s, abs=0.02)
    assert left_s <= LONGEST_OWN_PAUSE_S


def test_a_pause_of_the_script_is_as_long_as_it_is_written() -> None:
    spoken_s = length_s(0.0, "One. Two.")
    assert length_s(0.0, "One.", 1500.0, "Two.") - 2 * spoken_s == pytest.approx(1.5, abs=0.02)
