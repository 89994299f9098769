"""Loads that must not start are refused in one sentence that says what would help."""

from __future__ import annotations

import resource
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from voicebench.errors import UsageError
from voicebench.load.call_plan import (
    Arrivals,
    Behaviour,
    CallRate,
    Population,
    Trace,
    TracedCall,
    TracedTurn,
    TurnRate,
)
from voicebench.load.distributions import read_count, read_duration
from voicebench.load.load_gate import load_gates
from voicebench.load.running import refusals
from voicebench.load.running.refusals import (
    callers_at_once,
    check_allowed,
    check_lag,
    check_ports,
    is_near,
)
from voicebench.settings import load_settings

CALM = Behaviour(read_duration("3s", "t"), read_duration("2s", "s"), read_count("6", "n"))
LOCAL = {"run.target": "voice", "server.url": "ws://127.0.0.1:9/ws"}
ELSEWHERE = {"run.target": "voice", "server.url": "wss://voice.example.com/ws"}


def check(
    given: Mapping[str, object], callers: int, *permitted: str, same_machine: bool = False
) -> None:
    settings = load_settings(None, given).settings
    check_allowed(settings, callers, permitted, same_machine=same_machine)


@pytest.mark.parametrize(
    ("arrivals", "callers"),
    [
        (Population(40), 40),
        (CallRate(0.5), 30),  # calls of six turns, ten seconds each
        (TurnRate(4.0), 20),
        (TurnRate(0.01), 1),
        (Trace((TracedCall(0, (TracedTurn(1, 1),)), TracedCall(3, (TracedTurn(0, 1),)))), 2),
        (Trace((TracedCall(0, (TracedTurn(1, 1),)), TracedCall(9, (TracedTurn(0, 1),)))), 1),
    ],
)
def test_how_many_callers_there_are_at_once(arrivals: Arrivals, callers: int) -> None:
    assert callers_at_once(arrivals, CALM, 5.0) == callers


def test_engines_in_this_process_take_one_caller() -> None:
    check({"run.target": "cascade"}, 1)
    with pytest.raises(UsageError, match=r"2 callers at once would compute .*--same-machine"):
        check({"run.target": "cascade"}, 2)
    check({"run.target": "cascade"}, 2, same_machine=True)
    # One of two engines is enough to share the cores.
    with pytest.raises(UsageError, match="share its cores"):
        check({"run.target": "cascade", "llm.url": "http://127.0.0.1:9/v1"}, 2)


def test_a_server_of_someone_else_takes_ten_callers() -> None:
    check(ELSEWHERE, 10)
    with pytest.raises(UsageError, match=r"11 callers at wss://.*--permitted voice.example.com"):
        check(ELSEWHERE, 11)
    check(ELSEWHERE, 11, "voice.example.com")
    check(ELSEWHERE, 11, "Voice.Example.com")
    with pytest.raises(UsageError, match="--permitted"):
        check(ELSEWHERE, 11, "example.com")
    check(LOCAL, 11)


@pytest.mark.parametrize(
    ("host", "near"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("192.168.1.7", True),
        ("10.0.0.1", True),
        ("fd00::1", True),
        ("8.8.8.8", False),
        ("2001:4860:4860::8888", False),
        ("172.32.0.1", False),
        ("localhost.example.com", False),
        ("printer", False),
        ("0.0.0.0", False),
        ("::ffff:8.8.8.8", False),
        ("::ffff:10.0.0.1", True),
        ("", False),
    ],
)
def test_addresses_that_are_near(host: str, near: bool) -> None:
    assert is_near(host) is near


def test_too_few_descriptors_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (100, 100))
    check(LOCAL, 18)
    with pytest.raises(UsageError, match=r"need about 102 file descriptors.*ulimit -n 102"):
        check(LOCAL, 19)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, 0))
    check(LOCAL, 100_000)


def test_too_few_ports_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ports = tmp_path / "range"
    ports.write_text("32768\t33767\n")
    monkeypatch.setattr(refusals, "PORT_RANGE", ports)
    check_ports(400, 10.0)
    with pytest.raises(UsageError, match="401 callers and 10 calls a second need about 1001 ports"):
        check_ports(401, 10.0)
    monkeypatch.setattr(refusals, "PORT_RANGE", tmp_path / "missing")
    check_ports(1_000_000, 10.0)


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ({"run.target": "voice", "server.url": "ws://10.0.0.1/v1/voice"}, True),
        ({"run.target": "voice", "server.url": "wss://10.0.0.1/v1/voice"}, False),
        ({"run.target": "call", "call.url": "ws://10.0.0.1/call"}, True),
        ({"run.target": "call", "call.url": "wss://10.0.0.1/call"}, False),
        ({"run.target": "sim:"}, False),
        ({"run.target": "cascade"}, False),
    ],
)
def test_a_gate_on_the_clients_lag_needs_stamps_of_the_kernel(
    values: dict[str, str], monkeypatch: pytest.MonkeyPatch, *, shown: bool
) -> None:
    settings = load_settings(None, values).settings
    gates = load_gates(["errors.rate <= 1%", "client_lag.p99 < 5ms"])
    monkeypatch.setattr(sys, "platform", "linux")
    if shown:
        check_lag(settings, gates)
        monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(UsageError, match=r"'client_lag.p99 < 5ms' cannot be judged"):
        check_lag(settings, gates)
    check_lag(settings, gates[:1])


def test_a_simulated_server_has_no_such_limit() -> None:
    check({"run.target": "sim:slots=8"}, 100_000)
