"""Agents in rooms of LiveKit: how calls fail, what of the room is heard, and the token."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from contextlib import closing
from typing import Any

import numpy as np
import pytest
from livekit.protocol.models import DataPacket, DataStream, Transcription, TranscriptionSegment
from loopback import Peer, closed_port, serving
from odd_agents import ANSWERING_AT_ONCE, FrameCountingAgent, LeavingAgent

from voicebench.agents import SendsPackets
from voicebench.agents.agent_kinds import agent_kind
from voicebench.agents.livekit_agent import PATH
from voicebench.agents.livekit_token import RoomTokens, signed
from voicebench.agents.livekit_words import LISTENING, SPEAKING, THINKING, RoomWords
from voicebench.agents.opus_sound import RATE
from voicebench.agents.scripted_agent import AgentScript
from voicebench.audio.synthetic_voice import synthetic_voice
from voicebench.calls.agent_events import (
    AgentAudio,
    AgentEvent,
    AgentFailed,
    CallerTranscript,
    ReplyComplete,
    ReplyText,
    SpeechEndSeen,
)
from voicebench.calls.packet_way import PacketWay
from voicebench.checks.scripted_livekit_room import (
    AGENT,
    KEY,
    SECRET,
    RoomScript,
    livekit_rooms,
    text_packets,
)
from voicebench.checks.timed_agent import TimedAgent
from voicebench.errors import UsageError, VoicebenchError
from voicebench.remote.connection.access import Access
from voicebench.settings import Settings, load_settings

CALLER = "caller"


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVEKIT_API_KEY", KEY)
    monkeypatch.setenv("LIVEKIT_API_SECRET", SECRET)


def settings(**call: object) -> Settings:
    named = {f"call.{name}": value for name, value in call.items()}
    return load_settings(None, {"wire.first_byte_s": 2.0, **named}).settings


def scripted() -> TimedAgent:
    return TimedAgent(AgentScript(wait_s=0.06, reply_s=0, voice_s=0, speech_s=1.0), RATE)


def dial(url: str, **call: object) -> None:
    kind = agent_kind(f"livekit+{url}")
    with closing(kind.open(f"livekit+{url}", settings(**call), lambda _line: None)) as agent:
        agent.open_call(lambda _event: None).hang_up()


def test_a_room_with_an_agent_is_joined() -> None:
    with livekit_rooms(scripted) as url:
        dial(url)


@pytest.mark.parametrize(
    ("script", "named"),
    [
        (RoomScript(has_agent=False), r"has no agent in the room 'voicebench-\w+' within 1 s"),
        (RoomScript(publishes=False), f"the agent '{AGENT}' publishes no sound within 1 s"),
        (RoomScript(starts=False), f"the agent '{AGENT}' is still starting within 1 s"),
        (RoomScript(joins=False), "does not let the caller into a room within 1 s"),
    ],
    ids=["no agent", "no sound", "a slow start", "no answer"],
)
def test_a_room_without_an_agent_to_speak_to_is_named(script: RoomScript, named: str) -> None:
    with livekit_rooms(scripted, script) as url:
        address = f"livekit+{url}"
        patient = load_settings(None, {"wire.first_byte_s": 1.0}).settings
        with (
            closing(agent_kind(address).open(address, patient, lambda _line: None)) as agent,
            pytest.raises(VoicebenchError, match=named) as raised,
        ):
            agent.open_call(lambda _event: None)
    assert str(raised.value).startswith(f"{url}{PATH} ")
    if not script.has_agent:
        assert "call.agent_name" in raised.value.remedy


def test_a_wrong_secret_is_named_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVEKIT_API_SECRET", "not-the-secret-of-it")
    with livekit_rooms(scripted) as url, pytest.raises(VoicebenchError) as raised:
        dial(url)
    said = str(raised.value)
    assert "answers 401 instead of opening a WebSocket: invalid token: " in said
    assert "LIVEKIT_API_SECRET" in raised.value.remedy
    assert "not-the-secret" not in said
    assert "eyJ" not in said  # that server repeats the token


def test_a_room_that_does_not_exist_is_named() -> None:
    with livekit_rooms(scripted) as url, pytest.raises(VoicebenchError, match="answers 404") as no:
        dial(url, room="nowhere")
    assert "requested room does not exist" in str(no.value)


def test_nobody_there_is_named() -> None:
    port = closed_port()
    with pytest.raises(VoicebenchError, match=rf"127\.0\.0\.1:{port}"):
        dial(f"ws://127.0.0.1:{port}")


def test_a_server_of_web_pages_is_named() -> None:
    def talk(peer: Peer) -> None:
        peer.request()
        peer.answer("text/html", b"<html>")

    with (
        serving(talk) as server,
        pytest.raises(VoicebenchError, match="instead of opening a WebSocket"),
    ):
        dial(server.url.replace("http", "ws", 1))


def spoken_to(url: str, *, seconds: float = 3.0) -> list[AgentEvent]:
    """Speak for 200 ms, and return what came until the call failed or ``seconds`` were over."""
    events: list[AgentEvent] = []
    failed = threading.Event()

    def take(event: AgentEvent) -> None:
        events.append(event)
        if isinstance(event, AgentFailed):
            failed.set()

    address = f"livekit+{url}"
    with closing(agent_kind(address).open(address, settings(), lambda _line: None)) as agent:
        call = agent.open_call(take)
        voice = (20_000 * synthetic_voice(RATE // 5, RATE)).astype(np.int16)
        silence = np.zeros((round(seconds * 50) - 10, RATE // 50), dtype=np.int16)
        for frame in [*voice.reshape(-1, RATE // 50), *silence]:
            if failed.is_set():
                break
            call.hear(frame)
            time.sleep(0.02)
        call.hang_up()
        count = len(events)
        call.hang_up()
    time.sleep(0.05)
    assert len(events) == count, "no event comes after the call"
    return events


def reasons(events: list[AgentEvent]) -> list[str]:
    return [event.reason for event in events if isinstance(event, AgentFailed)]


def test_an_agent_that_leaves_in_mid_word_is_named() -> None:
    with livekit_rooms(lambda: LeavingAgent(ANSWERING_AT_ONCE, RATE)) as url:
        events = spoken_to(url)
    assert reasons(events) == [f"{url}{PATH} says that the agent '{AGENT}' left the room"]


def test_being_sent_out_of_the_room_is_named() -> None:
    with livekit_rooms(scripted, RoomScript(sends_out=True)) as url:
        events = spoken_to(url)
    assert reasons(events) == [f"{url}{PATH} sent the caller out of the room (CLIENT_INITIATED)"]


def test_an_answer_to_the_end_is_heard_and_complete() -> None:
    with livekit_rooms(scripted) as url:
        events = spoken_to(url)
    assert reasons(events) == []
    heard = sum(event.pcm.size for event in events if isinstance(event, AgentAudio))
    assert heard >= RATE
    # States and words come over two connections: either may be there first.
    assert events.count(SpeechEndSeen()) == 1
    assert events.count(ReplyComplete()) == 1
    said = "".join(event.text for event in events if isinstance(event, ReplyText))
    assert said == "This is a simulated answer."  # which came twice, as some agents send it


def test_packets_that_the_script_loses_are_not_heard() -> None:
    sent, counting = 60, FrameCountingAgent(AgentScript(), RATE)
    with livekit_rooms(lambda: counting) as url:
        address = f"livekit+{url}"
        with closing(agent_kind(address).open(address, settings(), lambda _line: None)) as agent:
            assert isinstance(agent, SendsPackets)
            agent.packets = PacketWay(loss=0.5, jitter_ms=5.0)
            assert agent.describe()["packet_loss"] == 0.5
            call = agent.open_call(lambda _event: None)
            for _ in range(sent):
                call.hear(np.zeros(RATE // 50, dtype=np.int16))
                time.sleep(0.02)
            call.hang_up()
    assert 0 < counting.heard < 0.8 * sent


def test_the_missing_extra_is_one_line_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "livekit.protocol", None)
    url = "livekit+ws://127.0.0.1:7880"
    with pytest.raises(UsageError) as refused:
        agent_kind(url).check(url, settings())
    assert "agents in rooms of LiveKit: not installed (no module 'livekit.protocol')" in str(
        refused.value
    )
    assert "voicebench-latency[livekit]" in refused.value.remedy


# The token


def claims(token: str) -> dict[str, Any]:
    import base64

    content = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(content + "=="))
    return found


def token_of(**call: object) -> str:
    key = RoomTokens(settings(**call).call).next_access(Access()).key
    assert key is not None
    assert key.value() not in repr(key)
    return key.value()


def test_a_token_is_signed_as_everybody_signs() -> None:
    # The example of jwt.io.
    content = {"sub": "1234567890", "name": "John Doe", "iat": 1516239022}
    assert signed(content, "your-256-bit-secret") == (
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."
        "eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ."
        "SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c"
    )


def test_each_call_has_a_room_and_an_identity_of_its_own() -> None:
    first, second = claims(token_of()), claims(token_of())
    assert first["iss"] == KEY
    assert first["video"]["roomJoin"] is True
    assert first["video"]["room"] != second["video"]["room"]
    assert first["sub"] != second["sub"]
    assert "roomConfig" not in first


def test_the_room_and_the_agent_can_be_named() -> None:
    found = claims(token_of(room="front desk", agent_name="receptionist"))
    assert found["video"]["room"] == "front desk"
    assert found["roomConfig"] == {"agents": [{"agentName": "receptionist"}]}


def test_a_given_token_is_sent_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    grant = {"iss": KEY, "sub": "me", "exp": 4e9, "video": {"roomJoin": True, "room": "mine"}}
    monkeypatch.setenv("ROOM_TOKEN", signed(grant, SECRET))
    monkeypatch.delenv("LIVEKIT_API_SECRET")
    with livekit_rooms(scripted) as url:
        dial(url, key_env="ROOM_TOKEN")


def test_a_given_token_and_another_room_contradict_each_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ROOM_TOKEN", "a.b.c")
    with pytest.raises(UsageError, match=r"call\.room is set"):
        RoomTokens(settings(key_env="ROOM_TOKEN", room="other").call)


@pytest.mark.parametrize("variable", ["LIVEKIT_API_KEY", "LIVEKIT_API_SECRET"])
def test_no_token_and_nothing_to_sign_one_with_is_named(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(variable)
    url = "livekit+ws://127.0.0.1:7880"
    with pytest.raises(UsageError, match="needs a token") as refused:
        agent_kind(url).check(url, settings())
    assert "LIVEKIT_API_KEY" in refused.value.remedy
    assert "--key-env" in refused.value.remedy


def test_a_token_in_the_url_is_refused() -> None:
    url = "livekit+ws://127.0.0.1:7880?access_token=abcdefghij"
    with pytest.raises(UsageError, match="key in its query") as refused:
        agent_kind(url).check(url, settings())
    assert "abcdefghij" not in str(refused.value)


# What is said


def read(words: RoomWords, packets: list[DataPacket]) -> list[AgentEvent]:
    return [event for packet in packets for event in words.take_packet(packet.SerializeToString())]


def packet(speaker: str, text: str, *, final: bool, segment: str = "one") -> DataPacket:
    said = TranscriptionSegment(id=segment, text=text, final=final)
    return DataPacket(
        transcription=Transcription(transcribed_participant_identity=speaker, segments=[said])
    )


def stream(speaker: str, text: str, *, final: bool, name: str = "s1") -> list[DataPacket]:
    header = DataStream.Header(
        stream_id=name,
        topic="lk.transcription",
        attributes={"lk.transcription_final": "true" if final else "false"},
        text_header=DataStream.TextHeader(),
    )
    middle = len(text.encode()) // 2
    pieces = text.encode()[:middle], text.encode()[middle:]
    return [
        DataPacket(participant_identity=speaker, stream_header=header),
        *(
            DataPacket(
                participant_identity=speaker,
                stream_chunk=DataStream.Chunk(stream_id=name, content=piece),
            )
            for piece in pieces
        ),
        DataPacket(participant_identity=speaker, stream_trailer=DataStream.Trailer(stream_id=name)),
    ]


def test_text_streams_show_the_transcript_and_the_reply() -> None:
    words = RoomWords(CALLER)
    said = read(words, stream(CALLER, "hello", final=False))
    said += read(words, stream(CALLER, "hello there", final=True, name="s2"))
    said += read(words, stream("agent", "Gré!", final=True, name="s3"))
    assert said == [
        CallerTranscript("hello", final=False),
        CallerTranscript("hello there"),
        ReplyText("Gr"),  # half of a letter is not shown
        ReplyText("é!"),
    ]


def test_packets_grow_until_they_are_final() -> None:
    words = RoomWords(CALLER)
    texts = [("Good", False), ("Good day", False), ("Good day", True)]
    said = read(words, [packet("agent", text, final=final) for text, final in texts])
    said += read(words, [packet("agent", "Good night", final=True, segment="two")])
    assert said == [ReplyText("Good"), ReplyText(" day"), ReplyText("Good night")]


def test_what_comes_in_both_forms_is_shown_once() -> None:
    words = RoomWords(CALLER)
    said: list[AgentEvent] = []
    for number, (speaker, text) in enumerate(
        [(CALLER, "hello"), ("agent", "Good day."), (CALLER, "bye"), ("agent", "Bye.")]
    ):
        for content in text_packets(number, speaker, [text]):
            said += words.take_packet(content)
    assert said == [
        CallerTranscript("hello"),
        ReplyText("Good day."),
        CallerTranscript("bye"),
        ReplyText("Bye."),
    ]


def test_other_topics_and_streams_without_a_beginning_mean_nothing() -> None:
    words = RoomWords(CALLER)
    chat = stream("agent", "a file", final=True)
    chat[0].stream_header.topic = "lk.chat"
    assert read(words, chat + stream("agent", "x", final=True)[1:]) == []


def test_a_packet_that_cannot_be_read_is_named() -> None:
    with pytest.raises(ValueError, match="data packet that cannot be read"):
        list(RoomWords(CALLER).take_packet(b"\xff\xff\xff"))


@pytest.mark.parametrize(("is_talked_over", "completes"), [(False, True), (True, False)])
def test_an_answer_is_complete_if_the_caller_was_silent(
    *, is_talked_over: bool, completes: bool
) -> None:
    words = RoomWords(CALLER)
    words.caller_is_audible()
    events = [*words.take_state(LISTENING), *words.take_state(THINKING)]
    events += words.take_state(SPEAKING)
    assert events == [SpeechEndSeen()]
    if is_talked_over:
        words.caller_is_audible()
    assert (list(words.take_state(LISTENING)) == [ReplyComplete()]) == completes


# With LiveKit's own client


def test_the_official_client_joins_the_scripted_room_too() -> None:
    """The room is not merely our idea of one: LiveKit's SDK joins it, is heard and hears."""
    rtc = pytest.importorskip("livekit.rtc", reason="needs the package livekit")
    grant = {"iss": KEY, "sub": "sdk", "exp": 4e9, "video": {"roomJoin": True, "room": "r"}}
    heard: list[Any] = []
    said: list[tuple[str, str]] = []
    tasks: set[asyncio.Task[None]] = set()

    async def listen(track: Any) -> None:
        frames = rtc.AudioStream(track, sample_rate=RATE, num_channels=1)
        async for event in frames:
            heard.append(np.frombuffer(event.frame.data, dtype=np.int16).copy())  # noqa: PERF401

    async def read_text(reader: Any, speaker: str) -> None:
        said.append((speaker, await reader.read_all()))

    def begin(work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    async def talk(url: str) -> None:
        room = rtc.Room()
        room.on("track_subscribed", lambda track, *_: begin(listen(track)))
        room.register_text_stream_handler(
            "lk.transcription", lambda reader, speaker: begin(read_text(reader, speaker))
        )
        await room.connect(url, signed(grant, SECRET))
        source = rtc.AudioSource(RATE, 1)
        track = rtc.LocalAudioTrack.create_audio_track("microphone", source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        await room.local_participant.publish_track(track, options)
        voice = (20_000 * synthetic_voice(RATE // 2, RATE)).astype(np.int16)
        for _ in range(5):  # the way may not be open yet when the first line is spoken
            for frame in [*voice.reshape(-1, 480), *np.zeros((250, 480), dtype=np.int16)]:
                await source.capture_frame(rtc.AudioFrame(frame.tobytes(), RATE, 1, 480))
            if said:
                break
        await room.disconnect()
        for task in tuple(tasks):
            task.cancel()

    script = AgentScript(wait_s=0.3, transcript_s=0.02, speech_s=1.0)
    with livekit_rooms(lambda: TimedAgent(script, RATE)) as url:
        asyncio.run(asyncio.wait_for(talk(url), 40))
    assert said == [("sdk", "simulated words"), (AGENT, "This is a simulated answer.")]
    sound = np.concatenate(heard)
    assert int(np.abs(sound).max()) > 3000
    assert np.count_nonzero(np.abs(sound) > 500) > 0.2 * RATE
