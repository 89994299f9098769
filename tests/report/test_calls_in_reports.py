"""Spoken calls in the reports: the terminal, the page and calls.csv show the same call."""

from __future__ import annotations

import csv
import json
import re
import wave
from pathlib import Path

import numpy as np
import pytest
from handmade import call_step
from typer.testing import CliRunner

from voicebench.cli import app
from voicebench.judging.digest import digest_of
from voicebench.report.console.call_table import response_line
from voicebench.report.html import html_report
from voicebench.results.run import read_run

SCRIPT = """
[[step]]
say = "one two [pause 900ms] three four"
[[step]]
noise = "cough"
at = "300ms"
[[step]]
say = "one two three"
at = "1200ms"
[[step]]
say = "that is all"
"""


def ran(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, words)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("calls")
    script = place / "script.toml"
    script.write_text(SCRIPT, encoding="utf-8")
    agent = "sim:wait=400ms,transcript=50ms,reply=50ms,voice=100ms,stop=300ms"
    code, _ = ran(
        *("call", str(script), "--agent", agent, "--voice", "synthetic", "--calls", "2"),
        *("--results", str(place / "results"), "--save-audio", "--quiet"),
    )
    assert code == 3  # it cuts in
    (found,) = (place / "results").iterdir()
    return found


def test_the_terminal_names_each_outcome(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    _, shown = ran("report", str(folder))
    for word in ("cut in", "ignored", "stopped", "answered", "208 ms", "both speak", "2 calls"):
        assert word in shown
    assert "simulated words" in shown


def test_every_report_reads_the_run(folder: Path) -> None:
    for form in ("markdown", "json", "junit", "csv", "html"):
        code, shown = ran("report", str(folder), "-f", form)
        assert code == 0, (form, shown)
    assert ran("verify", str(folder))[0] == 0


def test_the_gates_are_those_of_calls(folder: Path) -> None:
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    observed = {gate["gate"]: gate["observed"] for gate in summary["gates"]}
    # Of six answers, the two to the line with the pause came too early.
    assert observed["cut_in.rate <= 5%"] == pytest.approx(2 / 6)
    assert observed["false_stop.rate <= 5%"] == 0
    assert observed["stop.p95 < 400ms"] == pytest.approx(300, abs=1.1)
    assert summary["verdict"] == "FAIL"


def test_calls_csv_has_what_was_said_and_heard(folder: Path) -> None:
    with (folder / "calls.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["kind"] for row in rows[:4]] == ["line", "noise", "interruption", "line"]
    assert {row["call"] for row in rows} == {"1", "2"}
    assert rows[0]["said"] == "one two three four"
    assert rows[3]["heard"] == "simulated words"
    assert float(rows[3]["response_ms"]) == pytest.approx(600, abs=1.1)
    assert rows[1]["false_stop"] == "0"


def test_the_saved_call_has_the_caller_left_and_the_agent_right(folder: Path) -> None:
    with wave.open(str(folder / "audio" / "call-001.wav"), "rb") as file:
        assert file.getnchannels() == 2
        rate = file.getframerate()
        frames = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").reshape(-1, 2)
    first = json.loads((folder / "turns.jsonl").read_text(encoding="utf-8").splitlines()[0])
    call = first["call"]
    began = call["spoken_from_ns"] * rate // 10**9
    answered = call["agent"][0][0] * rate // 10**9
    for channel, onset in ((0, began), (1, answered)):
        loud = np.flatnonzero(np.abs(frames[:, channel]) > 1000)
        # The caller's frame leaves when its last sample was spoken.
        assert loud[0] == pytest.approx(onset, abs=rate * 0.03)


def test_the_page_draws_both_tracks_and_plays_them(folder: Path) -> None:
    page = html_report([read_run(folder)], drawer=lambda _spec: "<svg></svg>")
    assert page.count('class="call"') == 2
    for kind in ("caller", "agent", "both", "target", "playhead"):
        assert re.search(rf'<path class="{kind}" d="M', page), kind
    assert page.count("data:audio/wav;base64,") == 2
    assert "208 ms" in page
    assert "Slowest turns" not in page


def test_a_second_run_can_be_compared_with_it(folder: Path, tmp_path: Path) -> None:
    script = folder.parents[1] / "script.toml"
    code, shown = ran(
        *("call", str(script), "--agent", "sim:wait=1500ms", "--voice", "synthetic"),
        *("--results", str(tmp_path), "--baseline", str(folder), "--no-gate", "--quiet"),
    )
    assert code in (0, 5), shown
    assert ran("compare", str(folder), str(next(tmp_path.iterdir())))[0] in (0, 3, 5)
    assert ran("history", "--results", str(tmp_path))[0] == 0


def test_an_interruption_that_is_never_confirmed_fails_its_gate(tmp_path: Path) -> None:
    script = tmp_path / "s.toml"
    script.write_text(SCRIPT, encoding="utf-8")
    code, shown = ran(
        *("call", str(script), "--agent", "sim:ignore=60s,speech=6s", "--voice", "synthetic"),
        *("--results", str(tmp_path / "r"), "--quiet", "--gate", "stop.p95 < 400ms"),
    )
    assert code == 3
    assert "NOT MEASURED" in shown
    assert "never confirmed" in shown


def test_the_line_of_a_run_counts_all_calls_of_a_long_run() -> None:
    steps = [call_step(call, step) for call in range(1, 152) for step in (1, 2)]
    assert response_line(digest_of(steps)).startswith("151 calls, 302 steps, 0 failed")
