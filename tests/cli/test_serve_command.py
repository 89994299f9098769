"""``voicebench serve`` as a user runs it: a process of its own, its words, its exit codes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from ran_command import Command

from voicebench.errors import ExitCode

SLOW = "sim:ttft=5ms,token=1ms,ttfb=5ms,speed=0.2x,words=3"  # 0.9 s of speech in about 4 s
LONG = "sim:ttft=5ms,token=1ms,ttfb=5ms,speed=0.1x,words=3"  # 9 s of speech in 90 s


@contextmanager
def serving(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the command and give the process and its URL."""
    command = [sys.executable, "-m", "voicebench", "serve", "--port", "0", "--json", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as it:
        try:
            assert it.stdout is not None
            yield it, json.loads(it.stdout.readline())["url"]
        finally:
            it.kill()


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    code = process.wait(20)
    assert process.stderr is not None
    return code, process.stderr.read()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_first_signal_lets_the_turns_that_run_finish(number: int) -> None:
    with serving("--target", SLOW) as (process, url), httpx.Client(trust_env=False) as client:
        with client.stream("GET", f"{url}/tts/stream?text=one+two+three") as answer:
            pieces = answer.iter_raw()
            next(pieces)
            process.send_signal(number)
            while client.get(f"{url}/health").status_code == 200:
                pass
            refused = client.get(f"{url}/tts/stream?text=one")
            assert refused.status_code == 503
            rest = sum(map(len, pieces))
        assert rest > 16_000  # the whole of it
        assert ended(process) == (0, "")


@pytest.mark.slow
def test_a_second_signal_ends_the_turns_too() -> None:
    with serving("--target", LONG) as (process, url), httpx.Client(trust_env=False) as client:
        with client.stream("GET", f"{url}/tts/stream?text={30 * 'word+'}") as answer:
            next(answer.iter_raw())
            process.send_signal(signal.SIGINT)
            while httpx.get(f"{url}/health", trust_env=False).status_code == 200:
                pass
            asked = time.monotonic()
            process.send_signal(signal.SIGINT)
            code, said = ended(process)
        assert code == ExitCode.INTERRUPTED
        assert "Traceback" not in said
        assert time.monotonic() - asked < 15


def test_a_port_in_use_is_one_sentence(voicebench: Command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = voicebench("serve", "--target", "sim:", "--port", str(port))
    assert ran.code == 2
    assert ran.err.strip() == (
        f"voicebench: port {port} of 127.0.0.1 is in use; stop what uses it, or give another --port"
    )


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_others_are_not_let_in_without_a_key(voicebench: Command, host: str) -> None:
    ran = voicebench("serve", "--target", "sim:", "--host", host, "--port", "0")
    assert ran.code == 2
    assert "no key protects the server" in ran.err
    assert len(ran.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--host", "nowhere.invalid"), "no address of this machine"),
        (("--host", "192.0.2.1", "--token-env", "KEY"), "cannot listen"),
        (("--token-env", "UNSET_VARIABLE"), "UNSET_VARIABLE is not set"),
        (("--target", "sim:ttft=fast"), "ttft=fast"),
        (("--target", "cloud"), "unknown target"),
        (("--device", "cuda:x"), "device"),
        (("--turns", "0"), "--turns"),
    ],
)
def test_what_cannot_be_served_is_refused_before_anything_is_loaded(
    voicebench: Command, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str
) -> None:
    monkeypatch.setenv("KEY", "s3cret")
    monkeypatch.delenv("UNSET_VARIABLE", raising=False)
    ran = voicebench("serve", "--port", "0", *arguments)
    assert ran.code == 2
    assert said in ran.err
    assert "s3cret" not in ran.err
    assert ran.out == ""


@pytest.mark.slow
def test_with_a_key_it_listens_to_others_and_never_shows_the_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(os.environ, "VOICEBENCH_TOKEN", "s3cret")
    arguments = ("--target", "sim:", "--host", "0.0.0.0", "--token-env", "VOICEBENCH_TOKEN")
    with serving(*arguments) as (process, url):
        assert httpx.get(f"{url}/v1/models", trust_env=False).status_code == 401
        headers = {"authorization": "Bearer s3cret", "host": "any.name.at.all"}
        assert httpx.get(f"{url}/v1/models", headers=headers, trust_env=False).status_code == 200
        process.send_signal(signal.SIGTERM)
        code, said = ended(process)
    assert code == 0
    assert "s3cret" not in said
