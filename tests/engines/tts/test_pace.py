"""Windows follow from the measured pace: playback that starts with the first never starves."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from voicebench.engines.tts.pace import (
    LASTING_SAFETY,
    LONGEST_MS,
    SAFETY,
    SHORTEST_MS,
    UNMEASURED_FIRST_MS,
    Pace,
    WindowPlan,
    first_window_ms,
    measured_pace,
)

RATE = 22_050
FRAME_MS = 256 / RATE * 1000
PACES = [Pace(3, 0.8), Pace(8, 1.5), Pace(11, 2.8), Pace(0.5, 0.1)]


def windows_ms(pace: Pace, count: int, silent_ms: float = 0.0) -> list[float]:
    first = first_window_ms(pace, FRAME_MS)
    sizes = WindowPlan(pace, FRAME_MS, RATE, first).sizes(silent_ms)
    return [size / RATE * 1000 for size in itertools.islice(sizes, count)]


@pytest.mark.parametrize("pace", PACES)
def test_each_window_is_there_before_the_audio_before_it_has_been_played(pace: Pace) -> None:
    first, *others = windows_ms(pace, 30)
    ahead = first
    for length in others:
        cost = pace.cost_ms(length / FRAME_MS)
        is_shortest = length == pytest.approx(SHORTEST_MS, rel=0.01)
        assert 0.99 * SAFETY * cost <= ahead or is_shortest  # this one alone may be slower
        ahead = max(ahead - LASTING_SAFETY * cost, 0) + length  # and all of them may


@pytest.mark.parametrize("pace", PACES)
def test_windows_grow_to_the_longest_and_never_beyond(pace: Pace) -> None:
    lengths = windows_ms(pace, 60)
    assert lengths[-1] == pytest.approx(LONGEST_MS, rel=0.01)
    assert max(lengths) <= LONGEST_MS * 1.001
    assert min(lengths) >= SHORTEST_MS * 0.99


def test_a_faster_machine_starts_with_a_shorter_window() -> None:
    assert first_window_ms(PACES[3], FRAME_MS) == SHORTEST_MS
    assert SHORTEST_MS < first_window_ms(PACES[2], FRAME_MS) <= UNMEASURED_FIRST_MS


def test_a_machine_slower_than_speech_starts_with_more_in_hand() -> None:
    assert first_window_ms(Pace(10, 15), FRAME_MS) == UNMEASURED_FIRST_MS
    assert windows_ms(Pace(10, 15), 5)[1:] == pytest.approx([SHORTEST_MS] * 4, rel=0.01)


def test_expected_silence_lengthens_the_first_window_only() -> None:
    plain, silent = windows_ms(PACES[0], 4), windows_ms(PACES[0], 4, silent_ms=30)
    assert silent[0] == pytest.approx(plain[0] + 30, rel=0.01)
    assert silent[1:] == plain[1:]


class ScriptedVoice:
    """Moves a clock on by what the pace says for each window."""

    def __init__(self, pace: Pace) -> None:
        self.pace = pace
        self.now_s = 0.0
        self.windows = 0

    def speak_frames(self, frames: int) -> None:
        self.now_s += self.pace.cost_ms(frames) / 1000
        self.windows += 1


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ScriptedVoice:
    voice = ScriptedVoice(Pace(5, 1.25))
    monkeypatch.setenv("VOICEBENCH_CACHE", str(tmp_path))
    monkeypatch.setattr("time.perf_counter", lambda: voice.now_s)
    monkeypatch.setattr("time.perf_counter_ns", lambda: round(voice.now_s * 1e9))
    return voice


def test_the_pace_is_measured(scripted: ScriptedVoice) -> None:
    found = measured_pace("key", scripted.speak_frames)
    assert (found.window_ms, found.frame_ms) == pytest.approx((5, 1.25), rel=1e-3)
    assert scripted.now_s < 0.5


def test_a_remembered_pace_takes_two_windows_to_confirm(scripted: ScriptedVoice) -> None:
    measured_pace("key", scripted.speak_frames)
    before = scripted.windows
    measured_pace("key", scripted.speak_frames)
    assert scripted.windows == before + 2


def test_of_two_measurements_the_faster_one_counts(scripted: ScriptedVoice) -> None:
    first = measured_pace("key", scripted.speak_frames)
    scripted.pace = Pace(50, 12)  # another program is at work
    assert measured_pace("key", scripted.speak_frames) == first
    scripted.pace = Pace(2, 0.5)
    faster = measured_pace("key", scripted.speak_frames)
    assert faster.frame_ms == pytest.approx(0.5, rel=1e-3)
    scripted.pace = Pace(50, 12)
    assert measured_pace("key", scripted.speak_frames) == faster
    assert measured_pace("other", scripted.speak_frames).window_ms == pytest.approx(50, rel=1e-3)


def test_a_damaged_memory_is_measured_anew(scripted: ScriptedVoice, tmp_path: Path) -> None:
    first = measured_pace("key", scripted.speak_frames)
    (tmp_path / "paces" / "key.json").write_text("{", encoding="utf-8")
    assert measured_pace("key", scripted.speak_frames) == first


def test_a_cache_that_cannot_be_written_is_no_obstacle(
    scripted: ScriptedVoice, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("VOICEBENCH_CACHE", str(tmp_path / "file"))
    assert measured_pace("key", scripted.speak_frames).window_ms == pytest.approx(5, rel=1e-3)
