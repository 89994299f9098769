"""From settings to the agent in this process: checked, then fetched, loaded and warmed up."""

from __future__ import annotations

from collections.abc import Callable

from voicebench.agents.local.local_agent import Ears, LocalAgent
from voicebench.agents.local.turn_policy import TurnPolicy
from voicebench.machine.extras import require
from voicebench.settings import Settings
from voicebench.targets.cascade import CascadeKind, open_cascade


def check_local_agent(settings: Settings) -> None:
    """Raise `UsageError` for engines that cannot work, or if the extra ``ears`` is missing."""
    require("ears", "name another agent with --agent")
    CascadeKind().check(settings)


def open_local_agent(
    settings: Settings, say: Callable[[str], None], policy: TurnPolicy | None = None
) -> LocalAgent:
    """Load the ears and the cascade of ``settings``, and warm both up.

    Raises a `voicebench.errors.VoicebenchError` if that fails.
    """
    ears = Ears(say)
    agent = LocalAgent(ears, open_cascade(settings, say), policy)
    say("warming up")
    agent.warm_up()
    return agent
