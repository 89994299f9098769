"""What a plan for 100,000 callers over 100 machines costs: memory, start-up and merge.

    python benchmarks/many_machines.py [--callers 100000] [--machines 100] [--minutes 10]

No machine is started. The plan, its shares, one turn's message and the columns of the leading
machine are the product's own, at full size or (turns) at a tenth. What is scaled says so.
"""

from __future__ import annotations

import argparse
import resource
import time
from multiprocessing.reduction import ForkingPickler

from voicebench.audio.pcm import AudibleRule
from voicebench.load.call_plan import Behaviour, LoadPlan, Population, cycle_s
from voicebench.load.distributions import read_count, read_duration
from voicebench.load.loaded_turn import GrowingTurns, LoadedTurn
from voicebench.load.running.call_threads import STACK_BYTES
from voicebench.load.running.level_task import SealedTurn
from voicebench.load.shares import Share
from voicebench.results.codec import encode_line
from voicebench.targets.script import Script
from voicebench.targets.simulated import plan_turn, scripted_turn
from voicebench.text.chunking import Chunker

REPLY_S = 4.5
REPEATED = 3000
CALLERS = Behaviour(
    read_duration("exp:3s", "think"),
    read_duration("lognormal:2.5s:0.5", "speech"),
    read_count("geometric:8", "turns"),
)
METRICS = ("first_audio_due_ms", "stall_count", "late_ms", "client_lag_ms", "audio_s")


def resident_mb() -> float:
    """Return the largest resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Compute and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--callers", type=int, default=100_000)
    parser.add_argument("--machines", type=int, default=100)
    parser.add_argument("--minutes", type=float, default=10.0)
    given = parser.parse_args()
    plan = LoadPlan(1, Population(given.callers), CALLERS)

    began = time.perf_counter()
    share = Share().split(given.machines)[0]
    own = [plan.first_turn(call) for call in plan.calls() if share.has(call.caller)]
    start_s = time.perf_counter() - began

    turn = scripted_turn(plan_turn(Script(), "Hello", Chunker(), fails=False), AudibleRule())
    values = dict.fromkeys(METRICS, 100.0)
    loaded = LoadedTurn(1, 0, 0, 1.0, 2.0, "answered", values)
    message = bytes(ForkingPickler.dumps(SealedTurn(1, turn, loaded)))
    line = len(encode_line(turn))
    began = time.perf_counter()
    for _ in range(REPEATED):
        encode_line(ForkingPickler.loads(message).timeline)
    each_s = (time.perf_counter() - began) / REPEATED

    turns = round(given.callers / cycle_s(CALLERS, REPLY_S) * given.minutes * 60)
    part = max(turns // 10, 1)
    before_mb, growing = resident_mb(), GrowingTurns(METRICS)
    began = time.perf_counter()
    for number in range(part):
        growing.add([LoadedTurn(number, 0, 0, float(part - number), 1.0, "answered", values)])
    added_s = time.perf_counter() - began
    began = time.perf_counter()
    growing.columns()
    sorted_s = time.perf_counter() - began
    grown_mb = resident_mb() - before_mb

    per_s = turns / given.minutes / 60
    rows = (
        ("callers of one machine", f"{len(own):,}"),
        ("its plan, all callers gone through", f"{start_s:.1f} s"),
        ("stacks of its threads (a thread a call)", f"{len(own) * STACK_BYTES / 1e6:,.0f} MB"),
        ("turns of the level", f"{turns:,} ({per_s:,.0f} a second)"),
        ("message of a turn to the leading machine", f"{len(message):,} bytes"),
        ("that machine receives", f"{per_s * len(message) / 1e6:.1f} MB/s"),
        ("it reads and writes a turn", f"{1e6 * each_s:.0f} µs: {per_s * each_s:.1f} cores"),
        ("`turns.jsonl`", f"{turns * line / 1e9:.1f} GB"),
        ("columns of all turns (ten times a tenth)", f"{10 * grown_mb:,.0f} MB"),
        ("adding them (ten times a tenth)", f"{10 * added_s:.0f} s"),
        ("sorting them once (ten times a tenth)", f"{10 * sorted_s:.1f} s"),
    )
    print(f"| {given.callers:,} callers, {given.machines} machines, {given.minutes:g} min | |")
    print("|---|---:|")
    for name, cost in rows:
        print(f"| {name} | {cost} |")


if __name__ == "__main__":
    main()
