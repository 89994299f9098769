"""Scripted agents that count what they hear, or leave when they have begun to answer."""

from __future__ import annotations

from voicebench.agents.scripted_agent import AgentScript
from voicebench.calls.agent_events import AgentAudio, AgentEvent, AgentFailed
from voicebench.checks.timed_agent import TimedAgent

ANSWERING_AT_ONCE = AgentScript(wait_s=0.06, reply_s=0, voice_s=0, speech_s=1.0)


class FrameCountingAgent(TimedAgent):
    """An agent that counts the frames that it hears."""

    heard = 0

    def open_call(self, emit):  # type: ignore[no-untyped-def]
        call = super().open_call(emit)
        hear = call.hear

        def counted(frame, came_ns=None):  # type: ignore[no-untyped-def]
            self.heard += 1
            hear(frame, came_ns)

        call.hear = counted  # type: ignore[method-assign]
        return call


class LeavingAgent(TimedAgent):
    """An agent whose process ends when it has begun to answer."""

    def open_call(self, emit):  # type: ignore[no-untyped-def]
        def change(event: AgentEvent) -> None:
            emit(event)
            if isinstance(event, AgentAudio):
                emit(AgentFailed("its process ended"))

        return super().open_call(change)
