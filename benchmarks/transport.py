"""What a transport costs: the same pipeline in process and behind each route of ``serve``.

``python benchmarks/transport.py [turns]`` loads the embedded models here, starts ``voicebench
serve`` with the same models in a process of its own, and takes the same turns in process and over
each route, one after the other in every round, in turning order, so that whatever the machine does
meanwhile falls on all of them. Printed is the median of first audio for each, and the median of the
differences to the in-process turn on the same prompt.

Chat and speech routes are measured where they stand in a cascade: one engine behind the route, the
other one in this process; and both behind their routes.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

from voicebench.audio.pcm import AudibleRule
from voicebench.llm.openai_http import OpenAiChat
from voicebench.metrics import compute
from voicebench.prompts import load
from voicebench.recorder import Recorder
from voicebench.scheduling import FreeForAll
from voicebench.settings import Settings, load_settings
from voicebench.summary import percentile
from voicebench.targets import Target
from voicebench.targets.cascade import Cascade
from voicebench.targets.opening import open_cascade
from voicebench.targets.realtime import Realtime
from voicebench.targets.voice_socket import VoiceSocket
from voicebench.tts.openai_http import OpenAiSpeech
from voicebench.tts.plain_http import PlainSpeech, SpeechRoute

TURNS = 20
WARMUP = 2
IN_PROCESS = "in process"


@contextmanager
def served() -> Iterator[dict[str, str]]:
    """Serve the embedded models from another process; gives what it says of itself."""
    command = [sys.executable, "-m", "voicebench", "serve", "--port", "0", "--json", "--quiet"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()


def joined(settings: Settings, llm: object, tts: object) -> Cascade:
    """Return a cascade cut as the settings say, whose engines do not share a device."""
    return Cascade(
        llm,  # type: ignore[arg-type]
        tts,  # type: ignore[arg-type]
        first_words=settings.chunker.first_words,
        later_words=settings.chunker.later_words,
        new_schedule=FreeForAll,
    )


def targets(settings: Settings, here: Cascade, there: dict[str, str]) -> dict[str, Target]:
    """Return every way to the same pipeline, by name."""
    url, socket = there["url"], there["url"].replace("http", "ws", 1)

    def chat() -> OpenAiChat:
        return OpenAiChat(f"{url}/v1", there["chat_model"])

    def speech() -> OpenAiSpeech:
        return OpenAiSpeech(f"{url}/v1", there["voice"], "default")

    plain = PlainSpeech(SpeechRoute(f"{url}/tts/stream?text={{text}}"))
    return {
        IN_PROCESS: here,
        "/v1/chat/completions": joined(settings, chat(), here.tts),
        "/v1/audio/speech": joined(settings, here.llm, speech()),
        "/tts/stream": joined(settings, here.llm, plain),
        "chat and speech routes": joined(settings, chat(), speech()),
        "/v1/voice": VoiceSocket(f"{socket}/v1/voice"),
        "/v1/realtime": Realtime(f"{socket}/v1/realtime?model={there['chat_model']}"),
    }


def first_audio_ms(target: Target, prompt: str) -> float:
    """Take one turn and return its first audio."""
    for part in (target, getattr(target, "llm", None), getattr(target, "tts", None)):
        if hasattr(part, "prepare"):
            part.prepare()
    recorder = Recorder()
    target.run(prompt, recorder.emit)
    turn = recorder.seal(1, "measured", AudibleRule()).timeline
    if turn.failure is not None:
        sys.exit(f"a turn failed: {turn.failure.reason}")
    figure = compute(turn)["first_audio_ms"]
    assert figure is not None
    return figure


def main() -> None:
    """Measure and print."""
    turns = int(sys.argv[1]) if len(sys.argv) > 1 else TURNS
    settings = load_settings().settings
    prompts = load(None, "en")
    with ExitStack() as stack:
        here = stack.enter_context(closing(open_cascade(settings, print)))
        there = stack.enter_context(served())
        ways = targets(settings, here, there)
        figures: dict[str, list[float]] = {name: [] for name in ways}
        order = deque(ways)
        rounds = [*prompts.rotate_warmup(WARMUP), *prompts.rotate(turns)]
        for number, prompt in enumerate(rounds):
            for name in order:
                figure = first_audio_ms(ways[name], prompt)
                if number >= WARMUP:
                    figures[name].append(figure)
            order.rotate(1)
            order.reverse()
        report(figures)


def report(figures: dict[str, list[float]]) -> None:
    """Print one line for each way."""
    base = figures[IN_PROCESS]
    print(f"first audio, n = {len(base)}, interleaved; ms")
    print(f"{'':28}{'p50':>9}{'difference, p50':>18}{'p5 to p95':>20}")
    for name, values in figures.items():
        differences = [value - ours for value, ours in zip(values, base, strict=True)]
        middle, low, high = (percentile(differences, share) for share in (50, 5, 95))
        print(f"{name:28}{percentile(values, 50):9.1f}{middle:+18.1f}{low:+12.1f} {high:+.1f}")


if __name__ == "__main__":
    main()
