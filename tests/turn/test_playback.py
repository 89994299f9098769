"""What a listener hears of audio that arrives piece by piece, on pictures of 1 kHz audio."""

from __future__ import annotations

import pytest
from drawn_turns import MS, RATE, arrivals
from hypothesis import given
from hypothesis import strategies as st

from voicebench.turn.playback import (
    Arrival,
    Stall,
    gapless_start_ns,
    heard_at_ns,
    listen,
    worst_deficit_ns,
)

# arrives    10            25              60
# holds      |--- 10 ---|  |--- 10 ---|    |--- 10 ---|
# is heard   10        20  25        35    60        70
# stalls                ^^^           ^^^^^
LATE_TWICE = arrivals((10, 10), (25, 10), (60, 10))


def test_a_listener_pauses_whenever_the_buffer_is_empty() -> None:
    listening = listen(LATE_TWICE, RATE)
    assert listening.stalls == (Stall(20 * MS, 5 * MS), Stall(35 * MS, 25 * MS))
    assert listening.played_from_ns == (10 * MS, 25 * MS, 60 * MS)
    assert listening.end_ns == 70 * MS


def test_audio_that_comes_faster_than_it_is_played_waits_for_its_turn() -> None:
    listening = listen(arrivals((10, 100), (20, 100), (30, 100)), RATE)
    assert listening.stalls == ()
    assert listening.played_from_ns == (10 * MS, 110 * MS, 210 * MS)
    assert listening.end_ns == 310 * MS


def test_audio_that_comes_exactly_when_the_buffer_runs_empty_is_no_stall() -> None:
    assert listen(arrivals((10, 50), (60, 50), (110, 50)), RATE).stalls == ()


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 24000, 44100, 48000])
def test_rounding_of_sample_durations_is_no_stall(rate: int) -> None:
    # A third of a second at a time, ten times: in binary fractions the sum is not ten thirds.
    third = rate // 3
    on_time = [Arrival(-(-index * third * 1_000_000_000 // rate), third) for index in range(10)]
    assert listen(on_time, rate).stalls == ()


def test_a_stall_of_one_step_of_the_clock_is_seen() -> None:
    late_by_1_ns = [Arrival(0, 10), Arrival(10 * MS + 1, 10)]
    assert listen(late_by_1_ns, RATE).stalls == (Stall(10 * MS, 1),)


def test_a_sample_is_heard_after_the_stalls_before_it() -> None:
    assert heard_at_ns(LATE_TWICE, RATE, 0) == 10 * MS
    assert heard_at_ns(LATE_TWICE, RATE, 9) == 19 * MS
    assert heard_at_ns(LATE_TWICE, RATE, 10) == 25 * MS
    assert heard_at_ns(LATE_TWICE, RATE, 25) == 65 * MS


def test_a_sample_that_never_came_is_never_heard() -> None:
    assert heard_at_ns(LATE_TWICE, RATE, 30) is None
    assert heard_at_ns((), RATE, 0) is None


def test_gapless_start_is_the_first_moment_from_which_nothing_is_late() -> None:
    # The third piece holds samples 20 to 30 and comes at 60: who starts at 40 needs it at 60.
    assert gapless_start_ns(LATE_TWICE, RATE) == 40 * MS
    assert worst_deficit_ns(LATE_TWICE, RATE) == 30 * MS


def test_audio_that_is_never_late_can_be_played_at_once() -> None:
    at_once = arrivals((10, 100), (20, 100))
    assert gapless_start_ns(at_once, RATE) == 10 * MS
    assert worst_deficit_ns(at_once, RATE) == 0


def test_without_audio_nothing_can_be_said_of_playing_it() -> None:
    assert gapless_start_ns((), RATE) is None
    assert worst_deficit_ns((), RATE) is None
    assert listen((), RATE).stalls == ()


def test_a_tiny_first_chunk_cannot_cheat_gapless_start() -> None:
    honest = arrivals((100, 500), (300, 500))
    cheating = arrivals((20, 1), (100, 499), (300, 500))
    assert cheating[0].at_ns < honest[0].at_ns
    assert gapless_start_ns(honest, RATE) == 100 * MS
    assert gapless_start_ns(cheating, RATE) == 99 * MS
    assert listen(cheating, RATE).stalls == (Stall(21 * MS, 79 * MS),)


def test_synthesis_faster_than_real_time_on_the_whole_may_still_stall() -> None:
    # 600 ms of audio in 300 ms; but the first 50 ms are played out long before the rest comes.
    bursty = arrivals((0, 50), (300, 550))
    assert worst_deficit_ns(bursty, RATE) == 250 * MS


SOME_AUDIO = st.lists(
    st.tuples(st.integers(0, 200 * MS), st.integers(1, 2000)), min_size=1, max_size=12
).map(
    lambda pieces: [
        Arrival(sum(gap for gap, _ in pieces[: index + 1]), samples)
        for index, (_, samples) in enumerate(pieces)
    ]
)
RATES = st.sampled_from([1000, 16000, 22050, 44100])


@given(SOME_AUDIO, RATES)
def test_who_pauses_ends_as_late_as_who_starts_at_the_gapless_start(
    audio: list[Arrival], rate: int
) -> None:
    samples = sum(arrival.samples for arrival in audio)
    start = gapless_start_ns(audio, rate)
    assert start is not None
    assert listen(audio, rate).end_ns == pytest.approx(start + samples * 1e9 / rate, abs=100)


@given(SOME_AUDIO, RATES)
def test_all_pauses_together_are_the_worst_deficit(audio: list[Arrival], rate: int) -> None:
    paused = sum(stall.duration_ns for stall in listen(audio, rate).stalls)
    assert paused == pytest.approx(worst_deficit_ns(audio, rate), abs=100)


@given(SOME_AUDIO, RATES)
def test_no_piece_is_played_before_it_arrived_nor_before_the_one_in_front_of_it(
    audio: list[Arrival], rate: int
) -> None:
    played_from = listen(audio, rate).played_from_ns
    for arrival, start in zip(audio, played_from, strict=True):
        assert start >= arrival.at_ns - 1
    assert list(played_from) == sorted(played_from)
