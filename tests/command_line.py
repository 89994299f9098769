"""Runs ``voicebench`` as a program of its own, as a shell would."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def voicebench(*arguments: str, cwd: Path | None = None) -> int:
    """Run the command and return its exit code; what it prints is shown where a test fails."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        [sys.executable, "-m", "voicebench", *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": path},
    )
    print(done.stdout, done.stderr)
    return done.returncode
