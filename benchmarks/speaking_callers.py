"""Callers who speak: how many at once, and the error of their response times.

A scripted agent (`benchmarks.quick_agent`: PCM over a WebSocket) has one core; the callers are
those of `voicebench load --agent`, in a client process on the other core. Turns are sealed on the
agent's core, where they run when nothing else does.

The **error of response** is the recorded response minus the time that the agent took by its own
record: from the moment at which the system received the caller's last voiced frame to the moment at
which the agent gave its first sound to the system. So the agent's lateness is no error of the
caller's. It is printed beside it, and so is the recorded response minus that of the script, which
has both.

    python -m benchmarks.speaking_callers [CALLERS] [SECONDS]
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from multiprocessing import get_context

import numpy as np

from benchmarks.quick_agent import ANSWER_S, serve
from voicebench.agents.agent_kinds import SimulatedAgent
from voicebench.audio.synthetic_voice import synthetic_voice
from voicebench.calls.call_script import CallScript, CallStep
from voicebench.calls.conversation import Manners
from voicebench.calls.line_sound import line_sound
from voicebench.calls.running.placing import CallPlan
from voicebench.checks.agent_wires import AGENT_WIRES
from voicebench.figures.metrics import BY_NAME
from voicebench.load.call_plan import Behaviour, LoadPlan, Population
from voicebench.load.distributions import read_count, read_duration
from voicebench.load.running.client_cores import ClientCores
from voicebench.load.running.level_task import LevelTask
from voicebench.load.running.local_engine import LocalEngine
from voicebench.settings import load_settings
from voicebench.turn.load_place import LoadPlace
from voicebench.turn.timeline import Timeline

AGENT = "sim:wait=200ms,reply=30ms,voice=40ms,stop=150ms,ignore=100ms,speech=2s,speed=1x"
"""What the quick agent does, as a script."""
API = "pcm"
LINES = 3
LINE_S = 1.5


class Figures:
    """What was measured, in ms."""

    def __init__(self) -> None:
        self.turns = self.failed = 0
        self.errors: list[float] = []
        self.agent_late: list[float] = []
        self.late: list[float] = []
        self.lags: list[float] = []

    def add(self, turn: Timeline, place: LoadPlace) -> None:
        """Take a turn."""
        self.turns += 1
        self.late.append(place.late_ns / 1e6)
        response = BY_NAME["response_ms"].of(turn)
        if turn.failure is not None or response is None or turn.call is None:
            self.failed += 1
            return
        took_ms = int(turn.call.transcripts[-1].text) / 1e6
        self.errors.append(response - took_ms)
        self.agent_late.append(took_ms - 1000 * ANSWER_S)
        if place.client_lag_ns is not None:
            self.lags.append(place.client_lag_ns / 1e6)

    def show(self) -> None:
        """Print the distribution of each figure's size."""
        for name, values in (
            ("error of response", self.errors),
            ("response minus script", np.add(self.errors, self.agent_late)),
            ("agent late", self.agent_late),
            ("late", self.late),
            ("client lag", self.lags),
        ):
            p = np.percentile(np.abs(values), (50, 95, 99, 100))
            print(
                f"{name:<22}p50 {p[0]:.2f}  p95 {p[1]:.2f}  p99 {p[2]:.2f}  largest {p[3]:.2f} ms"
            )


def main() -> None:
    """Hold the callers, and print the errors and delays."""
    callers = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 40.0
    simulated = SimulatedAgent(AGENT, AGENT_WIRES[API].rate)
    plan = plan_at(simulated.sample_rate)
    turns: list[Timeline] = []
    server_core, client_core = (0, 1) if (os.cpu_count() or 1) > 1 else (0, 0)
    with quick_agent(server_core) as url:
        settings = load_settings(
            None, {"run.target": "call", "call.url": url, "call.speak_rate": 16_000}
        ).settings
        behaviour = Behaviour(
            read_duration("exp:1s", "t"), read_duration("2s", "s"), read_count(str(LINES), "n")
        )
        load_plan = LoadPlan(1, Population(callers), behaviour, 1, ramp_s=15.0)

        def task(of: LoadPlan, level: int) -> LevelTask:
            return LevelTask(
                *(of, level, settings, ("",), ("response_ms", "late_ms"), plan.rule), spoken=plan
            )

        engine = LocalEngine(
            task, ClientCores((client_core,), True, 2, (server_core,)), (), turns.append
        )
        with closing(engine.start(load_plan, 1)) as level:
            level.advance(15.0 + seconds)
            level.drain(15.0 + seconds, 20.0)
            state = level.client_state()
    found = Figures()
    for turn in turns:
        place = turn.load
        if place is not None and 15.0 <= place.due_ns / 1e9 < 15.0 + seconds:
            found.add(turn, place)
    print(f"{callers} callers, {seconds:g} s: {found.turns} turns, {found.failed} not answered")
    print(f"client core busy {state.busiest_core}, foreign {state.foreign}, {state.broken}")
    found.show()


def plan_at(rate: int) -> CallPlan:
    """Return a call of `LINES` lines with a hard end, so that both sides agree on it."""
    step = CallStep("line", pieces=("line",), text="line", limit_ms=5000)
    sound = line_sound(synthetic_voice(round(LINE_S * rate), rate), rate, "the line")
    manners = Manners(silence_ms=500, patience_ms=5000, opening_ms=200)
    return CallPlan(CallScript("load", (step,) * LINES), [sound] * LINES, manners)


@contextmanager
def quick_agent(core: int) -> Iterator[str]:
    """Serve in a process of its own, on a core; yields the URL."""
    context = get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=serve, args=(core, theirs), daemon=True)
    process.start()
    try:
        yield f"ws://127.0.0.1:{ours.recv()}"
    finally:
        process.kill()
        process.join()


if __name__ == "__main__":
    main()
