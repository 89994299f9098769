"""What a transport costs: the same pipeline in process and behind each route of ``serve``.

``python benchmarks/transport.py [turns]`` loads the embedded models, serves them from a thread of
this process, and does the same work in process and over each route, one after the other in every
round, in turning order, so that whatever the machine does meanwhile falls on all of them. The very
same engines answer both (two copies would not be alike: a voice measures its own pace when it is
loaded, and chooses its windows by it). Client and server share one interpreter, so the figures are
rather too high than too low. Each route stands beside the same work in process:

- a whole turn (first audio): the voice socket, the Realtime socket, and a cascade here whose two
  engines are the chat and speech routes;
- the speech of a text (first audio): ``/v1/audio/speech`` and ``/tts/stream``;
- a reply in text (first token): ``/v1/chat/completions``.

Printed is the median of each, and the median of its differences to the same work in process.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Protocol

from voicebench.audio.pcm import AudibleRule
from voicebench.events import Emit, Event, TurnFailed
from voicebench.llm.openai_http import OpenAiChat
from voicebench.metrics import compute
from voicebench.pipeline import speak_turn, write_turn
from voicebench.prompts import load
from voicebench.recorder import Recorder
from voicebench.server.running import serving
from voicebench.server.served import ServedCascade
from voicebench.settings import Settings, load_settings
from voicebench.summary import percentile
from voicebench.targets.cascade import Cascade
from voicebench.targets.opening import open_cascade
from voicebench.targets.realtime import Realtime
from voicebench.targets.voice_socket import VoiceSocket
from voicebench.tts.openai_http import OpenAiSpeech
from voicebench.tts.plain_http import PlainSpeech, SpeechRoute

TURNS = 20
WARMUP = 2
IN_PROCESS = "in process"


Work = Callable[[str, Emit], None]
"""Take one turn on a prompt."""


@dataclass(frozen=True)
class Way:
    """One way to have some work done: what is prepared before it, and which figure counts."""

    group: str
    name: str
    work: Work
    prepared: tuple[Connection, ...] = ()
    metric: str = "first_audio_ms"


class Connection(Protocol):
    """What is prepared before a turn."""

    def prepare(self) -> None: ...


def ways(settings: Settings, here: Cascade, served: ServedCascade, url: str) -> list[Way]:
    """Return every way, each group's in-process one first."""
    socket = url.replace("http", "ws", 1)
    chat = OpenAiChat(f"{url}/v1", served.chat_model)
    speech = OpenAiSpeech(f"{url}/v1", served.voice, "default")
    plain = PlainSpeech(SpeechRoute(f"{url}/tts/stream?text={{text}}"))
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
    """End where a turn failed: a figure of it would be none."""
    if isinstance(event, TurnFailed):
        sys.exit(f"a turn failed: {event.reason}")


def main() -> None:
    """Measure and print."""
    turns = int(sys.argv[1]) if len(sys.argv) > 1 else TURNS
    settings = load_settings().settings
    prompts = load(None, "en")
    with ExitStack() as stack:
        here = stack.enter_context(closing(open_cascade(settings, print)))
        served = ServedCascade(here)
        url = stack.enter_context(serving(served))
        order = deque(ways(settings, here, served, url))
        figures: dict[Way, list[float]] = {way: [] for way in order}
        rounds = [*prompts.rotate_warmup(WARMUP), *prompts.rotate(turns)]
        for number, prompt in enumerate(rounds):
            for way in order:
                figure = measure(way, prompt)
                if number >= WARMUP:
                    figures[way].append(figure)
            order.rotate(1)
            order.reverse()
        report(figures)


def report(figures: dict[Way, list[float]]) -> None:
    """Print one line for each way."""
    print(f"n = {len(next(iter(figures.values())))}, interleaved; ms")
    print(f"{'':8}{'':26}{'figure':16}{'p50':>8}{'difference, p50':>18}{'p5 to p95':>18}")
    base: list[float] = []
    for way, values in figures.items():
        base = values if way.name == IN_PROCESS else base
        differences = [value - ours for value, ours in zip(values, base, strict=True)]
        middle, low, high = (percentile(differences, share) for share in (50, 5, 95))
        line = f"{way.group:8}{way.name:26}{way.metric:16}{percentile(values, 50):8.1f}"
        apart = f"{middle:+18.1f}{low:+11.1f} {high:+.1f}" if way.name != IN_PROCESS else ""
        print(line + apart)


if __name__ == "__main__":
    main()
