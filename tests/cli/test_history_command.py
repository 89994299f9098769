"""`voicebench history`: the trend in the terminal, as CSV and as JSON, over runs and sprints."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from drawn_turns import failed_turn, turn_with_first_audio
from ran_command import Command

from voicebench.report.console.history_table import sparkline
from voicebench.results.codec import encode_line


def record(
    path: Path,
    first_audio: float,
    name: str = "default",
    failures: int = 0,
    prompt: str = "What time is it?",
    cpu: str = "old",
    **settings: Mapping[str, object],
) -> None:
    path.mkdir(parents=True)
    turns = [turn_with_first_audio(first_audio)] * 3 + [failed_turn()] * failures
    turns = [replace(turn, prompt=prompt) for turn in turns]
    settings["run"] = {"name": name, **settings.get("run", {})}
    (path / "settings.json").write_text(json.dumps(settings))
    (path / "environment.json").write_text(json.dumps({"commit": "abc123", "cpu": cpu}))
    (path / "turns.jsonl").write_text(
        "".join(
            f"{encode_line(replace(turn, turn=number))}\n" for number, turn in enumerate(turns, 1)
        )
    )


@pytest.fixture
def results(tmp_path: Path) -> Path:
    for day, first_audio in enumerate((400, 300, 350), 1):
        record(tmp_path / f"2026010{day}T000000Z-default", first_audio)
    record(tmp_path / "20260104T000000Z-other", 100, "other", failures=1)
    return tmp_path


def command(results: Path, *more: str) -> list[str]:
    return ["history", "--results", str(results), *more]


def test_the_table_draws_each_figure_oldest_first(voicebench: Command, results: Path) -> None:
    ran = voicebench(*command(results, "default", "--metric", "first_audio"))
    assert ran.code == 0
    [row] = [line for line in ran.out.splitlines() if line.startswith("first_audio.p50")]
    assert row.split() == [
        *("first_audio.p50", "█▁▅", "400", "300", "300", "350", "+17", "%", "ms"),
    ]
    assert "3 runs, oldest first" in ran.out


def test_without_a_name_every_name_has_a_table(voicebench: Command, results: Path) -> None:
    out = voicebench(*command(results)).out
    assert out.index("default\n") < out.index("other\n")


def tables(out: str) -> dict[str, str]:
    """Return the trend of first audio in each table, by the table's title."""
    found, title = {}, ""
    for line in out.splitlines():
        if line and not line.startswith((" ", "figure", "\u2500", "first_audio", "errors")):
            title = line
        if line.startswith("first_audio.p50"):
            found[title] = line.split()[1]
    return found


def test_runs_of_another_target_are_a_line_of_their_own(
    voicebench: Command, tmp_path: Path
) -> None:
    for day, (ttft, first_audio) in enumerate(
        ((20, 100), (90, 400), (20, 110), (90, 390), (20, 105)), 1
    ):
        target = {"target": f"sim:ttft={ttft}ms"}
        record(tmp_path / f"2026010{day}T000000Z-default", first_audio, run=target)
    record(tmp_path / "20260106T000000Z-other", 50, "other")
    ran = voicebench(*command(tmp_path, "--metric", "first_audio"))
    assert tables(ran.out) == {
        "default: run.target=sim:ttft=20ms": "\u2581\u2588\u2585",
        "default: run.target=sim:ttft=90ms": "\u2588\u2581",
        "other": "\u2585",
    }
    document = json.loads(voicebench(*command(tmp_path, "default", "--json")).out)
    assert [run["series"] for run in document["runs"]] == [
        f"run.target=sim:ttft={ttft}ms" for ttft in (20, 90, 20, 90, 20)
    ]


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"llm": {"model": "b"}}, "llm.model=b"),
        ({"llm": {"model": "a", "url": "http://127.0.0.1:1/v1"}}, "llm.url=http://127.0.0.1:1/v1"),
        ({"tts": {"voice": "b"}}, "tts.voice=b"),
        ({"audible": {"threshold": 0.02}}, "audible.threshold=0.02"),
        ({"wire": {"cold_connection": True}}, "wire.cold_connection=True"),
        ({"prompt": "Who are you?"}, "prompts of 20260102T000000Z-default"),
    ],
)
def test_runs_whose_figures_mean_other_things_are_no_trend(
    voicebench: Command, tmp_path: Path, other: dict[str, Any], told: str
) -> None:
    common: dict[str, Any] = {
        "llm": {"model": "a", "url": None},
        "tts": {"voice": "a"},
        "audible": {"threshold": 0.01},
        "wire": {"cold_connection": False},
    }
    record(tmp_path / "20260101T000000Z-default", 300, **common)
    record(tmp_path / "20260102T000000Z-default", 200, **common | other)
    titles = list(tables(voicebench(*command(tmp_path, "--metric", "first_audio")).out))
    assert len(titles) == 2
    assert titles[1] == f"default: {told}"


def test_other_chunks_and_fewer_turns_stay_in_the_trend_and_another_machine_is_said(
    voicebench: Command, tmp_path: Path
) -> None:
    record(tmp_path / "20260101T000000Z-default", 300, chunker={"first_words": 3})
    record(tmp_path / "20260102T000000Z-default", 200, chunker={"first_words": 2}, failures=2)
    ran = voicebench(*command(tmp_path, "--metric", "first_audio"))
    assert list(tables(ran.out)) == ["default"]
    assert "machines" not in ran.out
    record(tmp_path / "20260103T000000Z-default", 100, cpu="new")
    ran = voicebench(*command(tmp_path, "--metric", "first_audio"))
    assert "measured on 2 machines" in ran.out


def test_csv_has_one_row_a_run(voicebench: Command, results: Path) -> None:
    ran = voicebench(*command(results, "--metric", "first_audio.p50", "--csv"))
    rows = list(csv.DictReader(io.StringIO(ran.out)))
    assert [row["first_audio.p50"] for row in rows] == ["400.0", "300.0", "350.0", "100.0"]
    assert rows[0]["started_at"] == "2026-01-01T00:00:00Z"
    assert rows[3]["failed"] == "1"


def test_no_name_in_the_csv_is_a_formula_or_obeyed(voicebench: Command, results: Path) -> None:
    path = results / "20260101T000000Z-default" / "settings.json"
    settings = json.loads(path.read_text())
    settings["run"]["name"] = "=HYPERLINK(1)\x1b[2J"
    path.write_text(json.dumps(settings))
    ran = voicebench(*command(results, "--metric", "first_audio.p50", "--csv"))
    names = [row["name"] for row in csv.DictReader(io.StringIO(ran.out))]
    assert "'=HYPERLINK(1)�[2J" in names


def test_json_has_every_run(voicebench: Command, results: Path) -> None:
    document = json.loads(voicebench(*command(results, "other", "--json")).out)
    [run] = document["runs"]
    assert (run["label"], run["commit"]) == ("20260104T000000Z-other", "abc123")
    assert run["errors.rate"] == 0.25
    assert run["llm_total.mean"] is None


def test_runs_that_cannot_be_read_are_left_out_and_said(voicebench: Command, results: Path) -> None:
    (results / "20260102T000000Z-default" / "turns.jsonl").write_text('{"schema": 99}\n')
    (results / "20260103T000000Z-default" / "INCOMPLETE").touch()
    ran = voicebench(*command(results, "default"))
    assert ran.code == 0
    assert "1 run, oldest first" in ran.out
    assert "20260102T000000Z-default is left out" in ran.err


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["nobody"], "no complete run of 'nobody'"),
        (["--metric", "first_adio"], "did you mean 'first_audio'"),
        (["--csv", "--json"], "both want stdout"),
        (["--sprints"], "no sprint's report lies in"),
        (["--sprints", "default"], "--sprints takes no name"),
    ],
)
def test_what_cannot_be_drawn_is_one_sentence(
    voicebench: Command, results: Path, more: list[str], sentence: str
) -> None:
    ran = voicebench(*command(results, *more))
    assert ran.code == 2
    assert sentence in ran.err
    assert len(ran.err.strip().splitlines()) == 1


def test_sprints_are_a_trend_of_their_readings(voicebench: Command, results: Path) -> None:
    (results / "sprints").mkdir()
    for number, value in ((45, 177.0), (46, 170.0)):
        readings = [
            {"name": "llm_total.mean", "unit": "ms", "value": value},
            {"name": "first_audio", "unit": "ms", "value": 361.0, "low": 252.0, "high": 361.0},
            {"name": "tests", "unit": "count", "value": 202},
        ]
        path = results / "sprints" / f"sprint-{number:03d}.json"
        path.write_text(json.dumps({"schema": 1, "number": number, "readings": readings}))
    (results / "sprints" / "sprint-047.json").write_text("[]")
    ran = voicebench(*command(results, "--sprints"))
    assert ran.code == 0
    [row] = [line for line in ran.out.splitlines() if line.startswith("llm_total.mean")]
    assert row.split()[:3] == ["llm_total.mean", "█▁", "177"]
    assert "first_audio.max" in ran.out
    assert "first_audio.p50" not in ran.out
    assert "sprint-047.json is left out" in ran.err


def test_a_sprints_figure_is_called_what_it_is(voicebench: Command, results: Path) -> None:
    (results / "sprints").mkdir()
    readings = [
        {"name": "first_audio.p95", "unit": "ms", "value": 361.0, "limited": True},
        {"name": "tts_ttfb", "unit": "ms", "value": 95.0},
        {"name": "llm_total.mean", "unit": "ms", "value": 170.0, "judged": False},
    ]
    for number, more in ((46, {}), (47, {"verdict": "INVALID"})):
        document = {"number": number, "readings": readings, **more}
        path = results / "sprints" / f"sprint-{number:03d}.json"
        path.write_text(json.dumps(document))
    ran = voicebench(*command(results, "--sprints"))
    assert ran.code == 0
    assert "first_audio.max" in ran.out
    for claim in ("p95", "p50", "tts_ttfb", "llm_total"):
        assert claim not in ran.out
    assert "sprint-047.json is left out: its run is INVALID" in ran.err


def test_sprints_of_another_target_are_a_line_of_their_own(
    voicebench: Command, tmp_path: Path
) -> None:
    (tmp_path / "sprints").mkdir()
    for number, ttft in ((45, 20), (46, 90), (47, 20)):
        run = f"202601{number - 30}T000000Z-default"
        record(tmp_path / run, ttft, run={"target": f"sim:ttft={ttft}ms"})
        reading = {"name": "first_audio.p50", "unit": "ms", "value": float(ttft + number)}
        document = {"number": number, "readings": [reading], "results": [run]}
        (tmp_path / "sprints" / f"sprint-{number:03d}.json").write_text(json.dumps(document))
    assert tables(voicebench(*command(tmp_path, "--sprints")).out) == {
        "sprints: run.target=sim:ttft=20ms": "\u2581\u2588",
        "sprints: run.target=sim:ttft=90ms": "\u2585",
    }


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ([1.0, 2.0, 3.0], "▁▅█"),
        ([5.0, 5.0], "▅▅"),
        ([1.0, None, 2.0], "▁ █"),
        ([None], ""),
        ([], ""),
        ([float(value) for value in range(100)], sparkline([float(v) for v in range(60, 100)])),
    ],
)
def test_a_sparkline_has_one_character_a_value(values: list[float | None], line: str) -> None:
    assert sparkline(values) == line


def test_a_terminal_without_blocks_gets_plain_characters() -> None:
    assert sparkline([1.0, 2.0, 3.0], "ascii") == "_+#"


def test_the_page_is_written_and_nothing_is_replaced(voicebench: Command, results: Path) -> None:
    page = results / "trend.html"
    ran = voicebench(*command(results, "--html", str(page)))
    assert (ran.code, ran.out) == (0, "")
    assert "History: other" in page.read_text(encoding="utf-8")
    again = voicebench(*command(results, "--html", str(page)))
    assert again.code == 2
    assert "--force" in again.err
