"""One line for each call that has ended, for people who wait."""

from __future__ import annotations

from collections.abc import Sequence

from voicebench import format as form
from voicebench.figures.metrics import BY_NAME
from voicebench.turn.timeline import Timeline


def call_line(turns: Sequence[Timeline], total: int) -> str:
    """Return ``call 1 of 3: 7 steps, 0 failed, answers after 480 to 620 ms``."""
    place = turns[0].call
    number = 0 if place is None else place.call
    is_warmup = turns[0].phase != "measured"
    head = "warm-up call" if is_warmup else f"call {number} of {total}"
    failed = sum(turn.failed for turn in turns)
    line = f"{head}: {form.plural(len(turns), 'step')}, {failed} failed"
    found = (BY_NAME["response_ms"].of(turn) for turn in turns if not turn.failed)
    answers = [value for value in found if value is not None]
    if answers:
        line += f", answers after {form.ms(min(answers))} to {form.ms(max(answers))} ms"
    return line
