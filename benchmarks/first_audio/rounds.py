"""The order of the turns: all rows on one prompt, then all on the next, back to back and rested.

A machine changes during a run: it heats up, and other programs start and stop. So a prompt goes
through every row before the next prompt, and the first row changes from prompt to prompt. A change
then affects all rows. Each row answers each prompt twice: *back to back* (right after a turn of
another row) and *rested* (after a silence in which threads were parked and caches were
overwritten). The two are half a prompt set apart: a library that keeps the keys and values of the
last prompt would otherwise have nothing to compute.

Each turn is appended to its row's file before the next one begins, so an interrupted run continues
where it stopped.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from voicebench.audio.pcm import AudibleRule
from voicebench.machine.machine_state import MachineWatch
from voicebench.measuring.plan import PlannedTurn, take_turns
from voicebench.results.codec import decode_line, encode_line
from voicebench.targets import Target
from voicebench.turn.timeline import Timeline

REST_S = 0.7
SETTLE_S = 0.02
"""Silence before a turn that is back to back: time for another row's worker threads to stop."""

CONDITIONS = {"back": SETTLE_S, "rested": REST_S}
WARMUP_TURNS = 3

Turns = dict[tuple[str, str], list[Timeline]]
"""The measured turns by row and condition, in the order of the prompts."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One turn of the plan."""

    row: str
    condition: str
    number: int
    prompt: str


def plan(rows: Sequence[str], prompts: Sequence[str]) -> list[Slot]:
    """Return every turn in order: by prompt number, then condition, then row."""
    slots = []
    for number in range(len(prompts)):
        for shift, condition in enumerate(CONDITIONS):
            prompt = prompts[(number + shift * len(prompts) // 2) % len(prompts)]
            first = (number + shift) % len(rows)
            order = [*rows[first:], *rows[:first]]
            slots += [Slot(row, condition, number + 1, prompt) for row in order]
    return slots


def warm_up(targets: Mapping[str, Target], prompts: Sequence[str]) -> None:
    """Take warm-up turns, on prompts that no measured turn uses."""
    for prompt in prompts[:WARMUP_TURNS]:
        for target in targets.values():
            list(take_turns(target, [PlannedTurn(1, "warmup", prompt)], rule=AudibleRule()))


def take(
    targets: Mapping[str, Target], slots: Sequence[Slot], folder: Path, until: float
) -> Iterator[Slot]:
    """Take the turns of ``slots`` that ``folder`` does not have yet; yield each when it is stored.

    Stops after the turn in which ``time.monotonic()`` passes ``until``.
    """
    done = {key: len(turns) for key, turns in read(folder).items()}
    with MachineWatch() as machine:
        for slot in slots:
            if slot.number <= done.get((slot.row, slot.condition), 0):
                continue
            [recording] = take_turns(
                targets[slot.row],
                [PlannedTurn(slot.number, "measured", slot.prompt)],
                rule=AudibleRule(),
                pause_s=CONDITIONS[slot.condition],
                machine=machine,
            )
            with _file(folder, slot.row, slot.condition).open("a", encoding="utf-8") as file:
                file.write(encode_line(recording.timeline) + "\n")
            yield slot
            if time.monotonic() > until:
                return


def read(folder: Path) -> Turns:
    """Return the turns that are stored in ``folder``."""
    turns: Turns = {}
    for path in sorted(folder.glob("turns-*.jsonl")):
        _, row, condition = path.stem.split("-")
        lines = path.read_text(encoding="utf-8").splitlines()
        turns[row, condition] = [
            decode_line(line, f"{path}, line {number}") for number, line in enumerate(lines, 1)
        ]
    return turns


def _file(folder: Path, row: str, condition: str) -> Path:
    return folder / f"turns-{row}-{condition}.jsonl"
