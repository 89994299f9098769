"""Compare `voicebench load` with GuideLLM and AIPerf on one server whose moments are known.

A paced server (`voicebench.load.pacing`) on one core streams chat replies: the first token after
200 ms, then 25 tokens a second, 75 in all. Each client runs on another core, with a number of
streams at once. The error is the client's own time to first token minus the script's 200 ms. A
client *holds* a number of streams if the 99th percentile of its error is under 5 ms, and if the
server saw that many at once. Processor time is that of the client's processes, start and end
included, less that of a run with one stream. It is divided by the seconds of all streams, as the
server saw them.

``python -m benchmarks.load_peers --guidellm PATH --aiperf PATH`` prints the table of
docs/how-to/load.md. Each path is the program in an environment of its own
(``python -m venv …; pip install guidellm``, ``pip install aiperf``). AIPerf needs a tokenizer:
``--tokenizer FOLDER``, any Hugging Face folder; its counts of tokens are not used. Everything is on
loopback. For a busy machine, give a priority: ``nice -n -15 python -m …``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil

from voicebench.load.pacing.paced_process import RunningPacedServer, paced_server
from voicebench.load.pacing.paced_script import PacedScript

TTFT_MS = 200.0
WORDS = 75
SCRIPT = PacedScript(ttft_s=TTFT_MS / 1000, token_s=0.04, words=WORDS, ttfb_s=0.01, audio_s=0.04)
LIMIT_MS = 5.0
LONGEST_S = 240.0
SERVER_CORE, CLIENT_CORE = 0, 1
PROMPTS = 2000
LOOK_S = 0.2

Take = Callable[[RunningPacedServer, int, float, Path], list[float]]
"""Run a client against a server with so many streams for so many seconds, with files in a folder;
return each time to first token in ms."""


@dataclass(frozen=True)
class PeerRun:
    """One run of one client."""

    client: str
    streams: int
    n: int
    errors_ms: tuple[float, float, float]
    """50th and 99th percentile and the largest of |time to first token - script|."""
    seen: int
    """Most streams that the server had at once."""
    processor_s: float
    stream_s: float
    """The seconds of all its streams together."""

    @property
    def holds(self) -> bool:
        """Whether the streams were there and their first tokens were timed within the limit."""
        return self.n > 0 and self.errors_ms[1] < LIMIT_MS and self.seen >= 0.9 * self.streams


def run_client(client: str, take: Take, streams: int, seconds: float) -> PeerRun:
    """Run a client once, against a server of its own."""
    with (
        tempfile.TemporaryDirectory() as folder,
        paced_server(SCRIPT, core=SERVER_CORE, keep_stamps=False) as server,
    ):
        with _watching(server) as seen:
            times = take(server, streams, seconds, Path(folder))
        state = server.state()
    errors = np.abs(np.array(times) - TTFT_MS) if times else np.array([float("nan")])
    p50, p99 = np.percentile(errors, (50, 99))
    return PeerRun(
        client,
        streams,
        len(times),
        (float(p50), float(p99), float(errors.max())),
        int(str(state["most_at_once"])),
        seen.processor_s,
        seen.stream_s,
    )


@dataclass
class _Seen:
    """What was seen of a run."""

    stream_s: float = 0.0
    by_process: dict[int, float] = field(default_factory=dict)
    """Processor time of each process of the client; those that ended, too."""

    @property
    def processor_s(self) -> float:
        return sum(self.by_process.values())


@contextmanager
def _watching(server: RunningPacedServer) -> Iterator[_Seen]:
    """Look at the server's open streams and at the client's processes, five times a second."""
    seen, is_over = _Seen(), threading.Event()
    here = psutil.Process()
    others = {child.pid for child in here.children(recursive=True)}

    def look() -> None:
        seen_s = time.perf_counter()
        while not is_over.wait(LOOK_S):
            open_streams = int(str(server.state()["at_once"]))
            now_s = time.perf_counter()
            seen.stream_s += open_streams * (now_s - seen_s)
            seen_s = now_s
            for child in here.children(recursive=True):
                if child.pid not in others:
                    with suppress(psutil.Error):
                        used = child.cpu_times()
                        seen.by_process[child.pid] = used.user + used.system

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield seen
    finally:
        is_over.set()
        looking.join()


def _run(command: Sequence[str], folder: Path, environment: dict[str, str] | None = None) -> None:
    """Run a command on the client's core. Raises `RuntimeError` with its words if it fails."""
    done = subprocess.run(
        ["taskset", "-c", str(CLIENT_CORE), *command],
        cwd=folder,
        env=os.environ | (environment or {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stdout[-1500:]} {done.stderr[-1500:]}")


def _prompts(folder: Path) -> Path:
    path = folder / "prompts.jsonl"
    lines = (json.dumps({"text": f"When does the train leave? {n}"}) for n in range(PROMPTS))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def voicebench(
    server: RunningPacedServer, streams: int, seconds: float, folder: Path
) -> list[float]:
    """Run our own `load`; the speech of a chunk is one piece, so that a turn is its chat stream."""
    url = f"http://{server.host}/v1"
    settings = {
        "llm.url": url, "llm.model": "paced", "tts.url": url, "tts.model": "paced",
        "tts.voice": "any", "tts.format": "pcm", "chunker.first_words": str(WORDS),
        "load.think": "20ms", "load.speech": "20ms",
    }  # fmt: skip
    command = [sys.executable, "-m", "voicebench", "load", "--callers", str(streams)]
    command += ["--for", f"{seconds:g}s", "--no-gate", "--quiet", "--results", str(folder / "r")]
    for name, value in settings.items():
        command += ["--set", f"{name}={value}"]
    try:
        _run(command, folder)
    except RuntimeError as error:
        if "INVALID" not in str(error):  # a busy machine; the errors below say how busy
            raise
    [turns] = (folder / "r").glob("*/turns.jsonl")
    found = []
    for line in turns.read_text(encoding="utf-8").splitlines():
        turn = json.loads(line)
        if turn.get("tokens") and not turn.get("failure"):
            found.append(turn["tokens"][0][0] / 1e6)
    return found


def guidellm(program: str) -> Take:
    """Return how GuideLLM is run."""

    def take(server: RunningPacedServer, streams: int, seconds: float, folder: Path) -> list[float]:
        out = folder / "guidellm.json"
        target = f"http://{server.host}"
        command = [
            program, "run", "--disable-console",
            "--backend", f"kind=openai_http,target={target},model=paced,"
            "request_format=/v1/chat/completions",
            "--profile", f"kind=concurrent,streams={streams}",
            "--constraint", f"kind=max_duration,seconds={seconds:g}",
            "--data", f"kind=json_file,path={_prompts(folder)}",
            "--output", f"kind=json,path={out}",
        ]  # fmt: skip
        _run(command, folder, {"HF_HUB_OFFLINE": "1"})
        document = json.loads(out.read_text(encoding="utf-8"))
        requests = document["benchmarks"][0]["requests"]["successful"]
        return [float(one["time_to_first_token_ms"]) for one in requests]

    return take


def aiperf(program: str, tokenizer: Path) -> Take:
    """Return how AIPerf is run."""

    def take(server: RunningPacedServer, streams: int, seconds: float, folder: Path) -> list[float]:
        out = folder / "aiperf"
        command = [
            program, "profile", "-m", "paced", "--url", f"http://{server.host}",
            "--endpoint-type", "chat", "--streaming", "--concurrency", str(streams),
            "--benchmark-duration", f"{seconds:g}", "--tokenizer", str(tokenizer.resolve()),
            "--input-file", str(_prompts(folder)), "--custom-dataset-type", "single_turn",
            "--artifact-dir", str(out), "--ui-type", "none",
        ]  # fmt: skip
        _run(command, folder)
        lines = (out / "profile_export.jsonl").read_text(encoding="utf-8").splitlines()
        found = [json.loads(line)["metrics"].get("time_to_first_token") for line in lines]
        return [float(one["value"]) for one in found if one]

    return take


def row(run: PeerRun, alone: PeerRun) -> str:
    """Return a row of the table; ``alone`` is the run with one stream."""
    p50, p99, most = run.errors_ms
    extra_s = run.processor_s - alone.processor_s
    per_second = 1000 * extra_s / max(run.stream_s - alone.stream_s, 1e-9)
    held = "yes" if run.holds else "no"
    return (
        f"| {run.client} | {run.streams} | {run.seen} | {run.n} | {p50:.2f} | {p99:.2f} "
        f"| {most:.1f} | {held} | {per_second:.1f} |"
    )


HEADER = (
    "| client | streams | seen at once | first tokens | error p50, ms | p99 | largest | held "
    "| processor, ms for each second of a stream |\n|---|---|---|---|---|---|---|---|---|"
)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--guidellm", metavar="PROGRAM")
    parser.add_argument("--aiperf", metavar="PROGRAM")
    parser.add_argument("--tokenizer", type=Path, metavar="FOLDER")
    parser.add_argument("--streams", default="50,100,200,400")
    parser.add_argument("--seconds", type=float, default=8.0)
    chosen = parser.parse_args()
    clients: dict[str, Take] = {"voicebench": voicebench}
    if chosen.guidellm:
        clients["GuideLLM"] = guidellm(chosen.guidellm)
    if chosen.aiperf:
        if chosen.tokenizer is None:
            parser.error("AIPerf needs --tokenizer FOLDER")
        clients["AIPerf"] = aiperf(chosen.aiperf, chosen.tokenizer)
    levels = [int(text) for text in chosen.streams.split(",")]
    print(HEADER, flush=True)
    alone = {name: run_client(name, take, 1, chosen.seconds) for name, take in clients.items()}
    for streams in levels:
        for name, take in clients.items():
            try:
                found = run_client(name, take, streams, chosen.seconds)
            except (RuntimeError, subprocess.TimeoutExpired) as error:
                print(f"| {name} | {streams} | failed: {str(error)[-300:]!r} |", flush=True)
                continue
            print(row(found, alone[name]), flush=True)


if __name__ == "__main__":
    main()
