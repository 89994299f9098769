"""Servers on the loopback interface that play a broken turn, then good ones, in their protocols."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import hostile
import numpy as np
from contract import QUICK, plan, planned_pcm
from hostile import (
    GOOD_REPLY,
    GOOD_SPEECH,
    Break,
    Broken,
    Chatter,
    Close,
    Count,
    End,
    EndOfNothing,
    Fail,
    FalseEnd,
    Filtered,
    OnlyDone,
    Page,
    Say,
    SayAndEnd,
    Silence,
    Sound,
    Stall,
    Step,
    Wait,
)
from loopback import Peer
from loopback_ws import SocketPeer, socket_script

from voicebench.audio.wav_writer import wav_header
from voicebench.events import AudioChunk, Event, Token, TurnFinished, Usage
from voicebench.targets.simulated import SAMPLE_RATE
from voicebench.turn import wire

SPEECH = planned_pcm(plan(QUICK))[: hostile.SOUND_SAMPLES]
SOUND: bytes = np.rint(SPEECH * 32767).astype("<i2").tobytes()
SILENCE = bytes(len(SOUND))
PAGE = b"<html><title>Welcome</title></html>"


class Hung(Exception):
    """The script's connection is over."""


@dataclass
class Turns:
    """A broken turn, then good ones."""

    broken: Broken
    taken: int = field(default=0)

    def reply(self) -> tuple[Step, ...]:
        """Begin the next turn and return the steps of its reply."""
        self.taken += 1
        return self.broken.reply if self.taken == 1 else GOOD_REPLY

    def speech(self) -> tuple[Step, ...]:
        """Return the steps of the present turn's speech."""
        return self.broken.speech if self.taken == 1 else GOOD_SPEECH


def sse(event: object) -> bytes:
    return f"data: {json.dumps(event)}\n\n".encode()


def chunk(text: str | None, reason: str | None = None) -> bytes:
    delta = {} if text is None else {"content": text}
    return sse({"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})


DONE = b"data: [DONE]\n\n"


def failure(step: Fail) -> dict[str, object]:
    """Return an error as servers of their own design report it."""
    if step.within:
        return {"id": "x7", "data": {"error": {"message": step.said}}}
    return {"object": "error", "message": step.said}


def chat_event(step: Step) -> bytes:
    """Return what a stream of chat completions has for ``step``."""
    match step:
        case Say(text):
            return chunk(text)
        case SayAndEnd(text):
            return chunk(text, "stop")
        case End() | FalseEnd() | EndOfNothing():
            return chunk(None, "stop") + DONE
        case OnlyDone():
            return DONE
        case Filtered():
            return chunk(None, "content_filter") + DONE
        case Fail():
            return sse(failure(step))
        case Chatter():
            return sse({"type": "ping"})
        case Count(tokens):
            return sse({"choices": [], "usage": {"completion_tokens": tokens}})
    return b""


def speech_event(step: Step) -> bytes:
    """Return what a stream of speech events has for ``step``."""
    match step:
        case Sound() | Silence():
            sound = base64.b64encode(SOUND if isinstance(step, Sound) else SILENCE).decode()
            return sse({"type": "speech.audio.delta", "audio": sound})
        case End() | FalseEnd():
            return sse({"type": "speech.audio.done"})
        case Fail(said, within):
            shallow = {"type": "speech.audio.error", "message": said}
            return sse(failure(step) if within else shallow)
        case Chatter():
            return sse({"type": "ping"})
    return b""


def raw_sound(step: Step) -> bytes:
    """Return what a body of raw samples has for ``step``."""
    if isinstance(step, Sound):
        return SOUND
    return SILENCE if isinstance(step, Silence) else b""


def stream(
    peer: Peer, content_type: str, steps: tuple[Step, ...], of: Callable[[Step], bytes]
) -> None:
    """Answer a request with a chunked body, piece by piece. Raises `Hung` where it was broken."""
    if isinstance(steps[0], Page):
        peer.answer("text/html", PAGE)
        return
    peer.head(content_type=content_type, transfer_encoding="chunked")
    if content_type == "audio/wav":
        peer.chunk(wav_header(SAMPLE_RATE))
    for step in steps:
        match step:
            case Wait(seconds):
                time.sleep(seconds)
            case Stall():
                peer.wait_for_hangup()
                raise Hung
            case Break():
                peer.chunk((of(Say()) or of(Sound()))[:9])
                raise Hung
        data = of(step)
        if data:
            peer.chunk(data)
    peer.chunk(b"")


def until_hung(serve: Callable[[Peer], object]) -> Callable[[Peer], object]:
    """Return the script that serves one request after the other, until one is broken."""

    def script(peer: Peer) -> None:
        try:
            while True:
                serve(peer)
        except Hung:
            return

    return script


def chat_server(turns: Turns) -> Callable[[Peer], object]:
    def serve(peer: Peer) -> None:
        peer.request()
        stream(peer, "text/event-stream", turns.reply(), chat_event)

    return until_hung(serve)


def whole_chat_server(turns: Turns) -> Callable[[Peer], object]:
    def serve(peer: Peer) -> None:
        peer.request()
        steps = turns.reply()
        if isinstance(steps[0], Page):
            peer.answer("text/html", PAGE)
            return
        text = "".join(step.text for step in steps if isinstance(step, Say))
        reason = "content_filter" if Filtered() in steps else "stop"
        answer: object = {"choices": [{"message": {"content": text}, "finish_reason": reason}]}
        for step in steps:
            if isinstance(step, Fail):
                answer = failure(step)
        body = json.dumps(answer).encode()
        peer.head(content_type="application/json", content_length=str(len(body)))
        if Break() in steps or Stall() in steps:
            peer.send(body[:9])
            if Stall() in steps:
                peer.wait_for_hangup()
            raise Hung
        peer.send(body)

    return until_hung(serve)


def speech_server(content_type: str) -> Callable[[Turns], Callable[[Peer], object]]:
    events = speech_event if content_type == "text/event-stream" else raw_sound

    def server(turns: Turns) -> Callable[[Peer], object]:
        def serve(peer: Peer) -> None:
            peer.request()
            stream(peer, content_type, turns.speech(), events)

        return until_hung(serve)

    return server


def play_on_socket(
    peer: SocketPeer, steps: tuple[Step, ...], of: Callable[[Step], list[str | bytes]]
) -> None:
    """Send what each step is. Raises `Hung` where the connection was broken."""
    for step in steps:
        match step:
            case Wait(seconds):
                time.sleep(seconds)
            case Stall():
                peer.peer.wait_for_hangup()
                raise Hung
            case Break():
                peer.peer.send(b"\x82\x7e\xff\xff" + SOUND[:9])
                raise Hung
            case Close():
                peer.close()
                raise Hung
        for message in of(step):
            peer.send(message)


def speech_socket_server(turns: Turns) -> Callable[[Peer], object]:
    def of(step: Step) -> list[str | bytes]:
        match step:
            case Sound() | Silence():
                return [raw_sound(step)]
            case End():
                return [json.dumps({"done": True})]
            case Fail():
                return [json.dumps(failure(step))]
        return []

    def script(peer: SocketPeer) -> None:
        while True:
            peer.receive()
            play_on_socket(peer, turns.speech(), of)

    return hung_socket(script)


def hung_socket(
    script: Callable[[SocketPeer], object], subprotocols: list[str] | None = None
) -> Callable[[Peer], object]:
    play = socket_script(script, subprotocols)

    def quiet(peer: Peer) -> None:
        try:
            play(peer)
        except Hung:
            return

    return quiet


def voice_server(turns: Turns) -> Callable[[Peer], object]:
    def events_of(step: Step) -> list[Event]:
        match step:
            case Say(text):
                return [Token(text)]
            case Sound():
                return [AudioChunk(SPEECH, SAMPLE_RATE)]
            case Silence():
                return [AudioChunk(np.zeros_like(SPEECH), SAMPLE_RATE)]
            case Count(tokens):
                return [Usage(tokens)]
        return []

    def script(peer: SocketPeer) -> None:
        while True:
            _, number = wire.decode_of_turn(peer.receive())

            def of(step: Step, number: int | None = number) -> list[str | bytes]:
                if isinstance(step, Fail):
                    shallow = {"type": "error", "message": step.said}
                    return [json.dumps(failure(step) if step.within else shallow)]
                return [wire.encode(event, turn=number) for event in events_of(step)]

            play_on_socket(peer, turns.reply(), of)
            play_on_socket(peer, turns.speech(), of)
            peer.send(wire.encode(TurnFinished(), turn=number))

    return hung_socket(script, [wire.SUBPROTOCOL])


def realtime_server(turns: Turns) -> Callable[[Peer], object]:
    def script(peer: SocketPeer) -> None:
        peer.send({"type": "session.created"})
        while True:
            message = peer.receive_json()
            if message["type"] == "session.update":
                peer.send({"type": "session.updated", "session": message["session"]})
            else:
                answer(peer, f"resp_{turns.taken}")

    def answer(peer: SocketPeer, number: str) -> None:
        response: dict[str, object] = {"id": number, "status": "completed"}

        def said(kind: str, **more: object) -> list[str | bytes]:
            return [json.dumps({"type": f"response.{kind}", "response_id": number, **more})]

        def of(step: Step) -> list[str | bytes]:
            match step:
                case Say(text):
                    return said("output_audio_transcript.delta", delta=text)
                case SayAndEnd(text):
                    ended = said("output_audio_transcript.done", transcript=text)
                    return said("output_audio_transcript.delta", delta=text) + ended
                case End() | FalseEnd():
                    return said("output_audio_transcript.done")
                case Sound() | Silence():
                    sound = base64.b64encode(raw_sound(step)).decode()
                    return said("output_audio.delta", delta=sound)
                case Fail(words, within):
                    shallow = said("error", message=words)
                    return said("progress", **failure(step)) if within else shallow
                case Filtered():
                    details = {"status_details": {"reason": "content_filter"}}
                    response.update(status="incomplete", **details)
                case Count(tokens):
                    counts = {"output_token_details": {"text_tokens": tokens}}
                    response.update(usage=counts)
            return []

        peer.send({"type": "response.created", "response": {"id": number}})
        play_on_socket(peer, turns.reply(), of)
        play_on_socket(peer, turns.speech(), of)
        peer.send({"type": "response.done", "response": response})

    return hung_socket(script)
