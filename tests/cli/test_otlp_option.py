"""`--otlp`: a run's turns reach a collector; one that fails costs the run nothing."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from loopback import Loopback, Peer, closed_port, serving
from ran_command import Command

pytestmark = pytest.mark.usefixtures("scripted_time")

QUICK = "sim:ttft=5ms,token=1ms,ttfb=5ms,speed=100x,words=6"
TAKEN = b"{}"
KEY = "s3cret-collector-key"


def arguments(results: Path, *more: str) -> list[str]:
    return [
        *("run", "--target", QUICK, "--results", str(results), "--runs", "2", "--warmup", "1"),
        *more,
    ]


def taking(peer: Peer) -> None:
    while True:
        peer.request()
        peer.answer("application/json", TAKEN)


def names_of(server: Loopback) -> list[str]:
    return [
        span["name"]
        for request in server.requests
        for span in request.json["resourceSpans"][0]["scopeSpans"][0]["spans"]
    ]


def test_each_turn_of_a_run_is_sent_and_so_is_a_saved_run(
    voicebench: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLLECTOR_KEY", KEY)
    key = ("--set", "otlp.key_env=COLLECTOR_KEY", "--set", "otlp.key_header=X-Key")
    with serving(taking) as server:
        ran = voicebench(*arguments(tmp_path, "--otlp", server.url, *key))
        assert (ran.code, "warning" in ran.err) == (0, False)
        assert names_of(server).count("voice turn") == 4
        (request,) = server.requests
        assert (request.method, request.target) == ("POST", "/v1/traces")
        assert request.headers["content-type"] == "application/json"
        assert KEY in request.headers["x-key"]
        assert KEY.encode() not in request.body
        (folder,) = tmp_path.iterdir()
        assert KEY not in (folder / "settings.json").read_text()
        again = voicebench("report", str(folder), "--otlp", f"{server.url}/v1/traces")
        assert (again.code, again.out) == (0, f"sent 4 turns to {server.url}/v1/traces\n")
        assert server.requests[1].target == "/v1/traces"
        assert server.requests[1].body == request.body


def down(peer: Peer) -> None:
    peer.reset()


def silent(peer: Peer) -> None:
    peer.request()
    peer.wait_for_hangup()


def refusing(peer: Peer) -> None:
    peer.request()
    peer.answer("application/json", b'{"message": "no room"}', status="503 Unavailable")


def rejecting(peer: Peer) -> None:
    peer.request()
    found = {"partialSuccess": {"rejectedSpans": "3", "errorMessage": "too old"}}
    peer.answer("application/json", json.dumps(found).encode())


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (down, ""),
        (silent, "0.3 s"),
        (refusing, "answers 503: no room"),
        (rejecting, "rejected 3 spans: too old"),
        (None, "cannot be reached|refused"),
    ],
    ids=["broken off", "silent", "503", "rejecting", "nobody there"],
)
def test_a_collector_that_fails_costs_one_warning_and_nothing_of_the_run(
    voicebench: Command, tmp_path: Path, script: object, why: str
) -> None:
    with serving(script or taking) as server:  # type: ignore[arg-type]
        url = server.url if script else f"http://127.0.0.1:{closed_port()}"
        limit = ("--set", "otlp.timeout_s=0.3")
        ran = voicebench(*arguments(tmp_path, "--otlp", url, "--json", *limit))
    assert ran.code == 0
    assert json.loads(ran.out)["verdict"] == "PASS"
    (warning,) = [line for line in ran.err.splitlines() if line.startswith("warning: ")]
    assert warning.startswith("warning: the traces were not sent: http://127.0.0.1:")
    assert re.search(why, warning)
    (folder,) = tmp_path.iterdir()
    assert f"voicebench report {folder} --otlp" in warning
    assert len((folder / "turns.jsonl").read_text().splitlines()) == 4


def test_a_saved_run_that_cannot_be_sent_is_an_error(voicebench: Command, tmp_path: Path) -> None:
    assert voicebench(*arguments(tmp_path)).code == 0
    (folder,) = tmp_path.iterdir()
    ran = voicebench("report", str(folder), "--otlp", f"http://127.0.0.1:{closed_port()}")
    assert ran.code == 4
    assert "the traces were not sent" in ran.err


@pytest.mark.parametrize("url", ["collector:4318", "grpc://127.0.0.1:4317", "http://u:pw@h:1"])
def test_a_url_that_cannot_be_used_is_refused_before_a_turn_is_taken(
    voicebench: Command, tmp_path: Path, url: str
) -> None:
    ran = voicebench(*arguments(tmp_path / "results", "--otlp", url))
    assert ran.code == 2
    assert not (tmp_path / "results").exists()
