"""Our own server in a process of its own, which plays a script or serves the embedded models."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest


@dataclass
class ServedProcess:
    """A running ``voicebench serve``."""

    process: subprocess.Popen[str]
    url: str
    """``http://127.0.0.1:PORT``."""

    @property
    def voice_url(self) -> str:
        """The URL of the voice socket."""
        return self.url.replace("http://", "ws://") + "/v1/voice"

    @property
    def realtime_url(self) -> str:
        """Where it takes Realtime sessions."""
        return self.url.replace("http://", "ws://") + "/v1/realtime"

    def kill(self) -> None:
        """End it without a farewell."""
        self.process.kill()
        self.process.wait()


@contextmanager
def served_process(script: str, *options: str, port: int = 0) -> Iterator[ServedProcess]:
    """Serve ``script`` (``sim:…``) on a port of this machine; 0 for a free one.

    Skips the test without the extra ``serve``.
    """
    pytest.importorskip("uvicorn")
    command = [sys.executable, "-m", "voicebench", "serve", "--target", script]
    process = subprocess.Popen(
        [*command, "--port", str(port), "--turns", "64", "--json", "--quiet", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield ServedProcess(process, str(json.loads(process.stdout.readline())["url"]))
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@contextmanager
def served_models(*options: str) -> Iterator[str]:
    """Serve the embedded models on a free port; yield the URL. Its end must be clean."""
    command = [sys.executable, "-m", "voicebench", "serve", "--port", "0", "--json", "--quiet"]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.terminate()
            assert process.wait(30) == 0
