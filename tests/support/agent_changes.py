"""Changes to the events of a scripted agent, which make it misbehave."""

from __future__ import annotations

from collections.abc import Callable

from voicebench.calls.agent_events import AgentAudio, AgentEvent, EmitAgentEvent

Change = Callable[[AgentEvent, EmitAgentEvent], None]


def without_sound(event: AgentEvent, emit: EmitAgentEvent) -> None:
    if not isinstance(event, AgentAudio):
        emit(event)


def mute(_event: AgentEvent, _emit: EmitAgentEvent) -> None:
    pass
