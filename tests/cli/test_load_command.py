"""`voicebench load` and `capacity` on the virtual clock: answers, exit codes, refusals."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from loopback import closed_port
from ran_command import Command
from served_process import served_process

from voicebench.load.level_document import LEVEL_COLUMNS
from voicebench.results.load_folder import read_levels

SIM = "sim:ttft=20ms,token=1ms,ttfb=20ms,speed=50x,words=4,slots=1,service=exp:400ms"
GATE = ("--gate", "first_audio_due.p95 < 2s", "--for", "20m")


def command(name: str, results: Path, *more: str) -> list[str]:
    return [name, "--target", SIM, "--results", str(results), "--quiet", *more]


def folder_of(results: Path) -> Path:
    [folder] = results.iterdir()
    return folder


def test_a_level_that_holds_passes(voicebench: Command, tmp_path: Path) -> None:
    ran = voicebench(*command("load", tmp_path, "--callers", "5", *GATE))
    assert ran.code == 0
    assert "✓ PASS" in ran.out
    folder = folder_of(tmp_path)
    [level] = read_levels(folder)
    assert (level["callers"], level["standing"], level["purpose"]) == (5, "holds", "load")
    assert level["window"] == {"start_s": 10.0, "end_s": 1210.0}
    turns = level["turns"]
    assert isinstance(turns, dict)
    lines = (folder / "turns.jsonl").read_text().splitlines()
    assert len(lines) == sum(turns.values())
    assert {json.loads(line)["phase"] for line in lines} == {"load"}
    rows = list(csv.DictReader((folder / "load.csv").read_text().splitlines()))
    assert [row["standing"] for row in rows] == ["holds"]
    assert tuple(rows[0]) == tuple(name for name, _ in LEVEL_COLUMNS)
    assert json.loads((folder / "load.json").read_text())["verdict"] == "PASS"
    assert not (folder / "INCOMPLETE").exists()


def test_a_level_that_is_too_much_fails(voicebench: Command, tmp_path: Path) -> None:
    ran = voicebench(*command("load", tmp_path, "--callers", "25", *GATE, "--json"))
    assert ran.code == 3
    document = json.loads(ran.out)
    assert (document["verdict"], document["exit_code"]) == ("FAIL", 3)


def test_an_open_load_above_the_slots_is_saturated(voicebench: Command, tmp_path: Path) -> None:
    ran = voicebench(*command("load", tmp_path, "--turns", "3/s", "--gate", "errors.rate <= 5%"))
    assert ran.code == 3
    [level] = read_levels(folder_of(tmp_path))
    assert level["saturated"] is True
    assert "saturated" in ran.out


def test_calls_at_a_rate_and_traces(voicebench: Command, tmp_path: Path) -> None:
    ran = voicebench(
        *command("load", tmp_path / "calls", "--calls", "4/min", *GATE, "--for", "30m", "--json")
    )
    assert ran.code == 0
    assert json.loads(ran.out)["level"]["calls_per_s"] == pytest.approx(4 / 60)
    trace = tmp_path / "calls.jsonl"
    calls = [{"at_s": n * 4.0, "turns": [{"speech_s": 1.0}] * 3} for n in range(200)]
    trace.write_text("".join(json.dumps(call) + "\n" for call in calls))
    more = ("--trace", str(trace), *GATE, "--for", "10m", "--json")
    ran = voicebench(*command("load", tmp_path / "trace", *more))
    assert ran.code == 0
    assert json.loads(ran.out)["level"]["trace"] == 200


def test_every_turn_failing_is_nothing_measured(voicebench: Command, tmp_path: Path) -> None:
    arguments = command("load", tmp_path, "--callers", "20", *GATE)
    arguments[2] = "sim:fail=1"
    ran = voicebench(*arguments)
    assert ran.code == 4
    assert "no turn was answered" in ran.err


def test_without_a_gate_nothing_is_judged(voicebench: Command, tmp_path: Path) -> None:
    ran = voicebench(*command("load", tmp_path, "--callers", "3", "--no-gate", "--for", "90s"))
    assert ran.code == 0
    assert "NOT JUDGED" in ran.out


def test_the_capacity_is_confirmed_and_written(voicebench: Command, tmp_path: Path) -> None:
    more = ("--max", "16", "--at-least", "4", *GATE, "--for", "30m")
    ran = voicebench(*command("capacity", tmp_path, *more))
    assert ran.code == 0
    folder = folder_of(tmp_path)
    answer = json.loads((folder / "capacity.json").read_text())
    assert 4 <= answer["capacity"] == answer["capacity_low"] < answer["capacity_high"] <= 16
    assert f"capacity {answer['capacity']} callers, confirmed" in ran.out
    levels = read_levels(folder)
    assert len(levels) == len(answer["levels"])
    assert levels[-1]["purpose"] == "confirm"
    assert levels[-1]["seed"] != levels[0]["seed"]
    assert answer["callers_behave"]["think"] == "exp:3s"


def test_a_capacity_that_is_not_reached_is_a_failed_gate(
    voicebench: Command, tmp_path: Path
) -> None:
    ran = voicebench(*command("capacity", tmp_path, "--max", "30", "--at-least", "25", *GATE))
    assert ran.code == 3
    assert "(at least 25 asked)" in ran.out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("load",), "no load given; give one of --callers, --calls, --turns, --trace"),
        (("load", "--callers", "3", "--turns", "4/s"), "--callers and --turns given"),
        (("load", "--calls", "30"), "--calls '30' is not a rate"),
        (("load", "--callers", "3", "--for", "1d"), "--for '1d' is not a time"),
        (("load", "--callers", "3", "--for", "2m"), "has 4 blocks of 30 s, and 8 are needed"),
        (("load", "--callers", "2"), "cannot be decided: a level of 600 s has about 120 turns"),
        (("load", "--callers", "9", "--gate", "errors.rate <= 0"), "allows no exception"),
        (("load", "--callers", "9", "--gate", "turn.mean < 1s"), "is not a share of turns"),
        (("load", "--callers", "9", "--no-gate", "--gate", "x"), "exclude each other"),
        (("load", "--trace", "no-such-file"), "trace no-such-file cannot be read"),
        (("load", "--callers", "9", "--set", "load.think=often"), "it 'often' has no duration"),
        (("load", "--callers", "9", "--set", "load.turns=none"), "is not a distribution of counts"),
        (("capacity", "--max", "8", "--at-least", "9"), "--at-least 9 is above --max 8"),
        (("capacity", "--max", "1"), "cannot be decided"),
        (("capacity", "--precision", "10"), "could mean 10 %"),
        (("capacity", "--set", "load.gates=[]"), "capacity needs a gate"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(
    voicebench: Command, tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    name, *more = arguments
    ran = voicebench(*command(name, tmp_path, *more))
    assert ran.code == 2
    assert says in ran.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", [("load", "--callers", "40"), ("capacity",)])
@pytest.mark.parametrize(
    ("more", "says"),
    [
        ((), "would compute in this process"),
        (("--server", "wss://voice.example.com/ws"), "--permitted voice.example.com"),
        (("--server", "ws://127.0.0.1:9", "--set", "load.processes=1000"), "load.processes = 1000"),
    ],
)
def test_loads_that_must_not_start_are_refused(
    voicebench: Command, tmp_path: Path, name: tuple[str, ...], more: tuple[str, ...], says: str
) -> None:
    ran = voicebench(*name, "--results", str(tmp_path), *more)
    assert ran.code == 2
    assert says in ran.err
    assert not list(tmp_path.iterdir())


def test_more_replies_than_can_be_timed_are_refused(voicebench: Command, tmp_path: Path) -> None:
    one = ("--set", "load.processes=1", "--set", "load.reply_s=600")
    ran = voicebench(
        *("load", "--callers", "200", "--server", "wss://127.0.0.1:9", *one),
        *("--results", str(tmp_path)),
    )
    assert ran.code == 2
    assert "replies would come in at once, and 1 client process can time 150" in ran.err


def test_a_server_that_is_down_is_named(voicebench: Command, tmp_path: Path) -> None:
    url = f"ws://127.0.0.1:{closed_port()}"
    ran = voicebench(
        "load", "--callers", "5", "--server", url, "--no-gate", "--results", str(tmp_path)
    )
    assert ran.code == 4
    assert url in ran.err
    assert not list(tmp_path.iterdir())


def test_a_level_against_a_server(voicebench: Command, tmp_path: Path) -> None:
    with served_process("sim:ttft=40ms,token=2ms,ttfb=20ms,speed=20x,words=3") as served:
        brisk = ("load.think=exp:100ms", "load.speech=200ms", "load.reply_s=1")
        ran = voicebench(
            *("load", "--server", served.voice_url, "--callers", "4", "--for", "3s", "--no-gate"),
            *(part for one in brisk for part in ("--set", one)),
            *("--results", str(tmp_path), "--json"),
        )
    # A busy machine makes the level invalid, which is what it has to say then.
    assert ran.code in (0, 5)
    folder = folder_of(tmp_path)
    [level] = read_levels(folder)
    turns = level["turns"]
    assert isinstance(turns, dict)
    assert turns["measured"] > 4
    lines = (folder / "turns.jsonl").read_text().splitlines()
    assert len(lines) == sum(turns.values())
    environment = json.loads((folder / "environment.json").read_text())
    assert environment["clock"] == "real"
    assert environment["client"]["server_on_this_machine"] is True
    assert environment["target"]["url"] == served.voice_url


def test_a_dry_run_says_the_price_and_holds_nothing(voicebench: Command, tmp_path: Path) -> None:
    ran = voicebench(*command("load", tmp_path, "--callers", "10", "--for", "20s", "--dry-run"))
    assert "too short to decide its gates, so without --dry-run it is refused" in ran.out
    ran = voicebench(*command("load", tmp_path, "--callers", "10", "--dry-run"))
    assert "refused" not in ran.out
    assert ran.code == 0
    assert "if none is bad, 299 turns show it" in ran.out
    assert "decided after" in ran.out
    assert "speech, s" in ran.out
    ran = voicebench(*command("capacity", tmp_path, "--max", "400", "--dry-run", "--json"))
    assert ran.code == 0
    assert json.loads(ran.out)["search"]["levels"] > 10
    assert not list(tmp_path.iterdir())


def test_ctrl_c_keeps_every_level_that_ended(
    voicebench: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from voicebench.load.running.virtual_engine import VirtualLevel

    calls = 0
    advance = VirtualLevel.advance

    def interrupted(self: VirtualLevel, until_s: float) -> object:
        nonlocal calls
        calls += 1
        if calls == 20:
            raise KeyboardInterrupt
        return advance(self, until_s)

    monkeypatch.setattr(VirtualLevel, "advance", interrupted)
    ran = voicebench(*command("capacity", tmp_path, "--max", "32", *GATE))
    assert ran.code == 130
    folder = folder_of(tmp_path)
    levels = read_levels(folder)
    assert len(levels) > 1
    assert levels[-1]["interrupted"] is True
    assert levels[0]["interrupted"] is False
    assert json.loads((folder / "capacity.json").read_text())["verdict"] == "INTERRUPTED"
    assert (folder / "INCOMPLETE").exists()
    assert "so far" in ran.out
