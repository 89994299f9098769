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


def turn_policy(settings: Settings) -> TurnPolicy:
    """Return the policy that the section ``ears`` asks for."""
    ears, usual = settings.ears, TurnPolicy()
    unsure_ms = max(ears.unsure_ms, ears.pause_ms)
    longer = unsure_ms / usual.likely_ms
    return TurnPolicy(
        sure_ms=ears.pause_ms,
        likely_ms=unsure_ms,
        unlikely_ms=usual.unlikely_ms * longer,
        open_ms=usual.open_ms * longer,
        on_suspicion=ears.on_suspicion,
        words_after_ms=ears.interrupt_ms,
        stop_after_ms=ears.longest_aside_ms,
    )


def open_local_agent(
    settings: Settings, say: Callable[[str], None], policy: TurnPolicy | None = None
) -> LocalAgent:
    """Load the ears and the cascade of ``settings``, and warm both up.

    ``policy`` replaces that of the settings.

    Raises a `voicebench.errors.VoicebenchError` if that fails.
    """
    ears = Ears(say)
    cascade = open_cascade(settings, say)
    agent = LocalAgent(ears, cascade, policy or turn_policy(settings), closes_cascade=True)
    say("warming up")
    agent.warm_up()
    return agent
