"""An agent in a room of LiveKit, which the caller joins like any participant.

The agent is in the room already, or LiveKit's server sends one in when the caller comes. The server
is reached over a WebSocket (``/rtc``); sound goes over WebRTC (`voicebench.agents.livekit_line`).
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from livekit.protocol.rtc import SignalRequest, SignalResponse

from voicebench.agents.livekit_line import LEAVE, LiveKitLine, RoomListener
from voicebench.agents.livekit_token import RoomTokens
from voicebench.agents.opus_agent import OpusAgent, is_loopback
from voicebench.calls.agent_events import AgentEvent, AgentFailed, EmitAgentEvent
from voicebench.errors import VoicebenchError
from voicebench.remote.connection.access import Access, address_of
from voicebench.remote.connection.timeouts import Timeouts
from voicebench.remote.connection.websocket import SocketService
from voicebench.remote.failure import RemoteError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from voicebench.settings.call_section import CallSettings

PREFIX = "livekit+"
"""Stands before the URL of a server, which begins with ``ws://`` or ``wss://``."""
PATH = "/rtc"
QUERY = "protocol=15&auto_subscribe=0&adaptive_stream=0"
"""The version of LiveKit's protocol, of which this is a part. We choose what we hear."""
LONGEST_CALL_S = 3600.0
SEND_S = 2.0
JOIN_S = 2.0


class LiveKitAgent(OpusAgent):
    """Takes calls in rooms of the server at ``livekit+ws://…`` or ``livekit+wss://…``."""

    def __init__(self, url: str, access: Access, call: CallSettings) -> None:
        """Raise `voicebench.errors.UsageError` for a URL or a token that cannot be used."""
        super().__init__()
        base = url.removeprefix(PREFIX)
        self._loopback = is_loopback(address_of(base, "ws", "wss").host)
        self._url = f"{base.partition('?')[0].rstrip('/')}{PATH}?{QUERY}"
        # A caller may be silent, and so may the server: only the whole call has a limit.
        limits = Timeouts(access.timeouts.connect_s, LONGEST_CALL_S, LONGEST_CALL_S, LONGEST_CALL_S)
        self._access = replace(access, timeouts=limits)
        self._ready_s = access.timeouts.first_byte_s
        self._tokens = RoomTokens(call)
        self._peer = SocketService(self._url, self._tokens.next_access(self._access), "turn")

    def open_call(self, emit: EmitAgentEvent) -> LiveKitCall:
        """Join a room, and return when its agent can be spoken to."""
        service = SocketService(self._url, self._tokens.next_access(self._access), "turn")
        call = LiveKitCall(service, emit, loopback=self._loopback, delays_s=self._next_delays_s())
        try:
            call.join(self._ready_s)
        except BaseException:
            call.hang_up()
            raise
        return call

    def describe(self) -> dict[str, object]:
        """Return what a reader of the results must know."""
        return self._described("livekit", self._peer)

    def close(self) -> None:
        """Do nothing: each call closes its own connections."""


class LiveKitCall:
    """One call in one room."""

    def __init__(
        self,
        service: SocketService,
        emit: EmitAgentEvent,
        *,
        loopback: bool,
        delays_s: Iterator[float | None] | None,
    ) -> None:
        self._service = service
        self._emit = emit
        self._sending = threading.Lock()
        self._is_over = threading.Event()
        self._settled = threading.Event()
        """The call is ready, or lost before that."""
        self._is_ready = False
        self._lost: RemoteError | None = None
        listener = RoomListener(self._send, self._take_ready, self._take_event, self._lose)
        self._line = LiveKitLine(listener, loopback=loopback, delays_s=delays_s)
        self._receiver = threading.Thread(
            target=self._receive, name="voicebench-livekit", daemon=True
        )

    def join(self, timeout_s: float) -> None:
        """Join the room. Raises `RemoteError` if no agent can be spoken to in time."""
        self._service.begin()
        # The server speaks first; what came with the handshake was set aside as no answer.
        for message in self._service.set_aside.take():
            self._pass_on(message)
        self._receiver.start()
        is_settled = self._settled.wait(timeout_s)
        if self._lost is not None:
            raise self._lost
        if not is_settled:
            missing = self._line.missing()
            raise self._service.failure(
                f"{self._service.quote(missing.what)} within {timeout_s:g} s",
                missing.remedy,
                fault="timeout",
            )

    def hear(self, frame: NDArray[np.int16]) -> None:
        """Send 20 ms of the caller."""
        self._line.send(frame)

    def hang_up(self) -> None:
        """Leave the room, and close all connections."""
        if self._is_over.is_set():
            return
        if self._receiver.is_alive():
            with contextlib.suppress(VoicebenchError):
                self._send_now(LEAVE)
        self._is_over.set()
        self._line.close()
        self._service.interrupt()
        if self._receiver.is_alive():
            self._receiver.join(JOIN_S)
        self._service.drop()

    def _receive(self) -> None:
        budget = self._service.wait_budget()
        while not self._is_over.is_set():
            try:
                self._pass_on(self._service.receive(budget).data)
            except RemoteError as error:
                self._fail(error)
                return

    def _pass_on(self, message: str | bytes) -> None:
        """Give a message to the line. Raises `RemoteError` if it is not LiveKit's."""
        try:
            if isinstance(message, str):
                raise ValueError
            response = SignalResponse.FromString(message)
        except Exception:  # its class is another one in each implementation of protocol buffers
            raise self._service.failure(
                "sends a message that is not LiveKit's", "is this the URL of a LiveKit server?"
            ) from None
        self._line.take(response)

    def _send(self, request: SignalRequest) -> None:
        if not self._is_over.is_set():
            try:
                self._send_now(request)
            except RemoteError as error:
                self._fail(error)

    def _send_now(self, request: SignalRequest) -> None:
        budget = self._service.wait_budget()
        budget.end_within(SEND_S)
        with self._sending:
            self._service.send(request.SerializeToString(), budget)

    def _take_ready(self) -> None:
        self._is_ready = True
        self._settled.set()

    def _take_event(self, event: AgentEvent) -> None:
        if not self._is_over.is_set():
            self._emit(event)

    def _lose(self, reason: str) -> None:
        self._fail(self._service.failure(self._service.quote(reason)))

    def _fail(self, error: RemoteError) -> None:
        if self._is_over.is_set():
            return
        if self._is_ready:
            self._emit(AgentFailed(str(error)))
        elif self._lost is None:
            self._lost = error
            self._settled.set()
