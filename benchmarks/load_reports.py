"""Measure `report`, `compare` and `verify` on a level of 200,000 turns: time, and memory.

``python benchmarks/load_reports.py [turns]`` holds a level of 1,000 callers on the virtual clock,
with some 70 events a turn, until it has so many turns. Then each command runs as a process of its
own. The memory is the largest sum of the resident memory of a command and its workers; pages that
they share count several times, so it is rather too large. Both are promises: under 30 s and 500 MB.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.promised import Judged
from voicebench.load.call_plan import Population
from voicebench.load.level import LevelJudgement
from voicebench.load.running.load_job import load_job
from voicebench.load.running.load_session import run_load
from voicebench.settings import load_settings

TURNS = 200_000
CALLERS = 1_000
CYCLE_S = 11.5
"""About the time from one due moment of a caller to the next."""
PROMISED_S = 30.0
PROMISED_MB = 500.0
TARGET = "sim:slots=900,service=exp:600ms,ttft=60ms,token=8ms,ttfb=70ms,speed=4x"
GATE = "first_audio_due.p95 < 2500ms"
SAMPLE_S = 0.02


class Silent:
    """Follows the levels of a run and shows nothing."""

    def began(self, level: Mapping[str, object]) -> None:
        """Take a level that begins."""

    def looked(self, judgement: LevelJudgement, at_s: float) -> None:
        """Take the judgement so far."""

    def ended(self, level: Mapping[str, object]) -> None:
        """Take a level that has ended."""


@dataclass(frozen=True)
class Cost:
    """What a command took."""

    command: str
    wall_s: float
    peak_mb: float
    """Resident memory of the command and its workers, the largest sum."""
    code: int

    def judged(self) -> list[Judged]:
        """Return its promises."""
        ended = "" if self.code == 0 else f", ended with {self.code}"
        return [
            Judged(
                f"{self.command}: under {PROMISED_S:g} s",
                f"{self.wall_s:.1f} s{ended}",
                self.wall_s < PROMISED_S and not self.code,
            ),
            Judged(
                f"{self.command}: under {PROMISED_MB:g} MB",
                f"{self.peak_mb:.0f} MB{ended}",
                self.peak_mb < PROMISED_MB and not self.code,
            ),
        ]


def make_result(results: Path, turns: int) -> Path:
    """Hold a level with about so many turns; return its folder."""
    for_s = max(turns * CYCLE_S / CALLERS, 300.0)
    effective = load_settings(
        None,
        {
            "run.target": TARGET,
            "run.results": str(results),
            "run.name": f"turns-{turns}",
            "load.gates": [GATE],
            "load.for_s": for_s,
        },
    )
    return run_load(load_job(effective, Population(CALLERS)), Silent()).path


def cost_of(name: str, *arguments: str) -> Cost:
    """Run a command of voicebench, called ``name`` in the tables, as a process of its own."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "voicebench", *arguments]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        with _peak_of(process.pid) as peak:
            _, said = process.communicate()
        if process.returncode:
            print(said.decode(), file=sys.stderr)
        wall_s = time.perf_counter() - began
    return Cost(name, wall_s, peak[0] / 1e6, process.returncode)


@contextmanager
def _peak_of(pid: int) -> Iterator[list[float]]:
    """Note the largest sum of the resident memory of a process and its children, in bytes."""
    peak, stop = [0.0], threading.Event()

    def sample() -> None:
        while not stop.wait(SAMPLE_S):
            peak[0] = max(peak[0], sum(map(_resident, [pid, *children_of(pid)])))

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        stop.set()
        thread.join()


def children_of(pid: int) -> list[int]:
    """Return the processes that a process started, and theirs."""
    found: list[int] = []
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += [int(one) for one in (task / "children").read_text().split()]
    except OSError:
        return []
    return [*found, *(below for one in found for below in children_of(one))]


def _resident(pid: int) -> float:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * 4096.0


def measure(folder: Path, scratch: Path) -> list[Cost]:
    """Measure every command on the result in ``folder``."""
    result = str(folder)
    return [
        cost_of("report", "report", result, "-o", str(scratch / "report.txt"), "--force"),
        cost_of(
            *("report --format html", "report", result, "-f", "html"),
            *("-o", str(scratch / "report.html"), "--force"),
        ),
        cost_of("compare with itself", "compare", result, result, "--json"),
        cost_of("verify", "verify", result),
    ]


def print_costs(costs: Sequence[Cost]) -> bool:
    """Print the table and the verdicts; return whether every promise is held."""
    print("| command | wall time, s | memory of all its processes, MB |")
    print("| --- | ---: | ---: |")
    for cost in costs:
        print(f"| `{cost.command}` | {cost.wall_s:.1f} | {cost.peak_mb:.0f} |")
    judged = [one for cost in costs for one in cost.judged()]
    print("\n| promise | found here |  |\n| --- | ---: | ---: |")
    for one in judged:
        print(f"| {one.promise} | {one.found} | {one.word} |")
    return all(one.held for one in judged)


def main(arguments: Sequence[str]) -> int:
    """Make the result, measure, and print; 1 if a promise is not held."""
    turns = int(arguments[0]) if arguments else TURNS
    with tempfile.TemporaryDirectory(prefix="voicebench-load-") as place:
        scratch = Path(place)
        folder = make_result(scratch / "results", turns)
        size = (folder / "turns.jsonl").stat().st_size / 1e6
        print(f"{turns} turns planned, {size:.0f} MB of turns.jsonl\n")
        return 0 if print_costs(measure(folder, scratch)) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
