"""Every target that can be cut off keeps the contract. A new one is a new line in `SUBJECTS`."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from loopback import serving
from loopback_ws import SocketPeer, socket_script
from planned_engines import PlannedTurns
from served_somewhere import server

from voicebench.audio.pcm import AudibleRule
from voicebench.events import (
    AudioChunk,
    CancelHow,
    Event,
    TurnFailed,
    TurnFinished,
    TurnInterrupted,
    TurnStarted,
    TurnStopped,
)
from voicebench.figures.metrics import compute
from voicebench.pipeline.scheduling import FreeForAll, TurnTaking
from voicebench.remote import Remote
from voicebench.remote.clients.openai_chat import OpenAiChat
from voicebench.remote.clients.openai_speech import OpenAiSpeech, SpeechOptions
from voicebench.remote.clients.socket_dialect import SocketDialect
from voicebench.remote.clients.socket_speech import SocketSpeech
from voicebench.remote.sound.sound_format import SoundFormat
from voicebench.targets import Cancellable, Target
from voicebench.targets.cancelling import RunningReply
from voicebench.targets.cascade import Cascade
from voicebench.targets.realtime import Realtime, RealtimeOptions
from voicebench.targets.script import Script, parse_script
from voicebench.targets.simulated import Simulated, VirtualClock
from voicebench.targets.voice_socket import VoiceSocket
from voicebench.turn import wire
from voicebench.turn.recorder import Recorder
from voicebench.turn.timeline import Timeline

# 4.8 s of sound as fast as it is heard: a turn that is not cut off takes five seconds.
SPEAKS_LONG = "sim:ttft=5ms,token=1ms,ttfb=5ms,speed=1x,words=16"
SCRIPT = parse_script(SPEAKS_LONG)
AFTER_S = 0.15
PATIENCE_S = 20.0


@dataclass(frozen=True)
class Subject:
    """A target that can be cut off, and how it is told."""

    name: str
    open: Callable[[], AbstractContextManager[Target]]
    how: CancelHow = "asked"

    def __str__(self) -> str:
        return self.name


@contextmanager
def simulated() -> Iterator[Target]:
    with closing(Simulated(SCRIPT)) as target:
        yield target


def cascade(new_schedule: Callable[[], FreeForAll]) -> AbstractContextManager[Target]:
    engines = PlannedTurns(SCRIPT)
    return closing(
        Cascade(engines, engines, first_words=3, later_words=8, new_schedule=new_schedule)
    )


@contextmanager
def http() -> Iterator[Target]:
    with server(SPEAKS_LONG) as url:
        voice = OpenAiSpeech(
            f"{url}/v1", "simulated", options=SpeechOptions("pcm", sample_rate=16_000)
        )
        cascade = Cascade(OpenAiChat(f"{url}/v1", "simulated"), voice, first_words=3, later_words=8)
        with closing(cascade) as target:
            yield target


@contextmanager
def speech_socket() -> Iterator[Target]:
    with server(SPEAKS_LONG) as url:
        dialect = SocketDialect(chunk=({"text": "{text}"},), done={"done": True})
        sound = SoundFormat(kind="pcm", sample_rate=16_000)
        voice = SocketSpeech(url.replace("http", "ws") + "/tts/socket", dialect, sound)
        cascade = Cascade(OpenAiChat(f"{url}/v1", "simulated"), voice, first_words=3, later_words=8)
        with closing(cascade) as target:
            yield target


@contextmanager
def voice_socket() -> Iterator[Target]:
    with server(SPEAKS_LONG) as url, closing(VoiceSocket(_ws(url, "/v1/voice"))) as target:
        yield target


@contextmanager
def realtime(*, out_of_band: bool) -> Iterator[Target]:
    options = RealtimeOptions(out_of_band=out_of_band)
    with (
        server(SPEAKS_LONG) as url,
        closing(Realtime(_ws(url, "/v1/realtime?model=m"), options)) as target,
    ):
        yield target


def _ws(url: str, path: str) -> str:
    return url.replace("http", "ws", 1) + path


SUBJECTS = (
    Subject("simulated", simulated),
    Subject("cascade, engines apart", lambda: cascade(FreeForAll)),
    Subject("cascade, engines on one device", lambda: cascade(TurnTaking)),
    Subject("HTTP", http, "hung up"),
    Subject("speech socket", speech_socket, "hung up"),
    Subject("voice socket", voice_socket),
    Subject("realtime", lambda: realtime(out_of_band=True)),
    Subject("realtime, in a conversation", lambda: realtime(out_of_band=False)),
)


class Interrupter:
    """Takes a turn, and cuts it off some time after its first audio."""

    def __init__(self, target: Target, after_s: float = AFTER_S) -> None:
        self.recorder = Recorder()
        self.events: list[Event] = []
        self._target = target
        self._after_s = after_s
        self._timer: threading.Timer | None = None

    def turn(self) -> Timeline:
        self._target.run("What will the weather be?", self._emit)
        assert self._timer is not None, self.events[-1]
        self._timer.join(PATIENCE_S)
        return self.recorder.seal(1, "load", AudibleRule()).timeline

    def _emit(self, event: Event) -> None:
        self.recorder.emit(event)
        self.events.append(event)
        if isinstance(event, AudioChunk) and self._timer is None:
            assert isinstance(self._target, Cancellable)
            self._timer = threading.Timer(self._after_s, self._target.cancel, (self._after_s,))
            self._timer.start()


def prepare(target: Target) -> None:
    if isinstance(target, Remote):
        target.prepare()


@pytest.mark.parametrize("subject", SUBJECTS, ids=str)
def test_a_turn_that_is_cut_off_ends_and_so_does_the_next(subject: Subject) -> None:
    with subject.open() as target:
        assert isinstance(target, Cancellable)
        target.cancel()  # no turn is under way
        for _ in range(2):
            prepare(target)
            taken = Interrupter(target)
            turn = taken.turn()
            assert turn.failure is None
            assert turn.cut is not None
            assert turn.cut.how == subject.how
            assert not turn.is_whole
            first_ns = turn.audio[0].at_ns
            assert turn.cut.at_ns - first_ns >= AFTER_S * 1e9
            assert sum(isinstance(event, TurnInterrupted) for event in taken.events) == 1
            assert isinstance(taken.events[-1], TurnFinished)
            # Far from the end of its 4.8 s, with much room for a busy machine.
            assert turn.end_ns < 4e9
            figures = compute(turn)
            assert (figures["stop_ms"] is not None) == (subject.how == "asked")
            assert (turn.cut.stopped_ns is not None) == (subject.how == "asked")
            assert figures["wasted_audio_s"] is not None
            assert figures["turn_ms"] is None


def test_nothing_happens_to_a_turn_that_is_over() -> None:
    short = Script(ttft_s=0.005, token_s=0.001, ttfb_s=0.005, speed_x=500.0, words=4)
    with closing(Simulated(short)) as target:
        recorder = Recorder()
        target.run("Hello", recorder.emit)
        target.cancel()
        turn = recorder.seal(1, "load", AudibleRule()).timeline
        assert turn.cut is None
        assert turn.is_whole


# On the virtual clock the cut is exact.


@pytest.mark.parametrize(("stop", "last_ms"), [("0ms", 0), ("250ms", 200)])
def test_a_simulated_turn_stops_as_its_script_says(stop: str, last_ms: float) -> None:
    script = parse_script(f"sim:ttft=10ms,token=0ms,ttfb=20ms,speed=1x,words=3,stop={stop}")
    target = Simulated(script, VirtualClock())
    recorder, pieces = Recorder(target.clock.now_ns), 0

    def emit(event: Event) -> None:
        nonlocal pieces
        recorder.emit(event)
        pieces += isinstance(event, AudioChunk)
        if isinstance(event, AudioChunk) and pieces == 3:
            target.cancel()

    target.run("Hello", emit)
    turn = recorder.seal(1, "load", AudibleRule()).timeline
    assert turn.cut is not None
    assert turn.cut.at_ns == turn.audio[2].at_ns
    assert compute(turn)["stop_ms"] == last_ms
    assert turn.audio[-1].at_ns == turn.cut.at_ns + last_ms * 1e6


def test_an_in_process_pipeline_stops_within_one_step() -> None:
    """The step that runs when the listener interrupts may bring sound; no further step begins."""
    steps = 0
    target: Cascade

    class Engines(PlannedTurns):
        def speak(self, text: str) -> Iterator[AudioChunk]:
            nonlocal steps
            for chunk in super().speak(text):
                steps += 1
                yield chunk

    engines = Engines(parse_script("sim:ttft=1ms,token=1ms,ttfb=1ms,speed=100x,words=16"))
    target = Cascade(engines, engines, first_words=3, later_words=8, new_schedule=TurnTaking)
    events: list[Event] = []

    def emit(event: Event) -> None:
        events.append(event)
        if isinstance(event, AudioChunk) and steps == 2:
            target.cancel()

    target.run("Hello", emit)
    assert 2 <= steps <= 3
    after = events[events.index(TurnInterrupted()) :]
    assert sum(isinstance(event, AudioChunk) for event in after) <= 1
    assert after[-2:] == [TurnStopped(), TurnFinished()]


# What a server may do instead of stopping.


def interrupted_voice(play: Callable[[SocketPeer, int | None], None]) -> Timeline:
    """Return a turn of a server that sends first sound, reads the interruption, and plays on."""

    def serve(peer: SocketPeer) -> None:
        started, number = wire.decode_of_turn(peer.receive())
        assert isinstance(started, TurnStarted)
        peer.send(wire.encode(voiced(), turn=number))
        assert wire.decode_of_turn(peer.receive()) == (TurnInterrupted(), number)
        play(peer, number)

    with (
        serving(socket_script(serve, [wire.SUBPROTOCOL])) as there,
        closing(VoiceSocket(f"ws://127.0.0.1:{there.port}")) as target,
    ):
        return Interrupter(target, 0.05).turn()


def voiced() -> AudioChunk:
    engines = PlannedTurns(parse_script("sim:ttft=0ms,token=0ms,ttfb=0ms,speed=1000x,words=3"))
    words = "".join(token.text for token in engines.reply("x"))
    return next(engines.speak(words))


def test_a_reply_that_ends_by_itself_has_stopped() -> None:
    def play(peer: SocketPeer, number: int | None) -> None:
        peer.send(wire.encode(voiced(), turn=number))
        peer.send(wire.encode(TurnFinished(), turn=number))

    turn = interrupted_voice(play)
    assert turn.failure is None
    assert turn.cut is not None
    assert turn.cut.stopped_ns is not None
    assert turn.is_whole is False
    stop_ms = compute(turn)["stop_ms"]
    assert stop_ms is not None
    assert stop_ms > 0


def test_a_server_that_hangs_up_because_of_it_has_failed() -> None:
    turn = interrupted_voice(lambda peer, _number: peer.close(1011, "broken"))
    assert turn.failure is not None
    assert compute(turn)["stop_ms"] is None


def test_a_server_that_cannot_be_interrupted_says_so() -> None:
    failed = TurnFailed("a message in the middle of a turn", "protocol", "turn")
    turn = interrupted_voice(lambda peer, number: peer.send(wire.encode(failed, turn=number)))
    assert turn.failure is not None
    assert "in the middle of a turn" in turn.failure.reason


def test_a_server_that_never_says_that_it_stopped_has_no_stop_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("voicebench.targets.remote_turn.STOP_S", 0.2)
    over = threading.Event()

    def play(peer: SocketPeer, number: int | None) -> None:
        for _ in range(100):
            peer.send(wire.encode(voiced(), turn=number))
            if over.wait(0.02):
                return

    turn = interrupted_voice(play)
    over.set()
    assert turn.failure is None
    assert turn.cut is not None
    assert turn.cut.stopped_ns is None
    figures = compute(turn)
    assert figures["stop_ms"] is None
    assert figures["wasted_audio_s"] is not None
    assert not turn.is_whole


# The messages of the Realtime protocol.


@pytest.mark.parametrize("out_of_band", [True, False])
def test_a_response_is_cancelled_and_cut_to_what_was_heard(*, out_of_band: bool) -> None:
    received: list[dict[str, Any]] = []
    sound = base64.b64encode(np.zeros(4800, dtype="<i2").tobytes()).decode()  # 0.2 s

    def serve(peer: SocketPeer) -> None:
        peer.send({"type": "session.created"})
        peer.send({"type": "session.updated", "session": peer.receive_json()["session"]})
        while peer.receive_json()["type"] != "response.create":
            pass
        peer.send({"type": "response.created", "response": {"id": "r1"}})
        place = {"response_id": "r1", "item_id": "i1"}
        peer.send({"type": "response.output_audio.delta", "delta": sound, **place})
        received.append(peer.receive_json())
        if not out_of_band:
            received.append(peer.receive_json())
        # It was over when it was cancelled, says the server, and it ends it as cancelled.
        peer.send({"type": "error", "error": {"code": "response_cancel_not_active"}})
        peer.send({"type": "response.done", "response": {"id": "r1", "status": "cancelled"}})

    with (
        serving(socket_script(serve)) as there,
        closing(
            Realtime(f"ws://127.0.0.1:{there.port}", RealtimeOptions(out_of_band=out_of_band))
        ) as target,
    ):
        turn = Interrupter(target, 0.05).turn()
    assert turn.failure is None  # it is silent so far, and that is no failure
    assert turn.cut is not None
    assert turn.cut.stopped_ns is not None
    assert received[0] == {"type": "response.cancel", "response_id": "r1"}
    truncate = {"item_id": "i1", "content_index": 0, "audio_end_ms": 50}
    rest = [] if out_of_band else [{"type": "conversation.item.truncate", **truncate}]
    assert received[1:] == rest


def test_a_response_that_nobody_cancelled_may_not_end_as_cancelled() -> None:
    def serve(peer: SocketPeer) -> None:
        peer.send({"type": "session.created"})
        peer.send({"type": "session.updated", "session": peer.receive_json()["session"]})
        peer.receive_json()
        peer.send({"type": "response.created", "response": {"id": "r1"}})
        peer.send({"type": "response.done", "response": {"id": "r1", "status": "cancelled"}})

    with (
        serving(socket_script(serve)) as there,
        closing(Realtime(f"ws://127.0.0.1:{there.port}")) as target,
    ):
        recorder = Recorder()
        target.run("Hello", recorder.emit)
    turn = recorder.seal(1, "load", AudibleRule()).timeline
    assert turn.failure is not None
    assert "ended the response as cancelled" in turn.failure.reason


# The events of an interrupted turn.


def recorded(work: Callable[[RunningReply], None]) -> list[Event]:
    events: list[Event] = []
    work(RunningReply(events.append))
    return events


def test_nothing_follows_the_end_of_a_turn() -> None:
    def work(reply: RunningReply) -> None:
        reply.emit(TurnFinished())
        reply.emit(TurnStopped())
        assert not reply.interrupt("asked")
        reply.end_unconfirmed()

    assert recorded(work) == [TurnFinished()]


def test_a_turn_is_asked_to_stop_once() -> None:
    asked: list[str] = []

    def work(reply: RunningReply) -> None:
        assert reply.interrupt("asked", lambda: asked.append("once"))
        assert not reply.interrupt("asked", lambda: asked.append("twice"))
        reply.emit(TurnFinished())

    assert recorded(work) == [TurnInterrupted(), TurnStopped(), TurnFinished()]
    assert asked == ["once"]


def test_who_hangs_up_learns_nothing() -> None:
    def work(reply: RunningReply) -> None:
        reply.interrupt("hung up")
        reply.emit(TurnFinished())

    assert recorded(work) == [TurnInterrupted("hung up"), TurnFinished()]
