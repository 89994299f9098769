"""Settings of levels: how callers behave, how long a level is held, and how it is judged."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from voicebench.load.distributions import read_count, read_duration
from voicebench.load.fault_plan import read_faults
from voicebench.load.interruption import read_interruption
from voicebench.load.load_gate import LOAD_GATES, load_gates
from voicebench.settings.engine_sections import SettingsSection, refused_as


class LoadSettings(SettingsSection):
    """Settings of `load` and `capacity` (see docs/how-to/load.md)."""

    think: str = "exp:3s"
    """Time from the end of playback until the caller speaks: '2s', 'exp:3s', 'uniform:1s:5s' or
    'lognormal:3s:0.5' (mean and deviation of the logarithm)."""
    speech: str = "lognormal:2.5s:0.5"
    """Length of the caller's speech, written in the same way. A turn is due when it ends."""
    turns: str = "geometric:8"
    """Turns of a call: '6', 'geometric:8' (mean) or 'uniform:2:10'."""
    history: bool = False
    """Whether a turn is sent with the earlier messages of its call. Only a chat server with a voice
    takes them; a thread a call then takes the turns, not the reading loop."""
    interrupt: str | None = None
    """Share of the turns that the caller interrupts, and the moment after first audio:
    '20% exp:1.5s'. None: every reply is heard out."""
    faults: str | None = None
    """Shares of the turns that meet a fault of the network, made by a proxy between client and
    server: 'reset=1%,slow=2%:400ms,stall=1%:2s'. These turns are marked and count for no gate."""
    trace: str | None = None
    """File with calls to repeat, instead of drawn ones (docs/how-to/load.md)."""
    seed: Annotated[int, Field(ge=0, lt=2**62)] = 1
    """Number that all draws come from."""
    ramp_s: Annotated[float, Field(ge=0, le=3600)] = 0.0
    """Time in seconds over which the callers join. They join in the middle of their calls."""
    for_s: Annotated[float, Field(ge=1, le=86_400)] = 600.0
    """Longest measured window of a level, in seconds. It ends sooner if every gate is decided."""
    drain_s: Annotated[float, Field(ge=0, le=600)] = 60.0
    """Time in seconds that turns of the window may still take after it. Then they are
    'unfinished'."""
    reply_s: Annotated[float, Field(ge=0, le=600)] = 4.5
    """Expected time in seconds from a due moment to the end of playback. Only used to plan blocks
    and to say what a level costs."""
    processes: Annotated[int, Field(ge=1, le=1024)] | None = None
    """Client processes, each on a core of its own. Unset: as many as the callers need, on cores
    that a server on this machine does not need."""
    soak: bool = False
    """Whether a level also watches the drift of latency, memory, descriptors and connections."""
    ray: str | None = None
    """Address of a Ray cluster whose machines carry out the plan together: 'auto' for the one that
    this machine belongs to, or 'HOST:6379'. Unset: this machine alone."""
    max_callers: Annotated[int, Field(ge=1, le=1_000_000)] = 64
    """Largest level of `capacity`."""
    first_callers: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    """First level of `capacity`. A higher one saves the levels that the server surely carries."""
    precision: Annotated[float, Field(ge=0.01, le=1)] = 0.10
    """Smallest ratio of two neighbouring levels of `capacity`, minus 1."""
    at_least: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Callers that `capacity` must show to be carried. Null asks for one."""
    quick: bool = False
    """Whether gates ask for shares of 95 % at most, which needs a fifth of the turns."""
    gates: list[str] = Field(default=list(LOAD_GATES))
    """What a level is judged by: percentiles, shares and rates of its turns."""

    @field_validator("think", "speech")
    @classmethod
    def _durations_can_be_read(cls, text: str) -> str:
        with refused_as("duration"):
            read_duration(text, "it")
        return text

    @field_validator("turns", mode="before")
    @classmethod
    def _number_is_a_count(cls, value: object) -> object:
        return str(value) if type(value) is int else value

    @field_validator("turns")
    @classmethod
    def _counts_can_be_read(cls, text: str) -> str:
        with refused_as("count"):
            read_count(text, "it")
        return text

    @field_validator("interrupt")
    @classmethod
    def _interruptions_can_be_read(cls, text: str | None) -> str | None:
        if text is not None:
            with refused_as("interruption"):
                read_interruption(text, "it")
        return text

    @field_validator("faults")
    @classmethod
    def _faults_can_be_read(cls, text: str | None) -> str | None:
        if text is not None:
            with refused_as("faults"):
                read_faults(text, "it")
        return text

    @field_validator("gates")
    @classmethod
    def _gates_are_shares(cls, gates: list[str]) -> list[str]:
        with refused_as("gate"):
            load_gates(gates)
        return gates
