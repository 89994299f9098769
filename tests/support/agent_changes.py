"""Changes to the events of a scripted agent, which make it misbehave."""

from __future__ import annotations

from collections.abc import Callable

from voicebench.calls.agent_events import AgentAudio, AgentEvent, AgentFailed, EmitAgentEvent

Change = Callable[[AgentEvent, EmitAgentEvent], None]


def without_sound(event: AgentEvent, emit: EmitAgentEvent) -> None:
    if not isinstance(event, AgentAudio):
        emit(event)


def closing_in_mid_word() -> Change:
    """Fail in place of the fourth piece of sound, and then send no more."""
    pieces = 0

    def change(event: AgentEvent, emit: EmitAgentEvent) -> None:
        nonlocal pieces
        pieces += isinstance(event, AgentAudio)
        if pieces < 4:
            emit(event)
        elif pieces == 4 and isinstance(event, AgentAudio):
            emit(AgentFailed("ws://agent closed the connection early"))

    return change


def mute(_event: AgentEvent, _emit: EmitAgentEvent) -> None:
    pass
