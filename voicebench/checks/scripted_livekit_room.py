"""A scripted room of LiveKit on loopback: its signalling, and an agent who is in it.

It stands where LiveKit's server would: it lets a caller with a good token in, takes his sound over
one connection of WebRTC and offers him the agent's over another. Descriptions and candidates come
apart, and the agent's sound comes with a second offer, as that server sends them. The connections
are aiortc as it comes (`voicebench.checks.scripted_webrtc_agent`).

Only what a call of an agent needs is there: one caller a room, who does not come back.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError
from aiortc.sdp import candidate_from_sdp
from livekit.protocol.models import (
    DataPacket,
    DataStream,
    ParticipantInfo,
    Room,
    ServerInfo,
    TrackInfo,
    TrackSource,
    TrackType,
    Transcription,
    TranscriptionSegment,
)
from livekit.protocol.rtc import (
    JoinResponse,
    ParticipantUpdate,
    Pong,
    SessionDescription,
    SignalRequest,
    SignalResponse,
    SignalTarget,
    TrackPublishedResponse,
    TrickleRequest,
)
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from voicebench.agents.livekit_agent import PATH
from voicebench.agents.livekit_line import LEAVE, RELIABLE
from voicebench.agents.livekit_token import signed
from voicebench.agents.livekit_words import (
    FINAL,
    INITIALIZING,
    LISTENING,
    SEGMENT,
    SPEAKING,
    STATE,
    THINKING,
    TOPIC,
)
from voicebench.audio.pcm import to_int16
from voicebench.calls.agent_events import (
    AgentAudio,
    AgentCleared,
    AgentEvent,
    AgentFailed,
    CallerTranscript,
    ReplyComplete,
    ReplyText,
    SpeechEndSeen,
)
from voicebench.checks.agent_acts import ActKind, ActsOfCall, TakeActs
from voicebench.checks.scripted_webrtc_agent import (
    END_S,
    AgentTrack,
    PacketArrivals,
    note_departures,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from voicebench.checks.timed_agent import TimedAgent

KEY, SECRET = "devkey", "secret"
"""What `livekit-server --dev` takes too."""
AGENT, AGENT_SID, TRACK_SID = "scripted-agent", "PA_scripted", "TR_scripted"
VALIDATE = "/validate"


@dataclass(frozen=True, slots=True)
class RoomScript:
    """Faults of a room; by default it has none."""

    has_agent: bool = True
    publishes: bool = True
    starts: bool = True
    """The agent gets beyond its first state."""
    joins: bool = True
    """The server lets a caller in; else it says nothing."""
    sends_out: bool = False
    """The server sends the caller out when the agent begins to speak."""


class ScriptedRoom:
    """The room of one caller; use its coroutines in one event loop."""

    def __init__(
        self,
        socket: ServerConnection,
        claims: Mapping[str, Any],
        agent: TimedAgent,
        script: RoomScript,
    ) -> None:
        self._socket, self._agent, self._script = socket, agent, script
        self.acts = ActsOfCall()
        self._loop = asyncio.get_running_loop()
        self._room = str(claims["video"]["room"])
        self._caller = str(claims["sub"])
        query = parse_qs(urlsplit(socket.request.path if socket.request else "").query)
        self._subscribes = query.get("auto_subscribe", ["1"])[0] in ("1", "true")
        configuration = RTCConfiguration(iceServers=[])
        self._from_caller = RTCPeerConnection(configuration)
        self._to_caller = RTCPeerConnection(configuration)
        self._channel = self._to_caller.createDataChannel(RELIABLE)
        self._track = AgentTrack()
        self._track._id = TRACK_SID
        self._is_sent = False
        self._answered = asyncio.Event()
        self._outbox: asyncio.Queue[SignalResponse] = asyncio.Queue()
        self._work: set[asyncio.Task[None]] = set()
        self._state = INITIALIZING
        self._texts = 0

    async def run(self) -> None:
        """Serve the caller until he leaves."""
        self._from_caller.on("track", lambda track: self._begin(self._hear(track)))
        self._begin(self._send_all())
        if self._script.joins:
            self._join()
        try:
            async for message in self._socket:
                if isinstance(message, bytes):
                    await self._take(SignalRequest.FromString(message))
        except ConnectionClosed:
            pass
        finally:
            for task in tuple(self._work):
                task.cancel()
            await asyncio.gather(*self._work, return_exceptions=True)
            await self._from_caller.close()
            await self._to_caller.close()
            self._agent.close()

    def _join(self) -> None:
        self._say(
            SignalResponse(
                join=JoinResponse(
                    room=Room(sid="RM_scripted", name=self._room),
                    participant=ParticipantInfo(
                        sid="PA_caller", identity=self._caller, state=ParticipantInfo.JOINED
                    ),
                    server_version="1.9.0",
                    server_info=ServerInfo(version="1.9.0", protocol=15),
                    subscriber_primary=True,
                    ping_interval=5,
                    ping_timeout=15,
                )
            )
        )
        self._begin(self._offer())
        if self._script.has_agent:
            self._tell_state(INITIALIZING)
            if self._script.starts:
                self._tell_state(LISTENING)
            if self._subscribes and self._script.publishes:
                self._begin(self._send_sound())

    async def _take(self, request: SignalRequest) -> None:
        match request.WhichOneof("message"):
            case "ping_req":
                pong = Pong(last_ping_timestamp=request.ping_req.timestamp, timestamp=_now_ms())
                self._say(SignalResponse(pong_resp=pong))
            case "ping":
                self._say(SignalResponse(pong=_now_ms()))
            case "add_track":
                added = request.add_track
                info = TrackInfo(
                    sid="TR_caller", type=added.type, name=added.name, source=added.source
                )
                published = TrackPublishedResponse(cid=added.cid, track=info)
                self._say(SignalResponse(track_published=published))
            case "offer":
                await self._from_caller.setRemoteDescription(
                    RTCSessionDescription(request.offer.sdp, "offer")
                )
                await self._from_caller.setLocalDescription(await self._from_caller.createAnswer())
                self._describe(self._from_caller, "answer", SignalTarget.PUBLISHER)
            case "answer":
                await self._to_caller.setRemoteDescription(
                    RTCSessionDescription(request.answer.sdp, "answer")
                )
                self._answered.set()
            case "trickle":
                is_his = request.trickle.target == SignalTarget.PUBLISHER
                peer = self._from_caller if is_his else self._to_caller
                await _add_candidate(peer, request.trickle.candidateInit)
            case "subscription" if TRACK_SID in request.subscription.track_sids:
                self._begin(self._send_sound())
            case "leave":
                await self._socket.close()

    async def _offer(self) -> None:
        self._answered.clear()
        await self._to_caller.setLocalDescription(await self._to_caller.createOffer())
        self._describe(self._to_caller, "offer", SignalTarget.SUBSCRIBER)

    async def _send_sound(self) -> None:
        """Offer the agent's sound, once the first offer was answered and has connected."""
        if self._is_sent:
            return
        self._is_sent = True
        await self._answered.wait()
        while self._to_caller.connectionState != "connected":
            await asyncio.sleep(0.005)
        # Both go over one transport, which stands since the first offer.
        assert self._to_caller.sctp is not None
        note_departures(self._to_caller.sctp.transport.transport, self._track, self.acts)
        sender = self._to_caller.addTrack(self._track)
        sender._stream_id = f"{AGENT_SID}|{TRACK_SID}"
        await self._offer()

    def _describe(self, peer: RTCPeerConnection, kind: str, target: SignalTarget) -> None:
        """Send our description, and its candidates after it."""
        lines = peer.localDescription.sdp.splitlines()
        rest = [line for line in lines if not line.startswith(("a=candidate:", "a=end-of-"))]
        described = SessionDescription(type=kind, sdp="\r\n".join(rest) + "\r\n")
        self._say(
            SignalResponse(offer=described) if kind == "offer" else SignalResponse(answer=described)
        )
        for line in dict.fromkeys(line for line in lines if line.startswith("a=candidate:")):
            init = {"candidate": line.removeprefix("a="), "sdpMid": "", "sdpMLineIndex": 0}
            trickled = TrickleRequest(candidateInit=json.dumps(init), target=target)
            self._say(SignalResponse(trickle=trickled))

    async def _hear(self, track: MediaStreamTrack) -> None:
        def emit(event: AgentEvent) -> None:
            kind = self.acts.act_of(event)
            self._loop.call_soon_threadsafe(self._emit, event, kind, self._agent.due_ns)

        receiver = self._from_caller.getTransceivers()[0].receiver
        arrivals = PacketArrivals(receiver.transport.transport)
        call = self._agent.open_call(emit)
        try:
            while True:
                frame: Any = await track.recv()
                # Both channels of stereo are the same.
                heard: NDArray[np.int16] = frame.to_ndarray().reshape(-1)[::2]
                call.hear(heard, arrivals.heard_ns(frame.pts))
        except MediaStreamError:
            pass
        finally:
            call.hang_up()

    def _emit(self, event: AgentEvent, kind: ActKind | None, due_ns: int) -> None:
        match event:
            case AgentAudio(pcm, _):
                if self._state != SPEAKING:
                    self._tell_state(SPEAKING)
                self._track.add(to_int16(pcm), due_ns if kind == "answer" else None)
                if self._script.sends_out:
                    self._say(SignalResponse(leave=LEAVE.leave))
            case SpeechEndSeen():
                self._tell_state(THINKING)
            case AgentCleared():
                self._track.clear()
                self.acts.add(kind, due_ns, time.perf_counter_ns())
                self._tell_state(LISTENING)
            case ReplyComplete():
                self._track.when_sent = partial(self._tell_state, LISTENING)
            case CallerTranscript(text, _):
                self._write(self._caller, [text])
            case ReplyText(text):
                self._write(AGENT, text.partition(" "))
            case AgentFailed():
                self._say_of_agent(ParticipantInfo.DISCONNECTED)

    def _write(self, speaker: str, pieces: Sequence[str]) -> None:
        self._texts += 1
        if self._channel.readyState == "open":
            for packet in text_packets(self._texts, speaker, pieces):
                self._channel.send(packet)

    def _tell_state(self, state: str) -> None:
        self._state = state
        self._say_of_agent(ParticipantInfo.ACTIVE)

    def _say_of_agent(self, state: ParticipantInfo.State) -> None:
        agent = ParticipantInfo(
            sid=AGENT_SID,
            identity=AGENT,
            kind=ParticipantInfo.AGENT,
            state=state,
            attributes={STATE: self._state},
        )
        if self._script.publishes:
            agent.tracks.add(
                sid=TRACK_SID, type=TrackType.AUDIO, name="voice", source=TrackSource.MICROPHONE
            )
        self._say(SignalResponse(update=ParticipantUpdate(participants=[agent])))

    def _say(self, response: SignalResponse) -> None:
        self._outbox.put_nowait(response)

    async def _send_all(self) -> None:
        while True:
            response = await self._outbox.get()
            with suppress(ConnectionClosed):
                await self._socket.send(response.SerializeToString())

    def _begin(self, work: Any) -> None:
        task: asyncio.Task[None] = self._loop.create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)


def text_packets(number: int, speaker: str, pieces: Sequence[str]) -> Iterator[bytes]:
    """Yield the messages that show what ``speaker`` said: a packet, and a text stream."""
    stream = f"stream-{number}"
    segment = TranscriptionSegment(id=f"old-{stream}", text="".join(pieces), final=True)
    said = Transcription(
        transcribed_participant_identity=speaker, track_id=TRACK_SID, segments=[segment]
    )
    yield DataPacket(participant_identity=AGENT, transcription=said).SerializeToString()
    header = DataStream.Header(
        stream_id=stream,
        timestamp=_now_ms(),
        topic=TOPIC,
        mime_type="text/plain",
        attributes={SEGMENT: f"segment-{stream}", FINAL: "true"},
        text_header=DataStream.TextHeader(),
    )
    yield DataPacket(participant_identity=speaker, stream_header=header).SerializeToString()
    for index, piece in enumerate(pieces):
        chunk = DataStream.Chunk(stream_id=stream, chunk_index=index, content=piece.encode())
        yield DataPacket(participant_identity=speaker, stream_chunk=chunk).SerializeToString()
    trailer = DataStream.Trailer(stream_id=stream)
    yield DataPacket(participant_identity=speaker, stream_trailer=trailer).SerializeToString()


async def _add_candidate(peer: RTCPeerConnection, text: str) -> None:
    found = json.loads(text)
    if not found.get("candidate"):
        return
    candidate = candidate_from_sdp(found["candidate"].removeprefix("candidate:"))
    candidate.sdpMid, candidate.sdpMLineIndex = found.get("sdpMid"), found.get("sdpMLineIndex")
    await peer.addIceCandidate(candidate)


def _now_ms() -> int:
    return int(time.time() * 1000)


def claims_of(request: Request) -> Mapping[str, Any] | None:
    """Return what the token of a request grants; None if it grants no room."""
    sent = request.headers.get("Authorization", "").removeprefix("Bearer ")
    token = sent or parse_qs(urlsplit(request.path).query).get("access_token", [""])[0]
    try:
        content = token.split(".")[1]
        claims: Mapping[str, Any] = json.loads(base64.urlsafe_b64decode(content + "=="))
        is_good = hmac.compare_digest(signed(claims, SECRET), token)
        now_s = time.time()
        is_now = claims.get("nbf", 0) <= now_s < claims["exp"]
        return claims if is_good and is_now and claims["video"]["roomJoin"] else None
    except (ValueError, KeyError, IndexError, TypeError):
        return None


def _refusal(_socket: ServerConnection, request: Request) -> Response | None:
    path = urlsplit(request.path).path
    if path not in (PATH, PATH + VALIDATE):
        return _response(HTTPStatus.NOT_FOUND, "404 page not found")
    claims = claims_of(request)
    if claims is None:
        token = request.headers.get("Authorization", "")
        # That server repeats the token.
        return _response(HTTPStatus.UNAUTHORIZED, f"invalid token: {token}, error: signature")
    if claims["video"]["room"] == "nowhere":
        return _response(HTTPStatus.NOT_FOUND, "requested room does not exist")
    return _response(HTTPStatus.OK, "success") if path != PATH else None


def _response(status: HTTPStatus, body: str) -> Response:
    headers = Headers({"content-type": "text/plain", "content-length": str(len(body))})
    return Response(status.value, status.phrase, headers, body.encode())


@contextmanager
def livekit_rooms(
    agent: Callable[[], TimedAgent],
    script: RoomScript | None = None,
    took: TakeActs = lambda _acts: None,
) -> Iterator[str]:
    """Serve rooms on loopback until the context ends; yields the server's URL.

    ``agent`` makes the agent of each room. Its rate must be 48 kHz, for both directions. ``took``
    gets its acts when the caller has left.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="voicebench-rooms", daemon=True)
    thread.start()

    async def talk(socket: ServerConnection) -> None:
        claims = claims_of(socket.request) if socket.request else None
        if claims is not None:
            room = ScriptedRoom(socket, claims, agent(), script or RoomScript())
            await room.run()
            took(room.acts.done)

    async def began() -> Any:
        return await serve(talk, "127.0.0.1", 0, process_request=_refusal, compression=None)

    async def ended() -> None:
        server.close()
        await server.wait_closed()

    server = asyncio.run_coroutine_threadsafe(began(), loop).result(END_S)
    try:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        asyncio.run_coroutine_threadsafe(ended(), loop).result(END_S)
        asyncio.run_coroutine_threadsafe(loop.shutdown_default_executor(), loop).result(END_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(END_S)
        loop.close()
