"""The earlier messages of a call go with each of its turns, if the settings ask for it."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import pytest

from voicebench.audio.pcm import AudibleRule
from voicebench.errors import UsageError
from voicebench.events import AudioChunk, Emit, Token, TurnFinished, TurnStarted
from voicebench.load.call_plan import Behaviour, LoadPlan, Population
from voicebench.load.distributions import read_count, read_duration
from voicebench.load.running.call_lines import CallLines, Within
from voicebench.load.running.call_threads import CallThreads
from voicebench.load.running.cut_timer import PlannedCut
from voicebench.load.running.level_clock import LevelClock
from voicebench.load.running.level_task import LevelTask, ProcessTask, TakenTurn
from voicebench.load.running.refusals import check_history
from voicebench.load.shares import Share
from voicebench.settings import load_settings
from voicebench.text.chat_template import PastMessage

SETTINGS = {"llm.url": "http://127.0.0.1:1/v1", "tts.url": "http://127.0.0.1:1/v1"}


class Line:
    """A line that answers at once, and keeps the messages that each turn was sent with."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, tuple[PastMessage, ...] | None]] = []
        self._earlier: tuple[PastMessage, ...] = ()

    def dial(self) -> None:
        pass

    prepare = hang_up = dial

    def in_conversation(self, earlier: Sequence[PastMessage], _scope: str) -> Line:
        self._earlier = tuple(earlier)
        return self

    def take(
        self, prompt: str, emit: Emit, _cut: PlannedCut | None, within: Within | None = None
    ) -> None:
        if within is not None:
            within(self)  # type: ignore[arg-type]
        self.sent.append((prompt, self._earlier if within is not None else None))
        emit(TurnStarted(prompt))
        emit(Token(f"reply {len(self.sent)}"))
        emit(AudioChunk(np.full(160, 0.1, dtype=np.float32), 16_000))
        emit(TurnFinished())


class Lines(CallLines):
    def __init__(self, line: Line) -> None:
        self._line = line

    def line(self) -> Line:
        return self._line


def sent(*, history: bool) -> list[tuple[str, tuple[PastMessage, ...] | None]]:
    behaviour = Behaviour(
        read_duration("10ms", "t"), read_duration("10ms", "s"), read_count("3", "n")
    )
    settings = load_settings(None, {**SETTINGS, "load.history": history}).settings
    plan = LoadPlan(2, Population(1), behaviour)
    level = LevelTask(plan, 1, settings, ("Hello",), ("late_ms",), AudibleRule())
    line = Line()
    given: list[TakenTurn] = []
    calls = CallThreads(ProcessTask(level, Share()), Lines(line), given.append)
    calls.open()
    calls.begin(LevelClock.starting_in(0.0))
    until = time.monotonic() + 10
    while len(line.sent) < 7 and time.monotonic() < until:
        time.sleep(0.01)
    calls.end(keep_open=False)
    return line.sent


def test_a_turn_is_sent_with_the_earlier_ones_of_its_call_and_no_other() -> None:
    found = sent(history=True)
    assert len(found) >= 7
    lengths = [len(earlier or ()) for _, earlier in found]
    # The first call is met in its middle; then every call has three turns.
    begins = [place for place, length in enumerate(lengths) if length == 0]
    assert len(begins) >= 2
    second = begins[1]
    assert lengths[second : second + 3] == [0, 2, 4]
    third = found[second + 2][1]
    assert third is not None
    assert [message.role for message in third] == ["user", "assistant"] * 2
    assert third[1].text == f"reply {second + 1}"


def test_without_it_each_turn_stands_alone() -> None:
    assert {earlier for _, earlier in sent(history=False)} == {None}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"run.target": "sim:"}, "a simulated target has no words to remember"),
        ({"run.target": "call", "call.url": "ws://127.0.0.1:1"}, "keeps its own"),
        ({"run.target": "voice", "server.url": "ws://127.0.0.1:1/v1/voice"}, "takes one prompt"),
    ],
)
def test_targets_that_take_no_messages_are_refused(values: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        check_history(load_settings(None, values).settings)
