"""The first byte over a WebSocket is the first piece of a message of sound, not all of it."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from encoded_sound import RATE, pcm16, voiced
from loopback import serving
from loopback_ws import SocketPeer, socket_script

from voicebench.audio.pcm import AudibleRule
from voicebench.events import AudioChunk, Emit, FirstByte, TextChunk, Token, TurnFinished
from voicebench.figures.metrics import compute
from voicebench.pipeline.pipeline import speak_turn
from voicebench.remote.clients.socket_dialect import SocketDialect
from voicebench.remote.clients.socket_speech import SocketSpeech
from voicebench.remote.sound.sound_format import SoundFormat
from voicebench.targets.realtime import Realtime
from voicebench.targets.voice_socket import VoiceSocket
from voicebench.turn import wire
from voicebench.turn.recorder import Recorder

SOUND = voiced(1.0)
BODY = pcm16(SOUND)
PAUSE_S = 0.3
"""Between the two pieces of a message."""

Turn = Callable[[Emit], None]


def in_pieces(peer: SocketPeer, message: str | bytes | dict[str, object]) -> None:
    """Send a message in two pieces, the first of them only a little more than its head."""
    if isinstance(message, bytes):
        peer.protocol.send_binary(message)
    else:
        text = message if isinstance(message, str) else json.dumps(message)
        peer.protocol.send_text(text.encode())
    data = b"".join(peer.protocol.data_to_send())
    peer.peer.send(data[:40])
    time.sleep(PAUSE_S)
    peer.peer.send(data[40:])


@contextmanager
def voice_turn() -> Iterator[Turn]:
    def script(peer: SocketPeer) -> None:
        _, turn = wire.decode_of_turn(peer.receive())
        in_pieces(peer, wire.encode(Token("Yes. " * 20), turn=turn))
        peer.send(wire.encode(TextChunk("Yes."), turn=turn))
        in_pieces(peer, wire.encode(AudioChunk(SOUND, RATE), turn=turn))
        peer.send(wire.encode(TurnFinished(), turn=turn))

    with serving(socket_script(script, [wire.SUBPROTOCOL])) as server:
        target = VoiceSocket(f"ws://127.0.0.1:{server.port}")
        target.check()
        yield lambda emit: target.run("x", emit)
        target.close()


@contextmanager
def realtime_turn() -> Iterator[Turn]:
    def script(peer: SocketPeer) -> None:
        peer.send({"type": "session.created"})
        peer.receive()
        peer.send({"type": "session.updated"})
        peer.receive()
        peer.send({"type": "response.created", "response": {"id": "r1"}})
        text = "response.output_audio_transcript.delta"
        in_pieces(peer, {"delta": "Yes. " * 20, "response_id": "r1", "type": text})
        delta = base64.b64encode(BODY).decode()
        # What it is comes last, as a server may write it.
        kind = "response.output_audio.delta"
        in_pieces(peer, {"delta": delta, "response_id": "r1", "type": kind})
        peer.send({"type": "response.done", "response": {"id": "r1", "status": "completed"}})

    with serving(socket_script(script)) as server:
        target = Realtime(f"ws://127.0.0.1:{server.port}")
        target.check()
        yield lambda emit: target.run("x", emit)
        target.close()


@contextmanager
def speech_turn(*, in_base64: bool) -> Iterator[Turn]:
    def script(peer: SocketPeer) -> None:
        peer.receive()
        in_pieces(peer, {"note": "x" * 100})
        in_pieces(peer, {"audio": base64.b64encode(BODY).decode()} if in_base64 else BODY)
        peer.send({"done": True})

    dialect = SocketDialect(
        chunk=("{text}",), done={"done": True}, sound=("audio",) if in_base64 else ()
    )
    with serving(socket_script(script)) as server:
        sound = SoundFormat("pcm", "s16le", RATE)
        speech = SocketSpeech(f"ws://127.0.0.1:{server.port}", dialect, sound)
        speech.check()
        yield lambda emit: speak_turn("Good evening.", emit, tts=speech)
        speech.close()


@pytest.mark.parametrize(
    "opened",
    [
        voice_turn,
        realtime_turn,
        lambda: speech_turn(in_base64=True),
        lambda: speech_turn(in_base64=False),
    ],
    ids=["voice", "realtime", "speech in base64", "speech"],
)
def test_the_first_byte_is_that_of_the_first_message_of_sound(
    opened: Callable[[], AbstractContextManager[Turn]],
) -> None:
    recorder = Recorder()
    with opened() as take_turn:
        take_turn(recorder.emit)
    timeline = recorder.seal(1, "measured", AudibleRule()).timeline
    assert timeline.failure is None
    figures = compute(timeline)
    first_byte, first_audio = figures["first_byte_ms"], figures["first_audio_ms"]
    assert first_byte is not None
    assert first_audio is not None
    # Another message came before it, in pieces too.
    assert first_byte >= 1000 * PAUSE_S
    # The first piece may be read late, on a busy machine.
    assert first_audio - first_byte >= 1000 * PAUSE_S / 3


def test_a_message_that_comes_whole_has_its_first_byte_with_its_sound() -> None:
    def script(peer: SocketPeer) -> None:
        _, turn = wire.decode_of_turn(peer.receive())
        peer.send(wire.encode(AudioChunk(SOUND, RATE), turn=turn))
        peer.send(wire.encode(TurnFinished(), turn=turn))

    events = []
    with serving(socket_script(script, [wire.SUBPROTOCOL])) as server:
        target = VoiceSocket(f"ws://127.0.0.1:{server.port}")
        target.run("x", lambda event: events.append(type(event)))
        target.close()
    assert events.count(FirstByte) == 1
    assert events.index(FirstByte) < events.index(AudioChunk)
