"""An agent behind WebRTC, as Pipecat's SmallWebRTC serves it: an offer is posted and answered.

The request is ``{"sdp": …, "type": "offer"}``, the answer ``{"sdp": …, "type": "answer"}``. The
data channel has RTVI's messages. Sound is Opus in both directions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from voicebench.agents.opus_agent import OpusAgent, is_loopback
from voicebench.agents.opus_sound import RATE
from voicebench.agents.rtvi import CLIENT_READY, RtviEvents
from voicebench.agents.webrtc_line import WebRtcLine
from voicebench.calls.agent_events import AgentAudio, AgentFailed, EmitAgentEvent, FrameSent
from voicebench.remote.connection.access import Access, address_of
from voicebench.remote.connection.http import HttpService
from voicebench.remote.formats.json_text import json_object, text_at

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_ANSWER_BYTES = 200_000


class WebRtcAgent(OpusAgent):
    """Takes calls at the URL of an offer."""

    def __init__(self, url: str, access: Access) -> None:
        """Raise `voicebench.errors.UsageError` for a URL or a key that cannot be used."""
        super().__init__()
        self._url = url
        self._access = access
        self._loopback = is_loopback(address_of(url, "http", "https").host)
        self._peer = HttpService(url, access, "turn")

    def open_call(self, emit: EmitAgentEvent) -> WebRtcCall:
        """Offer, take the answer, and return when the connection stands."""
        call = WebRtcCall(self._peer, emit, loopback=self._loopback, delays_s=self._next_delays_s())
        try:
            call.accept(self._answered(call.offer()), self._access.timeouts.first_byte_s)
        except BaseException:
            call.hang_up()
            raise
        return call

    def _answered(self, offer: str) -> str:
        """Return the session description of the agent. Raises `RemoteError`."""
        with self._peer.exchange("POST", self._url, json={"sdp": offer, "type": "offer"}) as answer:
            answer.require_success()
            with self._peer.adding_context():
                answered: Mapping[str, object] = json_object(answer.whole(MOST_ANSWER_BYTES))
        sdp = text_at(answered, "sdp")
        if not sdp or text_at(answered, "type") != "answer":
            raise self._peer.failure(
                "answers an offer of WebRTC with no session description",
                "use the URL that takes offers, for Pipecat http://HOST:7860/api/offer",
            )
        return sdp

    def describe(self) -> dict[str, object]:
        """Return what a reader of the results must know."""
        return self._described("webrtc", self._peer)

    def close(self) -> None:
        """Close the connection of the offers."""
        self._peer.close()


class WebRtcCall:
    """One call over one connection."""

    def __init__(
        self,
        peer: HttpService,
        emit: EmitAgentEvent,
        *,
        loopback: bool,
        delays_s: Iterator[float | None] | None,
    ) -> None:
        self._peer = peer
        self._emit = emit
        self._rtvi = RtviEvents()
        self._line = WebRtcLine(
            self._take_sound,
            self._take_text,
            self._fail,
            lambda: emit(FrameSent()),
            loopback=loopback,
            greeting=CLIENT_READY,
            delays_s=delays_s,
        )

    def offer(self) -> str:
        """Return our session description."""
        return self._line.offer()

    def accept(self, sdp: str, timeout_s: float) -> None:
        """Take the agent's. Raises `voicebench.remote.failure.RemoteError`."""
        try:
            self._line.accept(sdp, timeout_s)
        except ValueError as error:
            raise self._peer.failure(self._peer.quote(str(error))) from None
        except TimeoutError:
            raise self._peer.failure(
                f"answered an offer of WebRTC, and was not reached within {timeout_s:g} s",
                "is UDP open between here and there?",
                fault="timeout",
            ) from None

    def hear(self, frame: NDArray[np.int16]) -> None:
        """Send 20 ms of the caller."""
        self._line.send(frame)

    def hang_up(self) -> None:
        """Close the connection."""
        self._line.close()

    def _take_sound(self, pcm: NDArray[np.float32]) -> None:
        self._emit(AgentAudio(pcm, RATE))

    def _take_text(self, text: str) -> None:
        for event in self._rtvi.take(text):
            if isinstance(event, AgentFailed):
                self._fail(event.reason)
            else:
                self._emit(event)

    def _fail(self, reason: str) -> None:
        self._emit(AgentFailed(f"{self._peer.shown_url} {self._peer.quote(reason)}"))
