"""The caller's place in a room of LiveKit: what its server signals, and two connections of WebRTC.

The server forwards what each participant publishes. We publish the caller's sound over one
connection, which we offer, and hear the agent over the other one, which the server offers. Only the
sound of the agent is subscribed to. Its packets are taken as they arrive, as behind any WebRTC
(`voicebench.agents.webrtc_line`).

(Protocol: https://docs.livekit.io/reference/internals/client-protocol; its messages come from the
package livekit-protocol.)
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiortc import (
    RTCDataChannel,
)
from livekit.protocol.models import DisconnectReason, ParticipantInfo, TrackSource, TrackType
from livekit.protocol.rtc import (
    AddTrackRequest,
    JoinResponse,
    LeaveRequest,
    Ping,
    RequestResponse,
    SessionDescription,
    SignalRequest,
    SignalResponse,
    SignalTarget,
    TrickleRequest,
    UpdateSubscription,
)

from voicebench.agents.livekit_peer import RoomPeer, candidate_in
from voicebench.agents.livekit_words import INITIALIZING, STATE, RoomWords
from voicebench.agents.opus_sound import INAUDIBLE, RATE
from voicebench.agents.peer_loop import PeerLoop
from voicebench.agents.webrtc_line import CallerTrack, roughen, speak_opus, tap
from voicebench.calls.agent_events import AgentAudio, AgentEvent, FrameSent

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RELIABLE = "_reliable"
"""The data channel on which messages come in order."""
PING_S = 5.0
"""How often the server is told that we are there, if it does not say."""
MOST_PARTICIPANTS = 100
AUDIBLE = round(INAUDIBLE * 32768)


@dataclass(frozen=True, slots=True)
class Missing:
    """Something that a call waits for: words after the URL, and what may mend it."""

    what: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class RoomListener:
    """Callbacks of a line. All are called from its thread."""

    send: Callable[[SignalRequest], None]
    """Takes a message to the server."""
    on_ready: Callable[[], None]
    """The agent can be spoken to."""
    on_event: Callable[[AgentEvent], None]
    on_lost: Callable[[str], None]
    """Gets what the server did (a verb and its object) when the call cannot go on."""


class LiveKitLine:
    """One caller in one room."""

    def __init__(
        self, listener: RoomListener, *, loopback: bool, delays_s: Iterator[float | None] | None
    ) -> None:
        """``loopback``: the server is on this machine.

        ``delays_s`` has the delay of each packet of sound, None for one that is lost.
        """
        self._listener = listener
        self._delays_s = delays_s
        self._is_over = self._is_ready = False
        self._thread = PeerLoop()
        self._loop = self._thread.loop
        self._room = ""
        self._sid = ""
        """Our own participant; empty until the room is joined."""
        self._is_published = False
        self._others: dict[str, ParticipantInfo] = {}
        self._agent: ParticipantInfo | None = None
        self._words = RoomWords("")
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread.run(self._prepare(loopback), None)

    def take(self, response: SignalResponse) -> None:
        """Take a message of the server. Returns at once."""
        if not self._is_over:
            self._loop.call_soon_threadsafe(self._take, response)

    def send(self, frame: NDArray[np.int16]) -> None:
        """Send 20 ms: int16 mono at 48 kHz, ``(960,)``. Returns at once."""
        if not self._is_over:
            if int(frame.max()) > AUDIBLE:
                self._words.caller_is_audible()
            self._loop.call_soon_threadsafe(self._track.add, frame)

    def close(self) -> None:
        """Close both connections. May be called twice."""
        if not self._thread.is_closed:
            self._is_over = True
            self._thread.close(self._close())

    def missing(self) -> Missing:
        """Return what the call waits for."""
        if not self._sid:
            return Missing("opened a WebSocket, and does not let the caller into a room")
        if not self._is_published:
            return Missing("does not take the caller's sound", "does the token allow to publish?")
        if not self._publisher.is_connected:
            return Missing(
                f"let the caller into the room {self._room!r}, and was not reached over WebRTC",
                "is UDP open between here and there?",
            )
        return self._missing_agent()

    def _missing_agent(self) -> Missing:
        agent = self._agent or next((one for one in self._others.values() if _speaks(one)), None)
        if agent is None:
            return Missing(
                f"has no agent in the room {self._room!r}",
                "does the agent's worker run, with this server's key? One that has a name only "
                "comes if it is called: --set call.agent_name=NAME. One that starts slowly needs "
                "more of --set wire.first_byte_s=SECONDS",
            )
        name = agent.identity
        if self._agent is None:
            return Missing(f"says that the agent {name!r} publishes no sound")
        if not self._hears:
            return Missing(f"does not forward the sound of the agent {name!r}")
        return Missing(f"says that the agent {name!r} is still starting")

    async def _prepare(self, loopback: bool) -> None:
        self._publisher, self._subscriber = (
            RoomPeer(loopback=loopback, on_state=self._state_changed) for _ in range(2)
        )
        self._track = CallerTrack(lambda: self._listener.on_event(FrameSent()))
        self._audio = self._publisher.connection.addTransceiver(self._track, direction="sendonly")
        speak_opus(self._audio)
        if self._delays_s is not None:
            roughen(self._audio, self._delays_s)
        self._subscriber.connection.on("datachannel", self._take_channel)

    def _take(self, response: SignalResponse) -> None:
        if self._is_over:
            return
        match response.WhichOneof("message"):
            case "join":
                self._join(response.join)
            case "track_published" if response.track_published.cid == self._track.id:
                self._is_published = True
                self._begin(self._offer())
            case "answer":
                self._begin(self._publisher.describe(response.answer))
            case "offer":
                self._begin(self._answer(response.offer))
            case "trickle":
                self._take_candidate(response.trickle)
            case "update":
                self._take_participants(response.update.participants)
            case "request_response":
                self._take_refusal(response.request_response)
            case "leave":
                reason = _name(DisconnectReason, response.leave.reason)
                self._lose(f"sent the caller out of the room ({reason})")
        self._check_ready()

    def _join(self, join: JoinResponse) -> None:
        self._room, self._sid = join.room.name, join.participant.sid
        self._words = RoomWords(join.participant.identity)
        self._begin(self._ping(join.ping_interval or PING_S))
        self._listener.send(
            SignalRequest(
                add_track=AddTrackRequest(
                    cid=self._track.id,
                    name="caller",
                    type=TrackType.AUDIO,
                    source=TrackSource.MICROPHONE,
                    disable_dtx=True,
                    disable_red=True,
                )
            )
        )
        self._take_participants(join.other_participants)

    async def _offer(self) -> None:
        description = await self._publisher.describe_here("offer")
        self._listener.send(SignalRequest(offer=description))

    async def _answer(self, offer: SessionDescription) -> None:
        async with self._subscriber.negotiating:
            await self._subscriber.describe(offer)
            for transceiver in self._subscriber.new_audio():
                tap(transceiver, self._take_sound, self._lose)
            description = await self._subscriber.describe_here("answer")
            description.id = offer.id
            self._listener.send(SignalRequest(answer=description))
        self._check_ready()

    def _take_candidate(self, trickle: TrickleRequest) -> None:
        found = candidate_in(trickle.candidateInit)
        peer = self._publisher if trickle.target == SignalTarget.PUBLISHER else self._subscriber
        if found is not None:
            self._begin(peer.add(found))

    def _take_participants(self, participants: Any) -> None:
        for one in participants:
            if one.sid == self._sid:
                continue
            if one.state == ParticipantInfo.DISCONNECTED:
                self._others.pop(one.sid, None)
                if self._agent is not None and one.sid == self._agent.sid:
                    self._lose(f"says that the agent {one.identity!r} left the room")
            elif one.sid in self._others or len(self._others) < MOST_PARTICIPANTS:
                self._others[one.sid] = one
                self._follow(one)

    def _follow(self, one: ParticipantInfo) -> None:
        """Subscribe to the first participant who can be the agent and publishes sound."""
        if STATE in one.attributes:
            for event in self._words.take_state(one.attributes[STATE]):
                self._emit(event)
        tracks = [track.sid for track in one.tracks if track.type == TrackType.AUDIO]
        if not _speaks(one) or not tracks:
            return
        if self._agent is None:
            self._agent = one
            wanted = UpdateSubscription(track_sids=tracks[:1], subscribe=True)
            wanted.participant_tracks.add(participant_sid=one.sid, track_sids=tracks[:1])
            self._listener.send(SignalRequest(subscription=wanted))
        elif one.sid == self._agent.sid:
            self._agent = one

    def _take_refusal(self, response: RequestResponse) -> None:
        if response.reason not in (RequestResponse.OK, RequestResponse.QUEUED):
            reason = _name(RequestResponse.Reason, response.reason)
            self._lose(f"refuses a request ({reason}: {response.message})")

    def _take_channel(self, channel: RTCDataChannel) -> None:
        if channel.label == RELIABLE:
            channel.on("message", self._take_message)

    def _take_message(self, message: str | bytes) -> None:
        if isinstance(message, str):
            return
        try:
            for event in self._words.take_packet(message):
                self._emit(event)
        except ValueError as error:
            self._lose(str(error))

    def _take_sound(self, pcm: NDArray[np.float32]) -> None:
        self._emit(AgentAudio(pcm, RATE))

    def _emit(self, event: AgentEvent) -> None:
        if not self._is_over:
            self._listener.on_event(event)

    @property
    def _hears(self) -> bool:
        return self._subscriber.is_connected and self._subscriber.has_audio

    def _check_ready(self) -> None:
        if self._is_ready or self._agent is None or not self._hears:
            return
        state = next(
            (one.attributes[STATE] for one in self._others.values() if STATE in one.attributes), ""
        )
        if self._publisher.is_connected and state != INITIALIZING:
            self._is_ready = True
            self._listener.on_ready()

    def _state_changed(self, state: str) -> None:
        if state == "failed":
            self._lose("cannot be reached over WebRTC")
        elif state == "closed":
            self._lose("closed the connection of the sound")
        self._check_ready()

    def _lose(self, reason: str) -> None:
        if not self._is_over:
            self._is_over = True
            self._listener.on_lost(reason)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        async def done() -> None:
            try:
                await work
            except ValueError as error:
                self._lose(str(error))

        task = self._loop.create_task(done())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ping(self, every_s: float) -> None:
        """Say that we are there: a server sends a silent participant out."""
        count = 0
        while not self._is_over:
            count += 1
            self._listener.send(SignalRequest(ping_req=Ping(timestamp=count)))
            await asyncio.sleep(every_s)

    async def _close(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()
        await self._publisher.connection.close()
        await self._subscriber.connection.close()


def _speaks(one: ParticipantInfo) -> bool:
    """Return whether a participant can be the agent: programs that record or forward cannot."""
    return one.kind in (ParticipantInfo.AGENT, ParticipantInfo.STANDARD)


def _name(kind: Any, number: int) -> str:
    """Return the name of a value; servers that are newer than we are have more of them."""
    return str(kind.Name(number)) if number in kind.values() else str(number)


LEAVE = SignalRequest(
    leave=LeaveRequest(reason=DisconnectReason.CLIENT_INITIATED, action=LeaveRequest.DISCONNECT)
)
"""The caller hangs up."""
