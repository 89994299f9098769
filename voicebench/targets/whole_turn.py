"""Kinds of target of which one endpoint does the whole turn: text goes in, speech comes out."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from urllib.parse import urlsplit

from voicebench.errors import CannotMeasure, UsageError, VoicebenchError
from voicebench.events import TextChunk
from voicebench.remote.connection.access import Access, shown
from voicebench.settings import Settings
from voicebench.targets import Say, Target, TargetKind
from voicebench.targets.reaching import access_to, reached
from voicebench.turn.wire import SUBPROTOCOL

VOICE_SOCKET = "voice, WebSocket"
REALTIME = "Realtime, WebSocket"
_OF_A_CASCADE = ("llm", "chunker", "tts")


class WholeTurnKind(TargetKind):
    """Base of the kinds in which ``server.url`` does the whole turn."""

    wire: str
    """The connection to the endpoint, as `voicebench.checks.transports` names it."""
    why_no_history = "its endpoint takes one prompt in a turn, and no messages before it"
    own_settings: tuple[str, ...] = ()
    """Settings of ``[server]`` that not every kind has."""
    paths: tuple[str, ...]
    """The usual paths of the protocol, which are tried if the URL opens no WebSocket."""
    subprotocol: str | None = None
    """The WebSocket subprotocol that is asked for."""

    def new_client(self, url: str, settings: Settings, access: Access) -> Target:
        """Return a client of the endpoint at ``url``; it connects later."""
        raise NotImplementedError

    def client(self, settings: Settings) -> Target:
        """Return a client of the endpoint at ``server.url``; it connects later."""
        if settings.server.url is None:
            raise UsageError(
                f"target {self.name!r} needs the server's URL",
                "give --server ws://127.0.0.1:8765/v1/voice",
            )
        return self.new_client(settings.server.url, settings, access_to(settings.server, settings))

    def settings_from_url(self, url: str) -> dict[str, object] | None:
        """Take a WebSocket's URL; without a path it gets ours, ``/v1/voice``."""
        parts = urlsplit(url)
        if parts.scheme not in ("ws", "wss"):
            return None
        url = url if parts.path.rstrip("/") else f"{url.rstrip('/')}/v1/voice"
        return {"run.target": self.name, "server.url": url}

    def check(self, settings: Settings) -> None:
        """Raise `UsageError` for settings of a cascade, or of another kind of endpoint."""
        for section in _OF_A_CASCADE:
            for name in sorted(getattr(settings, section).model_fields_set):
                raise UsageError(
                    f"{section}.{name} has no effect with target {self.name!r}: "
                    "the server does the whole turn with what it has",
                    "take it out, or measure the server's chat and speech routes: "
                    "--server http://…",
                )
        for name in RealtimeKind.own_settings:
            if name in settings.server.model_fields_set and name not in self.own_settings:
                raise UsageError(
                    f"server.{name} has no effect with target {self.name!r}: it is of a "
                    "Realtime session",
                    "take it out, or set run.target = 'realtime'",
                )
        self.client(settings).close()

    def reach(self, settings: Settings, *, voice_only: bool) -> None:
        """Connect to the endpoint, see that it speaks the protocol, and hang up."""
        del voice_only
        from voicebench.targets.socket_preflight import AskedSocket, explain_socket

        try:
            client = reached(self.client(settings))
        except CannotMeasure as error:
            if not settings.wire.preflight:
                raise
            access = access_to(settings.server, settings)
            asked = AskedSocket(
                settings.server.url or "", access, "--server", self.paths, self.subprotocol
            )
            raise self.explained(explain_socket(error, asked)) from None
        with closing(client):
            if settings.wire.preflight:
                self.check_protocol(client)

    def explained(self, error: VoicebenchError) -> VoicebenchError:
        """Return an error of opening the session, with the option that mends it if one does."""
        return error

    def check_protocol(self, client: Target) -> None:
        """Raise `UsageError` if the open endpoint speaks another protocol, as far as it shows."""

    def open(self, settings: Settings, say: Say) -> Target:
        """Connect to the endpoint."""
        say(f"connecting to {shown(settings.server.url or '')}")
        return reached(self.client(settings))

    def wires(self, settings: Settings) -> tuple[str, ...]:  # noqa: ARG002
        """Return the one connection."""
        return (self.wire,)

    def served_names(
        self,
        settings: Settings,  # noqa: ARG002
        description: Mapping[str, object],
    ) -> dict[str, object]:
        """Return the language model's name, if the endpoint says it; no voice has a name here."""
        return {"llm.model": description.get("model"), "tts.model": None, "tts.voice": None}


class RealtimeKind(WholeTurnKind):
    """OpenAI's Realtime protocol (`voicebench.targets.realtime`)."""

    name = "realtime"
    example = "realtime"
    wire = REALTIME
    hides = (TextChunk,)
    own_settings = ("dialect", "instructions", "out_of_band", "voice")
    paths = ("/v1/realtime", "/realtime")

    def settings_from_url(self, url: str) -> dict[str, object] | None:
        """Take a WebSocket's URL with ``realtime`` in its path."""
        return super().settings_from_url(url) if "realtime" in urlsplit(url).path else None

    def explained(self, error: VoicebenchError) -> VoicebenchError:
        """Return an error of the session's beginning, with the option that mends it."""
        from voicebench.targets.socket_preflight import explain_session

        return explain_session(error)

    def new_client(self, url: str, settings: Settings, access: Access) -> Target:
        """Return a client of the endpoint at ``url``; it connects later."""
        from voicebench.targets.realtime import Realtime, RealtimeOptions

        server = settings.server
        options = RealtimeOptions(
            dialect=server.dialect,
            voice=server.voice,
            instructions=server.instructions,
            out_of_band=server.out_of_band,
        )
        return Realtime(url, options, access)


class VoiceKind(WholeTurnKind):
    """Our own voice WebSocket (`voicebench.targets.voice_socket`)."""

    name = "voice"
    example = "voice"
    wire = VOICE_SOCKET
    # The last two are of the other protocol, which `--server` takes by its path.
    paths = ("/v1/voice", "/v1/realtime", "/realtime")
    subprotocol = SUBPROTOCOL

    def new_client(self, url: str, settings: Settings, access: Access) -> Target:  # noqa: ARG002
        """Return a client of the endpoint at ``url``; it connects later."""
        from voicebench.targets.voice_socket import VoiceSocket

        return VoiceSocket(url, access)

    def check_protocol(self, client: Target) -> None:
        """Raise `UsageError` if the server greets as one of OpenAI's Realtime protocol."""
        from voicebench.targets.remote_turn import SocketTarget
        from voicebench.targets.socket_preflight import GREETING_S, check_greeting

        assert isinstance(client, SocketTarget)
        url = str(client.describe()["url"])
        check_greeting(client.greeting(GREETING_S), url, "--target realtime")
