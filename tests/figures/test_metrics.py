"""Every metric on a turn that a reader can check by eye."""

from __future__ import annotations

from dataclasses import replace

import pytest
from drawn_turns import MS, drawn_turn

from voicebench.events import ServerTiming
from voicebench.figures.call_metrics import CALL_METRICS
from voicebench.figures.metrics import BY_NAME, METRICS, Metric, audio_by_chunk, compute
from voicebench.turn.cut import Cut, CutHow
from voicebench.turn.load_place import LoadPlace
from voicebench.turn.timeline import TimedText, Timeline

# One turn with everything in it, in milliseconds; at 1 kHz a sample is a millisecond.
#
# tokens       100 110   130      160
# text chunks        120                         240
# audio                         200 220                    340
#   of                           50  50                    100
# is heard                      [200 ......... 300]        [340 ... 440]
#                                    ^230 first sound   ^^^ a stall of 40
WHOLE_TURN = drawn_turn(
    tokens=(100, 110, 130, 160),
    chunks=(120, 240),
    audio=((200, 50), (220, 50), (340, 100)),
    silence=30,
    end=345,
    first_byte=190,
    connections=((12, False), (3, True)),
    server_timings=(
        ServerTiming(40, 44, "tts"),
        ServerTiming(30, 33, "tts"),
        ServerTiming(80, 95, "llm"),
    ),
    speaker=215,
)
WHOLE_TURN = replace(
    WHOLE_TURN, load=LoadPlace(1, 0, 0, 0, 5_000_000, 3_000_000, 250_000, 12_000_000)
)

WHOLE_TURN_BY_EYE = {
    "llm_ttft_ms": 100,
    "llm_total_ms": 160,
    "llm_itl_ms": 20,  # the gaps are 10, 20 and 30
    "llm_tokens": 4,
    "llm_tokens_per_s": 50,  # 3 more tokens in 60 ms
    "first_chunk_ms": 120,
    "tts_ttfb_ms": 80,
    "first_audio_ms": 200,
    "leading_silence_ms": 30,
    "first_sound_ms": 230,
    "gapless_start_ms": 240,  # the last piece holds sample 100 on and comes at 340
    "stall_count": 1,
    "stall_ms": 40,
    "longest_stall_ms": 40,
    "worst_deficit_ms": 40,
    "turn_ms": 340,
    "audio_s": 0.2,
    "synth_speed_x": 1.0,  # 200 ms of audio in 120 to 220 and 240 to 340
    "connect_ms": 15,
    "connection_reused": 0,
    "first_byte_ms": 190,
    "server_ms": 120,  # the first token, and the first of the two chunks
    "transport_ms": 19,
    "speaker_ms": 215,
    "unattributed_ms": 0,
    "server_llm_ms": 80,
    "transport_llm_ms": 15,
    "server_tts_ms": 40,
    "transport_tts_ms": 4,
    "late_ms": 3,
    "first_audio_due_ms": 203,
    "first_sound_due_ms": 233,
    "client_lag_ms": 0.25,
    "setup_ms": 12,
}

# The same turn, interrupted at 250 ms by a caller who had interrupted the turn before as well. It
# was asked to stop, and said so at 350: sound came until 340. 50 of 200 ms of sound were heard.
CUT_TURN = replace(
    WHOLE_TURN,
    load=LoadPlace(1, 0, 0, 1, 5_000_000, 3_000_000, interrupts=True),
    cut=Cut(250 * MS, "asked", 350 * MS),
)
CUT_TURN_BY_EYE = {"stop_ms": 90, "wasted_audio_s": 0.15, "interrupting_first_audio_ms": 203}

NOTHING = drawn_turn()
LLM_METRICS = {"llm_ttft_ms", "llm_total_ms", "llm_itl_ms", "llm_tokens", "llm_tokens_per_s"}


def value(name: str, turn: Timeline) -> float | None:
    return BY_NAME[name].of(turn)


def shown(turn: Timeline) -> set[str]:
    return {name for name, figure in compute(turn).items() if figure is not None}


def test_the_drawn_turn_shows_every_metric() -> None:
    by_eye = {*WHOLE_TURN_BY_EYE, *CUT_TURN_BY_EYE}
    of_turns = {metric.name for metric in METRICS if metric not in CALL_METRICS}
    assert by_eye == of_turns
    assert shown(WHOLE_TURN) == set(WHOLE_TURN_BY_EYE)


@pytest.mark.parametrize(("name", "by_eye"), WHOLE_TURN_BY_EYE.items())
def test_the_figure_is_the_one_read_by_eye(name: str, by_eye: float) -> None:
    assert value(name, WHOLE_TURN) == pytest.approx(by_eye, abs=1e-9)


def test_compute_returns_every_metric_in_order() -> None:
    figures = compute(WHOLE_TURN)
    assert list(figures) == [metric.name for metric in METRICS]
    assert figures == {metric.name: metric.of(WHOLE_TURN) for metric in METRICS}


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_turn_that_shows_nothing_has_no_figure_never_a_zero(metric: Metric) -> None:
    assert metric.of(NOTHING) is None


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_every_metric_says_what_it_is(metric: Metric) -> None:
    assert metric.doc.endswith(".")
    assert metric.unit != "ms" or metric.name.endswith("_ms")
    assert metric.short_name == metric.name.removesuffix("_ms")


def test_no_two_metrics_share_a_name_in_a_gate() -> None:
    names = [metric.name for metric in METRICS] + [
        metric.short_name for metric in METRICS if metric.short_name != metric.name
    ]
    assert len(set(names)) == len(names)


# A turn that the listener interrupts.


@pytest.mark.parametrize(("name", "by_eye"), CUT_TURN_BY_EYE.items())
def test_an_interruption_is_measured_as_read_by_eye(name: str, by_eye: float) -> None:
    assert value(name, CUT_TURN) == pytest.approx(by_eye, abs=1e-9)


def test_a_turn_that_was_cut_off_shows_no_figure_of_a_whole_reply() -> None:
    whole = {
        "llm_total_ms", "llm_tokens", "llm_tokens_per_s", "gapless_start_ms", "stall_count",
        "stall_ms", "longest_stall_ms", "worst_deficit_ms", "turn_ms", "synth_speed_x",
    }  # fmt: skip
    hidden = whole | {"client_lag_ms", "setup_ms"}
    assert shown(CUT_TURN) == (shown(WHOLE_TURN) - hidden) | set(CUT_TURN_BY_EYE)


@pytest.mark.parametrize(
    ("how", "stopped_ms"), [("asked", None), ("hung up", None), ("complete", 345)]
)
def test_nobody_knows_when_it_stopped_unless_it_was_asked_and_said_so(
    how: CutHow, stopped_ms: int | None
) -> None:
    stopped_ns = None if stopped_ms is None else stopped_ms * MS
    turn = replace(WHOLE_TURN, cut=Cut(250 * MS, how, stopped_ns))
    assert value("stop_ms", turn) is None
    assert value("wasted_audio_s", turn) == pytest.approx(0.15)


def test_a_target_that_sends_nothing_more_has_stopped_at_once() -> None:
    turn = replace(WHOLE_TURN, cut=Cut(341 * MS, "asked", 900 * MS))
    assert value("stop_ms", turn) == 0


def test_a_complete_reply_that_was_not_heard_out_shows_the_figures_of_a_whole_one() -> None:
    turn = replace(WHOLE_TURN, cut=Cut(400 * MS, "complete", 345 * MS))
    assert shown(turn) == shown(WHOLE_TURN) | {"wasted_audio_s"}
    assert value("wasted_audio_s", turn) == pytest.approx(0.04)  # 340 to 400 of 100 ms were heard


# What a target cannot show is missing.


def test_a_plain_audio_endpoint_shows_no_tokens_and_no_chunks() -> None:
    audio_only = drawn_turn(audio=((100, 50), (120, 50)))
    assert shown(audio_only) == {
        "first_audio_ms",
        "leading_silence_ms",
        "first_sound_ms",
        "gapless_start_ms",
        "stall_count",
        "stall_ms",
        "longest_stall_ms",
        "worst_deficit_ms",
        "turn_ms",
        "audio_s",
    }


def test_a_turn_that_failed_before_its_audio_shows_how_far_it_came() -> None:
    silent = drawn_turn(tokens=(100, 110, 120), chunks=(120,))
    assert shown(silent) == LLM_METRICS | {"first_chunk_ms"}


def test_a_header_without_samples_is_a_first_byte_and_no_audio() -> None:
    header_only = drawn_turn(first_byte=50, end=900)
    assert shown(header_only) == {"first_byte_ms"}


# The language model.


def test_one_token_has_a_time_but_no_gap_and_no_rate() -> None:
    assert shown(drawn_turn(tokens=(100,))) == {"llm_ttft_ms", "llm_total_ms", "llm_tokens"}


def test_tokens_that_come_in_one_read_have_no_rate_and_no_gap() -> None:
    one_read = drawn_turn(tokens=(100, 100, 100))
    assert value("llm_tokens_per_s", one_read) is None
    assert value("llm_itl_ms", one_read) is None


def test_a_reply_in_one_piece_shows_when_it_was_complete_and_nothing_of_its_tokens() -> None:
    assert shown(drawn_turn(whole_reply=300)) == {"llm_total_ms"}
    assert value("llm_total_ms", drawn_turn(whole_reply=300)) == 300


def test_the_gap_before_tokens_that_came_joined_is_not_one_tokens_gap() -> None:
    assert value("llm_itl_ms", drawn_turn(tokens=(0, 10, 20, 30, 70, 70))) == 10


def test_without_a_gap_of_its_own_for_half_the_tokens_the_median_would_be_made_up() -> None:
    assert value("llm_itl_ms", drawn_turn(tokens=(0, 10, 50, 50, 50))) is None


def test_the_gap_between_tokens_is_the_median_so_that_one_pause_does_not_move_it() -> None:
    assert value("llm_itl_ms", drawn_turn(tokens=(0, 10, 20, 30, 1030))) == 10


def test_an_even_number_of_gaps_has_the_mean_of_the_two_in_the_middle() -> None:
    assert value("llm_itl_ms", drawn_turn(tokens=(0, 10, 40))) == 20


def test_the_models_own_count_of_tokens_goes_before_the_number_of_deltas() -> None:
    # Two deltas, which the model says were eleven tokens: ten after the first, in 100 ms.
    joined = drawn_turn(tokens=(100, 200), usage_tokens=11)
    assert value("llm_tokens", joined) == 11
    assert value("llm_tokens_per_s", joined) == 100


ELEVEN = tuple(range(100, 210, 10))


def test_a_count_that_includes_reasoning_gives_no_rate_and_the_deltas_are_counted() -> None:
    turn = drawn_turn(tokens=ELEVEN, usage_tokens=20, usage_with_hidden=True)
    assert value("llm_tokens", turn) == 11
    assert value("llm_tokens_per_s", turn) is None


@pytest.mark.parametrize("count", [0, 1, 10, 36, 411])
def test_a_count_that_cannot_be_that_of_the_text_gives_no_rate(count: int) -> None:
    # Eleven deltas, " word" each: fifty-five letters.
    turn = drawn_turn(tokens=ELEVEN, usage_tokens=count)
    assert value("llm_tokens", turn) == 11
    assert value("llm_tokens_per_s", turn) is None


@pytest.mark.parametrize("count", [11, 12, 22, 35])
def test_a_count_that_can_be_that_of_the_text_is_believed(count: int) -> None:
    turn = drawn_turn(tokens=ELEVEN, usage_tokens=count)
    assert value("llm_tokens", turn) == count
    assert value("llm_tokens_per_s", turn) == (count - 1) / 0.1


def test_each_byte_of_another_script_may_be_a_token() -> None:
    thai = replace(drawn_turn(tokens=(0, 100)), tokens=(TimedText(0, "สวัสดี"), TimedText(MS, "ครับ")))
    assert value("llm_tokens", replace(thai, usage_tokens=30)) == 30
    assert value("llm_tokens", replace(thai, usage_tokens=39)) == 2


def test_a_whole_reply_whose_count_includes_reasoning_shows_no_count() -> None:
    turn = drawn_turn(whole_reply=100, usage_tokens=400, usage_with_hidden=True)
    assert value("llm_tokens", turn) is None


def test_a_count_without_a_visible_token_is_shown_and_has_no_rate() -> None:
    reasoning_only = drawn_turn(usage_tokens=40)
    assert shown(reasoning_only) == {"llm_tokens"}


# The wait for the first audio.


def test_the_chunkers_wait_is_in_first_chunk_and_not_in_the_synthesizers_figure() -> None:
    slow_chunker = drawn_turn(tokens=(100,), chunks=(400,), audio=((450, 50),))
    assert value("first_chunk_ms", slow_chunker) == 400
    assert value("tts_ttfb_ms", slow_chunker) == 50


@pytest.mark.parametrize("chunk_ns", [0, 1, 123_456_789, 3_600_000_000_001])
@pytest.mark.parametrize("wait_ns", [0, 1, 70_000_003, 59_999_999_999])
def test_the_stages_add_up_to_the_whole_within_a_millisecond(chunk_ns: int, wait_ns: int) -> None:
    turn = drawn_turn(chunks=(chunk_ns / MS,), audio=(((chunk_ns + wait_ns) / MS, 50),))
    residual = value("unattributed_ms", turn)
    assert residual is not None
    assert abs(residual) < 1e-3


# Sound and silence.


def test_a_voice_that_opens_with_silence_is_not_heard_when_its_samples_come() -> None:
    opens_silent = drawn_turn(audio=((100, 300),), silence=120)
    assert value("first_audio_ms", opens_silent) == 100
    assert value("leading_silence_ms", opens_silent) == 120
    assert value("first_sound_ms", opens_silent) == 220


def test_first_sound_waits_out_the_stall_before_it() -> None:
    # Silent samples 0 to 50 are played from 100 to 150; sample 60 comes at 500 with its piece.
    stalled = drawn_turn(audio=((100, 50), (500, 200)), silence=60)
    assert value("first_sound_ms", stalled) == 510


def test_first_sound_does_not_depend_on_audio_that_is_early() -> None:
    early = drawn_turn(audio=((100, 50), (101, 200)), silence=60)
    assert value("first_sound_ms", early) == 160


def test_audio_that_is_silent_from_end_to_end_has_no_first_sound() -> None:
    silent = drawn_turn(audio=((100, 300),), silence=None)
    assert value("first_sound_ms", silent) is None
    assert value("leading_silence_ms", silent) is None
    assert value("first_audio_ms", silent) == 100


# Playing without gaps.


def test_audio_in_one_piece_has_no_stall_and_says_so_with_a_zero() -> None:
    one_piece = drawn_turn(audio=((100, 500),))
    assert value("stall_count", one_piece) == 0
    assert value("stall_ms", one_piece) == 0
    assert value("longest_stall_ms", one_piece) == 0
    assert value("worst_deficit_ms", one_piece) == 0
    assert value("gapless_start_ms", one_piece) == 100


def test_two_stalls_are_counted_added_and_the_longest_is_named() -> None:
    # Heard 100 to 110, 125 to 135, 160 to 170.
    twice = drawn_turn(audio=((100, 10), (125, 10), (160, 10)))
    assert value("stall_count", twice) == 2
    assert value("stall_ms", twice) == 40
    assert value("longest_stall_ms", twice) == 25
    assert value("worst_deficit_ms", twice) == 40


def test_a_tiny_first_chunk_betters_first_audio_and_not_gapless_start() -> None:
    honest = drawn_turn(audio=((100, 500), (300, 500)))
    cheating = drawn_turn(audio=((20, 1), (100, 499), (300, 500)))
    assert value("first_audio_ms", cheating) == 20
    assert value("gapless_start_ms", cheating) == 99
    assert value("gapless_start_ms", honest) == 100
    assert value("stall_ms", cheating) == 79


# The speed of synthesis.


def test_the_speed_of_synthesis_leaves_out_the_wait_for_the_language_model() -> None:
    # 100 ms of work from 100 to 200, a second without text, 100 ms of work from 1200 to 1300.
    waited = drawn_turn(chunks=(100, 1200), audio=((200, 400), (1300, 400)))
    assert value("synth_speed_x", waited) == 4


def test_a_chunk_that_brought_no_audio_takes_no_time() -> None:
    emoji = drawn_turn(chunks=(100, 300, 400), audio=((200, 300), (500, 300)))
    assert value("synth_speed_x", emoji) == 3


def test_audio_at_the_very_stamp_of_the_next_hand_over_is_the_earlier_chunks() -> None:
    turn = drawn_turn(chunks=(100, 300), audio=((200, 10), (300, 10), (400, 10)))
    first, second = audio_by_chunk(turn)
    assert [arrival.at_ns // MS for arrival in first[1]] == [200, 300]
    assert [arrival.at_ns // MS for arrival in second[1]] == [400]


def test_audio_at_the_very_stamp_of_its_only_hand_over_is_that_chunks() -> None:
    ((start, audio),) = audio_by_chunk(drawn_turn(chunks=(100,), audio=((100, 10), (150, 10))))
    assert start == 100 * MS
    assert len(audio) == 2


def test_synthesis_that_took_no_time_has_no_speed() -> None:
    assert value("synth_speed_x", drawn_turn(chunks=(100,), audio=((100, 10),))) is None


def test_audio_without_a_chunk_has_no_speed() -> None:
    assert audio_by_chunk(drawn_turn(audio=((100, 10),))) == []
    assert value("synth_speed_x", drawn_turn(audio=((100, 10),))) is None


# Connections and the server's own clock.


def test_connections_count_as_reused_only_when_every_one_is() -> None:
    assert value("connection_reused", drawn_turn(connections=((0, True), (0, True)))) == 1
    assert value("connection_reused", drawn_turn(connections=((0, True), (9, False)))) == 0


def test_opening_a_connection_is_kept_out_of_every_other_figure() -> None:
    slow_connect = drawn_turn(audio=((100, 50),), connections=((2000, False),))
    without = drawn_turn(audio=((100, 50),))
    differing = {
        name for name, figure in compute(slow_connect).items() if figure != compute(without)[name]
    }
    assert differing == {"connect_ms", "connection_reused"}


def test_transport_is_ours_less_theirs_for_the_same_thing_where_that_is_known() -> None:
    # The turn takes 900; the requests that first audio waits for took 110 and 60 of it.
    timings = (
        ServerTiming(40, 60, "tts"),
        ServerTiming(35, 50, "tts"),
        ServerTiming(100, 110, "llm"),
    )
    turn = drawn_turn(audio=((100, 50),), end=900, server_timings=timings)
    assert (value("server_llm_ms", turn), value("transport_llm_ms", turn)) == (100, 10)
    assert (value("server_tts_ms", turn), value("transport_tts_ms", turn)) == (40, 20)
    assert (value("server_ms", turn), value("transport_ms", turn)) == (140, 30)


def test_of_a_whole_turn_the_servers_duration_stands_beside_the_turns_end() -> None:
    turn = drawn_turn(audio=((100, 50),), end=900, server_timings=[ServerTiming(850)])
    assert (value("server_ms", turn), value("transport_ms", turn)) == (850, 50)
    assert value("server_llm_ms", turn) is value("transport_tts_ms", turn) is None


def test_where_one_of_two_servers_says_nothing_the_others_word_is_what_there_is() -> None:
    turn = drawn_turn(audio=((100, 50),), server_timings=[ServerTiming(70, 75, "tts")])
    assert (value("server_ms", turn), value("transport_ms", turn)) == (70, 5)
    assert value("server_llm_ms", turn) is None


def test_without_the_servers_own_duration_there_is_no_transport_figure() -> None:
    turn = drawn_turn(audio=((100, 50),), end=400)
    assert value("server_ms", turn) is None
    assert value("transport_ms", turn) is None
