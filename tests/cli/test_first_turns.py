"""`run --idle-gap` and `run --cold-connection`, through the command line against a real server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ran_command import Command
from served_somewhere import server

from voicebench.results.batches import stream_turns
from voicebench.server.connections import Limits
from voicebench.turn.timeline import Timeline


def turns_in(results: Path) -> list[Timeline]:
    (folder,) = results.iterdir()
    return list(stream_turns(folder))


def reused(turn: Timeline) -> list[bool]:
    return [connected.reused for connected in turn.connections]


def run(results: Path, *more: str) -> tuple[str, ...]:
    return ("run", "--no-gate", "--warmup", "0", "--results", str(results), *more)


def test_the_turn_after_a_silence_meets_what_keep_alive_left_of_its_connections(
    voicebench: Command, tmp_path: Path
) -> None:
    with server(limits=Limits(idle_s=2)) as url:
        ran = voicebench(
            *run(tmp_path, "--server", url, "--runs", "3", "--idle-gap", "3s"),
            *("--set", "run.idle_turns=2"),
        )
    assert ran.code == 0, ran.err
    turns = turns_in(tmp_path)
    assert [turn.phase for turn in turns] == ["cold", *["measured"] * 3, *["idle"] * 2]
    assert all(all(reused(turn)) for turn in turns if turn.phase == "measured")
    assert not any(reused(turn)[0] for turn in turns if turn.phase == "idle")

    (folder,) = tmp_path.iterdir()
    summary = json.loads((folder / "summary.json").read_text())
    idle = summary["phases"]["idle"]
    assert (idle["turns"], idle["failed"], idle["connection_reused"]) == (2, 0, 0)
    assert idle["connect_ms"] > 0
    measured = summary["metrics"]["first_audio_ms"]["p50"]
    assert idle["over_measured_ms"] == pytest.approx(idle["first_audio_ms"] - measured)
    assert summary["metrics"]["connection_reused"]["mean"] == 1

    table = ran.out[ran.out.index("Phases, in ms") :]
    rows = {line.split()[0]: line.split() for line in table.splitlines()[:8] if line.split()}
    assert rows["idle"][1:3] == ["2", "0"]
    assert rows["idle"][-2:] == ["0", "%"]
    assert rows["measured"][-2:] == ["100", "%"]
    assert voicebench("verify", str(folder)).code == 0


def test_a_cold_connection_is_opened_inside_every_turn_and_the_report_says_so(
    voicebench: Command, tmp_path: Path
) -> None:
    with server() as url:
        ran = voicebench(
            *run(tmp_path, "--server", url, "--runs", "2", "--cold-connection"),
        )
    assert ran.code == 0, ran.err
    turns = turns_in(tmp_path)
    assert [turn.phase for turn in turns] == ["cold", "measured", "measured"]
    for turn in turns:
        chat, *speech = turn.connections
        assert not chat.reused
        assert not speech[0].reused
    said = "connections were opened inside the turns"
    assert said in " ".join(ran.out.split())
    (folder,) = tmp_path.iterdir()
    for form in ("table", "markdown", "html"):
        reported = voicebench("report", str(folder), "--format", form)
        assert said in " ".join(reported.out.split())


def test_of_kept_connections_the_report_says_nothing(voicebench: Command, tmp_path: Path) -> None:
    with server() as url:
        ran = voicebench(*run(tmp_path, "--server", url, "--runs", "1"))
    assert "opened inside" not in ran.out
    assert all(all(reused(turn)) for turn in turns_in(tmp_path) if turn.phase == "measured")
