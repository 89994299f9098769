"""A turn of a spoken call: what the caller said, and what was heard of the agent meanwhile.

A call is a list of turns, one for each step of its script. The *window* of a turn begins when the
caller begins its step, and ends when he begins the next one. All ``_ns`` fields count from the
beginning of the call, on one clock. A frame of 20 ms leaves when its last sample was spoken, so a
sample of the caller counts as sent at the stamp of its frame. A sample of the agent counts when a
listener who plays at once hears it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

CallKind = Literal["line", "interruption", "noise"]
"""The caller speaks when the agent is silent; he speaks into its answer; or something is audible
in its answer that it should ignore."""

LEVEL_STEP_NS = 20_000_000
"""The step of the levels that are drawn."""
LOUDEST = 80
"""A level is in dB above -80 dB of full scale: 0 is silence, 80 is full scale."""


class Stretch(NamedTuple):
    """A period of a call in which something is audible."""

    start_ns: int
    end_ns: int


class CallText(NamedTuple):
    """A text that was in hand at ``at_ns``."""

    at_ns: int
    text: str


@dataclass(frozen=True, slots=True)
class CallTurn:
    """One step of a call, and the agent's side of it."""

    call: int
    """Number of the call in its run, from 1."""
    step: int
    """Number of the step in its script, from 1."""
    kind: CallKind
    said: str
    """The text of the line, or the name of the noise; empty for a recording without text."""
    start_ns: int
    end_ns: int
    spoken_from_ns: int
    """The first audible sample of the step was sent."""
    spoken_until_ns: int
    """The last audible sample of the step was sent."""
    limit_ms: float
    """The time within which the agent has to stop; for a noise, the time for which it is
    observed; else the caller's patience."""
    caller: tuple[Stretch, ...] = ()
    """Where the caller is audible."""
    agent: tuple[Stretch, ...] = ()
    """Where the agent is audible to the listener."""
    endpoints_ns: tuple[int, ...] = ()
    """The agent said that the caller had finished."""
    transcripts: tuple[CallText, ...] = ()
    """Final transcripts of the caller's words."""
    replies: tuple[CallText, ...] = ()
    """Text deltas of the agent's reply."""
    cleared_ns: tuple[int, ...] = ()
    """The agent took back what was not played."""
    completed_ns: tuple[int, ...] = ()
    """The agent said that all sound of its answer was sent."""
    arrived_ns: tuple[int, ...] = ()
    """Sound of the agent arrived."""
    stalled_ms: float = 0.0
    """How long the listener waited in the middle of the answer, because its sound came late."""
    late_ns: int = 0
    """The largest delay of a frame against its schedule: our own lateness."""
    skipped: str = ""
    """Why the step was not played; empty if it was."""
    cut_short: bool = False
    """Whether the call ended before the turn could be observed to its end."""
    caller_levels: tuple[int, ...] = ()
    """Level of the caller for each `LEVEL_STEP_NS` of the window, 0 to `LOUDEST`."""
    agent_levels: tuple[int, ...] = ()
    """Level of the agent, in the same way."""

    @property
    def heard(self) -> str:
        """The agent's transcript of the caller's words."""
        return " ".join(part.text.strip() for part in self.transcripts)

    @property
    def reply(self) -> str:
        """The text of the agent's reply."""
        return "".join(part.text for part in self.replies).strip()
