"""Traces: what is written is repeated, and what is wrong is named by its line."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebench.errors import UsageError
from voicebench.load.call_plan import Trace, TracedCall, TracedTurn
from voicebench.load.trace_file import read_trace

SECONDS = st.floats(0, 3600)
TURN = st.builds(TracedTurn, SECONDS, SECONDS, st.none() | st.just("What time is it?"))
CALLS = st.lists(
    st.builds(TracedCall, SECONDS, st.lists(TURN, min_size=1, max_size=4).map(tuple)),
    min_size=1,
    max_size=5,
).map(lambda calls: tuple(sorted(calls, key=lambda call: call.at_s)))


def line(call: TracedCall) -> str:
    turns = [
        {"think_s": turn.think_s, "speech_s": turn.speech_s}
        | ({} if turn.prompt is None else {"prompt": turn.prompt})
        for turn in call.turns
    ]
    return json.dumps({"at_s": call.at_s, "turns": turns})


@given(CALLS)
def test_a_trace_that_is_written_is_read(calls: tuple[TracedCall, ...]) -> None:
    assert read_trace([line(call) + "\n" for call in calls], "t") == Trace(calls)


def test_blank_lines_and_a_missing_pause_are_allowed() -> None:
    read = read_trace(["\n", '{"at_s": 1, "turns": [{"speech_s": 2}]}\n', " \n"], "t")
    assert read == Trace((TracedCall(1.0, (TracedTurn(0.0, 2.0),)),))


GOOD = '{"at_s": 5, "turns": [{"speech_s": 1}]}'


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ([], "has no call"),
        ([GOOD, "nonsense"], "line 2 is not JSON"),
        ([GOOD, "[]"], "line 2 is not a call"),
        ([GOOD, '{"at_s": 6}'], "line 2 is not a call"),
        ([GOOD, '{"at_s": 4, "turns": [{"speech_s": 1}]}'], "line 2: the call begins before"),
        (['{"at_s": -1, "turns": [{"speech_s": 1}]}'], "at_s = -1 is out of range"),
        (['{"at_s": NaN, "turns": [{"speech_s": 1}]}'], "at_s = nan is out of range"),
        (['{"at_s": true, "turns": [{"speech_s": 1}]}'], "at_s is missing or not a number"),
        (['{"at_s": 1, "turns": []}'], "has 0 turns"),
        (['{"at_s": 1, "turns": [3]}'], "turn 1 is not an object"),
        (['{"at_s": 1, "turns": [{}]}'], "turn 1: speech_s is missing"),
        (['{"at_s": 1, "turns": [{"speech_s": 1e9}]}'], "speech_s = 1000000000.0 is out of range"),
        (['{"at_s": 1, "turns": [{"speech_s": 1, "prompt": " "}]}'], "prompt is not a text"),
        (['{"at_s": 1, "turns": [{"speech_s": 1, "words": 3}]}'], "unknown key 'words'"),
        (['{"at_s": 1, "when": 2, "turns": [{"speech_s": 1}]}'], "unknown key 'when'"),
        ([GOOD + " " * 1_000_001], "longer than 1000000 characters"),
        (["[" * 100_000], "is not"),
    ],
)
def test_a_wrong_trace_is_refused_by_its_line(lines: list[str], says: str) -> None:
    with pytest.raises(UsageError, match=f"calls.jsonl.*{says}"):
        read_trace(lines, "calls.jsonl")
