"""The measurement: which turns are taken, in which order, and under which phase.

The first turn after loading is ``cold``, then come the ``warmup`` turns, both on prompts that no
measured turn uses; then the ``measured`` ones, rotating through the prompts; then the ``idle``
ones, each after a silent gap.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from voicebench.audio.pcm import AudibleRule
from voicebench.errors import CannotMeasure
from voicebench.events import Event, Phase
from voicebench.machine.machine_state import MachineWatch
from voicebench.remote import Remote
from voicebench.secrecy import NO_SECRETS, Secrets
from voicebench.targets import Target
from voicebench.turn.recorder import Clock, Recorder, Recording


@dataclass(frozen=True, slots=True)
class PlannedTurn:
    """One turn to take."""

    turn: int
    phase: Phase
    prompt: str


def plan_turns(warmup_prompts: Sequence[str], measured_prompts: Sequence[str]) -> list[PlannedTurn]:
    """Number the turns of a run: the first is cold, the other warm-up turns follow, then the rest.

    ``warmup_prompts`` has one prompt for the cold turn and one for each warm-up turn.
    """
    phases: list[tuple[Phase, str]] = []
    for index, prompt in enumerate(warmup_prompts):
        phases.append(("warmup" if index else "cold", prompt))
    phases += [("measured", prompt) for prompt in measured_prompts]
    return [PlannedTurn(number, phase, text) for number, (phase, text) in enumerate(phases, 1)]


def plan_idle_turns(prompts: Sequence[str], first: int) -> list[PlannedTurn]:
    """Return the turns that follow the measured ones, each after a silent gap."""
    return [PlannedTurn(number, "idle", prompt) for number, prompt in enumerate(prompts, first)]


def take_turns(
    target: Target,
    planned: Sequence[PlannedTurn],
    *,
    rule: AudibleRule,
    clock: Clock = time.perf_counter_ns,
    pause_s: float = 0.0,
    idle_gap_s: float = 0.0,
    watch: Callable[[int, Event], None] | None = None,
    machine: MachineWatch | None = None,
    secrets: Secrets = NO_SECRETS,
) -> Iterator[Recording]:
    """Yield each turn sealed, the moment it has ended.

    ``pause_s`` seconds of silence come before each measured turn, and ``idle_gap_s`` before each
    idle one. Connections are brought into order before every turn but an idle one, which is to find
    what the silence has left of them. A turn that a defect ended is yielded too, and the exception
    goes on after it. So is a turn that had ended when the user interrupted; one that the user broke
    off is neither failed nor measured, and is not yielded. ``machine`` notes what the machine did
    meanwhile; it is read before a turn starts and after it has ended. No turn holds any of
    ``secrets``.
    """
    for turn in planned:
        if turn.phase == "idle":
            time.sleep(idle_gap_s)
        elif turn.phase == "measured":
            time.sleep(pause_s)
        if isinstance(target, Remote) and turn.phase != "idle":
            # A peer that is gone fails the turn, which says why; the run goes on.
            with suppress(CannotMeasure):
                target.prepare()
        if machine is not None:
            machine.before_turn()
        recorder = Recorder(clock, watch=watch, secrets=secrets)
        try:
            target.run(turn.prompt, recorder.emit)
            state = machine.after_turn() if machine is not None else None
        except BaseException as error:
            if recorder.ended and not _broken_off(recorder, error):
                yield recorder.seal(turn.turn, turn.phase, rule)
            raise
        recording = recorder.seal(turn.turn, turn.phase, rule)
        yield replace(recording, timeline=replace(recording.timeline, machine=state))


def _broken_off(recorder: Recorder, error: BaseException) -> bool:
    """Return whether the user ended the turn, which was still under way."""
    return isinstance(error, KeyboardInterrupt) and recorder.fault == "interrupted"
