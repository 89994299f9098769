"""Runs ``voicebench`` as a program of its own, as a shell would."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]


def voicebench(*arguments: str, cwd: Path | None = None) -> int:
    """Run the command and return its exit code; what it prints is shown where a test fails."""
    done = as_program(*arguments, cwd=cwd, stdout=subprocess.PIPE)
    print(done.stdout.decode(), done.stderr.decode())
    return done.returncode


def as_program(
    *arguments: str,
    cwd: Path | None = None,
    stdout: int = subprocess.PIPE,
    environment: Mapping[str, str] | None = None,
    prepare: Callable[[], object] | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Run the command with stdout at this descriptor; ``prepare`` is called in the new process."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return subprocess.run(
        [sys.executable, "-m", "voicebench", *arguments],
        check=False,
        stdout=stdout,
        stderr=subprocess.PIPE,
        timeout=120,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": path, **(environment or {})},
        preexec_fn=prepare,
    )
