"""The rule of a level: its bounds, its blocks, and the names of its results."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from voicebench.load.evidence import ShareBounds
from voicebench.load.load_gate import OF_SPOKEN_TURNS, LoadGate

BLOCK_S = 30.0
CYCLES_A_BLOCK = 3
LEAST_BLOCKS = 8
MOST_LATE_MS = 5.0
MOST_UNFINISHED = 0.01
MOST_CLIENT_BUSY = 0.80
MOST_FOREIGN = 0.25


class LevelStanding(StrEnum):
    """The result of a level."""

    HOLDS = "holds"
    SEEMS_TO_HOLD = "seems to hold"
    UNDECIDED = "undecided"
    SEEMS_TO_FAIL = "seems to fail"
    FAILS = "fails"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class LevelRule:
    """How a level is judged."""

    gates: tuple[LoadGate, ...]
    block_s: float
    error: float
    """Probability of a wrong HOLDS, and of a wrong FAILS."""
    screen_error: float | None = None
    """Probability of a wrong SEEMS …, which then is enough to end the level; None: it is not."""
    climbs: bool = False
    """Whether an observed share of at least the gate's is enough for SEEMS_TO_HOLD."""

    def metrics(self) -> tuple[str, ...]:
        """Return the metrics that a level's turns need."""
        needed = ["late_ms", "client_lag_ms", "first_audio_due_ms", "first_sound_due_ms", "audio_s"]
        needed += ["stop_ms", "wasted_audio_s", "interrupting_first_audio_ms"]
        needed += [*OF_SPOKEN_TURNS]
        needed += [gate.metric for gate in self.gates if gate.metric is not None]
        return tuple(dict.fromkeys(needed))


def block_length(cycle_s: float) -> float:
    """Return the length of a block: 30 s, and at least three mean cycles of a caller."""
    return max(BLOCK_S, CYCLES_A_BLOCK * cycle_s)


@dataclass(frozen=True, slots=True)
class Window:
    """The measured window of a level, in seconds on its clock."""

    start_s: float
    end_s: float

    @property
    def length_s(self) -> float:
        """The length in seconds."""
        return self.end_s - self.start_s


@dataclass(frozen=True, slots=True)
class ClientState:
    """State of the client during a level, from its engine; None where it cannot say."""

    busiest_core: float | None = None
    """The share of time that the busiest core of a client was at work, 0 to 1."""
    foreign: float | None = None
    """The share of the cores that neither client nor server used, 0 to 1."""
    broken: tuple[str, ...] = ()
    """Why the level could not be carried out as planned, for example a process that ended."""


@dataclass(frozen=True, slots=True)
class GateStanding:
    """One gate of a level."""

    gate: LoadGate
    standing: LevelStanding
    bounds: ShareBounds
    """Of the share of turns (or calls) that keep the limit."""
