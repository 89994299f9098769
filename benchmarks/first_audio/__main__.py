"""Run the benchmark: ``python -m benchmarks.first_audio`` (or ``make bench``)."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.first_audio import (
    bandwidth,
    growth,
    page,
    rounds,
    rows,
    stages,
    startup,
    tries,
)
from voicebench.errors import VoicebenchError
from voicebench.machine.environment import describe_environment, package_version
from voicebench.text.prompts import PromptSet, load

PARTS = ("rows", "startup", "stages", "growth", "tries")
BUILD = Path(__file__).parents[2] / "build" / "first_audio"
PROMPTS = 30
QUICK_PROMPTS = 4
HOUR_S = 3600.0


@dataclass
class Bench:
    """A run of the benchmark: its folder, its prompts, and what it has measured so far."""

    folder: Path
    prompts: PromptSet
    count: int
    parts: dict[str, object] = field(default_factory=dict)

    @property
    def measured(self) -> tuple[str, ...]:
        """The prompts of the comparison."""
        return self.prompts.rotate(self.count)

    def keep(self, **parts: object) -> None:
        """Store parts, so that an interrupted run can be continued."""
        self.parts |= parts
        path = self.folder / "parts.json"
        path.write_text(json.dumps(self.parts, indent=1), encoding="utf-8")

    def text(self) -> str:
        """Return all that was measured so far, as Markdown."""
        return page.markdown(rounds.read(self.folder), self.parts)


def main() -> int:
    """Measure the chosen parts, print them, and write the page after a whole run."""
    arguments = parse()
    bench = open_bench(arguments)
    wanted = arguments.only or list(PARTS)
    until = time.monotonic() + 60 * arguments.minutes
    try:
        if not arguments.render:
            measure(bench, wanted, until)
    except VoicebenchError as error:
        print(f"first_audio: {error}", file=sys.stderr)
        return 4
    text = bench.text()
    print(text)
    print(f"\nmeasured in {bench.folder}; --resume {bench.folder} goes on there", file=sys.stderr)
    if arguments.page or not (arguments.quick or arguments.only or arguments.resume):
        page.write(text, arguments.page or page.PAGE)
    judged = page.judged(rounds.read(bench.folder), bench.parts)
    missed = sum(one.held is False for one in judged)
    print(f"{missed} of {len(judged)} promises not held on this machine", file=sys.stderr)
    return 0


def parse(command: Sequence[str] | None = None) -> argparse.Namespace:
    """Read ``command``, by default this process's own."""
    parser = argparse.ArgumentParser(prog="first_audio", description=__doc__.splitlines()[0])
    parser.add_argument("--prompts", type=int, default=PROMPTS, metavar="N")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_PROMPTS} prompts, rows only")
    parser.add_argument("--only", action="append", choices=PARTS, help="one part (repeatable)")
    parser.add_argument("--resume", type=Path, metavar="FOLDER", help="go on with an earlier run")
    parser.add_argument("--minutes", type=float, default=HOUR_S, help="stop taking turns after it")
    parser.add_argument("--render", action="store_true", help="measure nothing; needs --resume")
    parser.add_argument("--page", type=Path, metavar="FILE", help="write the page here")
    arguments = parser.parse_args(command)
    if arguments.quick:
        arguments.prompts = min(arguments.prompts, QUICK_PROMPTS)
        arguments.only = arguments.only or ["rows"]
    if arguments.render and not arguments.resume:
        parser.error("--render needs --resume FOLDER")
    return arguments


def open_bench(arguments: argparse.Namespace) -> Bench:
    """Return a new run, or the one to continue, which keeps its own number of prompts."""
    if arguments.resume:
        parts = json.loads((arguments.resume / "parts.json").read_text(encoding="utf-8"))
        return Bench(arguments.resume, load("english"), parts["prompts"], parts)
    folder = BUILD / datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    folder.mkdir(parents=True)
    bench = Bench(folder, load("english"), arguments.prompts)
    bench.keep(prompts=arguments.prompts)
    return bench


def measure(bench: Bench, wanted: list[str], until: float) -> None:
    """Measure the chosen parts that are still missing."""
    if "startup" in wanted and "startup" not in bench.parts:
        say("start-up")
        bench.keep(startup=startup.measure(bench.folder))
    if not set(wanted) & {"rows", "stages", "growth", "tries"}:
        return
    say("loading every pipeline")
    with closing(rows.open_pipelines()) as pipelines:
        bench.keep(about=about(pipelines.notes))
        rounds.warm_up(pipelines.targets, bench.prompts.warmup)
        if "rows" in wanted:
            take_rows(bench, pipelines, until)
        later: dict[str, Callable[[], object]] = {
            "stages": lambda: measure_stages(bench, pipelines),
            "growth": lambda: bench.keep(growth=growth.measure(pipelines, bench.measured)),
            "tries": lambda: bench.keep(
                tries=tries.measure(pipelines, bench.measured, bench.prompts.warmup)
            ),
        }
        for name, action in later.items():
            if name in wanted and name not in bench.parts and time.monotonic() < until:
                say(name)
                action()


def take_rows(bench: Bench, pipelines: rows.Pipelines, until: float) -> None:
    """Take the turns of the comparison, and report progress from time to time."""
    slots = rounds.plan(list(pipelines.targets), bench.measured)
    said = 0
    for slot in rounds.take(pipelines.targets, slots, bench.folder, until):
        if slot.number > said:
            said = slot.number
            say(f"prompt {said} of {bench.count}")


def measure_stages(bench: Bench, pipelines: rows.Pipelines) -> None:
    """Measure the memory's bandwidth and the stages over it."""
    back = rounds.read(bench.folder).get((rows.OURS.key, "back"), [])
    if not back:
        say("no turns of d3 to take the stages from")
        return
    speed = bandwidth.measure()
    found = [one.as_dict() for one in stages.measure(pipelines.ours, back, speed)]
    line = (
        f"This machine reads {speed.read / 1e9:.1f} GB/s (sum of a 512 MiB block) and copies at "
        f"{speed.copy / 1e9:.1f} GB/s (read and write together); the floor is at the larger one."
    )
    bench.keep(stages=found, bandwidth=line)


def about(notes: tuple[str, ...]) -> str:
    """Return the date, the machine and the software of the run."""
    found = describe_environment()
    memory = round(int(str(found["memory_bytes"])) / 2**30)
    names = ("torch", "transformers", "onnxruntime", "piper-tts", "llama-cpp-python")
    software = ", ".join(
        f"{name} {version}" for name in names if (version := package_version(name))
    )
    lines = [
        f"Measured on {datetime.now(UTC):%Y-%m-%d} with voicebench {found['voicebench']} on "
        f"{found['cores']} cores of {found['cpu']} ({memory} GiB, {found['system']}); Python "
        f"{found['python']}, {software}.",
        *notes,
    ]
    return "\n\n".join(lines)


def say(line: str) -> None:
    """Print a line about progress."""
    print(f"first_audio: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
