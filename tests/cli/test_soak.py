"""``voicebench load --soak``: a server that becomes slower fails, whatever its gates say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import as_program

LOAD = ("load", "--callers", "10", "--for", "20m", "--soak", "--gate", "first_audio_due.p95 < 5s")


def held(script: str, tmp_path: Path) -> tuple[int, dict[str, Any], Path]:
    results = str(tmp_path / "results")
    done = as_program(*LOAD, "--target", script, "--results", results, "--json", "--quiet")
    assert done.stdout, done.stderr.decode()
    document = dict(json.loads(done.stdout))
    return done.returncode, document, Path(document["folder"])


@pytest.mark.parametrize(("leak", "code", "verdict"), [("0ms", 0, "PASS"), ("0.3ms", 3, "FAIL")])
def test_a_leak_that_is_scripted_is_found_and_nothing_else(
    leak: str, code: int, verdict: str, tmp_path: Path
) -> None:
    # Some 1,500 turns: the leak ends at half a second, far below what the gate allows.
    script = f"sim:ttft=100ms,token=1ms,ttfb=50ms,words=8,leak={leak}"
    found, document, folder = held(script, tmp_path)
    assert found == code, document
    stored = json.loads((folder / "load.json").read_text(encoding="utf-8"))
    assert stored["verdict"] == verdict
    assert stored["level"]["gates"][0]["standing"] in {"holds", "undecided"}
    (drift,) = stored["level"]["soak"]["drifts"]
    assert drift["curve"] == "first_audio_due_ms"
    assert drift["drifts"] == (verdict == "FAIL")
    assert [note.startswith("first_audio_due_ms drifts") for note in stored["notes"]] == (
        [True] if verdict == "FAIL" else []
    )
    # The report judges the same from the files.
    again = as_program("report", str(folder))
    assert verdict in again.stdout.decode()
    assert as_program("verify", str(folder)).returncode == 0
