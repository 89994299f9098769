"""Run the benchmark: ``python -m benchmarks.callers`` (or ``make bench``)."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.callers import outcome
from benchmarks.callers.calls import Turn, prompts_for, take_turns
from benchmarks.callers.consumed import Reading, read_counters
from benchmarks.callers.outcome import Level
from benchmarks.callers.sides import (
    INSTALL_LLAMA,
    OURS,
    REPLY_TOKENS,
    Side,
    find_llama_server,
    llama_server,
    our_side,
    peer_side,
    python_with_piper,
)
from benchmarks.first_audio import page
from benchmarks.interop import ROOT, NotUp
from voicebench.errors import VoicebenchError
from voicebench.machine.environment import describe_environment
from voicebench.text.prompts import load

LEVELS = (1, 2, 3, 4, 6, 8, 12, 16)
TURNS = 40
QUICK_LEVELS = (1, 4, 16)
QUICK_TURNS = 8
SEED = 20_261_129
MARK = "callers"
BUILD = ROOT / "build" / "callers"
INTEROP_PYTHON = ROOT / "build" / "interop" / "venv" / "bin" / "python"


def main() -> int:
    """Measure both sides, print the table, and write the page after a whole run."""
    arguments = parse()
    # An end from outside unwinds like any other, so that no server is left running.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        levels, notes = measure(arguments)
    except (NotUp, VoicebenchError) as error:
        print(f"callers: {error}", file=sys.stderr)
        return 4
    text = outcome.markdown(levels, "\n\n".join([about(arguments), *notes]))
    print(text)
    BUILD.mkdir(parents=True, exist_ok=True)
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    path = BUILD / f"{stamp}.json"
    path.write_text(json.dumps(outcome.as_json(levels), indent=1), encoding="utf-8")
    print(f"\nevery turn is in {path}", file=sys.stderr)
    if arguments.page or not arguments.quick:
        page.write(text, arguments.page or page.PAGE, MARK)
    return 0


def parse(command: Sequence[str] | None = None) -> argparse.Namespace:
    """Read ``command``, by default this process's own."""
    parser = argparse.ArgumentParser(prog="callers", description=__doc__.splitlines()[0])
    parser.add_argument("--level", type=int, action="append", help="callers at once (repeatable)")
    parser.add_argument("--turns", type=int, default=TURNS, help="turns of a side in a level")
    parser.add_argument("--quick", action="store_true", help="few levels and turns: two minutes")
    parser.add_argument("--python", action="append", metavar="PATH", help="has piper-tts[http]")
    parser.add_argument("--llama-server", type=Path, metavar="PATH", help="llama.cpp's server")
    parser.add_argument("--page", type=Path, metavar="FILE", help="write the page here")
    arguments = parser.parse_args(command)
    if arguments.quick:
        arguments.turns = min(arguments.turns, QUICK_TURNS)
    arguments.level = sorted(arguments.level or (QUICK_LEVELS if arguments.quick else LEVELS))
    arguments.python = arguments.python or [str(INTEROP_PYTHON), sys.executable]
    return arguments


def measure(arguments: argparse.Namespace) -> tuple[list[Level], list[str]]:
    """Measure every level on both sides; return them, and notes on what could not be measured."""
    most, notes = max(arguments.level), []
    with ExitStack() as stack:
        sides = [stack.enter_context(our_side(most))]
        try:
            python = python_with_piper(arguments.python)
            binary = find_llama_server(python, arguments.llama_server)
            if binary is None:
                raise ModuleNotFoundError(INSTALL_LLAMA)
            peer = llama_server(binary, most)
            sides.append(stack.enter_context(peer_side(peer, python)))
        except ModuleNotFoundError as missing:
            notes.append(f"The peer was not measured: it needs `{missing}`.")
        prompts = load(None, "en")
        for side in sides:
            say(f"a turn of {side.name} for each caller, to warm up")
            one_half(side, most, prompts.rotate_warmup(most), began=1.0)
        levels = []
        for callers in arguments.level:
            say(f"{callers} callers")
            levels += measure_level(sides, callers, arguments.turns, prompts.rotate(10_000))
    return levels, notes


def measure_level(
    sides: Sequence[Side], callers: int, turns: int, prompts: Sequence[str]
) -> list[Level]:
    """Measure one level: half of the turns on each side, and the other half in reverse order."""
    count = max(turns, 2 * callers)
    halves = (count - count // 2, count // 2)
    found: dict[str, list[Turn]] = {side.name: [] for side in sides}
    spent: dict[str, list[Reading]] = {side.name: [] for side in sides}
    for number, half in enumerate(halves):
        for side in sides if number == 0 else reversed(sides):
            chosen = prompts_for(prompts, half, number * halves[0])
            taken, consumed = one_half(side, callers, chosen)
            found[side.name] += taken
            spent[side.name].append(consumed)
    return [
        Level(side.name, callers, tuple(found[side.name]), _sum(spent[side.name])) for side in sides
    ]


def one_half(
    side: Side, callers: int, prompts: Sequence[str], **options: float
) -> tuple[list[Turn], Reading]:
    """Take a turn for each prompt; return them, and what the servers consumed meanwhile."""
    with ExitStack() as stack:
        lines = [stack.enter_context(closing(side.new_line())) for _ in range(callers)]
        before = read_counters(side.processes)
        turns = take_turns(lines, prompts, seed=SEED, **options)
        return turns, read_counters(side.processes).since(before)


def about(arguments: argparse.Namespace) -> str:
    """Return the date, the machine and the rules of the run."""
    found = describe_environment()
    return (
        f"Measured on {datetime.now(UTC):%Y-%m-%d} with voicebench {found['voicebench']} on "
        f"{found['cores']} cores of {found['cpu']}: {arguments.turns} turns or more of each side "
        f"in each level, replies of {REPLY_TOKENS} tokens, {OURS} first."
    )


def _sum(readings: Sequence[Reading]) -> Reading:
    energies = [one.energy_j for one in readings]
    known = [energy for energy in energies if energy is not None]
    total = sum(known) if len(known) == len(energies) else None
    return Reading(sum(one.processor_s for one in readings), total)


def say(line: str) -> None:
    """Print a line about progress."""
    print(f"callers: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
