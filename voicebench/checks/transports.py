"""The instrument's own error over a wire: what real clients recorded minus what was scripted.

A simulated target is served on loopback, by a process of its own, and the very clients that measure
other people's servers take turns there. What they stamp is compared with the script: what is left
is the error of client, wire and server together, on this machine, at this moment.

A piece of sound is compared by its first sample, for a wire may join or split pieces. Tokens that
came joined are left out: when each of them came, nobody knows.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, fields, replace
from functools import cache, partial
from typing import Protocol

from voicebench.audio.pcm import AudibleRule
from voicebench.checks.selftest import SCRIPT, InstrumentError, summarize_errors
from voicebench.errors import CannotMeasure
from voicebench.events import Emit, Event, TurnFailed, TurnFinished, TurnStarted
from voicebench.pipeline.pipeline import speak_turn, write_turn
from voicebench.targets.load import Load
from voicebench.targets.simulated import (
    PREFIX,
    SAMPLE_RATE,
    Script,
    Simulated,
    VirtualClock,
    plan_speech,
)
from voicebench.turn.recorder import Recorder
from voicebench.turn.timeline import Timeline

START_S = 60.0
"""How long the server's process may take to listen."""
WARMUP_TURNS = 2
CHAT = "chat, SSE"
SPEECH = "speech, HTTP chunks of PCM"
SPEECH_EVENTS = "speech, SSE"
PLAIN = "speech, HTTP chunks of WAV"
ONE_WAV = "speech, one WAV that grows"
SPEECH_SOCKET = "speech, WebSocket"
VOICE_SOCKET = "voice, WebSocket"
REALTIME = "Realtime, WebSocket"
PROMPT = "What will the weather be?"
TEXT = "The weather will stay clear and mild today."


class ClientUnderTest(Protocol):
    """What a client is to this module: something that is prepared for a turn, and closed."""

    def prepare(self) -> None:
        """Bring the connection into the state in which the next turn shall find it."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


@dataclass(frozen=True, slots=True)
class Client:
    """A client whose connection is open, and how it takes a turn."""

    connection: ClientUnderTest
    turn: Callable[[Emit], None]


@dataclass(frozen=True, slots=True)
class Transport:
    """One way over the wire: its name, and a client that takes a turn over it.

    ``open`` takes the server's URL. ``speaks``: it is given a text to speak, not a question.
    """

    name: str
    open: Callable[[str], Client]
    speaks: bool = False


def measure_transports(
    turns: int, script: Script = SCRIPT, say: Callable[[str], None] = lambda _line: None
) -> list[InstrumentError]:
    """Take ``turns`` turns over each transport and compare the stamps.

    Raises `CannotMeasure` where the server does not start or a turn fails.
    """
    say("starting a simulated server")
    with scripted_server(script) as url:
        return [_measure(transport, url, turns, script, say) for transport in TRANSPORTS]


@cache
def measure_used(
    names: tuple[str, ...], turns: int, load: Load | None = None
) -> tuple[InstrumentError, ...]:
    """Take ``turns`` turns over each of the transports with these names; once in a process.

    ``load`` is at work meanwhile. Raises as `measure_transports`.
    """
    if not names:
        return ()
    used = [transport for transport in TRANSPORTS if transport.name in names]
    with scripted_server(SCRIPT) as url:
        if load is None:
            return tuple(_measure(one, url, turns, SCRIPT, _tell_nobody) for one in used)
        with load.at_work():
            errors = tuple(_measure(one, url, turns, SCRIPT, _tell_nobody) for one in used)
    return tuple(replace(one, transport=f"{one.transport}, beside {load.name}") for one in errors)


def _tell_nobody(_line: str) -> None:
    """Follow nothing."""


def transports_of(description: Mapping[str, object]) -> tuple[str, ...]:
    """Return the names of the transports over which a target is reached; none in process.

    ``description`` is the target's own. A plain route may answer with one WAV or with several, so
    both stand for it.
    """
    whole = {"voice-socket": VOICE_SOCKET, "realtime": REALTIME}.get(str(description.get("target")))
    if whole is not None:
        return (whole,)
    llm, tts = (_part(description, name) for name in ("llm", "tts"))
    names = [CHAT] if llm.get("engine") == "openai-http" else []
    if tts.get("engine") == "openai-http":
        whole = ONE_WAV if tts.get("response_format") == "wav" else SPEECH
        names.append(SPEECH_EVENTS if tts.get("stream_format") == "sse" else whole)
    elif tts.get("engine") == "plain-http":
        names += [PLAIN, ONE_WAV]
    elif tts.get("engine") == "socket":
        names.append(SPEECH_SOCKET)
    return tuple(names)


def _part(description: Mapping[str, object], name: str) -> Mapping[str, object]:
    part = description.get(name)
    return part if isinstance(part, Mapping) else {}


@contextmanager
def scripted_server(script: Script) -> Iterator[str]:
    """Serve ``script`` from a process of its own; gives the URL."""
    command = [sys.executable, "-m", "voicebench", "serve", "--target", script_text(script)]
    command += ["--port", "0", "--json", "--quiet"]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield _url_from(process)
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def script_text(script: Script) -> str:
    """Return ``script`` as the command line takes it."""
    parts = []
    for field in fields(Script):
        name, value = field.name, getattr(script, field.name)
        unit = {"_s": "s", "_x": "x"}.get(name[-2:], "")
        parts.append(f"{name.partition('_')[0]}={value}{unit}")
    return PREFIX + ",".join(parts)


def _url_from(process: subprocess.Popen[str]) -> str:
    """Return the URL that the server prints once it listens."""
    assert process.stdout is not None
    watchdog = threading.Timer(START_S, process.kill)
    watchdog.start()
    try:
        line = process.stdout.readline()
        return str(json.loads(line)["url"])
    except (ValueError, KeyError):
        raise CannotMeasure(
            "the simulated server did not start", "see what `voicebench serve --target sim:` says"
        ) from None
    finally:
        watchdog.cancel()


def _measure(
    transport: Transport, url: str, turns: int, script: Script, say: Callable[[str], None]
) -> InstrumentError:
    say(transport.name)
    scripted = _scripted(transport, script)
    errors: list[float] = []
    client = transport.open(url)
    with closing(client.connection):
        for number in range(WARMUP_TURNS + turns):
            client.connection.prepare()
            recorder = Recorder(watch=_refuse_failure)
            client.turn(recorder.emit)
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
    """Return recorded minus scripted for what the wire lets one see.

    ``recorded`` may have no tokens, no text chunks or no audio; where it has some, it has all.
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
    """Compare the moments at which the first sample of each scripted piece was in hand."""
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


def _open_chat(url: str) -> Client:
    from voicebench.remote.clients.openai_chat import OpenAiChat

    chat = OpenAiChat(f"{url}/v1", "simulated")
    chat.check()
    return Client(chat, lambda emit: write_turn(PROMPT, emit, llm=chat))


def _open_speech(url: str) -> Client:
    from voicebench.remote.clients.openai_speech import OpenAiSpeech

    speech = OpenAiSpeech(f"{url}/v1", "simulated", "default")
    speech.check()
    return Client(speech, lambda emit: speak_turn(TEXT, emit, tts=speech))


def _open_speech_events(url: str) -> Client:
    from voicebench.remote.clients.openai_speech import OpenAiSpeech, SpeechOptions

    options = SpeechOptions(stream_format="sse")
    speech = OpenAiSpeech(f"{url}/v1", "simulated", "default", options)
    speech.check()
    return Client(speech, lambda emit: speak_turn(TEXT, emit, tts=speech))


def _open_plain(url: str, form: str) -> Client:
    from voicebench.remote.clients.plain_speech import PlainSpeech, SpeechRoute

    route = SpeechRoute(f"{url}/tts/stream?format={form}&text={{text}}")
    speech = PlainSpeech(route)
    speech.check()
    return Client(speech, lambda emit: speak_turn(TEXT, emit, tts=speech))


def _open_speech_socket(url: str) -> Client:
    from voicebench.remote.clients.socket_dialect import SocketDialect
    from voicebench.remote.clients.socket_speech import SocketSpeech
    from voicebench.remote.sound.sound_format import SoundFormat

    dialect = SocketDialect(
        chunk=({"text": "{text}", "id": "{id}"},), done={"done": True}, own={"id": "{id}"}
    )
    sound = SoundFormat("pcm", "s16le", SAMPLE_RATE)
    speech = SocketSpeech(_socket_url(url, "/tts/socket"), dialect, sound)
    speech.check()
    return Client(speech, lambda emit: speak_turn(TEXT, emit, tts=speech))


def _open_voice(url: str) -> Client:
    from voicebench.targets.voice_socket import VoiceSocket

    socket = VoiceSocket(_socket_url(url, "/v1/voice"))
    socket.check()
    return Client(socket, lambda emit: socket.run(PROMPT, emit))


def _open_realtime(url: str) -> Client:
    from voicebench.targets.realtime import Realtime

    socket = Realtime(_socket_url(url, "/v1/realtime?model=simulated"))
    socket.check()
    return Client(socket, lambda emit: socket.run(PROMPT, emit))


def _socket_url(url: str, path: str) -> str:
    return url.replace("http", "ws", 1) + path


TRANSPORTS: Sequence[Transport] = (
    Transport(CHAT, _open_chat),
    Transport(SPEECH, _open_speech, speaks=True),
    Transport(SPEECH_EVENTS, _open_speech_events, speaks=True),
    Transport(PLAIN, partial(_open_plain, form="wav-chunks"), speaks=True),
    Transport(ONE_WAV, partial(_open_plain, form="wav"), speaks=True),
    Transport(SPEECH_SOCKET, _open_speech_socket, speaks=True),
    Transport(VOICE_SOCKET, _open_voice),
    Transport(REALTIME, _open_realtime),
)
