"""The two engines of ``load`` beside each other: one reading loop, and a thread a call.

``python -m benchmarks.load_engines [seconds]`` holds one caller against a paced server (on the
first core; the client on the last), by each engine in turn and over both transports. It prints by
how much the first token and first audio came later than the script says, and the difference of the
medians. Both must mean the same: within 0.5 ms.
"""

from __future__ import annotations

import sys
from contextlib import closing

import numpy as np

from benchmarks.load_client import settings_for
from voicebench.audio.pcm import AudibleRule
from voicebench.load.call_plan import Behaviour, LoadPlan, Population
from voicebench.load.distributions import read_count, read_duration
from voicebench.load.loaded_turn import ANSWERED, columns_of_turns
from voicebench.load.pacing.paced_process import paced_server
from voicebench.load.pacing.paced_script import PacedScript
from voicebench.load.running.client_cores import choose_cores
from voicebench.load.running.level_task import LevelTask
from voicebench.load.running.local_engine import LocalEngine
from voicebench.machine.environment import usable_core_numbers
from voicebench.settings import load_settings

SCRIPT = PacedScript(ttft_s=0.1, token_s=0.01, words=2, ttfb_s=0.05)
METRICS = ("llm_ttft_ms", "first_audio_ms", "late_ms", "client_lag_ms")
SCRIPTED_MS = {"llm_ttft_ms": 100.0, "first_audio_ms": 150.0}
SECONDS = 40.0


def measured(route: str, seconds: float, *, reads: bool) -> dict[str, float]:
    """Return the median of each metric beyond its script, in ms."""
    behaviour = Behaviour(
        read_duration("uniform:0.1s:0.3s", "think"),
        read_duration("uniform:0.1s:0.3s", "speech"),
        read_count("8", "turns"),
    )
    core = usable_core_numbers()[0]
    with paced_server(SCRIPT, core=core, keep_stamps=False) as server:
        settings = load_settings(None, settings_for(server.host, route)).settings

        def new_task(plan: LoadPlan, level: int) -> LevelTask:
            return LevelTask(plan, level, settings, ("One",), METRICS, AudibleRule(), reads=reads)

        engine = LocalEngine(new_task, choose_cores(1, ["127.0.0.1"], wanted=1))
        with closing(engine.start(LoadPlan(1, Population(1), behaviour, 1), 1)) as level:
            done = [*level.advance(seconds), *level.drain(seconds, 5.0)]
    turns = columns_of_turns(done, METRICS)
    answered = turns.outcome == ANSWERED
    found = {
        name: float(np.nanmedian(turns.values[name][answered])) - SCRIPTED_MS.get(name, 0.0)
        for name in METRICS
    }
    shown = "  ".join(f"{name} {value:.2f}" for name, value in found.items())
    print(f"{route:8} {'the loop' if reads else 'a thread'}: {int(answered.sum())} turns  {shown}")
    return found


def main(seconds: float) -> None:
    """Measure both engines over both transports."""
    for route in ("voice", "cascade"):
        loop, thread = (measured(route, seconds, reads=reads) for reads in (True, False))
        for name in SCRIPTED_MS:
            print(f"{route:8} {name}: a thread is {thread[name] - loop[name]:+.2f} ms later")


if __name__ == "__main__":
    main(float(sys.argv[1]) if sys.argv[1:] else SECONDS)
