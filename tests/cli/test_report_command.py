"""`voicebench report`, `export` and `verify`: what they read, what they write, what they refuse."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pandas as pd
import pytest
from handmade import failed_turn, make_turn, sprint_turns
from ran_command import Command
from recorded_folders import write_result

pytestmark = pytest.mark.usefixtures("undrawn")

pytestmark = pytest.mark.usefixtures("scripted_time")

QUICK = "sim:ttft=5ms,token=1ms,ttfb=5ms,speed=100x,words=6"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_result(tmp_path / "results", [*sprint_turns(), failed_turn(9)])


def state(folder: Path) -> dict[Path, tuple[int, bytes]]:
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()}


@pytest.mark.parametrize(
    "form", ["table", "markdown", "csv", "json", "junit", "badge", "github-benchmark", "bencher"]
)
def test_a_report_is_exit_0_and_changes_no_result(
    voicebench: Command, folder: Path, form: str
) -> None:
    before = state(folder)
    ran = voicebench("report", str(folder), "--format", form)
    assert ran.code == 0
    assert ran.out
    # The table is what `run` printed, and so is the advice beside it.
    assert ran.err.startswith("\nAdvice\n") if form == "table" else ran.err == ""
    assert state(folder) == before


def test_a_report_goes_to_a_file(voicebench: Command, folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "report.md"
    ran = voicebench("report", str(folder), "-f", "markdown", "-o", str(path))
    assert (ran.code, ran.out) == (0, "")
    assert path.read_text(encoding="utf-8").startswith("# voicebench: made")


def test_a_report_goes_into_a_pipe_or_a_device_and_never_in_its_place(
    voicebench: Command, folder: Path, tmp_path: Path
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        ran = voicebench("report", str(folder), "-f", "badge", "-o", str(pipe), "--force")
        assert (ran.code, ran.err) == (0, "")
        assert os.read(reader, 1 << 20).startswith(b"<svg")
    finally:
        os.close(reader)
    assert pipe.is_fifo()
    assert voicebench("report", str(folder), "-f", "badge", "-o", os.devnull).code == 0


def test_a_link_goes_on_pointing_to_the_report(
    voicebench: Command, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "pages").mkdir()
    link = tmp_path / "latest.md"
    link.symlink_to(tmp_path / "pages" / "report.md")
    ran = voicebench("report", str(folder), "-f", "markdown", "-o", str(link))
    assert (ran.code, ran.err) == (0, "")
    assert link.is_symlink()
    assert (tmp_path / "pages" / "report.md").read_text(encoding="utf-8").startswith("# voicebench")


@pytest.mark.parametrize("command", [["report"], ["export"]])
def test_nothing_is_overwritten_unless_asked(
    voicebench: Command, folder: Path, tmp_path: Path, command: list[str]
) -> None:
    path = tmp_path / "there.txt"
    path.write_text("mine")
    ran = voicebench(*command, str(folder), "-o", str(path))
    assert ran.code == 2
    assert "is there already; give --force to replace it" in ran.err
    assert path.read_text() == "mine"
    assert voicebench(*command, str(folder), "-o", str(path), "--force").code == 0
    assert path.read_text() != "mine"
    assert [left.name for left in tmp_path.iterdir() if left.name.startswith(".")] == []


def test_a_result_can_be_judged_by_other_gates(voicebench: Command, folder: Path) -> None:
    gates = ["--gate", "first_audio.p50 < 1s"]
    ran = voicebench("report", str(folder), "-f", "json", *gates)
    (result,) = json.loads(ran.out)["results"]
    assert [gate["gate"] for gate in result["gates"]] == ["first_audio.p50 < 1s"]
    assert result["verdict"] == "PASS"


def broken(folder: Path, how: str) -> None:
    turns = folder / "turns.jsonl"
    text = turns.read_text()
    match how:
        case "an unknown schema":
            turns.write_text(text.replace('"schema":1', '"schema":99', 1))
        case "no turns at all":
            turns.unlink()
        case "an empty file":
            turns.write_text("")
        case "two runs in one":
            turns.write_text(text + text)
        case "something else":
            turns.write_text('{"hello": "world"}\n')
        case "no text":
            turns.write_bytes(b"\xff\xfe\x00\n")
        case "no settings":
            (folder / "settings.json").unlink()
        case "figures that are none":
            turns.write_text(text.replace('"sample_rate":16000', '"sample_rate":0'))


BROKEN = {
    "an unknown schema": "has schema 99, and this voicebench reads schema 1",
    "no turns at all": "is not a run folder: it has no turns.jsonl",
    "an empty file": "holds no finished turn",
    "two runs in one": "the file has the turns of several runs",
    "something else": "line 1",
    "no text": "is not UTF-8 text",
    "no settings": "settings.json cannot be read",
    "figures that are none": "turns.jsonl",
}


@pytest.mark.parametrize("how", BROKEN)
@pytest.mark.parametrize("form", ["table", "html", "csv"])
def test_what_cannot_be_read_is_one_sentence_and_writes_nothing(
    voicebench: Command, folder: Path, tmp_path: Path, how: str, form: str
) -> None:
    if (how, form) == ("no settings", "csv"):
        pytest.skip("rows need no settings")
    broken(folder, how)
    output = tmp_path / "report"
    ran = voicebench("report", str(folder), "-f", form, "-o", str(output))
    assert ran.code == 2
    assert BROKEN[how] in ran.err
    assert len(ran.err.strip().splitlines()) == 1
    assert ran.out == ""
    assert not output.exists()


def test_a_cut_last_line_is_left_out_and_said(voicebench: Command, folder: Path) -> None:
    turns = folder / "turns.jsonl"
    turns.write_bytes(turns.read_bytes()[:-9])
    ran = voicebench("report", str(folder), "-f", "markdown")
    assert ran.code == 0
    assert "the last line of turns.jsonl was cut off and is ignored" in ran.out
    assert "8 measured turns, 0 failed" in ran.out


def test_a_broken_off_run_is_told_as_one(voicebench: Command, folder: Path) -> None:
    (folder / "INCOMPLETE").touch()
    (folder / "summary.json").unlink()
    ran = voicebench("report", str(folder))
    told = " ".join(ran.out.splitlines()[0].split())
    assert told == "20260105T101500Z-made ! INTERRUPTED after 9 of 9 turns"
    assert "interrupted after 9 of 9 turns: the figures cover only these" in ran.out


def test_a_file_of_turns_names_its_folder(voicebench: Command, folder: Path) -> None:
    assert voicebench("report", str(folder / "turns.jsonl")).code == 0


def test_a_badge_shows_one_result(voicebench: Command, folder: Path) -> None:
    ran = voicebench("report", str(folder), str(folder), "-f", "badge")
    assert ran.code == 2
    assert "a badge shows one result, and 2 were named" in ran.err


@pytest.mark.parametrize("arguments", [["report", "-f", "csv"], ["export"]])
def test_pandas_reads_the_right_types_without_options(
    voicebench: Command, folder: Path, tmp_path: Path, arguments: list[str]
) -> None:
    other = write_result(tmp_path, [make_turn(prompt="NA"), make_turn(prompt="=1+1")], name="other")
    for extra in ([], ["--long"]):
        path = tmp_path / f"{len(extra)}.csv"
        ran = voicebench(*arguments, *extra, str(folder), str(other), "-o", str(path))
        assert ran.code == 0
        frame = pd.read_csv(path)
        assert pd.api.types.is_integer_dtype(frame["turn"])
        assert pd.api.types.is_string_dtype(frame["result"])
        figures = ["value"] if extra else ["first_audio_ms", "llm_total_ms", "audio_s"]
        assert all(pd.api.types.is_float_dtype(frame[name]) for name in figures)
        assert set(frame["status"]) == {"ok", "failed"}
        assert frame["result"].nunique() == 2


def test_pandas_reads_events(voicebench: Command, folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    assert voicebench("export", "--events", str(folder), "-o", str(path)).code == 0
    frame = pd.read_csv(path)
    assert pd.api.types.is_float_dtype(frame["at_ms"])
    assert pd.api.types.is_integer_dtype(frame["number"])
    first = frame[(frame["event"] == "audio") & (frame["number"] == 1)]
    assert first["at_ms"].tolist() == [338, 301, 252, 295, 286, 301, 310, 361]
    assert frame[frame["event"] == "turn_failed"]["text"].tolist() == [
        "the voice ran out of memory"
    ]
    for _, turn in frame.groupby("turn"):
        assert turn["at_ms"].is_monotonic_increasing


def test_long_and_events_exclude_each_other(voicebench: Command, folder: Path) -> None:
    assert voicebench("export", str(folder), "--long", "--events").code == 2


def test_verify_is_exit_0_where_everything_agrees(voicebench: Command, folder: Path) -> None:
    ran = voicebench("verify", str(folder))
    assert ran.code == 0
    assert "holds: 9 turns" in ran.out


def test_verify_is_exit_5_where_something_differs(voicebench: Command, folder: Path) -> None:
    rows = folder / "runs.csv"
    rows.write_text(rows.read_text().replace(",252.0,", ",152.0,", 1))
    ran = voicebench("verify", str(folder), "--json")
    assert ran.code == 5
    document = json.loads(ran.out)
    assert not document["holds"]
    assert {"file": "runs.csv", "what": "has changed since the run ended"} in (document["findings"])


@pytest.mark.parametrize(
    ("form", "name"),
    [
        ("markdown", "r.md"),
        ("json", "r.json"),
        ("junit", "r.xml"),
        ("badge", "r.svg"),
        ("html", "r.html"),
        ("csv", "r.csv"),
    ],
)
def test_verify_makes_a_report_again(
    voicebench: Command, folder: Path, tmp_path: Path, form: str, name: str
) -> None:
    path = tmp_path / name
    assert voicebench("report", str(folder), "-f", form, "-o", str(path)).code == 0
    assert voicebench("verify", str(folder), "--report", str(path)).code == 0
    path.write_text(path.read_text(encoding="utf-8").replace("361", "261"), encoding="utf-8")
    ran = voicebench("verify", str(folder), "--report", str(path))
    assert ran.code == 5
    assert f"{path}: it says:" in ran.out


def test_a_run_holds_as_it_was_written(voicebench: Command, tmp_path: Path) -> None:
    run = ["run", "--target", QUICK, "--runs", "2", "--warmup", "0", "--results", str(tmp_path)]
    assert voicebench(*run, "--save-audio", "--quiet").code == 0
    (folder,) = tmp_path.iterdir()
    ran = voicebench("verify", str(folder))
    assert (ran.code, ran.err) == (0, "")
    assert "note" not in ran.out
    (folder / "audio" / "turn-002-run-001.wav").unlink()
    assert voicebench("verify", str(folder)).code == 5
    shutil.rmtree(folder / "audio")
    ran = voicebench("verify", str(folder))
    assert ran.code == 0
    assert "note: the audio was left out" in ran.out


def test_run_writes_junit_and_tells_github(
    voicebench: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    run = ["run", "--target", QUICK, "--runs", "2", "--warmup", "0", "--quiet", "--json"]
    ran = voicebench(
        *run,
        *("--results", str(tmp_path / "results"), "--junit", str(tmp_path / "junit.xml")),
        *("--gate", "first_audio.mean < 1ms"),
    )
    assert ran.code == 3
    assert json.loads(ran.out)["verdict"] == "FAIL"
    assert "::error title=voicebench default%3A FAIL::first_audio.mean < 1ms" in ran.err
    assert '<testcase classname="voicebench.default"' in (tmp_path / "junit.xml").read_text()
    assert summary.read_text(encoding="utf-8").startswith("# voicebench: default")


def test_run_tells_nobody_where_nobody_listens(
    voicebench: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    run = ["run", "--target", QUICK, "--runs", "1", "--warmup", "0", "--quiet", "--json"]
    ran = voicebench(*run, "--results", str(tmp_path), "--gate", "first_audio.mean < 1ms")
    assert (ran.code, ran.err) == (3, "")
