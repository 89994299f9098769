"""Each kind of target, and which steps of a broken turn it can show."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from unittest import mock

from hostile import (
    QUIET_S,
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
from hostile_servers import (
    Turns,
    chat_server,
    realtime_server,
    speech_server,
    speech_socket_server,
    voice_server,
    whole_chat_server,
)
from loopback import Peer, serving
from loopback_h2 import over_http2

from voicebench.pipeline.protocols import Synthesizer
from voicebench.remote.clients.openai_chat import ChatOptions, OpenAiChat
from voicebench.remote.clients.openai_speech import OpenAiSpeech, SpeechOptions
from voicebench.remote.clients.plain_speech import PlainSpeech, SpeechRoute
from voicebench.remote.clients.socket_dialect import SocketDialect
from voicebench.remote.clients.socket_speech import SocketSpeech
from voicebench.remote.connection.access import Access
from voicebench.remote.connection.timeouts import Timeouts
from voicebench.remote.sound.sound_format import SoundFormat
from voicebench.targets import Target
from voicebench.targets.cascade import Cascade
from voicebench.targets.realtime import Realtime
from voicebench.targets.simulated import SAMPLE_RATE
from voicebench.targets.voice_socket import VoiceSocket

Steps = frozenset[type[Step]]
RAW = SoundFormat(kind="pcm", sample_rate=SAMPLE_RATE)
SOCKET = SocketDialect(chunk=("{text}",), done={"done": True})


def access_for(broken: Broken, *, http2: bool = False) -> Access:
    """Return a short limit on silence where the server will be silent, else a long one."""
    stalls = any(isinstance(step, Stall) for step in (*broken.reply, *broken.speech))
    return Access(Timeouts(between_bytes_s=QUIET_S if stalls else 10), http2=http2)


@dataclass(frozen=True)
class Kind:
    """A kind of target, and which steps of a reply and of a speech its protocol can show."""

    name: str
    open: Callable[[Broken], AbstractContextManager[Target]]
    reply: Steps
    speech: Steps

    def __str__(self) -> str:
        return self.name

    def shows(self, broken: Broken) -> bool:
        """Return whether every step of ``broken`` can be shown."""
        return {*map(type, broken.reply)} <= self.reply and {*map(type, broken.speech)} <= (
            self.speech
        )


def cascade(
    chat_of: Callable[[Turns], Callable[[Peer], object]],
    speech_of: Callable[[Turns], Callable[[Peer], object]],
    voice_at: Callable[[str, Access], Synthesizer],
    *,
    http2: bool = False,
) -> Callable[[Broken], AbstractContextManager[Target]]:
    @contextmanager
    def open_cascade(broken: Broken) -> Iterator[Target]:
        turns = Turns(broken)
        chat_script, speech_script = chat_of(turns), speech_of(turns)
        if http2:
            chat_script, speech_script = over_http2(chat_script), over_http2(speech_script)
        with serving(chat_script) as chat, serving(speech_script) as speech:
            access = access_for(broken, http2=http2)
            options = ChatOptions(stream=chat_of is chat_server)
            llm = OpenAiChat(f"{chat.url}/v1", "m", options, access)
            voice = voice_at(f"127.0.0.1:{speech.port}", access)
            with closing(Cascade(llm, voice, first_words=3, later_words=8)) as target:
                yield target

    return open_cascade


def plain(where: str, access: Access) -> Synthesizer:
    return PlainSpeech(SpeechRoute(f"http://{where}/tts?text={{text}}"), RAW, access)


def any_sound(where: str, access: Access) -> Synthesizer:
    return PlainSpeech(SpeechRoute(f"http://{where}/tts?text={{text}}"), access=access)


def in_events(where: str, access: Access) -> Synthesizer:
    options = SpeechOptions("pcm", sample_rate=SAMPLE_RATE, stream_format="sse")
    return OpenAiSpeech(f"http://{where}/v1", "m", "v", options, access)


def over_socket(where: str, access: Access) -> Synthesizer:
    return SocketSpeech(f"ws://{where}", SOCKET, RAW, access)


@contextmanager
def voice_socket(broken: Broken) -> Iterator[Target]:
    with (
        serving(voice_server(Turns(broken))) as server,
        closing(VoiceSocket(f"ws://127.0.0.1:{server.port}", access_for(broken))) as target,
    ):
        yield target


@contextmanager
def realtime(broken: Broken) -> Iterator[Target]:
    # The protocol has one rate; the sound has another.
    with (
        mock.patch("voicebench.targets.realtime_text_turn.PCM_RATE", SAMPLE_RATE),
        serving(realtime_server(Turns(broken))) as server,
        closing(Realtime(f"ws://127.0.0.1:{server.port}", access=access_for(broken))) as target,
    ):
        yield target


_TEXT: Steps = frozenset({Say, Wait, End, Fail, Break, Stall})
_CHAT: Steps = (
    _TEXT
    | {SayAndEnd, FalseEnd, EndOfNothing, OnlyDone, Filtered, Chatter}
    | {*(Count, Close, Page)}
)
_SOUND: Steps = frozenset({Sound, Silence, End, Break, Stall})
_WHOLE: Steps = _TEXT | {EndOfNothing, Filtered, Page}
_EVENTS: Steps = _SOUND | {Fail, FalseEnd, Chatter, Close, Page}
KINDS = (
    Kind(
        "chat, raw samples",
        cascade(chat_server, speech_server("audio/pcm"), plain),
        _CHAT,
        _SOUND | {Page},
    ),
    Kind(
        "chat, raw samples, HTTP/2",
        cascade(chat_server, speech_server("audio/pcm"), plain, http2=True),
        _CHAT,
        _SOUND | {Page},
    ),
    Kind(
        "whole replies, one WAV",
        cascade(whole_chat_server, speech_server("audio/wav"), any_sound),
        _WHOLE,
        _SOUND | {Page},
    ),
    Kind(
        "chat, speech in events",
        cascade(chat_server, speech_server("text/event-stream"), in_events),
        frozenset({Say, End}),
        _EVENTS,
    ),
    Kind(
        "chat, speech socket",
        cascade(chat_server, speech_socket_server, over_socket),
        frozenset({Say, End}),
        _SOUND | {Fail},
    ),
    Kind("voice socket", voice_socket, _TEXT | {Count, Close}, _SOUND | {Fail}),
    Kind(
        "realtime",
        realtime,
        _TEXT | {SayAndEnd, FalseEnd, Filtered, Count, Close},
        _SOUND | {Fail},
    ),
)
