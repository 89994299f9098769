"""A cascade of remote engines: what fails there ends the turn, with its fault and its stage."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from encoded_sound import RATE, pcm16, voiced
from loopback import GIVEN_UP_S, Peer, Script, closed_port, serving

from voicebench.audio.pcm import AudibleRule
from voicebench.pipeline.protocols import Synthesizer
from voicebench.remote import Remote
from voicebench.remote.clients.openai_chat import OpenAiChat
from voicebench.remote.clients.openai_speech import OpenAiSpeech
from voicebench.remote.clients.plain_speech import PlainSpeech, SpeechRoute
from voicebench.remote.clients.socket_dialect import SocketDialect
from voicebench.remote.clients.socket_speech import SocketSpeech
from voicebench.remote.connection.access import Access
from voicebench.remote.connection.timeouts import Timeouts, TurnDeadline
from voicebench.remote.sound.sound_format import SoundFormat
from voicebench.targets import Target
from voicebench.targets.cascade import Cascade
from voicebench.targets.realtime import Realtime
from voicebench.targets.voice_socket import VoiceSocket
from voicebench.turn.recorder import Recorder
from voicebench.turn.timeline import Timeline

REPLY = "It is late, and the shops are closed by now, so please come back tomorrow."
RAW = SoundFormat(sample_rate=RATE)


def sse(content: str, finish: str | None = None) -> bytes:
    choice = {"delta": {"content": content}, "finish_reason": finish}
    return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"


def replies(peer: Peer) -> None:
    while True:
        peer.request()
        peer.answer("text/event-stream", sse(REPLY), sse("", "stop"))


def replies_and_stays(peer: Peer) -> None:
    """Send the reply and never come to its end."""
    peer.request()
    peer.head(content_type="text/event-stream", transfer_encoding="chunked")
    peer.chunk(sse(REPLY))
    peer.wait_for_hangup()


def speaks(peer: Peer) -> None:
    while True:
        peer.request()
        peer.answer("audio/pcm", pcm16(voiced(0.2)))


def drips(peer: Peer) -> None:
    peer.request()
    peer.head(content_type="audio/pcm", transfer_encoding="chunked")
    while True:
        peer.chunk(pcm16(voiced(0.01)))
        time.sleep(0.05)


def breaks(peer: Peer) -> None:
    peer.request()
    peer.answer("text/plain", b"voice crashed", status="500 Internal Server Error")


@contextmanager
def cascade(llm: Script | None, tts: Script, access: Access) -> Iterator[Cascade]:
    with serving(llm or replies) as chat, serving(tts) as speech:
        port = chat.port if llm else closed_port()
        route = SpeechRoute(f"{speech.url}/tts?text={{text}}")
        model = OpenAiChat(f"http://127.0.0.1:{port}/v1", "m", access=access)
        voice = PlainSpeech(route, RAW, access)
        with closing(Cascade(model, voice, first_words=3, later_words=8)) as target:
            yield target


def turn_of(target: Cascade) -> Timeline:
    recorder = Recorder()
    target.run("What time is it?", recorder.emit)
    return recorder.seal(1, "measured", AudibleRule()).timeline


def test_a_turn_over_two_connections_counts_each_once(monkeypatch: pytest.MonkeyPatch) -> None:
    # However late the reply's stream comes to its end, its connection is kept.
    monkeypatch.setattr("voicebench.remote.clients.openai_reply.END_S", 10)
    with cascade(replies, speaks, Access()) as target:
        first, second = turn_of(target), turn_of(target)
    assert first.failure is second.failure is None
    assert len(first.chunks) > 1
    assert [made.reused for made in first.connections] == [False, False]
    assert [made.reused for made in second.connections] == [True, True]


def test_a_model_that_is_down_fails_the_turn_where_it_connects() -> None:
    with cascade(None, speaks, Access()) as target:
        failure = turn_of(target).failure
    assert failure is not None
    assert (failure.fault, failure.stage) == ("refused", "connect")
    assert "/v1/chat/completions cannot be reached" in failure.reason


def test_a_voice_that_breaks_fails_the_turn_in_the_voice() -> None:
    with cascade(replies, breaks, Access()) as target:
        turn = turn_of(target)
    assert turn.failure is not None
    assert (turn.failure.fault, turn.failure.stage) == ("engine", "tts")
    assert turn.reply == REPLY


def test_a_voice_that_breaks_does_not_wait_for_a_model_that_says_nothing_more() -> None:
    with cascade(replies_and_stays, breaks, Access()) as target:
        began = time.monotonic()
        turn = turn_of(target)
        assert time.monotonic() - began < GIVEN_UP_S
    assert turn.failure is not None
    assert turn.failure.stage == "tts"


def test_the_whole_turn_has_one_limit_for_both_engines() -> None:
    # By its clock the turn began so long ago that 2.5 s of it are left.
    deadline = TurnDeadline(60, lambda: time.monotonic() - 57.5)
    with cascade(replies, drips, Access(Timeouts(turn_s=60), deadline=deadline)) as target:
        deadline.start()
        began = time.monotonic()
        failure = turn_of(target).failure
        assert time.monotonic() - began < 20
    assert failure is not None
    assert (failure.fault, failure.stage) == ("timeout", "tts")


def test_every_remote_engine_and_target_can_be_checked_and_prepared() -> None:
    dialect = SocketDialect(chunk=("{text}",), done={"done": True})
    remotes: list[OpenAiChat | Synthesizer | Target] = [
        OpenAiChat("http://host/v1", "m"),
        OpenAiSpeech("http://host/v1", "m", "v"),
        PlainSpeech(SpeechRoute("http://host/?text={text}")),
        SocketSpeech("ws://host", dialect, RAW),
        VoiceSocket("ws://host"),
        Realtime("ws://host"),
    ]
    for remote in remotes:
        remote.close()
        assert isinstance(remote, Remote)
