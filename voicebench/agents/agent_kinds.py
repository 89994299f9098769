"""The table of the kinds of agents, and what can be done with any of them: check and open."""

from __future__ import annotations

from collections.abc import Callable

from voicebench.agents import Agent, AgentKind
from voicebench.agents.scripted_agent import SIMULATED, ScriptedAgent, parse_agent_script
from voicebench.calls.call_clock import VirtualCallClock
from voicebench.errors import UsageError
from voicebench.secret_names import hidden_in_url
from voicebench.settings import Settings

LOCAL = "local"


class SimulatedAgent(ScriptedAgent):
    """A scripted agent on a clock of its own, which waits for nothing."""

    def __init__(self, text: str) -> None:
        self.clock = VirtualCallClock()
        super().__init__(parse_agent_script(text), self.clock)


class SimulatedAgentKind:
    """``sim:…``: see `voicebench.agents.scripted_agent`."""

    example = "sim:wait=500ms,reply=100ms,voice=100ms,stop=250ms"

    def takes(self, agent: str) -> bool:
        """Return whether it begins with ``sim:``."""
        return agent.startswith(SIMULATED)

    def check(self, agent: str, settings: Settings) -> None:
        """Raise `UsageError` if the script cannot be read."""
        del settings
        parse_agent_script(agent)

    def open(self, agent: str, settings: Settings, say: Callable[[str], None]) -> Agent:
        """Return the agent."""
        del settings, say
        return SimulatedAgent(agent)


KINDS: tuple[AgentKind, ...] = (SimulatedAgentKind(),)
"""Every kind, in the order in which they are asked."""


def agent_kind(agent: str) -> AgentKind:
    """Return the kind of ``agent``. Raises `UsageError` for one that no kind takes."""
    for kind in KINDS:
        if kind.takes(agent):
            return kind
    examples = ", ".join(repr(kind.example) for kind in KINDS)
    if agent == LOCAL:
        raise UsageError("this version has no agent in this process", f"name one: {examples}")
    raise UsageError(f"--agent {hidden_in_url(agent)!r:.120} is no known agent", f"use {examples}")
