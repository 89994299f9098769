"""Agents on a real WebSocket that break the protocol: each is named."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import numpy as np
import pytest
from websockets.sync.server import ServerConnection, serve

from voicebench.agents import TakesReadCalls
from voicebench.agents.agent_kinds import agent_kind
from voicebench.agents.pcm_dialect import read_words
from voicebench.audio.synthetic_voice import synthetic_voice
from voicebench.calls.agent_events import AgentAudio, AgentEvent, AgentFailed
from voicebench.calls.call_script import parse_script
from voicebench.calls.conversation import Manners
from voicebench.calls.line_sound import line_sound
from voicebench.calls.running.placing import CallPlan, place_call_in_thread
from voicebench.calls.sealing import seal_call
from voicebench.errors import CannotMeasure, UsageError
from voicebench.settings import load_settings
from voicebench.turn.timeline import Timeline

ONE_LINE = '[[step]]\nsay = "one"\nlimit = "1500ms"\n'
MANNERS = Manners(silence_ms=350, patience_ms=1500, opening_ms=100)


@contextmanager
def served(talk: Callable[[ServerConnection], None]) -> Iterator[str]:
    with serve(talk, "127.0.0.1", 0, compression=None) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}/call"
        server.shutdown()
        thread.join(5)


def called(url: str, steps: str = ONE_LINE, **settings: object) -> list[Timeline]:
    values = {"call.url": url, "call.speak_rate": 16_000}
    values |= {f"call.{name}": value for name, value in settings.items()}
    read = load_settings(None, values).settings
    script = parse_script(steps, "script")
    with closing(agent_kind(url).open(url, read, lambda _line: None)) as agent:
        rate = agent.sample_rate
        sound = line_sound(synthetic_voice(round(0.5 * rate), rate), rate, "line")
        plan = CallPlan(script, [sound] * len(script.steps), MANNERS)
        return list(seal_call(place_call_in_thread(agent, plan, 1), 1, "measured").turns)


def closes(socket: ServerConnection) -> None:
    socket.recv()
    socket.send(synthetic_voice(8000, 16_000).astype("<i2").tobytes())
    socket.close(1011, "out of memory")


def says_nonsense(socket: ServerConnection) -> None:
    socket.recv()
    socket.send("no json")
    for _ in socket:
        pass


def says_another_rate(socket: ServerConnection) -> None:
    socket.recv()
    socket.send('{"type": "start", "sample_rate": 24000}')
    for _ in socket:
        pass


def reports_an_error(socket: ServerConnection) -> None:
    socket.recv()
    socket.send('{"error": "no model is loaded"}')
    for _ in socket:
        pass


def never_reads(socket: ServerConnection) -> None:
    time.sleep(0.2)
    for _ in socket:
        pass


@pytest.mark.parametrize(
    ("talk", "named"),
    [
        (closes, "hung up in mid-turn, with code 1011: out of memory"),
        (says_nonsense, "not a JSON object"),
        (says_another_rate, "24000 Hz, and call.speak_rate is 16000"),
        (reports_an_error, "no model is loaded"),
        (never_reads, "no answer for"),
    ],
    ids=["closes", "nonsense", "another rate", "an error", "says nothing"],
)
def test_an_agent_that_fails_is_named(talk: Callable[[ServerConnection], None], named: str) -> None:
    with served(talk) as url:
        (turn,) = called(url)
    assert turn.failure is not None
    assert named in turn.failure.reason


def test_nobody_there_is_named_before_the_call() -> None:
    with pytest.raises(CannotMeasure, match=r"127\.0\.0\.1:9"):
        called("ws://127.0.0.1:9/call")


@pytest.mark.parametrize(
    ("key", "value"), [("wire.proxy", "http://127.0.0.1:3128"), ("wire.http2", True)]
)
def test_a_setting_that_a_socket_cannot_follow_is_refused(key: str, value: object) -> None:
    settings = load_settings(None, {key: value}).settings
    url = "ws://127.0.0.1:9/call"
    with pytest.raises(UsageError, match=f"neither a proxy nor HTTP/2; take {key} out"):
        agent_kind(url).check(url, settings)


@pytest.mark.parametrize("ready", [{}, {"call.socket": {"ready": {"type": "ready"}}}])
def test_an_agent_that_says_another_rate_is_named_before_any_call(ready: dict[str, object]) -> None:
    def says_its_rate(socket: ServerConnection) -> None:
        socket.send('{"type": "ready", "sample_rate": 16000}')
        socket.recv(timeout=20)

    read = load_settings(None, ready).settings
    with served(says_its_rate) as url, pytest.raises(CannotMeasure) as raised:
        agent_kind(url).reach(url, read)
    assert str(raised.value).endswith(
        "says that its sound has 16000 Hz, and call.speak_rate is 24000; "
        "--set call.speak_rate=16000"
    )


def test_an_agent_that_is_never_ready_is_given_up() -> None:
    settings: dict[str, object] = {"call.socket": {"ready": {"type": "ready"}}}
    settings["wire.first_byte_s"] = 0.3
    read = load_settings(None, settings).settings
    with served(never_reads) as url:
        agent = agent_kind(url).open(url, read, lambda _line: None)
        with closing(agent), pytest.raises(CannotMeasure, match="was not done within"):
            agent.open_call(lambda _event: None)


@pytest.mark.parametrize(
    ("table", "named"),
    [
        ({"clears": {"type": "x"}}, "unknown key 'call.socket.clears'"),
        ({"clear": "x"}, "call.socket.clear = 'x' is not allowed"),
        ({"opening": 3}, "call.socket.opening = 3 is not allowed"),
    ],
)
def test_words_that_cannot_work_are_refused(table: dict[str, object], named: str) -> None:
    with pytest.raises(UsageError, match=named.replace("(", r"\(")):
        read_words(table)


def test_a_call_without_a_thread_says_that_it_is_over_when_the_agent_hangs_up() -> None:
    with served(closes) as url:
        read = load_settings(None, {"call.url": url, "call.speak_rate": 16_000}).settings
        with closing(agent_kind(url).open(url, read, lambda _line: None)) as agent:
            assert isinstance(agent, TakesReadCalls)
            events: list[AgentEvent] = []
            call = agent.open_read_call(events.append)
            names = {thread.name for thread in threading.enumerate()}
            assert "voicebench-agent" not in names
            assert not call.wait(0.0)
            call.hear(np.zeros(agent.sample_rate // 50, dtype=np.int16))
            assert call.wait(5.0)
            while call.read():
                call.wait(5.0)
            call.hang_up()
            assert not call.read()
    heard = sum(event.pcm.size for event in events if isinstance(event, AgentAudio))
    assert heard == 8000
    assert isinstance(events[-1], AgentFailed)
    assert "out of memory" in events[-1].reason
