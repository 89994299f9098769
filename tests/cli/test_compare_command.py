"""`voicebench compare` on recorded folders: the table, the document, refusals."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from drawn_turns import turn_with_first_audio
from ran_command import Command

from voicebench.results.codec import encode_line


def record(
    path: Path, first_audio: Sequence[float], settings: dict[str, object] | None = None
) -> str:
    path.mkdir()
    turns = [
        replace(turn_with_first_audio(ms), turn=number, prompt=f"prompt {number}")
        for number, ms in enumerate(first_audio, 1)
    ]
    (path / "settings.json").write_text(json.dumps(settings or {}))
    (path / "environment.json").write_text("{}")
    (path / "turns.jsonl").write_text("".join(f"{encode_line(turn)}\n" for turn in turns))
    return str(path)


FAST = [300 + step for step in range(20)]
SLOW = [400 + step for step in range(20)]


def test_the_table_says_better_or_worse_with_the_interval(
    voicebench: Command, tmp_path: Path
) -> None:
    a, b = record(tmp_path / "a", FAST), record(tmp_path / "b", SLOW)
    ran = voicebench("compare", a, b, "--metric", "first_audio.mean")
    assert ran.code == 0
    [row] = [line for line in ran.out.splitlines() if line.startswith("first_audio.mean")]
    assert row.split() == [
        *("first_audio.mean", "ms", "310", "410", "+100", "+100", "…", "+100"),
        *("+32.3", "%", "worse"),
    ]
    assert "95 % intervals of the change" in ran.out
    assert "better" in voicebench("compare", b, a).out


def test_the_document_holds_every_figure(voicebench: Command, tmp_path: Path) -> None:
    a, b = record(tmp_path / "a", FAST), record(tmp_path / "b", SLOW)
    document = json.loads(voicebench("compare", a, b, "--metric", "first_audio", "--json").out)
    [figure] = document["figures"]
    assert figure["figure"] == "first_audio.p50"
    assert figure["verdict"] == "worse"
    assert figure["pairs"] == 20
    assert document["first"]["turns"] == 20


def test_runs_whose_numbers_mean_different_things_are_refused(
    voicebench: Command, tmp_path: Path
) -> None:
    a = record(tmp_path / "a", FAST, {"audible": {"threshold": 0.01}})
    b = record(tmp_path / "b", SLOW, {"audible": {"threshold": 0.05}})
    ran = voicebench("compare", a, b)
    assert ran.code == 2
    assert "audible.threshold: 0.01 → 0.05" in ran.err
    assert voicebench("compare", a, b, "--anyway").code == 0


def test_a_difference_in_the_settings_is_shown(voicebench: Command, tmp_path: Path) -> None:
    a = record(tmp_path / "a", FAST, {"chunker": {"first_words": 3}})
    b = record(tmp_path / "b", SLOW, {"chunker": {"first_words": 2}})
    assert "chunker.first_words: 3 → 2" in voicebench("compare", a, b).out


@pytest.mark.parametrize("broken", ["nowhere", "empty"])
def test_what_is_no_run_is_one_sentence(voicebench: Command, tmp_path: Path, broken: str) -> None:
    (tmp_path / "empty").mkdir()
    ran = voicebench("compare", record(tmp_path / "a", FAST), str(tmp_path / broken))
    assert ran.code == 2
    assert "is not a run folder" in ran.err
    assert len(ran.err.strip().splitlines()) == 1


def test_a_run_that_is_invalid_is_called_so(voicebench: Command, tmp_path: Path) -> None:
    a, b = record(tmp_path / "a", FAST), record(tmp_path / "b", SLOW)
    noise = {"finding": "others used it all", "invalidates": True}
    judgement = {"invalid": True, "noise": [noise]}
    (tmp_path / "b" / "summary.json").write_text(json.dumps({"schema": 1, "judgement": judgement}))
    out = voicebench("compare", a, b, "--metric", "first_audio").out.splitlines()
    assert out[0] == "A: a, 20 turns"
    assert out[1].startswith("B: b, 20 turns, INVALID: its figures may not be judged")
    document = json.loads(voicebench("compare", a, b, "--json").out)
    assert document["second"]["verdict"] == "INVALID"


def test_nothing_compared_is_no_success(voicebench: Command, tmp_path: Path) -> None:
    a, b = record(tmp_path / "a", FAST), record(tmp_path / "b", SLOW)
    ran = voicebench("compare", a, b, "--metric", "llm_ttft")
    assert ran.code == 5
    assert "nothing was compared: no figure is shown by both runs" in ran.err
    assert voicebench("compare", a, b, "--metric", "llm_ttft", "--metric", "errors").code == 0


def test_a_change_that_is_not_shown_says_how_many_turns_would_show_it(
    voicebench: Command, tmp_path: Path
) -> None:
    wide = [200.0 + 40 * step for step in range(8)]
    a = record(tmp_path / "a", wide)
    b = record(tmp_path / "b", [value + 20 * (-1) ** int(value / 40) + 3 for value in wide])
    document = json.loads(voicebench("compare", a, b, "--metric", "first_audio", "--json").out)
    [figure] = document["figures"]
    assert figure["verdict"] == "no difference shown"
    assert figure["turns_needed"] > 8
    few = [record(tmp_path / name, [300.0] * 3) for name in ("c", "d")]
    document = json.loads(voicebench("compare", *few, "--metric", "first_audio", "--json").out)
    assert document["figures"][0]["turns_needed"] == 6


def test_a_run_that_was_broken_off_is_named(voicebench: Command, tmp_path: Path) -> None:
    a, b = record(tmp_path / "a", FAST), record(tmp_path / "b", SLOW)
    (tmp_path / "b" / "INCOMPLETE").touch()
    assert f"{b} is incomplete" in voicebench("compare", a, b).err


@pytest.mark.usefixtures("undrawn")
def test_a_page_has_the_figures_of_the_table(voicebench: Command, tmp_path: Path) -> None:
    a, b = record(tmp_path / "a", FAST), record(tmp_path / "b", SLOW)
    path = tmp_path / "compared.html"
    ran = voicebench("compare", a, b, "--metric", "first_audio.mean", "--html", str(path))
    assert (ran.code, ran.out) == (0, "")
    page = path.read_text(encoding="utf-8")
    assert "No: first_audio.mean is worse" in page
    assert "first_audio.mean: 310 ms → 410 ms, +100 ms (95 % interval: +100 … +100)" in page
    assert ">Changes from A to B<" in page
    again = voicebench("compare", a, b, "--html", str(path))
    assert again.code == 2
    assert "is there already; give --force to replace it" in again.err
    assert path.read_text(encoding="utf-8") == page
    assert voicebench("compare", a, b, "--html", str(path), "--force").code == 0


@pytest.mark.usefixtures("undrawn")
def test_the_page_of_two_results_is_the_same_by_report(voicebench: Command, tmp_path: Path) -> None:
    a, b = record(tmp_path / "a", FAST), record(tmp_path / "b", SLOW)
    assert voicebench("report", a, b, "-o", str(tmp_path / "r.html")).code == 0
    assert voicebench("compare", a, b, "--html", str(tmp_path / "c.html")).code == 0
    assert (tmp_path / "r.html").read_text() == (tmp_path / "c.html").read_text()


def test_a_page_and_a_document_do_not_share_stdout(voicebench: Command, tmp_path: Path) -> None:
    a, b = record(tmp_path / "a", FAST), record(tmp_path / "b", SLOW)
    ran = voicebench("compare", a, b, "--html", "-", "--json")
    assert ran.code == 2
    assert "both want stdout" in ran.err
