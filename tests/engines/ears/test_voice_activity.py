from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from voicebench.engines.ears.voice_activity import (
    FORGET_AFTER,
    WINDOW,
    EdgeRules,
    SpeechEdges,
    SpeechProbability,
    SpeechStarted,
    SpeechStopped,
    VoiceActivity,
)


def edges_of(probabilities: list[float], rules: EdgeRules | None = None) -> list[object]:
    edges = SpeechEdges(rules)
    found = [edges.push(probability) for probability in probabilities]
    return [edge for edge in found if edge is not None]


def test_speech_starts_with_its_first_window_and_stops_behind_its_last() -> None:
    found = edges_of([0.1, 0.1, 0.9, 0.9, 0.9, 0.1, 0.1, 0.1])
    assert found == [SpeechStarted(2 * WINDOW), SpeechStopped(5 * WINDOW)]


def test_one_loud_window_is_no_speech_and_the_rules_say_whether_a_quiet_one_is_its_end() -> None:
    assert edges_of([0.1, 0.9, 0.1, 0.9, 0.1]) == []
    patient = EdgeRules(stop_windows=2)
    assert edges_of([0.9, 0.9, 0.1, 0.9, 0.1, 0.9], patient) == [SpeechStarted(0)]
    assert edges_of([0.9, 0.9, 0.1, 0.9]) == [SpeechStarted(0), SpeechStopped(2 * WINDOW)]


def test_a_probability_between_the_thresholds_keeps_the_state() -> None:
    assert edges_of([0.45] * 10) == []
    assert edges_of([0.9, 0.9] + [0.4] * 10) == [SpeechStarted(0)]


def test_a_window_that_may_be_the_first_of_speech_is_known_before_the_edge() -> None:
    edges = SpeechEdges()
    seen = []
    for probability in (0.1, 0.4, 0.9, 0.9, 0.1):
        edges.push(probability)
        seen.append(edges.may_start)
    assert seen == [False, True, True, False, False]


class ScriptedSession:
    """Answers each window with the next probability, and keeps what it was given."""

    def __init__(self, probabilities: list[float]) -> None:
        self.probabilities = probabilities
        self.given: list[dict[str, Any]] = []

    def run(self, names: None, given: dict[str, Any]) -> list[Any]:
        self.given.append(given)
        probability = self.probabilities[len(self.given) - 1]
        return [np.array([[probability]], np.float32), given["state"] + 1]


def test_windows_are_cut_out_of_frames_without_losing_a_sample() -> None:
    session = ScriptedSession([0.0] * 5)
    activity = VoiceActivity(SpeechProbability(session))
    samples = np.arange(5 * WINDOW, dtype=np.int16)
    for begin in range(0, samples.size, 320):
        activity.feed(samples[begin : begin + 320])
    heard = np.concatenate([given["input"][0, 64:] for given in session.given])
    np.testing.assert_array_equal(heard * 32768, samples)
    # Each window comes with the last 64 samples before it.
    np.testing.assert_array_equal(session.given[1]["input"][0, :64] * 32768, samples[448:512])
    assert session.given[3]["state"][0, 0, 0] == 3


def test_the_state_is_cleared_in_long_silence_only() -> None:
    probabilities = [0.9] * (FORGET_AFTER + 10) + [0.0] * 6
    session = ScriptedSession(probabilities)
    probability = SpeechProbability(session)
    for _ in probabilities:
        probability.of(np.zeros(WINDOW, np.float32))
    states = [int(given["state"][0, 0, 0]) for given in session.given]
    assert states[: FORGET_AFTER + 15] == list(range(FORGET_AFTER + 15))
    assert states[-1] == 0


@pytest.mark.models
def test_speech_between_silence_is_found_to_a_tenth_of_a_second(
    said: tuple[str, np.ndarray[Any, np.dtype[np.int16]]],
) -> None:
    _, spoken = said
    quiet = np.zeros(16_000, np.int16)
    activity = VoiceActivity()
    found = []
    stream = np.concatenate((quiet, spoken, quiet))
    for begin in range(0, stream.size, 320):
        found += activity.feed(stream[begin : begin + 320])
    assert isinstance(found[0], SpeechStarted)
    assert isinstance(found[-1], SpeechStopped)
    assert found[0].sample == pytest.approx(quiet.size, abs=1_600)
    assert found[-1].sample == pytest.approx(quiet.size + spoken.size, abs=1_600)


@pytest.mark.models
def test_noise_and_tones_are_no_speech() -> None:
    rng = np.random.default_rng(1)
    noise = (3_000 * rng.standard_normal(48_000)).astype(np.int16)
    tone = (8_000 * np.sin(np.arange(48_000) * 2 * np.pi * 440 / 16_000)).astype(np.int16)
    for sound in (noise, tone):
        assert VoiceActivity().feed(sound) == []
