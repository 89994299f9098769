"""The cost of a transport: the same pipeline in process and behind each route of ``serve``.

``make transport`` (or ``python benchmarks/transport.py [rounds]``) loads the embedded models,
serves them from a thread of this process, and does the same work in process and over each route.
Every round does all of them, in rotating order, so that a disturbance of the machine affects all.
The same engines answer both. (Two copies would differ: a voice measures its own pace when it is
loaded, and chooses its windows by it.) Client and server share one interpreter, so the figures are
rather too high than too low. Each route is compared with the same work in process:

- a whole turn (first audio): the voice socket, the Realtime socket, and a cascade here whose two
  engines are the chat and speech routes;
- the speech of a text (first audio): ``/v1/audio/speech``, ``/tts/stream`` and ``/tts/socket``;
- a reply in text (first token): ``/v1/chat/completions``.

It prints the p50 of each, and the difference of the two p50 with its 95 % interval. The interval
comes from a paired bootstrap: whole rounds are drawn, so that the effect of prompts and machine on
a round does not count as the transport's.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from voicebench.audio.pcm import AudibleRule
from voicebench.events import Emit, Event, TurnFailed
from voicebench.figures.metrics import compute
from voicebench.figures.summary import percentile
from voicebench.pipeline.pipeline import speak_turn, write_turn
from voicebench.remote.clients.openai_chat import OpenAiChat
from voicebench.remote.clients.openai_speech import OpenAiSpeech
from voicebench.remote.clients.plain_speech import PlainSpeech, SpeechRoute
from voicebench.remote.clients.socket_dialect import SocketDialect
from voicebench.remote.clients.socket_speech import SocketSpeech
from voicebench.remote.sound.sound_format import SoundFormat
from voicebench.server.running import serving
from voicebench.server.served import ServedCascade
from voicebench.settings import Settings, load_settings
from voicebench.targets.cascade import Cascade, open_cascade
from voicebench.targets.realtime import Realtime
from voicebench.targets.voice_socket import VoiceSocket
from voicebench.text.prompts import load
from voicebench.turn.recorder import Recorder

ROUNDS = 60
"""Fewer leave an interval as wide as what it is about."""
WARMUP = 2
RESAMPLES = 4000
SEED = 20_260_101
IN_PROCESS = "in process"


Work = Callable[[str, Emit], None]
"""Take one turn on a prompt."""


@dataclass(frozen=True)
class Way:
    """One way to do the work: its preparation, and the figure that counts."""

    group: str
    name: str
    work: Work
    prepared: tuple[Connection, ...] = ()
    metric: str = "first_audio_ms"


class Connection(Protocol):
    """Something that is prepared before a turn and closed at the end."""

    def prepare(self) -> None: ...

    def close(self) -> None: ...


def ways(settings: Settings, here: Cascade, served: ServedCascade, url: str) -> list[Way]:
    """Return every way, each group's in-process one first."""
    socket = url.replace("http", "ws", 1)
    chat = OpenAiChat(f"{url}/v1", served.chat_model)
    speech = OpenAiSpeech(f"{url}/v1", served.voice, "default")
    plain = PlainSpeech(SpeechRoute(f"{url}/tts/stream?text={{text}}"))
    dialect = SocketDialect(
        chunk=({"text": "{text}", "id": "{id}"},), done={"done": True}, own={"id": "{id}"}
    )
    spoken = SocketSpeech(
        f"{socket}/tts/socket", dialect, SoundFormat("pcm", "s16le", served.sample_rate)
    )
    voice = VoiceSocket(f"{socket}/v1/voice")
    realtime = Realtime(f"{socket}/v1/realtime?model={served.chat_model}")
    both = Cascade(
        chat,
        speech,
        first_words=settings.chunker.first_words,
        later_words=settings.chunker.later_words,
    )
    return [
        Way("turn", IN_PROCESS, here.run),
        Way("turn", "/v1/voice", voice.run, (voice,)),
        Way("turn", "/v1/realtime", realtime.run, (realtime,)),
        Way("turn", "chat and speech routes", both.run, (chat, speech)),
        Way("speech", IN_PROCESS, lambda text, emit: speak_turn(text, emit, tts=here.tts)),
        Way(
            "speech",
            "/v1/audio/speech",
            lambda text, emit: speak_turn(text, emit, tts=speech),
            (speech,),
        ),
        Way(
            "speech", "/tts/stream", lambda text, emit: speak_turn(text, emit, tts=plain), (plain,)
        ),
        Way(
            "speech",
            "/tts/socket",
            lambda text, emit: speak_turn(text, emit, tts=spoken),
            (spoken,),
        ),
        Way(
            "text",
            IN_PROCESS,
            lambda prompt, emit: write_turn(prompt, emit, llm=here.llm),
            metric="llm_ttft_ms",
        ),
        Way(
            "text",
            "/v1/chat/completions",
            lambda prompt, emit: write_turn(prompt, emit, llm=chat),
            (chat,),
            "llm_ttft_ms",
        ),
    ]


def measure(way: Way, prompt: str) -> float:
    """Take one turn and return its figure."""
    for connection in way.prepared:
        connection.prepare()
    recorder = Recorder(watch=refuse_failure)
    way.work(prompt, recorder.emit)
    figure = compute(recorder.seal(1, "measured", AudibleRule()).timeline)[way.metric]
    assert figure is not None
    return figure


def refuse_failure(_at_ns: int, event: Event) -> None:
    """Exit if a turn failed: it has no figure."""
    if isinstance(event, TurnFailed):
        sys.exit(f"a turn failed: {event.reason}")


def main() -> None:
    """Measure and print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    settings = load_settings().settings
    with closing(open_cascade(settings, print)) as here:
        for line in report(interleaved(here, settings, rounds)):
            print(line)


def interleaved(here: Cascade, settings: Settings, rounds: int) -> dict[Way, list[float]]:
    """Do the work in every way in every round; return the figures of each way by round."""
    prompts = load(None, "en")
    served = ServedCascade(here)
    with ExitStack() as stack:
        url = stack.enter_context(serving(served))
        order = deque(ways(settings, here, served, url))
        for connection in {connection for way in order for connection in way.prepared}:
            stack.enter_context(closing(connection))
        figures: dict[Way, list[float]] = {way: [] for way in order}
        for number, prompt in enumerate(
            [*prompts.rotate_warmup(WARMUP), *prompts.rotate(rounds)], -WARMUP
        ):
            for way in order:
                figure = measure(way, prompt)
                if number >= 0:
                    figures[way].append(figure)
            order.rotate(1)
            order.reverse()
    return figures


def difference_of_medians(base: list[float], over: list[float]) -> tuple[float, float, float]:
    """Return p50 of ``over`` minus p50 of ``base``, and the ends of its 95 % interval."""
    both = np.array([base, over])
    rounds = both.shape[1]
    drawn = np.random.default_rng(SEED).integers(0, rounds, (RESAMPLES, rounds))
    medians = np.median(both[:, drawn], axis=2)
    low, high = np.percentile(medians[1] - medians[0], (2.5, 97.5))
    return percentile(over, 50) - percentile(base, 50), float(low), float(high)


def report(figures: dict[Way, list[float]]) -> list[str]:
    """Return the lines of the table, one for each way."""
    told = [
        f"n = {len(next(iter(figures.values())))} rounds, interleaved; ms",
        f"{'':8}{'':26}{'figure':16}{'p50':>8}{'difference of p50':>20}{'95 % interval':>20}",
    ]
    base: list[float] = []
    for way, values in figures.items():
        line = f"{way.group:8}{way.name:26}{way.metric:16}{percentile(values, 50):8.1f}"
        if way.name == IN_PROCESS:
            base = values
        else:
            apart, low, high = difference_of_medians(base, values)
            line += f"{apart:+20.1f}{f'{low:+.1f} to {high:+.1f}':>20}"
        told.append(line)
    return told


if __name__ == "__main__":
    main()
