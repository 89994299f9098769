"""The rules that make a turn legal, and what sealing keeps of it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from voicebench.audio.hearing import unlike_speech
from voicebench.audio.pcm import AudibleRule
from voicebench.audio.synthetic_voice import synthetic_voice
from voicebench.errors import IllegalEvent
from voicebench.events import (
    AudioChunk,
    Connected,
    Event,
    FirstByte,
    Remark,
    Reply,
    ServerTiming,
    SilenceTrimmed,
    SpeakerStarted,
    TextChunk,
    Token,
    TurnFailed,
    TurnFinished,
    TurnStarted,
    Usage,
)
from voicebench.figures.metrics import compute
from voicebench.results.codec import decode_line, encode_line
from voicebench.turn.playback import Arrival
from voicebench.turn.timeline import Failure, Stamped, TimedRemark, TimedText, Timeline, seal

RATE = 8000
BOOT_NS = 5_000_000_000_000
"""Where the clock stands when the turn starts; no figure may depend on it."""

START = TurnStarted("What time is it?")
END = TurnFinished()
BROKEN = TurnFailed("the model broke", "engine", "llm")


def tone(ms: int, level: float = 0.3) -> NDArray[np.float32]:
    moments = np.arange(RATE * ms // 1000) / RATE
    return (level * np.sin(2 * np.pi * 440 * moments)).astype(np.float32)


def silence(ms: int) -> NDArray[np.float32]:
    return np.zeros(RATE * ms // 1000, dtype=np.float32)


def sealed(*drawn: tuple[float, Event], rule: AudibleRule | None = None) -> Timeline:
    """Seal events drawn as (milliseconds after the start, event)."""
    return sealed_with_audio(*drawn, rule=rule)[0]


def sealed_with_audio(
    *drawn: tuple[float, Event], rule: AudibleRule | None = None
) -> tuple[Timeline, NDArray[np.float32]]:
    stamped = [Stamped(BOOT_NS + round(at * 1e6), event) for at, event in drawn]
    return seal(
        stamped,
        turn=3,
        phase="measured",
        started_at="2026-01-02T03:04:05.678+00:00",
        rule=rule or AudibleRule(),
    )


# The rules.


def test_a_turn_without_any_event_is_illegal() -> None:
    with pytest.raises(IllegalEvent, match="must begin with TurnStarted"):
        sealed()


def test_a_turn_that_does_not_begin_with_its_start_is_illegal() -> None:
    with pytest.raises(IllegalEvent, match="must begin with TurnStarted"):
        sealed((0, Token("Hello")), (1, START), (2, END))


@pytest.mark.parametrize("last", [START, Token("Hello"), AudioChunk(tone(50), RATE)])
def test_a_turn_without_an_end_is_illegal(last: Event) -> None:
    with pytest.raises(IllegalEvent, match="must end with TurnFinished or TurnFailed"):
        sealed((0, START), (1, last))


def test_a_turn_starts_once() -> None:
    with pytest.raises(IllegalEvent, match="a turn starts once"):
        sealed((0, START), (1, START), (2, END))


@pytest.mark.parametrize("first_end", [END, BROKEN])
@pytest.mark.parametrize("second_end", [END, BROKEN])
def test_a_turn_ends_once(first_end: Event, second_end: Event) -> None:
    with pytest.raises(IllegalEvent, match="after the turn's end"):
        sealed((0, START), (1, first_end), (2, second_end))


@pytest.mark.parametrize("late", [Token("more"), AudioChunk(tone(50), RATE), Usage(3)])
def test_nothing_happens_after_the_end(late: Event) -> None:
    with pytest.raises(IllegalEvent, match=f"{type(late).__name__} after the turn's end"):
        sealed((0, START), (1, END), (2, late), (3, END))


def test_time_never_runs_back() -> None:
    with pytest.raises(IllegalEvent, match="time ran back"):
        sealed((0, START), (10, Token("Hello")), (9, Token(" there")), (20, END))


def test_two_events_may_share_a_stamp() -> None:
    turn = sealed((0, START), (10, Token("Hello")), (10, Token(" there")), (10, END))
    assert turn.reply == "Hello there"


@pytest.mark.parametrize("empty", [Token(""), TextChunk("")])
def test_empty_text_is_neither_token_nor_chunk(empty: Event) -> None:
    with pytest.raises(IllegalEvent, match=f"{type(empty).__name__} without text"):
        sealed((0, START), (1, empty), (2, END))


def test_audio_without_samples_is_no_audio() -> None:
    with pytest.raises(IllegalEvent, match=r"AudioChunk of shape \(0,\)"):
        sealed((0, START), (1, AudioChunk(silence(0), RATE)), (2, END))


def test_audio_of_two_channels_is_refused() -> None:
    stereo = np.zeros((80, 2), dtype=np.float32)
    with pytest.raises(IllegalEvent, match=r"AudioChunk of shape \(80, 2\)"):
        sealed((0, START), (1, AudioChunk(stereo, RATE)), (2, END))


def test_a_turn_has_one_sample_rate() -> None:
    with pytest.raises(IllegalEvent, match="audio at 16000 Hz after audio at 8000 Hz"):
        sealed(
            (0, START),
            (1, AudioChunk(tone(50), RATE)),
            (2, AudioChunk(tone(50), 2 * RATE)),
            (3, END),
        )


# What sealing keeps.


def test_every_stamp_counts_from_the_turns_start() -> None:
    turn = sealed(
        (0, START),
        (100, Token("It is")),
        (110, Token(" noon.")),
        (120, TextChunk("It is noon.")),
        (150, FirstByte()),
        (160, AudioChunk(tone(50), RATE)),
        (170, SpeakerStarted(25.5)),
        (180, AudioChunk(tone(30), RATE)),
        (190, END),
    )
    assert turn.tokens == (TimedText(100_000_000, "It is"), TimedText(110_000_000, " noon."))
    assert turn.chunks == (TimedText(120_000_000, "It is noon."),)
    assert turn.first_byte_ns == 150_000_000
    assert turn.audio == (Arrival(160_000_000, 400), Arrival(180_000_000, 240))
    assert turn.speaker_ns == 195_500_000
    assert turn.end_ns == 190_000_000
    assert turn.reply == "It is noon."
    assert (turn.turn, turn.phase, turn.prompt) == (3, "measured", "What time is it?")
    assert not turn.failed


def test_what_was_not_seen_is_none_and_not_zero() -> None:
    turn = sealed((0, START), (10, AudioChunk(tone(50), RATE)), (20, END))
    assert turn.usage_tokens is None
    assert turn.first_byte_ns is None
    assert turn.silence_trimmed_ms is None
    assert turn.speaker_ns is None
    assert turn.failure is None
    assert (turn.tokens, turn.chunks, turn.connections, turn.server_timings) == ((), (), (), ())


def test_the_first_of_several_first_bytes_counts() -> None:
    turn = sealed(
        (0, START),
        (10, FirstByte()),
        (20, AudioChunk(tone(50), RATE)),
        (30, FirstByte()),
        (40, END),
    )
    assert turn.first_byte_ns == 10_000_000


def test_the_last_usage_report_counts() -> None:
    turn = sealed((0, START), (1, Usage(3)), (2, Usage(9)), (3, BROKEN))
    assert turn.usage_tokens == 9


def test_a_count_that_includes_what_nobody_hears_is_marked() -> None:
    assert not sealed((0, START), (1, Usage(3, hidden=4)), (3, BROKEN)).usage_with_hidden
    turn = sealed((0, START), (1, Usage(3, hidden=None)), (3, BROKEN))
    assert turn.usage_tokens == 3
    assert turn.usage_with_hidden


def test_the_first_remark_of_each_kind_is_kept_with_its_moment() -> None:
    turn = sealed(
        (0, START),
        (1, Remark("blank")),
        (2, Remark("unknown", "ping")),
        (3, Remark("unknown", "pong")),
        (4, BROKEN),
    )
    assert turn.remarks == (
        TimedRemark(1_000_000, "blank"),
        TimedRemark(2_000_000, "unknown", "ping"),
    )


def test_connections_and_server_timings_are_kept_one_by_one() -> None:
    turn = sealed(
        (0, START),
        (1, Connected(12.5, reused=False)),
        (2, ServerTiming(100.0)),
        (3, Connected(0.0, reused=True)),
        (4, ServerTiming(40.0)),
        (5, BROKEN),
    )
    assert turn.connections == (Connected(12.5, reused=False), Connected(0.0, reused=True))
    assert turn.server_timings == (ServerTiming(100.0), ServerTiming(40.0))


def test_several_requests_over_one_connection_count_it_once_as_the_first_found_it() -> None:
    turn = sealed(
        (0, START),
        (1, Connected(12.5, reused=False, number=4)),
        (2, Connected(12.5, reused=True, number=4)),
        (3, Connected(3.0, reused=True, number=5)),
        (4, BROKEN),
    )
    assert [(made.number, made.reused) for made in turn.connections] == [(4, False), (5, True)]


def test_our_durations_stand_beside_the_servers_where_they_are_of_the_same_request() -> None:
    timing = ServerTiming(100.0, our_ms=104.0, stage="llm")
    turn = sealed((0, START), (1, timing), (2, BROKEN))
    assert turn.server_timings == (timing,)


def test_a_token_that_came_joined_has_the_stamp_of_the_one_before() -> None:
    turn = sealed(
        (0, START),
        (1, Token("It")),
        (5, Token(" is", joined=True)),
        (9, Token(" late", joined=True)),
        (12, Token(".")),
        (13, BROKEN),
    )
    assert [token.at_ns for token in turn.tokens] == [1_000_000, 1_000_000, 1_000_000, 12_000_000]


def test_a_reply_in_one_piece_is_the_text_and_shows_no_token() -> None:
    turn = sealed((0, START), (70, Reply("It is late.")), (80, BROKEN))
    assert turn.reply == "It is late."
    assert compute(turn)["llm_ttft_ms"] is None
    assert compute(turn)["llm_total_ms"] == 70


def test_a_reply_in_one_piece_without_text_is_illegal() -> None:
    with pytest.raises(IllegalEvent, match="Reply without text"):
        sealed((0, START), (1, Reply("")), (2, BROKEN))


def test_trimmed_silence_adds_up() -> None:
    turn = sealed((0, START), (1, SilenceTrimmed(30.0)), (2, SilenceTrimmed(12.0)), (3, BROKEN))
    assert turn.silence_trimmed_ms == 42.0


def test_the_audio_is_returned_whole_and_in_order() -> None:
    first, second = tone(50), tone(20, level=0.1)
    _, pcm = sealed_with_audio(
        (0, START), (1, AudioChunk(first, RATE)), (2, AudioChunk(second, RATE)), (3, END)
    )
    assert pcm.dtype == np.float32
    np.testing.assert_array_equal(pcm, np.concatenate([first, second]))


def test_a_turn_without_audio_returns_no_samples() -> None:
    turn, pcm = sealed_with_audio((0, START), (1, END))
    assert pcm.shape == (0,)
    assert turn.sound is None


def test_sound_is_described_by_its_samples() -> None:
    clipped = np.concatenate([silence(40), np.array([1.0, -1.0], np.float32), tone(98)])
    turn = sealed((0, START), (1, AudioChunk(clipped, RATE)), (2, END))
    assert turn.sound is not None
    assert turn.sound.sample_rate == RATE
    assert turn.sound.first_audible_sample == 320  # 40 ms at 8 kHz
    assert turn.sound.peak == 1.0
    assert turn.sound.clipped_samples == 2
    assert 0.1 < turn.sound.rms < 0.3


def test_onset_is_looked_for_across_the_pieces_of_audio() -> None:
    # No piece alone is 20 ms of sound; together they are.
    pieces = [(float(at), AudioChunk(tone(10), RATE)) for at in range(1, 7)]
    turn = sealed((0, START), (0, AudioChunk(silence(50), RATE)), *pieces, (9, END))
    assert turn.sound is not None
    assert turn.sound.first_audible_sample == 400
    assert not turn.failed


def test_the_audible_rule_is_the_callers() -> None:
    quiet = AudioChunk(tone(100, level=0.01), RATE)
    assert sealed((0, START), (1, quiet), (2, END)).failed
    heard = sealed((0, START), (1, quiet), (2, END), rule=AudibleRule(threshold=0.001))
    assert not heard.failed


# A turn that keeps the rules and is no answer.


def test_a_turn_without_audio_is_failed() -> None:
    turn = sealed((0, START), (1, Token("Hello")), (2, END))
    assert turn.failure == Failure("the turn ended without any audio", "audio", "audio")


def test_a_turn_that_is_silent_from_end_to_end_is_failed() -> None:
    turn = sealed((0, START), (1, AudioChunk(silence(500), RATE)), (2, END))
    assert turn.failure == Failure("the turn's audio is silent from end to end", "audio", "audio")
    assert turn.sound is not None
    assert turn.sound.first_audible_sample is None


def test_a_constant_offset_is_silence() -> None:
    hum = AudioChunk(np.full(RATE, 0.5, dtype=np.float32), RATE)
    assert sealed((0, START), (1, hum), (2, END)).failed


def test_a_turn_whose_audio_is_no_speech_is_failed() -> None:
    turn = sealed((0, START), (1, AudioChunk(tone(1000), RATE)), (2, END))
    assert turn.failure is not None
    assert turn.failure.reason.startswith("the audio is one unchanging sound, not speech")
    assert (turn.failure.fault, turn.failure.stage) == ("audio", "audio")


def test_floats_that_are_taken_for_integers_fail_the_turn_and_are_named() -> None:
    floats = synthetic_voice(RATE, RATE).tobytes()
    pcm = np.frombuffer(floats, "<i2").astype(np.float32) / np.float32(32768)
    pieces = [AudioChunk(piece, RATE) for piece in np.split(pcm, 8)]
    turn = sealed((0, START), *((1.0, piece) for piece in pieces), (2, END))
    assert turn.failure == Failure(
        "the audio is not speech: its samples look like 32-bit floats", "audio", "audio"
    )


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers_fail_the_turn_and_its_levels_stay_numbers(
    wrong: float,
) -> None:
    pcm = synthetic_voice(RATE, RATE)
    whole = sealed((0, START), (1, AudioChunk(pcm, RATE)), (2, END))
    assert whole.sound is not None
    assert whole.failure is None
    pcm = pcm.copy()
    pcm[4000:4003] = wrong
    turn = sealed((0, START), (1, AudioChunk(pcm, RATE)), (2, END))
    assert turn.failure == Failure(
        f"3 of {RATE} samples of the audio are not finite numbers", "audio", "audio"
    )
    assert turn.sound is not None
    assert turn.sound.peak == whole.sound.peak
    assert 0 < turn.sound.rms <= whole.sound.rms
    assert decode_line(encode_line(turn), "again") == turn


def test_what_was_heard_is_sealed_and_gives_the_same_verdict_again() -> None:
    voice = sealed((0, START), (1, AudioChunk(synthetic_voice(RATE, RATE), RATE)), (2, END))
    noise = np.random.default_rng(0).standard_normal(RATE).astype(np.float32) / np.float32(10)
    for turn in (voice, sealed((0, START), (1, AudioChunk(noise, RATE)), (2, END))):
        assert turn.sound is not None
        assert turn.sound.hearing is not None
        again = unlike_speech(turn.sound.hearing, turn.sound.peak)
        assert again == (turn.failure and turn.failure.reason)
    assert voice.failure is None


def test_a_failure_that_was_told_is_kept_even_where_there_is_sound() -> None:
    turn = sealed((0, START), (1, AudioChunk(tone(100), RATE)), (2, BROKEN))
    assert turn.failure == Failure("the model broke", "engine", "llm")
    assert turn.sound is not None
    assert turn.audio == (Arrival(1_000_000, 800),)


def test_a_failure_that_was_told_is_not_replaced_by_the_silence_it_left() -> None:
    turn = sealed((0, START), (1, BROKEN))
    assert turn.failure == Failure("the model broke", "engine", "llm")


def test_a_sealed_turn_cannot_be_changed() -> None:
    turn = sealed((0, START), (1, BROKEN))
    with pytest.raises(dataclasses.FrozenInstanceError):
        turn.end_ns = 0  # type: ignore[misc]
