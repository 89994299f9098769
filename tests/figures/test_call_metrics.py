"""Metrics of calls on timelines drawn by hand, in milliseconds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from voicebench.figures.figure import parse_figure
from voicebench.figures.metrics import BY_NAME
from voicebench.figures.summary import summarize
from voicebench.figures.word_errors import word_error_rate
from voicebench.turn.call_turn import CallText, CallTurn, Stretch
from voicebench.turn.timeline import Failure, Timeline

MS = 1_000_000


def moments(*at_ms: int) -> tuple[int, ...]:
    return tuple(at * MS for at in at_ms)


def spoken(*stretches: tuple[int, int]) -> tuple[Stretch, ...]:
    return tuple(Stretch(start * MS, end * MS) for start, end in stretches)


# The caller speaks from 1000 to 2000; the agent answers from 2600 to 5000.
LINE = CallTurn(
    call=1,
    step=1,
    kind="line",
    said="at nine o'clock",
    start_ns=0,
    end_ns=6000 * MS,
    spoken_from_ns=1000 * MS,
    spoken_until_ns=2000 * MS,
    limit_ms=1000,
    caller=spoken((1000, 1400), (1700, 2000)),
    agent=spoken((2600, 5000)),
    endpoints_ns=moments(2300),
    transcripts=(CallText(2350 * MS, "At nine clock."),),
    replies=(CallText(2450 * MS, "Yes"),),
    arrived_ns=moments(2590, 3000),
)
# The agent speaks from the begin until 1250, and answers from 2700 on.
STOPPED = replace(
    LINE, kind="interruption", agent=spoken((0, 1250), (2700, 5000)), cleared_ns=moments(1250)
)


def timeline(call: CallTurn, failure: Failure | None = None) -> Timeline:
    return Timeline(1, "measured", call.said, "2026-01-01T00:00:00Z", 0, call=call, failure=failure)


def value(name: str, call: CallTurn) -> float | None:
    return BY_NAME[name].of(timeline(call))


@pytest.mark.parametrize(
    ("name", "by_eye"),
    [
        ("response_ms", 600),
        ("endpoint_ms", 300),
        ("transcript_ms", 350),
        ("reply_text_ms", 450),
        ("voice_ms", 150),
        ("call_unattributed_ms", 0),
        ("cut_in", 0),
        ("missed", 0),
        ("talk_over_ms", 0),
        ("overlap_ms", 0),
        ("heard_wer", 1 / 3),
        ("stop_ms", None),
        ("false_stop", None),
    ],
)
def test_a_line_and_its_answer(name: str, by_eye: float | None) -> None:
    assert value(name, LINE) == pytest.approx(by_eye)


def test_an_agent_in_the_pause_cuts_in_and_is_not_in_the_overlap() -> None:
    early = replace(LINE, agent=spoken((1500, 1800), (2600, 5000)), endpoints_ns=moments(1450))
    assert value("response_ms", early) == -500
    assert value("endpoint_ms", early) == -550
    assert value("cut_in", early) == 1
    assert value("talk_over_ms", early) == 300
    assert value("overlap_ms", early) == 100


def test_an_interruption_is_stopped_and_answered() -> None:
    assert value("stop_ms", STOPPED) == 250
    assert value("stopped", STOPPED) == 1
    assert value("response_ms", STOPPED) == 700


def test_the_last_sound_may_lie_a_little_before_the_clear() -> None:
    assert value("stop_ms", replace(STOPPED, cleared_ns=moments(1264))) == 250


def test_an_answer_that_was_all_sent_ended_by_itself() -> None:
    ended = replace(STOPPED, cleared_ns=(), arrived_ns=moments(500, 2690))
    assert value("stopped", ended) is None
    assert value("stop_ms", ended) is None
    paced = replace(ended, arrived_ns=moments(500, 1200, 2690))
    assert value("stop_ms", paced) == 250
    assert value("stopped", replace(paced, completed_ns=moments(900))) is None


def test_an_agent_that_speaks_again_before_the_caller_is_done_was_not_stopped() -> None:
    paused = replace(
        STOPPED,
        agent=spoken((0, 1250), (1600, 3000), (4000, 5000)),
        cleared_ns=(),
        arrived_ns=moments(500, 1590, 3990),
    )
    assert value("stopped", paused) == 0
    assert value("stop_ms", paused) is None
    assert value("response_ms", paused) == 2000


def test_a_pause_between_two_sentences_is_no_false_stop() -> None:
    noise = replace(LINE, kind="noise", limit_ms=1500, agent=spoken((0, 1200), (1900, 5000)))
    assert value("false_stop", replace(noise, arrived_ns=moments(1890))) == 0
    assert value("false_stop", replace(noise, cleared_ns=moments(1200))) == 1
    for name in ("response_ms", "missed", "stopped", "talk_over_ms"):
        assert value(name, noise) is None


def test_a_step_that_was_not_played_shows_nothing() -> None:
    skipped = timeline(replace(LINE, skipped="the call was over"))
    assert all(metric.of(skipped) is None for metric in BY_NAME.values())


def test_an_outcome_of_a_failed_turn_counts_and_its_times_do_not() -> None:
    missed = replace(LINE, agent=(), replies=())
    turns = [timeline(LINE), timeline(missed, Failure("no answer", "timeout", "audio"))]
    summary = summarize(turns)
    assert parse_figure("missed.rate").observe(summary)[0] == 0.5
    assert summary.metrics["response_ms"].values == (600,)
    assert value("missed", replace(missed, cut_short=True)) is None


def test_a_censored_stop_is_slower_than_any() -> None:
    ignored = replace(STOPPED, agent=spoken((0, 5000)), cleared_ns=())
    twenty = [timeline(STOPPED)] * 20
    found = summarize(twenty).metrics["stop_ms"]
    assert (found.quantile(95), found.censored, found.n) == ((250, True), 0, 20)
    found = summarize([*twenty, timeline(LINE), *[timeline(ignored)] * 2]).metrics["stop_ms"]
    assert (found.censored, found.n) == (2, 22)  # the line is no interruption
    assert found.quantile(50) == (250, True)
    assert found.quantile(95) == (None, False)
    assert found.mean() is None
    observed, note = parse_figure("stop.p95").observe(
        summarize([*twenty, *[timeline(ignored)] * 2])
    )
    assert observed is None
    assert note == "2 of 22 never confirmed"


@pytest.mark.parametrize(
    ("said", "heard", "rate"),
    [
        ("At nine, please.", "at nine please", 0),
        ("at nine please", "at night please", 1 / 3),
        ("at nine please", "", 1),
        ("one", "one two three", 2),
        ("l'été", "L\u2019\u00c9T\u00c9", 0),
        ("", "something", None),
    ],
)
def test_word_errors(said: str, heard: str, rate: float | None) -> None:
    assert word_error_rate(said, heard) == pytest.approx(rate)
