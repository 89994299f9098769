"""Settings of spoken calls: the script, the agent, the caller's voice and manners, the gates."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from voicebench.judging.gates import parse_gate
from voicebench.settings.engine_sections import PeerSettings, SettingsSection, refused_as

CALL_TARGET = "call"
"""The target of callers who speak to an agent, and of a recorded run of calls."""
CALL_GATES = (
    "response.p95 < 800ms",
    "stop.p95 < 400ms",
    "cut_in.rate <= 5%",
    "false_stop.rate <= 5%",
    "missed.rate <= 0",
)


class EarsSettings(SettingsSection):
    """When the agent in this process answers, and when it stops (`call`, `serve --ears`)."""

    pause_ms: Annotated[float, Field(ge=100, le=5000)] = 240.0
    """Silence that ends the caller's turn where the models are sure that he has finished. Shorter
    answers sooner, and answers into pauses more often."""
    unsure_ms: Annotated[float, Field(ge=100, le=10_000)] = 680.0
    """The same where they are not sure or disagree, and at least ears.pause_ms. It is longer where
    both object, after words that end no sentence, and after "wait a moment"."""
    on_suspicion: bool = True
    """Begin the reply while the silence lasts, hold its sound, and throw it away if the caller goes
    on. `call` shows what was thrown away."""
    interrupt_ms: Annotated[float, Field(ge=60, le=5000)] = 160.0
    """Speech over the agent of this length is recognised, and stops it if it has words. Shorter
    stops sooner, but "mhm" and "yeah" may be taken for words."""
    longest_aside_ms: Annotated[float, Field(ge=60, le=10_000)] = 700.0
    """Speech over the agent of this length stops it, whatever its words."""


class CallSettings(PeerSettings):
    """Settings of `call` (see docs/how-to/calls.md)."""

    url: str | None = None
    """The agent that is called: 'local' (this process), 'sim:…', or a URL. Default: local."""
    script: Annotated[str, Field(min_length=1)] = "english"
    """A script: a TOML file, or a built-in one: 'english', 'french'."""
    calls: Annotated[int, Field(ge=1, le=10_000)] = 1
    """Measured calls; each plays the whole script."""
    warmup: Annotated[int, Field(ge=0, le=100)] = 0
    """Calls before measuring."""
    voice: Annotated[str, Field(min_length=1)] = "hibari-heart"
    """Voice of the caller, from `voicebench models list`; 'synthetic' is computed, sounds like
    speech and says no words."""
    pitch: Annotated[float, Field(ge=0.5, le=2)] = 0.84
    """The caller's voice is played at this speed, so it differs from the agent's; below 1 is
    deeper. His pace stays the same."""
    silence_s: Annotated[float, Field(ge=0.3, le=30)] = 1.0
    """The agent has finished when it has been silent for so long, in seconds."""
    patience_s: Annotated[float, Field(ge=0.5, le=120)] = 8.0
    """The caller waits so long for an answer to an interruption; a line has a limit of its own."""
    longest_answer_s: Annotated[float, Field(ge=1, le=600)] = 45.0
    """He hangs up on an answer that goes on for longer."""
    api: Literal["auto", "pcm", "realtime", "telephony", "pipecat"] = "auto"
    """What the agent at call.url speaks over its WebSocket; 'auto' is 'realtime' for a path that
    ends in /realtime, else 'pcm'."""
    encoding: str = "s16le"
    """Samples of a PCM socket in both directions: s16le, mulaw or alaw."""
    hear_rate: Annotated[int, Field(ge=8000, le=48_000, multiple_of=50)] = 16_000
    """Rate of the caller's sound on a PCM socket, in Hz."""
    speak_rate: Annotated[int, Field(ge=4000, le=192_000)] = 24_000
    """Rate of the agent's sound on a PCM socket, in Hz."""
    socket: dict[str, Any] = Field(default={})
    """Words of a PCM socket: opening, ready, clear, transcript, reply, endpoint, complete, failed,
    hang_up (docs/how-to/calls.md)."""
    session: dict[str, Any] = Field(default={})
    """Merged into the settings of a Realtime session last."""
    room: Annotated[str | None, Field(min_length=1, max_length=256)] = None
    """Room of LiveKit that all calls join. Default: a new one for each call."""
    agent_name: Annotated[str | None, Field(min_length=1, max_length=256)] = None
    """Name of the agent that LiveKit sends into the room. Default: an agent without a name."""
    gates: list[str] = Field(default=list(CALL_GATES))
    """What a call is judged by."""

    @field_validator("gates")
    @classmethod
    def _gates_can_be_read(cls, gates: list[str]) -> list[str]:
        with refused_as("gate"):
            for gate in gates:
                parse_gate(gate)
        return gates
