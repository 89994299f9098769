"""Cold and idle turns beside the measured ones: their figures, and how they are taken."""

from __future__ import annotations

import pytest
from drawn_turns import drawn_turn, failed_turn, turn_with_first_audio

from voicebench.audio.pcm import AudibleRule
from voicebench.events import Emit
from voicebench.figures.phases import phase_figures
from voicebench.figures.summary import summarize
from voicebench.judging.digest import digest_of
from voicebench.measuring.plan import plan_idle_turns, plan_turns, take_turns
from voicebench.results.document import phases_document
from voicebench.targets.script import parse_script
from voicebench.targets.simulated import Simulated, VirtualClock
from voicebench.turn.timeline import Timeline

MEASURED = [
    turn_with_first_audio(100),
    turn_with_first_audio(120),
    turn_with_first_audio(140),
]


def idle(first_audio: float, connect_ms: float, *, reused: bool) -> Timeline:
    return drawn_turn(audio=[(first_audio, 100)], phase="idle", connections=[(connect_ms, reused)])


def test_each_phase_has_its_own_median_and_its_distance_from_the_measured_turns() -> None:
    turns = [
        turn_with_first_audio(900, "cold"),
        turn_with_first_audio(400, "warmup"),
        *MEASURED,
        idle(150, 3.0, reused=False),
        idle(190, 5.0, reused=False),
        idle(130, 4.0, reused=True),
        failed_turn("idle"),
    ]
    cold, after = phase_figures(digest_of(turns).phases, summarize(turns))
    assert (cold.phase, cold.turns, cold.first_audio_ms, cold.over_measured_ms) == (
        *("cold", 1, 900, 780),
    )
    assert cold.connect_ms is cold.connection_reused is None
    assert (after.phase, after.turns, after.failed) == ("idle", 4, 1)
    assert (after.first_audio_ms, after.over_measured_ms) == (150, 30)
    assert after.connect_ms == 4.0
    assert after.connection_reused == pytest.approx(1 / 3)


def test_what_no_turn_shows_is_missing_and_never_zero() -> None:
    turns = [failed_turn("cold"), *MEASURED]
    assert phases_document(digest_of(turns).phases, summarize(turns)) == {
        "cold": {
            "turns": 1,
            "failed": 1,
            "first_audio_ms": None,
            "over_measured_ms": None,
            "connect_ms": None,
            "connection_reused": None,
        }
    }
    assert phases_document(digest_of(MEASURED).phases, summarize(MEASURED)) == {}


class Watched(Simulated):
    """A target over a wire that notes when its connection is brought into order."""

    def __init__(self, noted: list[str]) -> None:
        self.virtual = VirtualClock()
        super().__init__(parse_script("sim:ttft=1ms,token=1ms,ttfb=1ms"), self.virtual)
        self._noted = noted

    def check(self) -> None:
        """Need nothing."""

    def prepare(self) -> None:
        self._noted.append("prepared")

    def run(self, prompt: str, emit: Emit) -> None:
        self._noted.append(f"turn {prompt}")
        super().run(prompt, emit)


def test_an_idle_turn_follows_a_silence_and_finds_what_is_left_of_the_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    noted: list[str] = []
    monkeypatch.setattr("time.sleep", lambda seconds: noted.append(f"slept {seconds}"))
    target = Watched(noted)
    planned = [*plan_turns(["a"], ["b"]), *plan_idle_turns(["c", "d"], first=3)]
    recordings = list(
        take_turns(
            target,
            planned,
            rule=AudibleRule(),
            clock=target.virtual.now_ns,
            pause_s=0.25,
            idle_gap_s=30.0,
        )
    )
    assert [(one.timeline.turn, one.timeline.phase) for one in recordings] == [
        *((1, "cold"), (2, "measured"), (3, "idle"), (4, "idle")),
    ]
    assert noted == [
        *("prepared", "turn a"),
        *("slept 0.25", "prepared", "turn b"),
        *("slept 30.0", "turn c"),
        *("slept 30.0", "turn d"),
    ]
