"""The script: every moment is known before the first request."""

from __future__ import annotations

import pytest

from voicebench.load.pacing.paced_script import (
    PacedScript,
    chat_steps,
    script_from,
    speech_steps,
    voice_steps,
)

MS = 1_000_000


def test_the_tokens_of_a_reply_have_their_moments() -> None:
    steps = chat_steps(PacedScript(ttft_s=0.2, token_s=0.01, words=3))
    assert [(step.at_ns // MS, step.kind) for step in steps] == [
        (200, "token"), (210, "token"), (220, "token"), (220, "end"),
    ]  # fmt: skip


def test_sound_comes_25_times_a_second() -> None:
    steps = speech_steps(PacedScript(ttfb_s=0.1, audio_s=1.0), 3, stalls=False)
    sound = [step.at_ns // MS for step in steps if step.kind == "sound"]
    assert sound == [100 + 40 * number for number in range(25)]


def test_a_stall_is_in_the_middle() -> None:
    steps = speech_steps(PacedScript(ttfb_s=0, audio_s=0.16, stall_s=1), 3, stalls=True)
    assert [step.at_ns // MS for step in steps] == [0, 40, 1080, 1120, 1120]


def test_sound_of_the_voice_socket_begins_after_its_first_token() -> None:
    script = PacedScript(ttft_s=0.1, token_s=0.03, ttfb_s=0.05, words=3, audio_s=0.08)
    steps = voice_steps(script, stalls=False)
    assert [(step.at_ns // MS, step.kind, step.number) for step in steps] == [
        (100, "token", 0), (130, "token", 1), (150, "sound", 0), (160, "token", 2),
        (190, "sound", 1), (190, "end", 0),
    ]  # fmt: skip


def test_a_script_is_the_same_on_the_other_side() -> None:
    script = PacedScript(words=7, knee=3, refuse_status=429)
    assert script_from(script.as_json()) == script


def test_faults_depend_on_the_replies_at_once_and_before() -> None:
    knee = PacedScript(knee=4, knee_s=0.02)
    assert [knee.delay_ns(n, 9) // MS for n in (1, 4, 5, 7)] == [0, 0, 20, 60]
    cliff = PacedScript(cliff=4, cliff_s=2)
    assert [cliff.delay_ns(n, 9) // MS for n in (4, 5, 9)] == [0, 2000, 2000]
    assert PacedScript(leak_s=0.001).delay_ns(1, 250) // MS == 250
    assert [PacedScript(room=2).refuses(n, 1) for n in (2, 3)] == [False, True]
    assert [PacedScript(refuse_every=3).refuses(1, n) for n in (1, 2, 3)] == [False, False, True]
    assert not PacedScript().refuses(1000, 1000)


@pytest.mark.parametrize(
    "values",
    [{"words": 0}, {"ttft_s": -1}, {"piece_s": 0.0}, {"refuse_status": 500}, {"speed_x": 0}],
)
def test_values_out_of_range_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"out of range|429 or 503"):
        PacedScript(**values)  # type: ignore[arg-type]
