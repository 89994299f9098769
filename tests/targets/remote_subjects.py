"""Every remote target with a server on the loopback interface that plays a script's plan."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from functools import partial
from unittest import mock

import numpy as np
from contract import Hidden, Subject, hidden_by
from loopback import Peer, serving
from loopback_h2 import over_http2
from loopback_ws import SocketPeer, socket_script
from planned_engines import PlannedTurns

from voicebench.audio.wav_writer import wav_header
from voicebench.errors import EngineError
from voicebench.events import AudioChunk, TextChunk, TurnStarted
from voicebench.pipeline.protocols import Synthesizer
from voicebench.remote.clients.openai_chat import ChatOptions, OpenAiChat
from voicebench.remote.clients.openai_speech import OpenAiSpeech, SpeechOptions
from voicebench.remote.clients.plain_speech import PlainSpeech, SpeechRoute
from voicebench.remote.clients.socket_dialect import SocketDialect
from voicebench.remote.clients.socket_speech import SocketSpeech
from voicebench.remote.connection.access import Access
from voicebench.remote.sound.sound_format import SoundFormat
from voicebench.targets import Target
from voicebench.targets.cascade import Cascade
from voicebench.targets.realtime import Realtime
from voicebench.targets.script import Script
from voicebench.targets.simulated import SAMPLE_RATE, RealClock, plan_turn
from voicebench.targets.voice_socket import VoiceSocket
from voicebench.targets.whole_turn import RealtimeKind, VoiceKind
from voicebench.text.chunking import Chunker
from voicebench.turn import wire

RAW = SoundFormat(kind="pcm", sample_rate=SAMPLE_RATE)
SOCKET = SocketDialect(chunk=("{text}",), done={"done": True})
SERIAL = SocketDialect(chunk=("{text}",), done={"done": True}, in_order=False)


class Turns(PlannedTurns):
    """The plan of one turn after the other, for servers that get texts without their blanks."""

    def next_speech(self) -> Iterator[AudioChunk]:
        """Yield the audio of the next text chunk, each piece its time after now."""
        chunk = self._speeches[0][0].event
        assert isinstance(chunk, TextChunk)
        return self.speak(chunk.text)


def stored(chunk: AudioChunk) -> bytes:
    return np.rint(chunk.pcm * 32767).astype("<i2").tobytes()


def chat_server(turns: Turns) -> Callable[[Peer], object]:
    def script(peer: Peer) -> None:
        while True:
            prompt = peer.request().json["messages"][-1]["content"]
            peer.head(content_type="text/event-stream", transfer_encoding="chunked")
            send(peer, {"choices": [{"delta": {"role": "assistant", "content": ""}}]})
            try:
                for token in turns.reply(prompt):
                    send(peer, {"choices": [{"delta": {"content": token.text}}]})
            except EngineError as error:
                send(peer, {"error": {"message": error.message}})
            else:
                send(peer, {"choices": [{"delta": {}, "finish_reason": "stop"}]})
                peer.chunk(b"data: [DONE]\n\n")
            peer.chunk(b"")

    return script


def whole_chat_server(turns: Turns) -> Callable[[Peer], object]:
    def script(peer: Peer) -> None:
        while True:
            prompt = peer.request().json["messages"][-1]["content"]
            try:
                text = "".join(token.text for token in turns.reply(prompt))
                answer: object = {"choices": [{"message": {"content": text}}]}
            except EngineError as error:
                answer = {"error": {"message": error.message}}
            peer.answer("application/json", json.dumps(answer).encode())

    return script


def speech_server(turns: Turns, content_type: str) -> Callable[[Peer], object]:
    """Return a server that sends raw samples, one WAV, WAVs, or samples in events."""

    def parts() -> Iterator[bytes]:
        if content_type == "audio/wav":
            yield wav_header(SAMPLE_RATE)
        for chunk in turns.next_speech():
            if content_type == "audio/x-wav":
                yield wav_header(SAMPLE_RATE, chunk.pcm.size) + stored(chunk)
            elif content_type == "text/event-stream":
                delta = base64.b64encode(stored(chunk)).decode()
                event = {"type": "speech.audio.delta", "audio": delta}
                yield f"data: {json.dumps(event)}\n\n".encode()
            else:
                yield stored(chunk)
        if content_type == "text/event-stream":
            yield b'data: {"type": "speech.audio.done"}\n\n'

    def script(peer: Peer) -> None:
        while True:
            peer.request()
            peer.head(content_type=content_type, transfer_encoding="chunked")
            for part in parts():
                peer.chunk(part)
            peer.chunk(b"")

    return script


def speech_socket_server(turns: Turns) -> Callable[[Peer], object]:
    def script(peer: SocketPeer) -> None:
        while True:
            peer.receive()
            for chunk in turns.next_speech():
                peer.send(stored(chunk))
            peer.send({"done": True})

    return socket_script(script)


def voice_server(script: Script) -> Callable[[Peer], object]:
    """Return a server whose turns are played event by event, as our own server sends them."""
    clock, turns = RealClock(), iter(range(1, 1000))

    def serve(peer: SocketPeer) -> None:
        while True:
            started, turn = wire.decode_of_turn(peer.receive())
            assert isinstance(started, TurnStarted)
            start_ns = clock.now_ns()
            number = next(turns)
            fails = script.fail > 0 and number % script.fail == 0
            for step in plan_turn(script, started.prompt, Chunker(), fails=fails)[1:]:
                clock.wait_until(start_ns + step.at_ns)
                peer.send(wire.encode(step.event, turn=turn))

    return socket_script(serve, [wire.SUBPROTOCOL])


def realtime_server(script: Script) -> Callable[[Peer], object]:
    def play(peer: SocketPeer) -> None:
        turns, ids = Turns(script), itertools.count(1)
        peer.send({"type": "session.created"})
        while True:
            message = peer.receive_json()
            if message["type"] == "session.update":
                peer.send({"type": "session.updated", "session": message["session"]})
                continue
            response: dict[str, object] = {"id": f"resp_{next(ids)}"}
            peer.send({"type": "response.created", "response": response})
            prompt = message["response"]["input"][0]["content"][0]["text"]
            try:
                spoken(turns, prompt, partial(send_delta, peer, response["id"]))
            except EngineError as error:
                response |= {"status": "failed", "status_details": {"error": vars(error)}}
            else:
                response["status"] = "completed"
            peer.send(json.dumps({"type": "response.done", "response": response}, default=str))

    def send_delta(peer: SocketPeer, response_id: object, kind: str, delta: str) -> None:
        peer.send({"type": f"response.{kind}.delta", "response_id": response_id, "delta": delta})

    def spoken(turns: Turns, prompt: str, send_delta: Callable[[str, str], None]) -> None:
        for token in turns.reply(prompt):
            send_delta("output_audio_transcript", token.text)
        while turns._speeches:
            for chunk in turns.next_speech():
                send_delta("output_audio", base64.b64encode(stored(chunk)).decode())

    return socket_script(play)


def send(peer: Peer, event: object) -> None:
    peer.chunk(f"data: {json.dumps(event)}\n\n".encode())


# Targets.


def cascade(
    speech_of: Callable[[Turns], Callable[[Peer], object]],
    voice_at: Callable[[str], Synthesizer],
    *,
    whole: bool = False,
    http2: bool = False,
) -> Callable[[Script], AbstractContextManager[Target]]:
    """Return what opens a cascade of a remote language model and a remote voice."""

    @contextmanager
    def open_cascade(script: Script) -> Iterator[Target]:
        turns = Turns(script)
        chat_script = (whole_chat_server if whole else chat_server)(turns)
        speech_script = speech_of(turns)
        if http2:
            chat_script, speech_script = over_http2(chat_script), over_http2(speech_script)
        with serving(chat_script) as chat, serving(speech_script) as speech:
            options, access = ChatOptions(stream=not whole), Access(http2=http2)
            llm = OpenAiChat(f"{chat.url}/v1", "m", options, access)
            voice = voice_at(f"127.0.0.1:{speech.port}")
            with closing(Cascade(llm, voice, first_words=3, later_words=8)) as target:
                yield target

    return open_cascade


def plain(where: str) -> Synthesizer:
    return PlainSpeech(SpeechRoute(f"http://{where}/tts/stream?text={{text}}"), RAW)


def plain_http2(where: str) -> Synthesizer:
    route = SpeechRoute(f"http://{where}/tts/stream?text={{text}}")
    return PlainSpeech(route, RAW, Access(http2=True))


def openai(where: str) -> Synthesizer:
    options = SpeechOptions("pcm", sample_rate=SAMPLE_RATE, stream_format="sse")
    return OpenAiSpeech(f"http://{where}/v1", "m", "v", options)


def any_sound(where: str) -> Synthesizer:
    return PlainSpeech(SpeechRoute(f"http://{where}/", "POST", {"text": "{text}"}))


@contextmanager
def voice_socket(script: Script) -> Iterator[Target]:
    with (
        serving(voice_server(script)) as server,
        closing(VoiceSocket(f"ws://127.0.0.1:{server.port}")) as target,
    ):
        yield target


@contextmanager
def realtime(script: Script) -> Iterator[Target]:
    # The protocol has one rate; the plan has another.
    with (
        mock.patch("voicebench.targets.realtime_text_turn.PCM_RATE", SAMPLE_RATE),
        serving(realtime_server(script)) as server,
        closing(Realtime(f"ws://127.0.0.1:{server.port}")) as target,
    ):
        yield target


PIECES: frozenset[Hidden] = frozenset({"pieces"})
SUBJECTS = (
    Subject("HTTP, raw samples", cascade(lambda t: speech_server(t, "audio/pcm"), plain), PIECES),
    Subject("HTTP, one WAV", cascade(lambda t: speech_server(t, "audio/wav"), any_sound), PIECES),
    Subject("HTTP, WAVs", cascade(lambda t: speech_server(t, "audio/x-wav"), any_sound), PIECES),
    Subject("HTTP, SSE", cascade(lambda t: speech_server(t, "text/event-stream"), openai), PIECES),
    Subject(
        "HTTP/2, raw samples",
        cascade(lambda t: speech_server(t, "audio/pcm"), plain_http2, http2=True),
        PIECES,
    ),
    Subject(
        "HTTP, whole replies",
        cascade(lambda t: speech_server(t, "audio/pcm"), plain, whole=True),
        PIECES | {"tokens"},
    ),
    Subject(
        "speech socket, text as it comes",
        cascade(speech_socket_server, lambda at: SocketSpeech(f"ws://{at}", SOCKET, RAW)),
        frozenset({"waits"}),
    ),
    Subject(
        "speech socket, one text at a time",
        cascade(speech_socket_server, lambda at: SocketSpeech(f"ws://{at}", SERIAL, RAW)),
    ),
    Subject("voice socket", voice_socket, hidden_by(VoiceKind())),
    Subject("realtime", realtime, hidden_by(RealtimeKind()) | {"stages"}),
)
