"""The callers of a level: each takes turns, hears every answer out, and thinks before the next."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from voicebench.audio.pcm import AudibleRule
from voicebench.errors import VoicebenchError
from voicebench.events import Emit
from voicebench.figures.metrics import compute
from voicebench.turn.recorder import Recorder

THINK_S = (0.3, 0.9)
"""The shortest and the longest pause between the end of playback and the next turn."""
PREPARED_S = 0.05
"""How long before a turn its connections are opened."""
BEGIN_S = 3.0
"""All callers begin within this time, so that they do not come in one burst."""


class Line(Protocol):
    """What one caller talks to: a target with connections of its own."""

    def prepare(self) -> None:
        """Open the connections of the next turn."""
        ...

    def run(self, prompt: str, emit: Emit) -> None:
        """Take a turn."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a caller."""

    late_ms: float
    """How much later than due it was started; `first_audio_ms` includes it."""
    first_audio_ms: float | None
    """From the moment it was due. None if the turn failed."""
    gaps: int
    """How often a listener who starts at first audio ran out of sound."""
    gap_ms: float
    audio_s: float
    failure: str | None = None


def take_turns(
    lines: Sequence[Line], prompts: Sequence[str], *, seed: int, began: float = BEGIN_S
) -> list[Turn]:
    """Let as many callers as there are ``lines`` take a turn for each of ``prompts``.

    A caller who is free takes the next prompt. ``began`` is the time in seconds within which all
    of them begin.
    """
    waiting = iter(enumerate(prompts))
    turns: list[Turn] = []
    lock = threading.Lock()

    def next_prompt() -> tuple[int, str] | None:
        with lock:
            return next(waiting, None)

    def keep(turn: Turn) -> None:
        with lock:
            turns.append(turn)

    start = time.perf_counter()
    callers = [
        threading.Thread(
            target=_call,
            args=(line, next_prompt, keep, start + began * number / len(lines), seed),
        )
        for number, line in enumerate(lines)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    return turns


def _call(
    line: Line,
    next_prompt: Callable[[], tuple[int, str] | None],
    keep: Callable[[Turn], None],
    due: float,
    seed: int,
) -> None:
    """Take turns until no prompt is left."""
    while True:
        _sleep_until(due - PREPARED_S)
        taken = next_prompt()
        if taken is None:
            return
        number, prompt = taken
        turn, heard_until = _turn(line, prompt, due)
        keep(turn)
        due = heard_until + random.Random(f"{seed} {number}").uniform(*THINK_S)


def _turn(line: Line, prompt: str, due: float) -> tuple[Turn, float]:
    """Take one turn; return it, and when its playback ends."""
    recorder = Recorder()
    begun, late_ms = due, 0.0
    try:
        line.prepare()
        _sleep_until(due)
        begun = time.perf_counter()
        late_ms = 1000 * (begun - due)
        line.run(prompt, recorder.emit)
        timeline = recorder.seal(1, "measured", AudibleRule()).timeline
    except VoicebenchError as error:
        return Turn(late_ms, None, 0, 0.0, 0.0, str(error)), time.perf_counter()
    figures = compute(timeline)
    first_audio, gap_ms = figures["first_audio_ms"], figures["stall_ms"]
    if timeline.failed or first_audio is None or gap_ms is None:
        reason = timeline.failure.reason if timeline.failure else "no audio"
        return Turn(late_ms, None, 0, 0.0, 0.0, reason), time.perf_counter()
    audio_s = figures["audio_s"] or 0.0
    turn = Turn(late_ms, late_ms + first_audio, int(figures["stall_count"] or 0), gap_ms, audio_s)
    return turn, begun + (first_audio + gap_ms) / 1000 + audio_s


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.perf_counter()))


def prompts_for(prompts: Sequence[str], count: int, begun: int) -> list[str]:
    """Return ``count`` of ``prompts``, which repeat, from number ``begun`` on."""
    return list(itertools.islice(itertools.cycle(prompts), begun, begun + count))
