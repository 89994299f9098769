"""Levels of callers who speak to a scripted agent: their two lines, and their tasks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from voicebench.audio.synthetic_voice import synthetic_voice
from voicebench.calls.call_script import CallScript, CallStep
from voicebench.calls.conversation import Manners
from voicebench.calls.line_sound import line_sound
from voicebench.calls.running.placing import CallPlan
from voicebench.load.call_plan import Behaviour, LoadPlan, Population
from voicebench.load.distributions import read_count, read_duration
from voicebench.load.running.level_task import LevelTask
from voicebench.settings import load_settings

AGENT = "sim:wait=150ms,reply=20ms,voice=30ms,stop=100ms,ignore=60ms,speech=900ms,speed=2x"
RATE = 16_000


def call_plan() -> CallPlan:
    """Two lines, the second an interruption, both with a hard end."""
    line = CallStep("line", pieces=("line",), text="line", limit_ms=3000)
    stop = CallStep("interruption", pieces=("stop",), text="stop", at_ms=200, limit_ms=1000)
    sound = line_sound(synthetic_voice(round(0.3 * RATE), RATE), RATE, "the test")
    manners = Manners(silence_ms=300, patience_ms=3000, opening_ms=100)
    return CallPlan(CallScript("test", (line, stop)), [sound] * 2, manners)


def spoken_tasks(url: str, metrics: Sequence[str]) -> Callable[[LoadPlan, int], LevelTask]:
    """Return what makes the task of a level at the agent's ``url``."""
    named = {"run.target": "call", "call.url": url, "call.speak_rate": RATE}
    settings = load_settings(None, named).settings
    plan = call_plan()

    def new_task(load_plan: LoadPlan, level: int) -> LevelTask:
        return LevelTask(
            *(load_plan, level, settings, ("",), tuple(metrics), plan.rule), spoken=plan
        )

    return new_task


def spoken_level(callers: int) -> LoadPlan:
    """Return the plan of callers who join within 0.8 s."""
    behaviour = Behaviour(read_duration("1s", "t"), read_duration("1s", "s"), read_count("2", "n"))
    return LoadPlan(1, Population(callers), behaviour, ramp_s=0.8)
