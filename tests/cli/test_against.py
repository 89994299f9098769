"""`voicebench run A --against B`: in turn, on the same prompts, in two folders, paired."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ran_command import Command

SIM = "sim:ttft={ttft}ms,token=1ms,ttfb=5ms,speed=100x,words=6"


@pytest.fixture
def configs(tmp_path: Path) -> tuple[str, str]:
    paths = []
    for name, ttft in (("a", 10), ("b", 80)):
        path = tmp_path / f"{name}.toml"
        path.write_text(
            f'gates = ["first_audio.mean < 10s"]\n[run]\nname = "duel"\n'
            f'target = "{SIM.format(ttft=ttft)}"\n'
        )
        paths.append(str(path))
    return paths[0], paths[1]


def command(configs: tuple[str, str], results: Path, *more: str) -> list[str]:
    return [
        *("run", configs[0], "--against", configs[1], "--results", str(results)),
        *("--runs", "6", "--warmup", "1", "--quiet", *more),
    ]


def turns_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "turns.jsonl").read_text().splitlines()]


def test_both_leave_a_folder_on_the_same_prompts_in_turn(
    voicebench: Command, configs: tuple[str, str], tmp_path: Path
) -> None:
    ran = voicebench(*command(configs, tmp_path / "results"))
    assert ran.code == 0
    first, second = sorted((tmp_path / "results").iterdir(), key=lambda path: len(path.name))
    assert first.name.endswith("-duel")
    assert second.name.endswith("-duel-b")
    ours, theirs = turns_of(first), turns_of(second)
    assert [turn["prompt"] for turn in ours] == [turn["prompt"] for turn in theirs]
    assert [turn["phase"] for turn in ours] == ["cold", "warmup", *["measured"] * 6]
    order = sorted(
        [(turn["started_at"], "A") for turn in ours if turn["phase"] == "measured"]
        + [(turn["started_at"], "B") for turn in theirs if turn["phase"] == "measured"]
    )
    assert "".join(letter for _, letter in order) == "ABBAABBAABBA"
    assert not any((folder / "INCOMPLETE").exists() for folder in (first, second))


@pytest.mark.usefixtures("scripted_time")
def test_the_differences_are_paired_and_named(
    voicebench: Command, configs: tuple[str, str], tmp_path: Path
) -> None:
    ran = voicebench(*command(configs, tmp_path / "results", "--json"))
    document = json.loads(ran.out)
    by_name = {figure["figure"]: figure for figure in document["figures"]}
    mean = by_name["first_audio.mean"]
    assert mean["verdict"] == "worse"
    assert mean["pairs"] == 6
    assert mean["change"] == pytest.approx(70)
    assert document["first"]["run"]["name"] == "duel"
    assert ["run.target", SIM.format(ttft=10), SIM.format(ttft=80)] in document["differs"]


def test_the_table_shows_both_runs_and_the_comparison(
    voicebench: Command, configs: tuple[str, str], tmp_path: Path
) -> None:
    out = voicebench(*command(configs, tmp_path / "results")).out
    assert out.index("A: ") < out.index("B: ") < out.index("Side by side")
    assert "turns are paired by their prompts: 6 pairs" in out


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--until-decided"], "--until-decided cannot be used with --against"),
        (["--baseline", "set"], "--baseline and --max-regression cannot be used with --against"),
        (["--max-regression", "10%"], "--baseline and --max-regression cannot be used with"),
        (["--csv", "x.csv"], "--csv, --junit, --result-file, --prom and --otlp are of one run"),
    ],
)
def test_what_cannot_be_done_in_turn_is_refused(
    voicebench: Command, configs: tuple[str, str], tmp_path: Path, more: list[str], sentence: str
) -> None:
    ran = voicebench(*command(configs, tmp_path / "results", *more))
    assert ran.code == 2
    assert sentence in ran.err
    assert not (tmp_path / "results").exists()


def test_a_second_config_that_is_not_there_is_said(voicebench: Command, tmp_path: Path) -> None:
    ran = voicebench("run", "--against", str(tmp_path / "none.toml"))
    assert ran.code == 2
    assert "none.toml cannot be read" in ran.err


def test_set_ups_that_hear_by_other_rules_are_refused(
    voicebench: Command, configs: tuple[str, str], tmp_path: Path
) -> None:
    with Path(configs[1]).open("a") as file:
        file.write("[audible]\nthreshold = 0.05\n")
    ran = voicebench(*command(configs, tmp_path / "results"))
    assert ran.code == 2
    assert "audible by the same rule ([audible]); give both the same" in ran.err
    assert not (tmp_path / "results").exists()
