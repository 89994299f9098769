"""`config`, `doctor`, `selftest`: what they print, for people and for programs."""

from __future__ import annotations

import ctypes
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from ran_command import Command

from voicebench.checks import call_transports, selftest, transports
from voicebench.checks.compiled import StageTimes
from voicebench.cli.option_groups import GROUPS, OTHERS
from voicebench.engines.native.library import NativeLibrary, NoLibrary
from voicebench.figures.metrics import METRICS
from voicebench.machine import environment
from voicebench.settings import describe_keys
from voicebench.targets.speech_servers import HTTP_SAMPLES


def test_config_shows_where_each_value_came_from(voicebench: Command, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('[run]\nname = "mine"\nruns = 40\n')
    ran = voicebench("config", str(file), "--set", "run.runs=50", "--json")
    settings = json.loads(ran.out)
    assert settings["run.name"] == {"value": "mine", "from": str(file)}
    assert settings["run.runs"] == {"value": 50, "from": "command line"}
    assert settings["run.warmup"] == {"value": 3, "from": "default"}
    assert list(settings) == [key for key, _ in describe_keys()]


def test_config_lists_every_metric_a_gate_may_name(voicebench: Command) -> None:
    ran = voicebench("config", "--metrics", "--json")
    assert [row["name"] for row in json.loads(ran.out)] == [metric.name for metric in METRICS]
    assert "gapless_start_ms" in voicebench("config", "--metrics").out


def test_the_default_config_is_the_built_in_default(voicebench: Command) -> None:
    ran = voicebench("config", "configs/default.toml", "--json")
    built_in = json.loads(voicebench("config", "--json").out)
    shown = json.loads(ran.out)
    assert {key: row["value"] for key, row in shown.items()} == {
        key: row["value"] for key, row in built_in.items()
    }


@pytest.mark.parametrize("path", sorted(Path("configs").rglob("*.toml")), ids=str)
def test_every_config_that_ships_can_be_read(voicebench: Command, path: Path) -> None:
    assert voicebench("config", str(path)).code == 0


def test_doctor_says_what_there_is(voicebench: Command) -> None:
    ran = voicebench("doctor", "--json")
    findings = {finding["what"]: finding for finding in json.loads(ran.out)}
    assert findings["Python"]["state"] == "ok"
    assert findings["extra torch"]["state"] == "ok"
    assert {"clock", "load", "CPU governor", "sound device", "computing device"} <= set(findings)
    assert all(finding["remedy"] for finding in findings.values() if finding["state"] != "ok")


def test_doctor_says_that_a_compiler_is_missing_and_how_to_get_one(
    voicebench: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_compiler() -> None:
        raise NoLibrary("there is no C compiler")

    monkeypatch.setattr("voicebench.engines.native.library.native_library", no_compiler)
    findings = {row["what"]: row for row in json.loads(voicebench("doctor", "--json").out)}
    assert findings["C library"]["state"] == "warning"
    assert "there is no C compiler" in findings["C library"]["detail"]
    assert "apt install gcc" in findings["C library"]["remedy"]


def test_doctor_names_a_level_that_the_installation_could_not_build(
    voicebench: Command, monkeypatch: pytest.MonkeyPatch, c_library: ctypes.CDLL
) -> None:
    assert isinstance(c_library, NativeLibrary)
    lower = NativeLibrary(c_library.file, "a lower level")
    monkeypatch.setattr("voicebench.engines.native.library.native_library", lambda: lower)
    findings = {row["what"]: row for row in json.loads(voicebench("doctor", "--json").out)}
    assert findings["C library"]["state"] == "warning"
    detail = findings["C library"]["detail"]
    assert detail.startswith("a lower level")
    assert ", which is below " in detail
    assert "a newer C compiler" in findings["C library"]["remedy"]


@pytest.mark.parametrize(("compiled_ms", "remedy"), [(3.9, ""), (3.0, "set VOICEBENCH_COMPILE=1")])
def test_doctor_says_what_compiling_here_would_bring(
    compiled_ms: float, remedy: str, voicebench: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = [StageTimes("a token", 4.0, compiled_ms), StageTimes("40 phonemes", 2.0, 2.1)]
    monkeypatch.setattr("voicebench.checks.compiled.compare_libraries", lambda: times)
    monkeypatch.setattr(environment, "load_average", lambda: 0.0)
    ran = voicebench("doctor", "--compile", "--json")
    found = {row["what"]: row for row in json.loads(ran.out)}["compiling here"]
    assert found["detail"] == (
        f"a token {compiled_ms:.2f} ms instead of 4.00; 40 phonemes 2.10 ms instead of 2.00"
    )
    assert found["remedy"] == remedy
    monkeypatch.setattr(environment, "load_average", lambda: 1000.0)
    ran = voicebench("doctor", "--compile", "--json")
    found = {row["what"]: row for row in json.loads(ran.out)}["compiling here"]
    assert found["state"] == "warning"
    assert "too busy to compare" in found["remedy"]
    assert voicebench("doctor", "--compile", "--quality").code == 2


def test_doctor_names_the_command_that_fetches_a_model(
    voicebench: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOICEBENCH_CACHE", str(tmp_path))
    ran = voicebench("doctor", "--json")
    remedies = [finding["remedy"] for finding in json.loads(ran.out)]
    assert "voicebench models pull smollm2-135m-instruct" in remedies


def test_selftest_prints_recorded_minus_scripted(voicebench: Command) -> None:
    ran = voicebench("selftest", "--turns", "2", "--in-process", "--json")
    (error, *_) = json.loads(ran.out)
    assert error["transport"] == "in process"
    assert 0 <= error["p50_ms"] <= error["p95_ms"] <= error["max_ms"]
    assert "in process" in voicebench("selftest", "--turns", "1", "--in-process").out


def test_selftest_holds_every_transport_to_a_bound(
    voicebench: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    near = selftest.InstrumentError("in process", 90, 0.01, 0.06, 0.2)
    far = selftest.InstrumentError(HTTP_SAMPLES, 500, 1.1, 12.5, 103.0)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(selftest, "measure_in_process", lambda _turns: near)
    monkeypatch.setattr(transports, "measure_transports", lambda _turns, say: [far])
    monkeypatch.setattr(call_transports, "measure_calls", lambda _turns, say: [])

    ran = voicebench("selftest", "--max", "2ms")
    assert ran.code == 3
    assert "p95 under 2 ms: kept by 1 of 2 transports" in ran.out
    rows = {line.strip().split("  ")[0]: line for line in ran.out.splitlines() if line.strip()}
    assert "kept" in rows["in process"]
    assert "missed" in rows[HTTP_SAMPLES]  # the longest name fits a terminal

    assert voicebench("selftest", "--max", "2ms", "--in-process").code == 0
    assert voicebench("selftest").code == 0
    ran = voicebench("selftest", "--max", "20ms", "--json")
    assert (ran.code, [error["kept"] for error in json.loads(ran.out)]) == (0, [True, True])
    assert voicebench("selftest", "--max", "soon").code == 2


def test_selftest_shows_the_largest_where_stamps_are_too_few_for_a_p95(
    voicebench: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = selftest.summarize_errors("in process", [0.1] * 18 + [-4.0])
    assert (few.p95_ms, few.max_ms, few.has_p95) == (4.0, 4.0, False)
    enough = selftest.summarize_errors("in process", [0.1] * 19 + [-4.0])
    assert (enough.has_p95, enough.p95_ms < 4.0) == (True, True)
    monkeypatch.setattr(selftest, "measure_in_process", lambda _turns: few)
    shown = voicebench("selftest", "--in-process").out
    assert "4.000*" in shown
    assert "too few stamps for a p95" in shown
    monkeypatch.setattr(selftest, "measure_in_process", lambda _turns: enough)
    assert "*" not in voicebench("selftest", "--in-process").out


def test_version_and_unknown_commands(voicebench: Command) -> None:
    assert voicebench("--version").out.startswith("voicebench ")
    assert voicebench("dance").code == 2


@pytest.mark.parametrize("command", ["run", "load", "capacity", "call", "say", "tune", "serve"])
def test_options_of_a_command_with_many_are_listed_by_purpose(
    voicebench: Command, command: str
) -> None:
    shown = voicebench(command, "--help").out
    titles = [title for title in [*GROUPS, OTHERS] if f"\n{title}:\n" in shown]
    places = [shown.index(f"\n{title}:\n") for title in titles]
    assert places == sorted(places)
    assert len(titles) > 3
    last = shown[places[-1] :]
    others = re.findall(r"^  (?:-\w, )?(--[a-z-]+)", last, re.MULTILINE)
    assert set(others) <= {"--config", "--set", "--help"}
    assert command == "serve" or shown.index("--key-env") < places[1]


def test_h_is_help_and_a_shell_can_complete(voicebench: Command) -> None:
    assert voicebench("run", "-h").out == voicebench("run", "--help").out
    assert "--install-completion" in voicebench("-h").out


def test_help_imports_no_engine() -> None:
    """The promise of 0.3 s holds only while the heavy packages stay out of start-up."""
    script = (
        "import sys, voicebench.cli;"
        "print(sorted({'torch', 'transformers', 'pandas', 'scipy', 'pydantic', 'rich', 'httpx',"
        " 'numpy', 'onnx', 'sounddevice'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.stdout.strip() == "[]"
