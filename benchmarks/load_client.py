"""The client of ``load`` at its stated limits: how late its turns begin, and how late it reads.

``python benchmarks/load_client.py [callers] [seconds] [route] [apart]`` holds a level against a
paced server, which has the first core while the client's processes have the last one. The replies
come as fast as they are played (25 pieces a second), so a caller receives for as long as it
listens. The callers behave as by default: 5.5 s of pause, replies of 4.8 s. ``route`` is ``voice``
(a WebSocket) or ``cascade`` (chat and speech over HTTP); one reading loop takes both.
``apart`` seals on the server's core: if other programs fill the machine and the benchmark has
real-time priority, the system takes a core away for 50 ms a second that client and sealing fill.

It prints, of all turns due after the first 10 s: how late they began, how long bytes lay in the
kernel until they were stamped, how far first audio is from the script, and how many turns were
lost; and how busy the client's core was, its memory, and how busy everything else was.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace

import numpy as np
import psutil

from voicebench.audio.pcm import AudibleRule
from voicebench.load.call_plan import Behaviour, LoadPlan, Population
from voicebench.load.distributions import read_count, read_duration
from voicebench.load.loaded_turn import ANSWERED, columns_of_turns
from voicebench.load.pacing.paced_process import paced_server
from voicebench.load.pacing.paced_script import PacedScript
from voicebench.load.reading.reading_choice import is_readable
from voicebench.load.running.client_cores import choose_cores
from voicebench.load.running.level_task import LevelTask
from voicebench.load.running.local_engine import LocalEngine, LocalLevel
from voicebench.machine.environment import usable_core_numbers
from voicebench.settings import load_settings

METRICS = ("late_ms", "client_lag_ms", "first_audio_due_ms", "audio_s", "stall_count")
SCRIPT = PacedScript(ttft_s=0.1, token_s=0.01, words=16, ttfb_s=0.05)
FROM_S = 10.0


def settings_for(host: str, route: str) -> dict[str, object]:
    """Return the settings of a target on the paced server."""
    if route == "voice":
        return {"run.target": "voice", "server.url": f"ws://{host}/v1/voice"}
    return {
        "llm.url": f"http://{host}/v1",
        "llm.model": "paced",
        "tts.url": f"http://{host}/v1",
        "tts.model": "paced",
        "tts.voice": "any",
        "tts.format": "pcm",
    }


def main(callers: int, seconds: float, route: str, *, apart: bool) -> None:
    """Hold one level and print its figures."""
    behaviour = Behaviour(
        read_duration("exp:3s", "think"),
        read_duration("lognormal:2.5s:0.5", "speech"),
        read_count("geometric:8", "turns"),
    )
    core = usable_core_numbers()[0]
    with paced_server(SCRIPT, core=core, keep_stamps=False) as server:
        settings = load_settings(None, settings_for(server.host, route)).settings
        prompts = tuple(f"What is the answer to question {number}?" for number in range(50))

        def new_task(plan: LoadPlan, level: int) -> LevelTask:
            return LevelTask(
                plan, level, settings, prompts, METRICS, AudibleRule(), reads=is_readable(settings)
            )

        cores = choose_cores(1, ["127.0.0.1"], wanted=1)
        if apart:
            cores = replace(cores, of_sealers=(core,))
        engine = LocalEngine(new_task, cores, {int(server.host.rpartition(":")[2])})
        plan = LoadPlan(1, Population(callers), behaviour, len(prompts))
        with closing(engine.start(plan, 1)) as level:
            done = list(level.advance(seconds))
            memory = resident_mb(level)
            before = psutil.cpu_times_percent(interval=None)
            done += level.drain(seconds, 20.0)
            state, most = level.client_state(), level.most_in_flight
    turns = columns_of_turns(done, METRICS)
    inside = turns.due_in(FROM_S, seconds)
    print(f"{callers} callers, {seconds:g} s, {route}: {inside.n} turns due after {FROM_S:g} s")
    print(f"  outcomes {np.bincount(inside.outcome, minlength=4).tolist()} (answered first)")
    print(f"  at most {most} turns under way at once")
    answered = inside.outcome == ANSWERED
    script_ms = 1000 * (SCRIPT.ttft_s + SCRIPT.ttfb_s)
    for name, shift in (
        ("late_ms", 0.0),
        ("client_lag_ms", 0.0),
        ("first_audio_due_ms", script_ms),
    ):
        values = inside.values[name][answered] - shift
        shown = "  ".join(f"p{q:g} {np.nanpercentile(values, q):.2f}" for q in (50, 95, 99, 99.9))
        print(f"  {name} minus {shift:g}: {shown}  max {np.nanmax(values):.2f}")
    print(f"  client core {100 * (state.busiest_core or 0):.0f} % busy; foreign {state.foreign}")
    print(f"  resident memory of the client: {memory}, {sum(memory)} MB together")
    print(f"  broken: {state.broken}; idle now {before.idle} %")


def resident_mb(level: LocalLevel) -> Sequence[int]:
    """Return the resident memory of the parent and of each process of the client, in MB."""
    numbers = [psutil.Process().pid, *(pid for core in level.process_numbers for pid in core)]
    return [psutil.Process(pid).memory_info().rss >> 20 for pid in numbers]


if __name__ == "__main__":
    given = [argument for argument in sys.argv[1:] if argument != "apart"]
    number, length, way = [*given, *("200", "120", "voice")[len(given) :]]
    main(int(number), float(length), way, apart="apart" in sys.argv)
