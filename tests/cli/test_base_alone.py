"""The base without any extra, and without the modules that Windows lacks.

The modules are hidden in a child process, as if they were not installed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from served_somewhere import server

PROGRAM = Path(__file__).parents[1] / "support" / "without_modules.py"
SIM = "sim:ttft=4ms,token=1ms,ttfb=3ms,speed=50x,words=6"

OF_EXTRAS = (
    ("voicebench.engines.llm", {"torch"}),
    ("voicebench.engines.tts", {"torch"}),
    ("voicebench.server", {"fastapi", "starlette", "uvicorn", "httptools", "prometheus_client"}),
    ("voicebench.remote.sound.compressed", {"av"}),
    ("voicebench.agents.opus_", {"av"}),
    ("voicebench.agents.webrtc", {"av", "aiortc"}),
    ("voicebench.agents.livekit", {"av", "aiortc", "livekit"}),
    ("voicebench.checks.scripted_webrtc_agent", {"aiortc"}),
    ("voicebench.checks.scripted_livekit_room", {"aiortc"}),
)
"""Modules that only run with an extra, and which of its modules they import at once."""


def run(kind: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(PROGRAM), kind, *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=os.environ
        | {
            "PYTHONPATH": os.pathsep.join(sys.path),
            "COLUMNS": "120",
            "NO_COLOR": "1",
            "VOICEBENCH_CACHE": str(cwd / "cache"),
        },
    )


def measured(kind: str, cwd: Path, *how: str) -> subprocess.CompletedProcess[str]:
    return run(
        kind,
        *("run", *how, "--runs", "2", "--warmup", "1", "--gate", "errors.rate <= 0", "-q"),
        cwd=cwd,
    )


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with two runs, ``run-a`` and ``run-b``, which the base has measured."""
    folder = tmp_path_factory.mktemp("base")
    for name in ("a", "b"):
        done = measured("extras", folder, "--target", SIM, "--results", "runs", "--name", name)
        assert (done.returncode, done.stderr) == (0, "")
    for found in (folder / "runs").iterdir():
        shutil.copytree(found, folder / f"run-{found.name[-1]}")
    return folder


def test_only_modules_of_extras_need_an_extra_and_none_needs_posix(tmp_path: Path) -> None:
    done = run("windows", "imports", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    failed: dict[str, str] = json.loads(done.stdout)
    unexplained = {
        name: module
        for name, module in failed.items()
        if not any(
            name.startswith(room) and module.partition(".")[0] in modules
            for room, modules in OF_EXTRAS
        )
    }
    assert not unexplained
    assert "voicebench.server.app" in failed  # the modules are hidden


def test_windows_could_measure(tmp_path: Path) -> None:
    done = measured("windows", tmp_path, "--target", SIM)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("scheme", ["http", "ws"])
def test_a_server_is_measured(scheme: str, tmp_path: Path) -> None:
    with server() as url:
        done = measured("extras", tmp_path, "--server", url.replace("http", scheme, 1))
    assert (done.returncode, done.stderr) == (0, "")
    assert "PASS" in done.stdout


COMMANDS = (
    "report run-a run-b",
    *(
        f"report --format {form} run-a"
        for form in ("markdown", "csv", "json", "junit", "badge", "bencher", "gitlab", "prom")
    ),
    "compare run-a run-b",
    "verify run-a",
    "export run-a",
    "history --results runs",
    "doctor",
    "config",
    "models list",
    "selftest --in-process",
    "capacity --target sim:slots=2,service=100ms --dry-run",
)


def test_these_commands_need_no_extra(workplace: Path) -> None:
    words = " then ".join(COMMANDS).split()
    done = run("extras", *words, cwd=workplace)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("command", "extra"),
    [
        ("run", "local"),
        ("serve", "serve"),
        ("serve --target sim:", "serve"),
        ("say hello", "local"),
        ("say --list-speakers", "say"),
        ("report --format html run-a --output page.html", "html"),
        ("doctor --quality", "quality"),
    ],
)
def test_a_missing_extra_is_one_line(command: str, extra: str, workplace: Path) -> None:
    done = run("extras", *command.split(), cwd=workplace)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert f"'voicebench-latency[{extra}]'" in line
    assert "not installed" in line
    assert not (workplace / "results").exists()
    assert not (workplace / "page.html").exists()
