"""The table of the kinds of agents, and what can be done with any of them: check and open."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from voicebench.agents import Agent, AgentKind
from voicebench.agents.scripted_agent import (
    SAMPLE_RATE,
    SIMULATED,
    ScriptedAgent,
    parse_agent_script,
)
from voicebench.calls.call_clock import VirtualCallClock
from voicebench.errors import UsageError
from voicebench.machine.extras import require
from voicebench.secret_names import hidden_in_url
from voicebench.settings import Settings

if TYPE_CHECKING:
    from voicebench.agents.wire_dialect import WireDialect
    from voicebench.remote.connection.access import Access

LOCAL = "local"


class SimulatedAgent(ScriptedAgent):
    """A scripted agent on a clock of its own, which waits for nothing."""

    def __init__(self, text: str, sound_rate: int = SAMPLE_RATE) -> None:
        self.clock = VirtualCallClock()
        super().__init__(parse_agent_script(text), self.clock, sound_rate)


class SimulatedAgentKind:
    """``sim:…``: see `voicebench.agents.scripted_agent`."""

    example = "sim:wait=500ms,reply=100ms,voice=100ms,stop=250ms"
    has_packets = False

    def takes(self, agent: str) -> bool:
        """Return whether it begins with ``sim:``."""
        return agent.startswith(SIMULATED)

    def check(self, agent: str, settings: Settings) -> None:
        """Raise `UsageError` if the script cannot be read."""
        del settings
        parse_agent_script(agent)

    def reach(self, agent: str, settings: Settings) -> None:
        """Do nothing: there is no server."""

    def open(self, agent: str, settings: Settings, say: Callable[[str], None]) -> Agent:
        """Return the agent."""
        del settings, say
        return SimulatedAgent(agent)


class LocalAgentKind:
    """``local``: ears, a language model and a voice in this process (`voicebench.agents.local`)."""

    example = LOCAL
    has_packets = False

    def takes(self, agent: str) -> bool:
        """Return whether it is the word."""
        return agent == LOCAL

    def check(self, agent: str, settings: Settings) -> None:
        """Raise `UsageError` for engines that cannot work, or if the extra ``ears`` is missing."""
        from voicebench.agents.local.local_opening import check_local_agent

        del agent
        check_local_agent(settings)

    def reach(self, agent: str, settings: Settings) -> None:
        """Ask the servers of its language model and voice, if there are any."""
        from voicebench.targets.cascade import CascadeKind

        del agent
        CascadeKind().reach(settings, voice_only=False)

    def open(self, agent: str, settings: Settings, say: Callable[[str], None]) -> Agent:
        """Fetch and load all models, and warm them up."""
        from voicebench.agents.local.local_opening import open_local_agent

        del agent
        return open_local_agent(settings, say)


class SocketKind:
    """``ws://…``, in the protocol that ``call.api`` names."""

    example = "ws://127.0.0.1:8765/call"
    has_packets = False

    def takes(self, agent: str) -> bool:
        """Return whether it is the URL of a WebSocket."""
        return agent.startswith(("ws://", "wss://"))

    def check(self, agent: str, settings: Settings) -> None:
        """Raise `UsageError` for a URL, a key or words that cannot be used."""
        self.open(agent, settings, lambda _line: None)

    def reach(self, agent: str, settings: Settings) -> None:
        """Dial, listen for a moment, and hang up."""
        if settings.wire.preflight:
            from voicebench.agents.agent_preflight import check_agent

            api = _api_of(agent, settings)
            with closing(self.open(agent, settings, lambda _line: None)) as opened:
                access = _access(api, settings)
                is_guessed = settings.call.api == "auto"
                check_agent(opened, agent, api, access, is_guessed=is_guessed)

    def open(self, agent: str, settings: Settings, say: Callable[[str], None]) -> Agent:
        """Return the agent; it connects with its first call."""
        from voicebench.agents.socket_agent import SocketAgent

        del say
        api = _api_of(agent, settings)
        return SocketAgent(agent, _dialect(api, settings), _access(api, settings), name=api)


class _OverWebRtc(ABC):
    """The common part of the agents whose sound goes over WebRTC."""

    extra: str
    has_packets = True

    def check(self, agent: str, settings: Settings) -> None:
        """Raise `UsageError` for words or secrets that cannot be used, or without the extra."""
        require(self.extra)
        self.open(agent, settings, lambda _line: None).close()

    def reach(self, agent: str, settings: Settings) -> None:
        """Call, and hang up."""
        if settings.wire.preflight:
            with closing(self.open(agent, settings, lambda _line: None)) as opened:
                opened.open_call(lambda _event: None).hang_up()

    @abstractmethod
    def open(self, agent: str, settings: Settings, say: Callable[[str], None]) -> Agent:
        """Return the agent; it connects with its first call."""


class WebRtcKind(_OverWebRtc):
    """``http://…``: an offer of WebRTC is posted there (`voicebench.agents.webrtc_agent`)."""

    example = "http://127.0.0.1:7860/api/offer"
    extra = "webrtc"

    def takes(self, agent: str) -> bool:
        """Return whether it is a URL of HTTP."""
        return agent.startswith(("http://", "https://"))

    def open(self, agent: str, settings: Settings, say: Callable[[str], None]) -> Agent:
        """Return the agent; it connects with its first call."""
        from voicebench.agents.webrtc_agent import WebRtcAgent
        from voicebench.targets.reaching import access_to

        del say
        return WebRtcAgent(agent, access_to(settings.call, settings))


class LiveKitKind(_OverWebRtc):
    """``livekit+wss://…``: a room of LiveKit is joined (`voicebench.agents.livekit_agent`)."""

    example = "livekit+ws://127.0.0.1:7880"
    extra = "livekit"

    def takes(self, agent: str) -> bool:
        """Return whether it is the URL of a WebSocket behind the name of LiveKit."""
        return agent.startswith(("livekit+ws://", "livekit+wss://"))

    def open(self, agent: str, settings: Settings, say: Callable[[str], None]) -> Agent:
        """Return the agent; it joins a room with its first call."""
        from voicebench.agents.livekit_agent import LiveKitAgent
        from voicebench.targets.reaching import access_to

        del say
        return LiveKitAgent(agent, access_to(settings.call, settings), settings.call)


def _api_of(agent: str, settings: Settings) -> str:
    """Return the protocol of the agent at a URL."""
    if settings.call.api != "auto":
        return settings.call.api
    is_realtime = urlsplit(agent).path.rstrip("/").endswith("/realtime")
    return "realtime" if is_realtime else "pcm"


def _dialect(api: str, settings: Settings) -> Callable[[], WireDialect]:
    """Return what makes the dialect of one call."""
    if api == "realtime":
        from voicebench.agents.realtime_dialect import RealtimeDialect

        is_beta = settings.server.dialect == "beta"
        session = settings.call.session
        return lambda: RealtimeDialect(beta=is_beta, session=session)
    if api == "telephony":
        from voicebench.agents.telephony_dialect import TelephonyDialect

        return TelephonyDialect
    if api == "pipecat":
        from voicebench.agents.pipecat_dialect import PipecatDialect

        return PipecatDialect
    from voicebench.agents.pcm_dialect import PcmDialect

    return lambda: PcmDialect(settings.call)


def _access(api: str, settings: Settings) -> Access:
    from voicebench.targets.reaching import access_to

    access = access_to(settings.call, settings)
    if api == "realtime" and settings.server.dialect == "beta":
        access = replace(access, headers={**access.headers, "OpenAI-Beta": "realtime=v1"})
    return access


KINDS: tuple[AgentKind, ...] = (
    LocalAgentKind(),
    SimulatedAgentKind(),
    SocketKind(),
    WebRtcKind(),
    LiveKitKind(),
)
"""Every kind, in the order in which they are asked."""


def agent_kind(agent: str) -> AgentKind:
    """Return the kind of ``agent``. Raises `UsageError` for one that no kind takes."""
    for kind in KINDS:
        if kind.takes(agent):
            return kind
    examples = ", ".join(repr(kind.example) for kind in KINDS)
    raise UsageError(f"--agent {hidden_in_url(agent)!r:.120} is no known agent", f"use {examples}")
