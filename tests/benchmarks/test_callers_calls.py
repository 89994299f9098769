"""Callers take turns, hear every answer out, and think before the next one."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import pytest

from benchmarks.callers.calls import THINK_S, prompts_for, take_turns
from voicebench.errors import VoicebenchError
from voicebench.events import Emit
from voicebench.targets.script import Script
from voicebench.targets.simulated import Simulated

FAST = Script(ttft_s=0.001, token_s=0.0, ttfb_s=0.001, speed_x=1000.0, words=2)


@dataclass
class Noted:
    """A simulated target that notes when its turns began, and on which prompts."""

    script: Script = FAST
    begun: list[float] = field(default_factory=list)
    prompts: list[str] = field(default_factory=list)
    prepared: int = 0

    def prepare(self) -> None:
        self.prepared += 1

    def run(self, prompt: str, emit: Emit) -> None:
        self.begun.append(time.perf_counter())
        self.prompts.append(prompt)
        Simulated(self.script).run(prompt, emit)

    def close(self) -> None:
        pass


class Broken(Noted):
    """A line that is down."""

    def run(self, prompt: str, emit: Emit) -> None:
        raise VoicebenchError("nobody answers", "start the server")


def test_every_prompt_is_taken_once_and_each_caller_has_a_line() -> None:
    lines = [Noted(), Noted(), Noted()]
    prompts = [f"prompt {number}" for number in range(5)]
    turns = take_turns(lines, prompts, seed=1, began=0.1)
    assert sorted(prompt for line in lines for prompt in line.prompts) == prompts
    assert all(line.prompts for line in lines)
    assert [turn.failure for turn in turns] == [None] * 5
    assert all(line.prepared >= len(line.prompts) for line in lines)


def test_a_caller_hears_an_answer_out_and_thinks() -> None:
    line = Noted()
    turns = take_turns([line], ["one", "two", "three"], seed=1, began=0.0)
    for turn, begun, later in zip(turns, line.begun, line.begun[1:], strict=False):
        assert turn.audio_s > 0.2
        assert later - begun >= turn.audio_s + turn.gap_ms / 1000 + THINK_S[0]


def test_first_audio_counts_from_the_moment_a_turn_was_due() -> None:
    slow = Noted(Script(ttft_s=0.1, token_s=0.0, ttfb_s=0.05, speed_x=1000.0, words=2))
    (turn,) = take_turns([slow], ["one"], seed=1, began=0.0)
    assert turn.first_audio_ms is not None
    assert turn.first_audio_ms - turn.late_ms == pytest.approx(150, abs=100)
    assert turn.late_ms >= 0


def test_a_gap_in_playback_is_counted() -> None:
    slower_than_speech = Script(ttft_s=0.001, token_s=0.0, ttfb_s=0.001, speed_x=0.5, words=3)
    (turn,) = take_turns([Noted(slower_than_speech)], ["one"], seed=1, began=0.0)
    assert turn.gaps > 0
    assert turn.gap_ms > 100


def test_a_failed_turn_stays_in_the_count_and_stops_nobody() -> None:
    turns = take_turns([Broken(), Noted()], ["one", "two", "three"], seed=1, began=0.0)
    assert len(turns) == 3
    failed = [turn for turn in turns if turn.failure]
    assert failed
    assert all(
        turn.first_audio_ms is None and "nobody answers" in str(turn.failure) for turn in failed
    )


def test_prompts_go_on_where_the_first_half_ended_and_repeat() -> None:
    assert prompts_for(["a", "b", "c"], 4, 0) == ["a", "b", "c", "a"]
    assert prompts_for(["a", "b", "c"], 2, 4) == ["b", "c"]
