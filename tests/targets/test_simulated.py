"""The simulated target: what is recorded is what was scripted, to the nanosecond."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import pytest

from voicebench.audio.pcm import AudibleRule
from voicebench.errors import UsageError
from voicebench.events import AudioChunk, Event, Token, TurnFailed, TurnFinished, TurnStarted
from voicebench.figures.metrics import compute
from voicebench.targets.script import Script, parse_script
from voicebench.targets.simulated import RealClock, Simulated, VirtualClock, plan_turn
from voicebench.text.chat_template import PastMessage
from voicebench.text.chunking import Chunker
from voicebench.turn.playback import Arrival
from voicebench.turn.recorder import Recorder
from voicebench.turn.timeline import Failure, TimedText, Timeline

MS = 1_000_000
WINDOW = 1600  # samples in 100 ms at 16 kHz


def played(text: str, turns: int = 1) -> list[Timeline]:
    """Play the script on a clock that moves only when somebody waits."""
    target = Simulated(parse_script(text), VirtualClock())
    timelines = []
    for number in range(1, turns + 1):
        recorder = Recorder(target.clock.now_ns)
        target.run("What will the weather be?", recorder.emit)
        timelines.append(recorder.seal(number, "measured", AudibleRule()).timeline)
    return timelines


def stamps(timed: Sequence[TimedText | Arrival]) -> list[tuple[float, object]]:
    return [
        (moment.at_ns / MS, moment.text if isinstance(moment, TimedText) else moment.samples)
        for moment in timed
    ]


# The turn of "sim:ttft=100ms,token=10ms,ttfb=50ms,speed=2x,words=6", in milliseconds:
#
# tokens  100 The · 110 weather · 120 will · 130 stay · 140 clear · 150 and
# chunks  130 "The weather will ", which is complete when the next word begins
#         580 "stay clear and", complete at 150, when the voice is free
# audio   a word takes 0.3 s to say and half of that to make: 900 ms of audio a chunk, the first
#         100 ms of it 50 ms after the hand-over, the others every 50 ms:
#         180 230 280 330 380 430 480 530 580 · 630 680 730 780 830 880 930 980 1030
SCRIPT = "sim:ttft=100ms,token=10ms,ttfb=50ms,speed=2x,words=6"


def test_the_recorded_timeline_is_the_drawn_one() -> None:
    (turn,) = played(SCRIPT)
    assert stamps(turn.tokens) == [
        (100, "The"),
        (110, " weather"),
        (120, " will"),
        (130, " stay"),
        (140, " clear"),
        (150, " and"),
    ]
    assert stamps(turn.chunks) == [(130, "The weather will "), (580, "stay clear and")]
    assert stamps(turn.audio) == [
        *((180 + 50 * window, WINDOW) for window in range(9)),
        *((630 + 50 * window, WINDOW) for window in range(9)),
    ]
    assert turn.end_ns == 1030 * MS
    assert not turn.failed


def test_its_figures_are_the_ones_read_by_eye() -> None:
    figures = compute(played(SCRIPT)[0])
    assert {name: figure for name, figure in figures.items() if figure is not None} == {
        "llm_ttft_ms": 100,
        "llm_total_ms": 150,
        "llm_itl_ms": 10,
        "llm_tokens": 6,
        "llm_tokens_per_s": 100,
        "first_chunk_ms": 130,
        "tts_ttfb_ms": 50,
        "first_audio_ms": 180,
        "leading_silence_ms": 0,
        "first_sound_ms": 180,
        "gapless_start_ms": 180,
        "stall_count": 0,
        "stall_ms": 0,
        "longest_stall_ms": 0,
        "worst_deficit_ms": 0,
        "turn_ms": 1030,
        "audio_s": pytest.approx(1.8),
        "synth_speed_x": pytest.approx(2.0),
        "unattributed_ms": 0,
    }


def test_silence_at_the_head_is_made_and_heard_like_any_audio() -> None:
    (turn,) = played(f"{SCRIPT},silence=30ms")
    # 930 ms in the first chunk: nine whole windows and 30 ms, which take 15 ms to make.
    assert stamps(turn.audio) == [
        *((180 + 50 * window, WINDOW) for window in range(9)),
        (595, 480),
        *((645 + 50 * window, WINDOW) for window in range(9)),
    ]
    figures = compute(turn)
    assert figures["first_audio_ms"] == 180
    assert figures["leading_silence_ms"] == 30
    assert figures["first_sound_ms"] == 210


def test_a_voice_slower_than_real_time_stalls() -> None:
    (turn,) = played("sim:ttft=0ms,token=0ms,ttfb=100ms,speed=0.5x,words=1")
    # 300 ms of audio in three windows at 100, 300 and 500; each is played out 100 ms early.
    assert stamps(turn.audio) == [(100, WINDOW), (300, WINDOW), (500, WINDOW)]
    figures = compute(turn)
    assert figures["stall_count"] == 2
    assert figures["stall_ms"] == 200
    assert figures["gapless_start_ms"] == 300


def test_every_nth_turn_fails_after_its_first_token() -> None:
    turns = played(f"{SCRIPT},fail=3", turns=7)
    assert [turn.failed for turn in turns] == [False, False, True, False, False, True, False]
    assert stamps(turns[2].tokens) == [(100, "The")]
    assert turns[2].failure == Failure("scripted failure", "engine", "llm")
    assert turns[2].end_ns == 100 * MS
    assert turns[2].audio == ()


def test_nothing_comes_before_its_moment_even_where_the_start_was_stamped_late() -> None:
    target = Simulated(parse_script(SCRIPT), VirtualClock())
    recorder = Recorder(target.clock.now_ns)

    def emit(event: Event) -> None:
        if isinstance(event, TurnStarted):
            target.clock.wait_until(5 * MS)  # the machine was busy
        recorder.emit(event)

    target.run("Hello?", emit)
    turn = recorder.seal(1, "measured", AudibleRule()).timeline
    assert turn.tokens[0].at_ns == 100 * MS


def test_each_earlier_turn_of_a_conversation_delays_the_first_token() -> None:
    target = Simulated(parse_script("sim:ttft=100ms,history=30ms,fail=3"), VirtualClock())
    said = [PastMessage("user", "a"), PastMessage("assistant", "b")]
    first_tokens = []
    for earlier in ([], said, said * 2):
        recorder = Recorder(target.clock.now_ns)
        target.in_conversation(earlier, "talk").run("c", recorder.emit)
        turn = recorder.seal(1, "measured", AudibleRule()).timeline
        first_tokens.append(turn.tokens[0].at_ns / 1e6)
    assert first_tokens == [100, 130, 160]
    assert turn.failed  # it is the third turn of the target, whatever the conversation


def test_without_fail_no_turn_fails() -> None:
    assert not any(turn.failed for turn in played(SCRIPT, turns=3))


def test_every_turn_is_the_same_turn() -> None:
    first, second = played(SCRIPT, turns=2)
    assert (first.tokens, first.chunks, first.audio) == (
        second.tokens,
        second.chunks,
        second.audio,
    )


def test_a_reply_longer_than_its_text_begins_again() -> None:
    (turn,) = played("sim:words=25")
    assert len(turn.tokens) == 25
    assert turn.reply.startswith("The weather will stay")
    assert [token.text for token in turn.tokens[22:]] == [" The", " weather", " will"]


def test_the_chunker_is_the_callers() -> None:
    target = Simulated(Script(words=6), VirtualClock(), new_chunker=lambda: Chunker(1, 2))
    recorder = Recorder(target.clock.now_ns)
    target.run("Hello?", recorder.emit)
    turn = recorder.seal(1, "measured", AudibleRule()).timeline
    assert [chunk.text for chunk in turn.chunks] == ["The ", "weather will ", "stay clear ", "and"]


def test_the_plan_is_in_order_of_time_and_ends_once() -> None:
    plan = plan_turn(Script(), "Hello?", Chunker(), fails=False)
    moments = [scripted.at_ns for scripted in plan]
    assert moments == sorted(moments)
    assert isinstance(plan[-1].event, TurnFinished)
    broken = plan_turn(Script(), "Hello?", Chunker(), fails=True)
    assert [type(scripted.event) for scripted in broken[1:]] == [Token, TurnFailed]


def test_it_plays_a_tone_within_full_scale() -> None:
    pieces = [
        scripted.event.pcm
        for scripted in plan_turn(Script(), "Hello?", Chunker(), fails=False)
        if isinstance(scripted.event, AudioChunk)
    ]
    pcm = np.concatenate(pieces)
    assert pcm.dtype == np.float32
    assert 0.25 < np.abs(pcm).max() <= 0.3


def test_it_says_what_it_is() -> None:
    assert Simulated(parse_script(SCRIPT), VirtualClock()).describe() == {
        "target": "simulated",
        "ttft_s": 0.1,
        "token_s": 0.01,
        "ttfb_s": 0.05,
        "speed_x": 2.0,
        "silence_s": 0.0,
        "words": 6,
        "fail": 0,
        "history_s": 0.0,
        "slots": 0,
        "service": "0s",
        "stop_s": 0.0,
        "leak_s": 0.0,
    }


# Reading a script.


def test_a_script_without_parts_is_the_default_one() -> None:
    assert parse_script("sim:") == Script()


def test_every_part_can_be_set() -> None:
    text = "sim:ttft=120ms,token=8ms,ttfb=0.07s,speed=4x,silence=30ms,words=12,fail=7"
    assert parse_script(text) == Script(0.12, 0.008, 0.07, 4.0, 0.03, 12, 7)


def test_spaces_between_parts_and_a_speed_without_x_are_free() -> None:
    assert parse_script("sim: ttft=1s, speed=2.5 ,") == Script(ttft_s=1.0, speed_x=2.5)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "sim:latency=3ms",
            "simulated target 'sim:latency=3ms' has an unknown part 'latency=3ms'; "
            "use ttft=…, token=…, ttfb=…, speed=…, silence=…, words=…, fail=…, history=…, "
            "slots=…, service=…, stop=…, leak=…",
        ),
        (
            "sim:ttft",
            "simulated target 'sim:ttft' has an unknown part 'ttft'; "
            "use ttft=…, token=…, ttfb=…, speed=…, silence=…, words=…, fail=…, history=…, "
            "slots=…, service=…, stop=…, leak=…",
        ),
        (
            "sim:ttft=120",
            "ttft=120 in 'sim:ttft=120' is not a duration of 0 to 60 s; "
            "write for example 'ttft=70ms'",
        ),
        (
            "sim:ttfb=61s",
            "ttfb=61s in 'sim:ttfb=61s' is not a duration of 0 to 60 s; "
            "write for example 'ttfb=70ms'",
        ),
        (
            "sim:token=-1ms",
            "token=-1ms in 'sim:token=-1ms' is not a duration of 0 to 60 s; "
            "write for example 'token=70ms'",
        ),
        (
            "sim:speed=0x",
            "speed=0x in 'sim:speed=0x' is not a speed of 0.01x to 10000x; "
            "write for example 'speed=4x'",
        ),
        (
            "sim:words=0",
            "words=0 in 'sim:words=0' is not a count; write for example 'words=12'",
        ),
        (
            "sim:words=1001",
            "words=1001 in 'sim:words=1001' is not a count; write for example 'words=12'",
        ),
        (
            "sim:fail=often",
            "fail=often in 'sim:fail=often' is not a count; write for example 'words=12'",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_script(text)
    assert str(refused.value) == sentence


@pytest.mark.parametrize("value", ["9" * 400, f"0.{'0' * 400}1", "", "4xx", "inf", "nan", "1e3"])
def test_no_speed_can_break_the_plan(value: str) -> None:
    with pytest.raises(UsageError):
        parse_script(f"sim:speed={value}")


# The two clocks.


def test_the_virtual_clock_moves_only_when_somebody_waits() -> None:
    clock = VirtualClock()
    assert clock.now_ns() == clock.now_ns() == 0
    clock.wait_until(60_000_000_000)
    assert clock.now_ns() == 60_000_000_000
    clock.wait_until(5)
    assert clock.now_ns() == 60_000_000_000


def test_the_real_clock_never_comes_back_early() -> None:
    clock = RealClock()
    for wait_ns in (0, 100_000, 3_000_000):  # asleep for the last one, spinning for the others
        until_ns = clock.now_ns() + wait_ns
        clock.wait_until(until_ns)
        assert clock.now_ns() >= until_ns


def test_the_real_clock_does_not_wait_for_the_past() -> None:
    before = time.perf_counter_ns()
    RealClock().wait_until(before - 60_000_000_000)
    assert time.perf_counter_ns() - before < 5_000_000_000


def test_what_it_plays_is_judged_like_speech_and_is_no_tone() -> None:
    (turn,) = played("sim:words=12")
    assert turn.failure is None
    assert turn.sound is not None
    assert turn.sound.hearing is not None
    assert turn.sound.hearing.change_db is not None
    assert turn.sound.hearing.change_db > 3
    assert turn.sound.seam_clicks == 0
