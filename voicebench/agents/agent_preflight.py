"""Before any call: does the agent take one, and does it speak the protocol that is meant?"""

from __future__ import annotations

import threading

from voicebench.agents import Agent
from voicebench.calls.agent_events import AgentEvent, AgentFailed
from voicebench.errors import CannotMeasure
from voicebench.remote.connection.access import Access
from voicebench.targets.socket_preflight import AskedSocket, explain_socket

GREETING_S = 0.2
"""How long a new call is listened to."""
_PATHS = {
    "pcm": ("/v1/call", "/call", "/ws"),
    "realtime": ("/v1/realtime", "/realtime"),
    "telephony": ("/v1/media-stream", "/media-stream", "/ws"),
    "pipecat": ("/ws", "/"),
}
"""The usual paths of each protocol, which are tried if the URL opens no WebSocket."""


def check_agent(agent: Agent, url: str, api: str, access: Access, *, is_guessed: bool) -> None:
    """Call ``agent`` at ``url``, listen for a moment, and hang up.

    If the protocol ``api`` ``is_guessed`` from the path, that may be a misspelt one of Realtime.
    Raises `CannotMeasure` or `UsageError` with the option that mends it.
    """
    failed: list[AgentFailed] = []
    has_failed = threading.Event()

    def note(event: AgentEvent) -> None:
        if isinstance(event, AgentFailed):
            failed.append(event)
            has_failed.set()

    others = " or ".join(one for one in _PATHS if one != api)
    other_api = f"does it speak another protocol than {api}? --set call.api={others}"

    def unfit(message: str) -> CannotMeasure:
        return CannotMeasure(message, "" if "--set call." in message else other_api)

    try:
        call = agent.open_call(note)
    except CannotMeasure as error:
        paths = _PATHS[api] + (_PATHS["realtime"] if is_guessed and api == "pcm" else ())
        found = explain_socket(error, AskedSocket(url, access, "--agent", paths))
        if found is not error or found.remedy:
            raise found from None
        raise unfit(error.message) from None
    try:
        has_failed.wait(GREETING_S)
    finally:
        call.hang_up()
    if failed:
        raise unfit(failed[0].reason)
