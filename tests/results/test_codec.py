"""A timeline that goes through its line of JSON comes back as it was."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from voicebench.audio.hearing import Hearing
from voicebench.errors import ResultsError
from voicebench.events import Connected, ServerTiming
from voicebench.figures.metrics import compute
from voicebench.results.codec import decode_line, encode_line
from voicebench.turn.playback import Arrival
from voicebench.turn.timeline import Failure, Sound, TimedRemark, TimedText, Timeline

MS = 1_000_000

FULL = Timeline(
    turn=4,
    phase="measured",
    prompt="Wie spät ist es? 🕰",
    started_at="2026-01-02T03:04:05.678+00:00",
    end_ns=900 * MS,
    tokens=(TimedText(100 * MS, "It"), TimedText(110 * MS, " is late,\n“very”.")),
    chunks=(TimedText(111 * MS, "It is late,"),),
    audio=(Arrival(150 * MS, 400), Arrival(300 * MS, 200)),
    sound=Sound(16_000, 12, 0.5, 0.1, 3),
    usage_tokens=7,
    first_byte_ns=140 * MS,
    connections=(Connected(3.25, True), Connected(12.5, False, in_turn=True)),
    server_timings=(ServerTiming(12.5), ServerTiming(80.0, 95.5, "tts")),
    silence_trimmed_ms=17.5,
    speaker_ns=190 * MS,
)
BARE = Timeline(
    turn=1,
    phase="cold",
    prompt="x",
    started_at="2026-01-02T03:04:05.678+00:00",
    end_ns=0,
    failure=Failure("the voice broke", "engine", "tts"),
)


IN_ONE_PIECE = Timeline(
    turn=2,
    phase="measured",
    prompt="x",
    started_at="2026-01-02T03:04:05.678+00:00",
    end_ns=800 * MS,
    whole_reply=TimedText(700 * MS, "It is late."),
)


REMARKED = replace(
    FULL,
    usage_with_hidden=True,
    remarks=(TimedRemark(20 * MS, "reasoning"), TimedRemark(30 * MS, "unknown", "{…}")),
)


HEARD = replace(
    FULL, sound=Sound(16_000, 12, 0.5, 0.1, 3, 0, Hearing(1.5, -12.25, 5.5, 0.0, "f32le", True))
)


@pytest.mark.parametrize("turn", [FULL, BARE, IN_ONE_PIECE, REMARKED, HEARD])
def test_a_timeline_survives_its_line(turn: Timeline) -> None:
    line = encode_line(turn)
    assert "\n" not in line
    assert decode_line(line, "here") == turn


def test_a_line_of_a_turn_that_waited_for_no_connection_is_what_it_always_was() -> None:
    turn = replace(FULL, connections=(Connected(3.25, True, 9),))
    line = json.loads(encode_line(turn))
    assert line["connections"] == [[3.25, True, 9]]
    assert "connected_in_turn" not in line


def test_a_turn_of_a_conversation_survives_its_line_and_no_token_is_a_count() -> None:
    turn = replace(FULL, conversation=3, conversation_turn=1, prompt_tokens=36, cached_tokens=0)
    assert decode_line(encode_line(turn), "here") == turn
    assert '"cached_tokens":0' in encode_line(turn)
    assert "conversation" not in encode_line(FULL)
    assert "cached_tokens" not in encode_line(FULL)


@pytest.mark.parametrize(
    "place",
    [
        {"conversation": 1},
        {"conversation_turn": 1},
        {"conversation": 0, "conversation_turn": 1},
        {"conversation": 1, "conversation_turn": 0},
        {"conversation": 1, "conversation_turn": -1},
        {"conversation": "1", "conversation_turn": 1},
        {"cached_tokens": -1},
    ],
)
def test_a_place_in_a_conversation_that_cannot_be_is_refused(place: dict[str, object]) -> None:
    line = json.dumps(json.loads(encode_line(FULL)) | place)
    with pytest.raises(ResultsError):
        decode_line(line, "here")


def test_a_line_of_a_turn_without_remarks_is_what_it_always_was() -> None:
    line = json.loads(encode_line(FULL))
    assert "remarks" not in line
    assert "usage_with_hidden" not in line


@pytest.mark.parametrize("remarks", [[[1, "gossip", ""]], [[1, "blank"]], [["x", "blank", ""]], 3])
def test_a_remark_that_is_none_is_refused(remarks: object) -> None:
    fields = json.loads(encode_line(BARE)) | {"remarks": remarks}
    with pytest.raises(ResultsError):
        decode_line(json.dumps(fields), "here")


def test_what_was_heard_may_be_missing_and_may_have_fields_of_a_later_version() -> None:
    fields = json.loads(encode_line(HEARD))
    fields["sound"]["hearing"] |= {"pitch_hz": 120}
    assert decode_line(json.dumps(fields), "here") == HEARD
    del fields["sound"]["hearing"], fields["sound"]["seam_clicks"]
    assert decode_line(json.dumps(fields), "here") == FULL


@pytest.mark.parametrize(
    "heard",
    [{"audible_s": "long"}, {"looks_like": "gossip"}, {"flatness_db": [1]}, {"noise_s": None}, 3],
)
def test_a_hearing_that_is_none_is_refused(heard: object) -> None:
    fields = json.loads(encode_line(FULL))
    fields["sound"]["hearing"] = heard
    with pytest.raises(ResultsError):
        decode_line(json.dumps(fields), "here")


def test_metrics_from_the_file_equal_the_live_ones() -> None:
    assert compute(decode_line(encode_line(FULL), "here")) == compute(FULL)


def test_an_unknown_schema_is_refused_by_its_number() -> None:
    fields = json.loads(encode_line(BARE)) | {"schema": 99}
    with pytest.raises(ResultsError, match=r"turns\.jsonl, line 3 has schema 99"):
        decode_line(json.dumps(fields), "turns.jsonl, line 3")


@pytest.mark.parametrize(
    "line",
    [
        "",
        "[]",
        "{",
        '{"schema": 1}',
        encode_line(BARE).replace('"cold"', '"lukewarm"'),
        encode_line(FULL).replace('"audio":[[', '"audio":[["x",'),
    ],
)
def test_a_line_that_is_no_turn_is_named(line: str) -> None:
    with pytest.raises(ResultsError, match="line 7"):
        decode_line(line, "file, line 7")


def test_timings_of_before_are_kept_where_one_can_tell_what_they_were_of() -> None:
    line = json.loads(encode_line(BARE))
    of_the_turn = line | {"server_timings": [412.5], "our_timings": []}
    assert decode_line(json.dumps(of_the_turn), "here").server_timings == (ServerTiming(412.5),)
    added_up = line | {"server_timings": [80.0, 40.0], "our_timings": [91.0, 50.0]}
    assert decode_line(json.dumps(added_up), "here").server_timings == ()
