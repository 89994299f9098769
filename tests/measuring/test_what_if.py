"""Replaying another chunk policy: what was recorded comes out again, and what changes is right."""

from __future__ import annotations

import itertools

import pytest
from drawn_turns import drawn_turn

from voicebench.audio.pcm import AudibleRule
from voicebench.errors import ResultsError
from voicebench.figures.metrics import compute
from voicebench.measuring.what_if import fit_voice, replay_turn
from voicebench.targets.script import parse_script
from voicebench.targets.simulated import SECONDS_PER_WORD, Simulated, VirtualClock
from voicebench.text.chunking import Chunker
from voicebench.turn.recorder import Recorder
from voicebench.turn.timeline import Timeline

SCRIPT = "sim:ttft=100ms,token=10ms,ttfb=50ms,speed=4x,words=16"


def simulated(first_words: int, later_words: int, script: str = SCRIPT) -> Timeline:
    target = Simulated(
        parse_script(script),
        VirtualClock(),
        new_chunker=lambda: Chunker(first_words, later_words),
    )
    recorder = Recorder(target.clock.now_ns)
    target.run("What is the weather like?", recorder.emit)
    return recorder.seal(1, "measured", AudibleRule()).timeline


@pytest.mark.parametrize("policy", [(1, 8), (2, 4), (3, 8), (4, 12)])
def test_a_replay_gives_what_the_other_policy_would_have_measured(
    policy: tuple[int, int],
) -> None:
    recorded = simulated(3, 5)
    voice = fit_voice([recorded])
    replayed = replay_turn(recorded, voice, first_words=policy[0], later_words=policy[1])
    measured = simulated(*policy)
    assert [chunk.text for chunk in replayed.chunks] == [chunk.text for chunk in measured.chunks]
    ours, truth = compute(replayed), compute(measured)
    for name in ("first_chunk_ms", "tts_ttfb_ms", "first_audio_ms"):
        assert ours[name] == pytest.approx(truth[name], abs=0.01), name
    # The simulated voice gives each word one length; the model goes by characters.
    assert ours["audio_s"] == pytest.approx(truth["audio_s"], rel=0.05)
    assert ours["gapless_start_ms"] == pytest.approx(truth["gapless_start_ms"], abs=60)


def test_the_model_of_the_voice_is_what_the_script_says() -> None:
    voice = fit_voice([simulated(3, 5)])
    assert voice.base_ms == pytest.approx(50, abs=0.01)
    assert voice.ms_per_character == pytest.approx(0, abs=0.01)
    assert voice.first_window_s == pytest.approx(0.1)
    assert voice.speed_x == pytest.approx(4, rel=0.05)
    assert voice.audio_s_per_character == pytest.approx(SECONDS_PER_WORD / 5.5, rel=0.2)


def test_a_slow_voice_starves_with_a_tiny_first_chunk() -> None:
    recorded = simulated(3, 5, SCRIPT.replace("speed=4x", "speed=1.1x"))
    voice = fit_voice([recorded])
    tiny, usual = (
        compute(replay_turn(recorded, voice, first_words=words, later_words=12)) for words in (1, 4)
    )
    assert (tiny["first_audio_ms"] or 0) < (usual["first_audio_ms"] or 0)


def test_one_chunk_is_spoken_at_a_time() -> None:
    recorded = simulated(3, 5, SCRIPT.replace("ttfb=50ms", "ttfb=400ms"))
    replayed = replay_turn(recorded, fit_voice([recorded]), first_words=1, later_words=2)
    starts = [chunk.at_ns for chunk in replayed.chunks]
    assert starts == sorted(starts)
    assert all(later - earlier >= 400e6 for earlier, later in itertools.pairwise(starts))


@pytest.mark.parametrize(
    "turns",
    [[], [drawn_turn(audio=[(5, 100)])], [drawn_turn(tokens=[1], chunks=[2], audio=[(5, 100)])]],
    ids=["none", "no tokens", "one chunk"],
)
def test_what_shows_too_little_cannot_be_replayed(turns: list[Timeline]) -> None:
    with pytest.raises(ResultsError, match=r"shows only \d spoken text chunks"):
        fit_voice(turns)
