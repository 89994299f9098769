"""The plan of `make interop`: which servers, which settings, which command. Nothing is started."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import replace
from itertools import pairwise

import pytest

from benchmarks.interop import CASES, COLUMNS, PIPER, ROOT, Case, command_of, interpreter_of, row_of
from voicebench.cli.options import effective_settings
from voicebench.figures.metrics import BY_NAME

each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@each_case
def test_a_case_names_a_settings_file_and_the_ports_of_its_own_servers(case: Case) -> None:
    assert (ROOT / "configs" / case.config).is_file()
    named = set(re.findall(r"\{([^}]+)\}", " ".join(case.settings)))
    assert named == {peer.name for peer in case.peers}


@each_case
def test_its_command_is_one_that_voicebench_takes(case: Case) -> None:
    ports = {peer.name: 5000 + number for number, peer in enumerate(case.peers)}
    command = command_of(case, ports, turns=8)
    assert command[:4] == [sys.executable, "-m", "voicebench", "run"]
    assert command[command.index("--runs") + 1] == "8"
    settings = [value for option, value in pairwise(command) if option == "--set"]
    assert not any("{" in setting for setting in settings)
    read = effective_settings(ROOT / "configs" / case.config, settings, {}).settings
    behind = [url for url in (read.llm.url, read.tts.url) if url is not None]
    assert len(behind) == len(case.peers)
    for port in ports.values():
        assert any(f":{port}/" in url for url in behind)


def test_the_first_interpreter_that_has_the_packages_is_taken() -> None:
    peer = replace(PIPER, imports="import json")
    assert interpreter_of(peer, ["/no/such/python", sys.executable]) == sys.executable
    relative = os.path.relpath(sys.executable)
    assert interpreter_of(peer, [relative]) == os.path.abspath(relative)  # servers start elsewhere
    assert (
        interpreter_of(replace(PIPER, imports="import no_such_package"), [sys.executable]) is None
    )


def test_a_row_shows_medians_and_whether_all_turns_held() -> None:
    assert {metric for metric, _ in COLUMNS} <= set(BY_NAME)
    result = {
        "metrics": {"llm_ttft_ms": {"p50": 170.4}, "connection_reused": {"mean": 0.5, "p50": 1}},
        "turns": {"measured": 8, "failed": 0},
    }
    row, held = row_of(CASES[0], result)
    assert row.split() == ["in", "process", "8", "0", "170", "–", "–", "–", "–", "0.50"]
    assert held
    assert not row_of(CASES[0], result | {"turns": {"measured": 8, "failed": 1}})[1]
