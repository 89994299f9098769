"""Spoken calls with others, in both directions: ``python -m benchmarks.peers``.

1. An agent of Pipecat with our models (`benchmarks.peers.pipecat_bot`) and our agent, called by
   ``voicebench call``'s caller in turns: A B B A. The ratio of their response times.
2. The clients of others (`benchmarks.peers.clients`) call our agent through a relay, which measures
   the same calls by our rule.
3. `pipecat eval` calls it too (`benchmarks.peers.pipecat_eval`); the relay speaks its protocol.

Each other package gets an environment of its own under ``build/interop/calls``, from the package
index, pinned. Our agent is ``voicebench serve --ears``.
"""

from __future__ import annotations

import argparse
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import wave
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import median

from benchmarks.peers.clients import CLIENTS
from benchmarks.peers.eval_form import EvalForm
from benchmarks.peers.pipecat_eval import compared_with_eval, evaluate
from benchmarks.peers.relay import SPEAK_RATE, relaying
from voicebench.agents.agent_kinds import agent_kind
from voicebench.audio.pcm import audible_runs, to_int16
from voicebench.audio.resampled import resampled
from voicebench.calls.call_script import parse_script
from voicebench.calls.conversation import Manners
from voicebench.calls.running.line_rendering import SPOKEN_RATE, open_line_voice, rendered
from voicebench.calls.running.placing import CallPlan, place_call_in_thread
from voicebench.calls.sealing import seal_call
from voicebench.engines.models import ensure
from voicebench.figures.metrics import compute
from voicebench.settings import load_settings

ROOT = Path(__file__).parents[2]
WORK = ROOT / "build" / "interop" / "calls"
PIPECAT = "pipecat-ai[silero,webrtc,whisper,websocket,openai,cli]==1.14.0"
LINES = (
    "What time do you open on Sunday?",
    "Is there a place to park?",
)
SCRIPT = "\n".join(f'[[step]]\nsay = "{line}"\nlimit = "15s"' for line in LINES)
MANNERS = Manners(silence_ms=1000, patience_ms=15_000, opening_ms=500)
START_S = 180.0
LEAST_RATIO = 2.0
"""So much longer, at least, does a caller of Pipecat's agent wait."""


def environment(name: str, package: str, *, given: Path | None) -> Path:
    """Return the ``bin`` of the environment with ``package``; make it the first time."""
    folder = given / name if given else WORK / name
    done = folder / ".installed"
    if given is None and (not done.is_file() or done.read_text(encoding="utf-8") != package):
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "-q", package]
        subprocess.run(pip, check=True)
        done.write_text(package, encoding="utf-8")
    return folder / "bin"


@contextmanager
def started(command: list[str], port: int, log: Path) -> Iterator[None]:
    """Run a server until the context ends; it is ready when ``/health`` answers."""
    with log.open("w", encoding="utf-8") as file:
        server = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, cwd=ROOT)
    try:
        end = time.monotonic() + START_S
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                    break
            except (urllib.error.URLError, OSError):
                if server.poll() is not None or time.monotonic() > end:
                    raise SystemExit(f"a server did not start; what it said is in {log}") from None
                time.sleep(0.2)
        yield
    finally:
        server.terminate()
        server.wait(20)


def responses_ms(url: str, api: str) -> list[float]:
    """Call the agent, speak all lines, and return its response times."""
    named = {"call.url": url, "call.api": api}
    settings = load_settings(None, named).settings
    script = parse_script(SCRIPT, "the lines")
    with closing(agent_kind(url).open(url, settings, print)) as agent:
        sounds = rendered(
            script, agent.sample_rate, lambda: open_line_voice("hibari-heart", 0.84, print), WORK
        )
        call = place_call_in_thread(agent, CallPlan(script, sounds, MANNERS), 1)
    figures = []
    for turn in seal_call(call, 1, "measured").turns:
        response = compute(turn)["response_ms"]
        if turn.failure is not None or response is None:
            print(f"  {url}: {turn.failure and turn.failure.reason}")
        else:
            figures.append(response)
    return figures


def spoken_lines() -> list[tuple[str, Path]]:
    """Return each line and its WAV at 16 kHz, without silence at its ends."""
    voice = open_line_voice("hibari-heart", 0.84, print)
    lines = []
    for number, text in enumerate(LINES):
        pcm = resampled(voice.speak(text), SPOKEN_RATE, 16_000)
        runs = audible_runs(pcm, 16_000)
        path = WORK / f"line{number}.wav"
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(16_000)
            file.writeframes(to_int16(pcm[runs[0][0] : runs[-1][1]]).astype("<i2").tobytes())
        lines.append((text, path))
    return lines


def compare_with_pipecat(python: Path, serve_port: int) -> None:
    """Call both agents in turns, and print medians and their ratio."""
    port = free_port()
    command = [str(python), str(ROOT / "benchmarks" / "peers" / "pipecat_bot.py")]
    command += ["--port", str(port), "--models", f"http://127.0.0.1:{serve_port}/v1"]
    command += ["--llm", "smollm2-135m-instruct", "--voice", "hibari-heart"]
    command += ["--whisper", str(ensure("whisper-base"))]
    ours = f"ws://127.0.0.1:{serve_port}/v1/call"
    theirs = f"ws://127.0.0.1:{port}/ws"
    found: dict[str, list[float]] = {"ours": [], "pipecat": []}
    with started(command, port, WORK / "pipecat.log"):
        responses_ms(theirs, "pipecat")  # its models are loaded by the first call
        for who in ("ours", "pipecat", "pipecat", "ours"):
            url, api = (ours, "pcm") if who == "ours" else (theirs, "pipecat")
            found[who] += responses_ms(url, api)
    print("\n".join(compared(found)))


def compared(found: Mapping[str, Sequence[float]]) -> list[str]:
    """Return the response times of both agents in lines, and the ratio of their medians."""
    lines = []
    for who, figures in found.items():
        shown = ", ".join(f"{figure:.0f}" for figure in sorted(figures))
        middle = f"{median(figures):.0f} ms" if figures else "–"
        lines.append(f"{who:10} response p50 {middle} of {len(figures)}: {shown}")
    if all(found.values()):
        ratio = median(found["pipecat"]) / median(found["ours"])
        held = "held" if ratio >= LEAST_RATIO else "not held"
        lines.append(f"ratio of the medians: {ratio:.2f} (promised {LEAST_RATIO:g}: {held})")
    return lines


def compare_clients(given: Path | None, serve_port: int) -> None:
    """Let each client call our agent, and print its figure beside ours of the same call."""
    lines = spoken_lines()
    for client in CLIENTS:
        program = environment(client.program, client.package, given=given) / client.program
        for number, line in enumerate(lines):
            folder = WORK / f"{client.program}-{number}"
            folder.mkdir(parents=True, exist_ok=True)
            with relaying(f"ws://127.0.0.1:{serve_port}/v1/call") as (url, calls):
                theirs = client.run(program, url, [line], folder)
            own = [(call, figure) for call in calls for figure in call.response_ms()][:1]
            if theirs and own:
                (call, ours) = own[0]
                more = f"{theirs[0] - ours:+.0f} ms"
                print(f"{client.name:15} {theirs[0]:.0f} ms, ours {ours:.0f} ms: {more}")
                print(f"{'':16}{call.shown_stages()}")
            else:
                print(f"{client.name:15} {theirs}, ours {own}: no pair (see {folder})")


def compare_eval(program: Path, serve_port: int) -> None:
    """Let `pipecat eval` call our agent, and print its figures beside ours of the same calls."""
    greeting = "Hello. How can I help you?"
    voice = open_line_voice("hibari-heart", 1.0, print)
    pcm = to_int16(resampled(voice.speak(greeting), SPOKEN_RATE, SPEAK_RATE))
    sound = pcm.astype("<i2").tobytes()
    for number, (text, wav) in enumerate(spoken_lines()):
        folder = WORK / f"pipecat-eval-{number}"
        folder.mkdir(parents=True, exist_ok=True)
        ours = f"ws://127.0.0.1:{serve_port}/v1/call"
        with relaying(ours, lambda: EvalForm(sound, greeting)) as (url, calls):
            figures = evaluate(
                program, url, text, wav, whisper=ensure("whisper-base"), folder=folder
            )
        print("\n".join(compared_with_eval(figures, calls)))


def free_port() -> int:
    """Return a free port on loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def main() -> None:
    """Run both comparisons."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=("pipecat", "clients", "eval"))
    parser.add_argument("--environments", type=Path, help="a folder that has them already")
    arguments = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    port = free_port()
    serve = [sys.executable, "-m", "voicebench", "serve", "--ears", "--port", str(port)]
    with started(serve, port, WORK / "serve.log"):
        if arguments.only in (None, "pipecat", "eval"):
            pipecat = environment("pipecat", PIPECAT, given=arguments.environments)
        if arguments.only in (None, "pipecat"):
            compare_with_pipecat(pipecat / "python", port)
        if arguments.only in (None, "clients"):
            compare_clients(arguments.environments, port)
        if arguments.only in (None, "eval"):
            compare_eval(pipecat / "pipecat", port)


if __name__ == "__main__":
    main()
