"""docs/how-to/load.md: its commands work, its settings are legal, its numbers are the code's."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest
from command_line import as_program
from served_process import served_process

from voicebench.judging.gates import parse_gate
from voicebench.load.evidence import turns_needed
from voicebench.load.level_rule import (
    BLOCK_S,
    LEAST_BLOCKS,
    MOST_CLIENT_BUSY,
    MOST_FOREIGN,
    MOST_LATE_MS,
    MOST_UNFINISHED,
)
from voicebench.load.load_gate import load_gate
from voicebench.load.trace_file import LONGEST_TRACE_S, MOST_CALLS, read_trace
from voicebench.settings import load_settings

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "load.md").read_text(encoding="utf-8")
FLAT = " ".join(PAGE.split())
BLOCKS = "".join(re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL))
COMMANDS = re.findall(r"^voicebench (.*)$", BLOCKS, re.MULTILINE)


SELFTESTS = [command for command in COMMANDS if command.startswith("selftest")]


@pytest.mark.parametrize("command", SELFTESTS)
def test_the_self_test_works_with_a_few_streams(command: str) -> None:
    few = re.sub(r"--streams \d+", "--streams 5 --for 200ms", command)
    assert few != command
    done = as_program(*shlex.split(few))
    assert done.returncode == 0, done.stderr.decode()
    assert "5 for 0.2 s, 25 pieces" in done.stdout.decode()


HERE = "ws://127.0.0.1:8765"
LOADS = [
    command
    for command in COMMANDS
    if command not in SELFTESTS and HERE not in command and "configs/" not in command
]


def test_a_real_server_is_loaded_as_the_page_says(tmp_path: Path) -> None:
    [command] = [command for command in COMMANDS if HERE in command]
    with served_process("sim:speed=1000x,words=4") as served:
        url = served.url.replace("http://", "ws://")
        brief = command.replace(HERE, url).replace("--for 30s", "--for 4s")
        results = str(tmp_path / "results")
        briefly = ("--set", "load.think=300ms", "--set", "load.speech=200ms")
        done = as_program(*shlex.split(brief), "--quiet", "--results", results, *briefly)
    # A busy machine starts turns late, and then the level is invalid.
    assert done.returncode in (0, 5), done.stderr.decode()
    [folder] = (tmp_path / "results").iterdir()
    assert (folder / "turns.jsonl").read_text(encoding="utf-8").count("\n") > 10


@pytest.mark.parametrize("command", [command for command in COMMANDS if "configs/" in command])
def test_a_server_of_others_is_loaded_by_a_legal_plan(command: str) -> None:
    done = as_program(*shlex.split(command), "--dry-run")
    assert done.returncode == 0, done.stderr.decode()
    assert "20 blocks of 30 s" in done.stdout.decode()


@pytest.mark.parametrize("command", LOADS)
def test_every_command_works(command: str, tmp_path: Path) -> None:
    done = as_program(*shlex.split(command), "--quiet", "--results", str(tmp_path / "results"))
    assert done.returncode == 0, done.stderr.decode()
    if "--dry-run" not in command:
        [folder] = (tmp_path / "results").iterdir()
        named = set(re.findall(r"`([\w.]+\.(?:jsonl|csv|json)|SHA256SUMS)`", PAGE))
        written = {path.name for path in folder.iterdir()}
        assert written <= named
        assert {"turns.jsonl", "levels.jsonl", "load.csv"} <= written


def test_the_example_settings_are_legal(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    tomllib.loads(example)
    path = tmp_path / "load.toml"
    path.write_text(example, encoding="utf-8")
    assert load_settings(path).settings.load.think == "exp:3s"


def test_the_example_of_a_trace_is_legal() -> None:
    (example,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    [call] = read_trace(example.splitlines(), "the page").calls
    assert [turn.speech_s for turn in call.turns] == [1.8, 3.1]


def test_every_gate_of_the_page_can_judge_a_level() -> None:
    gates = re.findall(r"`([a-z_]+\.[a-z0-9]+(?:\([^)]*\))? [<>]=? [^`]+)`", PAGE)
    refused = {"errors.rate <= 0"}
    assert len(gates) >= 8
    assert refused <= set(gates)
    for gate in set(gates) - refused:
        assert load_gate(parse_gate(gate)).share > 0.8


@pytest.mark.parametrize(
    "words",
    [
        f"share of 95 % needs {turns_needed(0.95)} turns",
        f"99 % needs {turns_needed(0.99)}",
        f"A block is {BLOCK_S:.0f} seconds",
        f"at least {LEAST_BLOCKS} blocks",
        f"above {MOST_LATE_MS:.0f} ms",
        f"more than {100 * MOST_UNFINISHED:.0f} % of its turns",
        f"more than {100 * MOST_CLIENT_BUSY:.0f} % busy",
        f"more than {100 * MOST_FOREIGN:.0f} % of the cores",
        f"At most {MOST_CALLS:,} calls",
    ],
)
def test_every_bound_is_the_code_s(words: str) -> None:
    assert words in FLAT


def test_a_week_is_the_longest_trace() -> None:
    assert LONGEST_TRACE_S == 7 * 24 * 3600
