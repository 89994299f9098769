"""The two engines of ``load`` beside each other: one reading loop, and a thread a call.

``python -m benchmarks.load_engines [seconds]`` holds one caller against a paced server (on the
first core; the client on the last), for so many seconds by each engine and over both transports.
The engines take turns (loop, thread, thread, loop), so that a machine that becomes slower or faster
does so for both. It prints by how much the first token and first audio came later than the script
says, and the difference of the medians. Both must mean the same: within 0.5 ms.
"""

from __future__ import annotations

import sys
from contextlib import closing

import numpy as np
from numpy.typing import NDArray

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
ORDER = (True, False, False, True)
"""Whether the loop takes the turns of each part."""

Values = dict[str, NDArray[np.float64]]


def held(host: str, route: str, seconds: float, seed: int, *, reads: bool) -> Values:
    """Hold a level; return each metric of its answered turns, in ms."""
    behaviour = Behaviour(
        read_duration("uniform:0.1s:0.3s", "think"),
        read_duration("uniform:0.1s:0.3s", "speech"),
        read_count("8", "turns"),
    )
    settings = load_settings(None, settings_for(host, route)).settings

    def new_task(plan: LoadPlan, level: int) -> LevelTask:
        return LevelTask(plan, level, settings, ("One",), METRICS, AudibleRule(), reads=reads)

    engine = LocalEngine(new_task, choose_cores(1, ["127.0.0.1"], wanted=1))
    with closing(engine.start(LoadPlan(seed, Population(1), behaviour, 1), 1)) as level:
        done = [*level.advance(seconds), *level.drain(seconds, 5.0)]
    turns = columns_of_turns(done, METRICS)
    return {name: turns.values[name][turns.outcome == ANSWERED] for name in METRICS}


def measured(route: str, seconds: float) -> tuple[dict[str, float], dict[str, float]]:
    """Return the median of each metric beyond its script, in ms: of the loop, and of a thread."""
    parts: dict[bool, list[Values]] = {True: [], False: []}
    with paced_server(SCRIPT, core=usable_core_numbers()[0], keep_stamps=False) as server:
        for reads in ORDER:
            seed = len(parts[reads]) + 1
            parts[reads].append(held(server.host, route, seconds / 2, seed, reads=reads))
    medians = []
    for reads in (True, False):
        together = {name: np.concatenate([p[name] for p in parts[reads]]) for name in METRICS}
        found = {
            name: float(np.nanmedian(values)) - SCRIPTED_MS.get(name, 0.0)
            for name, values in together.items()
        }
        shown = "  ".join(f"{name} {value:.2f}" for name, value in found.items())
        who, turns = "the loop" if reads else "a thread", len(together[METRICS[0]])
        print(f"{route:8} {who}: {turns} turns  {shown}")
        medians.append(found)
    return medians[0], medians[1]


def main(seconds: float) -> None:
    """Measure both engines over both transports."""
    for route in ("voice", "cascade"):
        loop, thread = measured(route, seconds)
        for name in SCRIPTED_MS:
            print(f"{route:8} {name}: a thread is {thread[name] - loop[name]:+.2f} ms later")


if __name__ == "__main__":
    main(float(sys.argv[1]) if sys.argv[1:] else SECONDS)
