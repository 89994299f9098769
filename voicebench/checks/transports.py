"""The instrument's own error over a wire: recorded times minus scripted times.

A process serves a simulated target on loopback. The clients that measure real servers take turns
there, and their stamps are compared with the script. The difference is the error of client, wire
and server together, on this machine at this moment.

A piece of sound is compared by its first sample, because a wire may join or split pieces. Of tokens
that arrived together only the first is compared: the times of the others are unknown.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from voicebench.audio.pcm import AudibleRule
from voicebench.checks.selftest import SCRIPT, InstrumentError, summarize_errors
from voicebench.errors import CannotMeasure
from voicebench.events import Emit, Event, TurnFailed, TurnFinished, TurnStarted
from voicebench.machine.extras import require
from voicebench.pipeline.pipeline import speak_turn, write_turn
from voicebench.settings import load_settings
from voicebench.targets.cascade import CHAT
from voicebench.targets.engine_opening import open_remote_llm, open_remote_tts
from voicebench.targets.kinds import open_target
from voicebench.targets.load import Load
from voicebench.targets.reaching import reached
from voicebench.targets.script import Script, script_text
from voicebench.targets.simulated import SAMPLE_RATE, Simulated, VirtualClock, plan_speech
from voicebench.targets.speech_servers import (
    HTTP_EVENTS,
    HTTP_ONE_WAV,
    HTTP_SAMPLES,
    HTTP_WAVS,
    SPEECH_SOCKET,
)
from voicebench.targets.whole_turn import REALTIME, VOICE_SOCKET
from voicebench.turn.recorder import Recorder
from voicebench.turn.timeline import Timeline

START_S = 60.0
"""The longest that the server's process may take until it listens."""
WARMUP_TURNS = 2
PROMPT = "What will the weather be?"
TEXT = "The weather will stay clear and mild today."


@dataclass(frozen=True, slots=True)
class Transport:
    """One way over the wire, by the settings of a client for a server at ``{host}``."""

    name: str
    settings: Mapping[str, object]

    @property
    def speaks(self) -> bool:
        """Whether the server is sent a text to speak, not a question."""
        return "tts.url" in self.settings

    def open(self, host: str) -> tuple[Any, Callable[[Emit], None]]:
        """Connect to ``host``; return the client and what takes one turn with it."""
        values = {
            key: value.replace("{host}", host) if isinstance(value, str) else value
            for key, value in self.settings.items()
        }
        settings = load_settings(None, values).settings
        if self.speaks:
            tts = reached(open_remote_tts(settings))
            return tts, lambda emit: speak_turn(TEXT, emit, tts=tts)
        if settings.llm.url is not None:
            llm = reached(open_remote_llm(settings))
            return llm, lambda emit: write_turn(PROMPT, emit, llm=llm)
        target = open_target(settings, lambda _line: None)
        return target, lambda emit: target.run(PROMPT, emit)


_OPENAI = {
    "tts.url": "http://{host}/v1",
    "tts.format": "pcm",
    "tts.model": "simulated",
    "tts.voice": "default",
}
_PLAIN = {"tts.api": "plain", "tts.url": "http://{host}/tts/stream?format=wav&text={text}"}
_SOCKET = {
    "tts.api": "socket",
    "tts.url": "ws://{host}/tts/socket",
    "tts.format": "pcm",
    "tts.encoding": "s16le",
    "tts.sample_rate": SAMPLE_RATE,
    "tts.socket": {
        "chunk": [{"text": "{text}", "id": "{id}"}],
        "done": {"done": True},
        "own": {"id": "{id}"},
    },
}
_REALTIME = "ws://{host}/v1/realtime?model=simulated"

TRANSPORTS = (
    Transport(CHAT, {"llm.url": "http://{host}/v1", "llm.model": "simulated"}),
    Transport(HTTP_SAMPLES, _OPENAI),
    Transport(HTTP_EVENTS, _OPENAI | {"tts.stream_format": "sse"}),
    Transport(HTTP_WAVS, _PLAIN | {"tts.url": _PLAIN["tts.url"].replace("=wav", "=wav-chunks")}),
    Transport(HTTP_ONE_WAV, _PLAIN),
    Transport(SPEECH_SOCKET, _SOCKET),
    Transport(VOICE_SOCKET, {"run.target": "voice", "server.url": "ws://{host}/v1/voice"}),
    Transport(REALTIME, {"run.target": "realtime", "server.url": _REALTIME}),
)


def measure_transports(
    turns: int, script: Script = SCRIPT, say: Callable[[str], None] = lambda _line: None
) -> list[InstrumentError]:
    """Return the error of each transport over ``turns`` turns.

    Raises `CannotMeasure` if the server does not start or a turn fails.
    """
    say("starting a simulated server")
    with scripted_server(script) as host:
        errors = []
        for transport in TRANSPORTS:
            say(transport.name)
            errors.append(_measure(transport, host, turns, script))
        return errors


@cache
def measure_used(
    names: tuple[str, ...], turns: int, load: Load | None = None
) -> tuple[InstrumentError, ...]:
    """Return the error of the named transports over ``turns`` turns, once in a process.

    ``load`` is at work meanwhile. Raises as `measure_transports`.
    """
    if not names:
        return ()
    used = [transport for transport in TRANSPORTS if transport.name in names]
    with scripted_server(SCRIPT) as host, load.at_work() if load else nullcontext():
        errors = [_measure(transport, host, turns, SCRIPT) for transport in used]
    beside = f", beside {load.name}" if load else ""
    return tuple(replace(error, transport=error.transport + beside) for error in errors)


@contextmanager
def scripted_server(script: Script) -> Iterator[str]:
    """Serve ``script`` in a process of its own; yields its host and port.

    Raises `MissingExtra` where the server is not installed.
    """
    require("serve")
    command = [sys.executable, "-m", "voicebench", "serve", "--target", script_text(script)]
    command += ["--port", "0", "--json", "--quiet"]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield _host_of(process)
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def _host_of(process: subprocess.Popen[str]) -> str:
    """Return host and port of the server, which it prints when it listens."""
    assert process.stdout is not None
    watchdog = threading.Timer(START_S, process.kill)
    watchdog.start()
    try:
        line = process.stdout.readline()
        return str(json.loads(line)["url"]).removeprefix("http://")
    except (ValueError, KeyError):
        raise CannotMeasure(
            "the simulated server did not start", "see what `voicebench serve --target sim:` says"
        ) from None
    finally:
        watchdog.cancel()


def _measure(transport: Transport, host: str, turns: int, script: Script) -> InstrumentError:
    scripted = _scripted(transport, script)
    errors: list[float] = []
    client, take_turn = transport.open(host)
    with closing(client):
        for number in range(WARMUP_TURNS + turns):
            client.prepare()
            recorder = Recorder(watch=_refuse_failure)
            take_turn(recorder.emit)
            recorded = recorder.seal(number + 1, "measured", AudibleRule()).timeline
            if number >= WARMUP_TURNS:
                errors += wire_errors_ms(recorded, scripted)
    return summarize_errors(transport.name, errors)


def _refuse_failure(_at_ns: int, event: Event) -> None:
    if isinstance(event, TurnFailed):
        raise CannotMeasure(f"a scripted turn failed: {event.reason}", "try again")


def _scripted(transport: Transport, script: Script) -> Timeline:
    """Return the timeline that a perfect instrument would record."""
    clock = VirtualClock()
    recorder = Recorder(clock.now_ns)
    if transport.speaks:
        recorder.emit(TurnStarted(TEXT))
        for step in plan_speech(script, [(0, TEXT)]):
            clock.wait_until(step.at_ns)
            recorder.emit(step.event)
        recorder.emit(TurnFinished())
    else:
        Simulated(script, clock).run(PROMPT, recorder.emit)
    return recorder.seal(1, "measured", AudibleRule()).timeline


def wire_errors_ms(recorded: Timeline, scripted: Timeline) -> list[float]:
    """Return recorded minus scripted times, in ms, of tokens, text chunks and audio.

    ``recorded`` has either all tokens or none; the same for text chunks and audio.
    """
    errors: list[int] = []
    before_ns = -1
    if recorded.tokens:
        for ours, theirs in zip(recorded.tokens, scripted.tokens, strict=True):
            if ours.at_ns != before_ns:
                errors.append(ours.at_ns - theirs.at_ns)
            before_ns = ours.at_ns
    if len(recorded.chunks) == len(scripted.chunks) > 0:
        pairs = zip(recorded.chunks, scripted.chunks, strict=True)
        errors += [ours.at_ns - theirs.at_ns for ours, theirs in pairs]
    if recorded.audio:
        errors += _sound_errors_ns(recorded, scripted)
    return [error / 1e6 for error in errors]


def _sound_errors_ns(recorded: Timeline, scripted: Timeline) -> list[int]:
    """Return recorded minus scripted times, in ns, of the first sample of each scripted piece."""
    assert recorded.sound is not None
    ratio = recorded.sound.sample_rate / SAMPLE_RATE
    errors: list[int] = []
    arrivals = iter(recorded.audio)
    arrival, heard, begins = None, 0, 0
    for piece in scripted.audio:
        while heard <= round(begins * ratio):
            arrival = next(arrivals)
            heard += arrival.samples
        assert arrival is not None
        errors.append(arrival.at_ns - piece.at_ns)
        begins += piece.samples
    return errors
