"""Measure servers by others: start each, measure a few turns, and stop it.

``make interop`` (or ``python benchmarks/interop.py --python PATH``) runs the settings files of
``configs/servers`` against

- **llama-cpp-python**'s OpenAI server with the embedded language model's own GGUF,
- **piper-tts**'s HTTP server with the embedded voice,
- **local-tts-studio**'s OpenAI-compatible speech route with the embedded voice, as WAV and as PCM,
- and, for both sides at once, the first two together,

beside the same turn in process. The servers have their own environment, so nothing of theirs is
imported here. ``--python`` names its interpreter (repeatable: the first one with a server's
packages runs it). A server without its packages is skipped; the message has the command that
installs them. The exit code is 1 if a turn fails or a server does not start.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from voicebench.engines.models import catalogue, ensure
from voicebench.engines.models.fetch import fetch
from voicebench.errors import VoicebenchError

ROOT = Path(__file__).parents[1]
WORK = ROOT / "build" / "interop"
VOICE = "en_US-joe-medium"
LLM = "smollm2-135m-instruct"
READY_S = 120.0
END_S = 10.0
RUN_S = 600.0
COLUMNS = (
    ("llm_ttft_ms", "LLM first token"),
    ("tts_ttfb_ms", "TTS first audio"),
    ("first_byte_ms", "first byte"),
    ("first_audio_ms", "first audio"),
    ("turn_ms", "turn"),
    ("connection_reused", "reused"),
)


@dataclass(frozen=True)
class Peer:
    """A server by others: its packages, its command, and the path that shows when it is ready.

    ``command`` takes the interpreter and the port; ``ready`` is the path that answers when it is.
    """

    name: str
    imports: str
    install: str
    command: Callable[[str, int], list[str]]
    ready: str
    environment: Callable[[], Mapping[str, str]] = field(default=dict)
    folder: Path = WORK
    """Where it is started."""


def gguf() -> Path:
    """Return the GGUF file of the embedded language model; fetch it the first time."""
    folder = WORK / LLM
    if not any(folder.glob("*.gguf")):
        folder.mkdir(parents=True, exist_ok=True)
        fetch(catalogue.entry(LLM), folder)
    return next(folder.glob("*.gguf"))


def voice() -> Path:
    """Return the embedded voice's ``.onnx``; its ``.onnx.json`` lies beside it."""
    return next(ensure(VOICE).glob("*.onnx"))


def studio() -> dict[str, str]:
    """Make a data folder with the embedded voice, as the pages of local-tts-studio would."""
    folder = WORK / "local-tts"
    voices = folder / "voices"
    voices.mkdir(parents=True, exist_ok=True)
    for file in (voice(), Path(f"{voice()}.json")):
        link = voices / file.name
        link.unlink(missing_ok=True)
        link.symlink_to(file)
    settings = {"api_default_voice": VOICE, "device": "cpu"}
    (folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    return {"LOCAL_TTS_DATA_DIR": str(folder)}


LLAMA = Peer(
    "llama-cpp-python",
    "import llama_cpp.server.app",
    "'llama-cpp-python[server]'",
    lambda python, port: [
        *(python, "-m", "llama_cpp.server", "--model", str(gguf())),
        *("--host", "127.0.0.1", "--port", str(port), "--n_ctx", "1024"),
    ],
    "/v1/models",
)
PIPER = Peer(
    "piper-tts",
    "import piper, flask",
    "'piper-tts[http]'",
    lambda python, port: [
        *(python, "-m", "piper.http_server", "--model", str(voice())),
        *("--host", "127.0.0.1", "--port", str(port)),
    ],
    "/info",
)
STUDIO = Peer(
    "local-tts-studio",
    "import local_tts.cli, piper",
    "local-tts-studio piper-tts",
    lambda python, port: [
        *(python, "-m", "local_tts.cli", "--host", "127.0.0.1", "--port", str(port)),
    ],
    "/api/health",
    studio,
)


@dataclass(frozen=True)
class Case:
    """One row: a settings file, the servers it needs, and the settings that name their ports."""

    name: str
    config: str
    peers: tuple[Peer, ...] = ()
    settings: tuple[str, ...] = ()


CASES = (
    Case("in process", "default.toml", settings=("gates=[]",)),
    Case(
        "llama-cpp-python",
        "servers/llama-cpp.toml",
        (LLAMA,),
        ("llm.url=http://127.0.0.1:{llama-cpp-python}/v1",),
    ),
    Case(
        "piper-tts",
        "servers/piper-http.toml",
        (PIPER,),
        ("tts.url=http://127.0.0.1:{piper-tts}/synthesize",),
    ),
    Case(
        "local-tts-studio, wav",
        "servers/local-tts-studio.toml",
        (STUDIO,),
        ("tts.url=http://127.0.0.1:{local-tts-studio}/v1",),
    ),
    Case(
        "local-tts-studio, pcm",
        "servers/local-tts-studio.toml",
        (STUDIO,),
        ("tts.url=http://127.0.0.1:{local-tts-studio}/v1", "tts.format=pcm"),
    ),
    Case(
        "llama-cpp-python + piper-tts",
        "servers/piper-http.toml",
        (LLAMA, PIPER),
        (
            "llm.url=http://127.0.0.1:{llama-cpp-python}/v1",
            "tts.url=http://127.0.0.1:{piper-tts}/synthesize",
        ),
    ),
)


class NotUp(Exception):
    """A server did not start; the message says why."""


def interpreter_of(peer: Peer, pythons: list[str]) -> str | None:
    """Return the first interpreter that has the server's packages."""
    for named in pythons:
        # Servers start in a folder of their own. A link is not followed: it is the environment.
        python = os.path.abspath(named) if os.sep in named else named
        asked = [python, "-c", peer.imports]
        try:
            if subprocess.run(asked, check=False, capture_output=True, timeout=60).returncode == 0:
                return python
        except OSError:
            continue
    return None


@contextmanager
def serving(peer: Peer, python: str) -> Iterator[int]:
    """Start the server; its port is ready. Afterwards it is ended."""
    with started(peer, python) as (port, _):
        yield port


@contextmanager
def started(peer: Peer, python: str) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """Start the server on a free port, wait until it answers, and end it afterwards by its id."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    log = WORK / f"{peer.name}.log"
    with log.open("w", encoding="utf-8") as file:
        server = subprocess.Popen(
            peer.command(python, port),
            stdout=file,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=os.environ | peer.environment() | {"PYTHONPATH": ""},
            cwd=peer.folder,
        )
    try:
        wait_until_ready(server, f"http://127.0.0.1:{port}{peer.ready}", log)
        yield port, server
    finally:
        server.terminate()
        try:
            server.wait(END_S)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def wait_until_ready(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    """Return when ``url`` answers. Raises `NotUp` if the server ends or takes too long."""
    end = time.monotonic() + READY_S
    while time.monotonic() < end:
        if server.poll() is not None:
            last = log.read_text(encoding="utf-8", errors="replace").splitlines()[-1:]
            raise NotUp(f"ended with code {server.returncode}: {''.join(last)} (all in {log})")
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise NotUp(f"did not answer {url} within {READY_S:g} s (what it said is in {log})")


def command_of(case: Case, ports: Mapping[str, int], turns: int) -> list[str]:
    """Return the ``voicebench run`` command that measures the case."""
    command = [sys.executable, "-m", "voicebench", "run", str(ROOT / "configs" / case.config)]
    command += ["--runs", str(turns), "--warmup", "1", "--allow-noise", "--json", "--quiet"]
    command += ["--name", "interop", "--results", str(WORK / "results")]
    for setting in case.settings:
        key, _, value = setting.partition("=")
        for name, port in ports.items():
            value = value.replace(f"{{{name}}}", str(port))
        command += ["--set", f"{key}={value}"]
    return command


def measured(case: Case, ports: Mapping[str, int], turns: int) -> dict[str, object]:
    """Run the case and return its JSON."""
    command = command_of(case, ports, turns)
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=RUN_S, cwd=ROOT
    )
    try:
        return json.loads(done.stdout)  # type: ignore[no-any-return]
    except ValueError:
        raise NotUp(f"exit {done.returncode}: {done.stderr.strip()}") from None


def row_of(case: Case, result: dict[str, object]) -> tuple[str, bool]:
    """Return the case's row of medians, and whether all its turns succeeded."""
    metrics = result["metrics"]
    turns = result["turns"]
    assert isinstance(metrics, dict)
    assert isinstance(turns, dict)
    cells = []
    for metric, _ in COLUMNS:
        figures = metrics.get(metric) or {}
        value = figures.get("mean" if metric == "connection_reused" else "p50")
        cells.append("–" if value is None else f"{value:.2f}" if value < 1 else f"{value:.0f}")
    row = f"{case.name:30}{turns['measured']:>6}{turns['failed']:>7}"
    row += "".join(f"{cell:>17}" for cell in cells)
    return row, turns["failed"] == 0 and turns["measured"] > 0


def main() -> int:
    """Print one row for each case; return 1 if one of them failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", action="append", metavar="PATH")
    parser.add_argument("--turns", type=int, default=8)
    parser.add_argument("--only", action="append", metavar="NAME", help="part of a row's name")
    arguments = parser.parse_args()
    pythons = arguments.python or [sys.executable]
    # An end from outside unwinds like any other, so that no server is left running.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    WORK.mkdir(parents=True, exist_ok=True)
    heading = f"{'medians in ms':30}{'turns':>6}{'failed':>7}"
    print(heading + "".join(f"{title:>17}" for _, title in COLUMNS), flush=True)
    held = True
    for case in CASES:
        if arguments.only and not any(part in case.name for part in arguments.only):
            continue
        try:
            with ExitStack() as stack:
                ports = {}
                for peer in case.peers:
                    python = interpreter_of(peer, pythons)
                    if python is None:
                        raise ModuleNotFoundError(peer.install)
                    ports[peer.name] = stack.enter_context(serving(peer, python))
                row, all_well = row_of(case, measured(case, ports, arguments.turns))
            print(row, flush=True)
            held &= all_well
        except ModuleNotFoundError as missing:
            print(f"{case.name:30}passed over; install it: {pythons[0]} -m pip install {missing}")
        except (NotUp, VoicebenchError) as error:
            print(f"{case.name:30}{error}", flush=True)
            held = False
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
