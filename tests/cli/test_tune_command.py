"""`voicebench tune`: interleaved, one best, written as a config; and replayed without a model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Command
from drawn_turns import drawn_turn

from voicebench.settings import load_settings
from voicebench.tuning import Tried, best_of, candidates, parse_variation, tried_of

SIM = "sim:ttft=10ms,token=15ms,ttfb=5ms,speed=100x,words=8"


def command(results: Path, *more: str) -> list[str]:
    return [
        *("tune", "--target", SIM, "--results", str(results), "--runs", "3", "--warmup", "0"),
        *("--quiet", *more),
    ]


TWO_CANDIDATES = ("--vary", "chunker.first_words=1,4")


@pytest.mark.usefixtures("scripted_time")
def test_the_best_candidate_is_written(voicebench: Command, tmp_path: Path) -> None:
    best = tmp_path / "best.toml"
    # So many that a later first audio is shown: as long as it is not, longer chunks are better.
    more = (*TWO_CANDIDATES, "--runs", "8", "-o", str(best))
    ran = voicebench(*command(tmp_path / "results", *more))
    assert ran.code == 0
    rows = [line.split() for line in ran.out.splitlines() if line.startswith("first_words=")]
    assert [row[0] for row in rows] == ["first_words=1", "first_words=4"]
    assert float(rows[0][2]) < float(rows[1][2])
    assert load_settings(best).settings.chunker.first_words == 1


def test_the_candidates_are_measured_in_rotation(voicebench: Command, tmp_path: Path) -> None:
    assert voicebench(*command(tmp_path / "results", *TWO_CANDIDATES)).code == 0
    turns = []
    for folder in sorted((tmp_path / "results").iterdir()):
        assert not (folder / "INCOMPLETE").exists()
        for line in (folder / "turns.jsonl").read_text().splitlines():
            turn = json.loads(line)
            if turn["phase"] == "measured":
                turns.append((turn["started_at"], folder.name[-2:], turn["prompt"]))
    turns.sort()
    assert [letter for _, letter, _ in turns] == ["01", "02", "01", "02", "01", "02"]
    assert [prompt for _, _, prompt in turns[::2]] == [prompt for _, _, prompt in turns[1::2]]


def test_a_recorded_run_is_replayed_without_a_model(voicebench: Command, tmp_path: Path) -> None:
    voicebench(*command(tmp_path / "results", "--vary", "chunker.first_words=3"))
    [folder] = (tmp_path / "results").iterdir()
    ran = voicebench("tune", "--replay", str(folder), "--json")
    assert ran.code == 0
    document = json.loads(ran.out)
    assert document["replayed"] is True
    assert [row["first_chunk_words"] for row in document["candidates"]] == [1, 2, 3, 4]
    times = [row["first_audio_ms"] for row in document["candidates"]]
    assert times == sorted(times)
    assert list((tmp_path / "results").iterdir()) == [folder]


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--vary", "chunker.first_words"], "is not 'section.key=a,b,c'"),
        (["--vary", "chunker.first_words=0"], "chunker.first_words = 0 is not allowed"),
        (["--vary", "chunker.first_word=1"], "did you mean 'chunker.first_words'?"),
        (
            ["--vary", "chunker.first_words=1,2,3,4,5", "--vary", "chunker.later_words=5,6,7,8,9"],
            "25 combinations are more than the 24",
        ),
        (["--set", "judge.max_regression=10%"], "its candidates with each other"),
        (["--set", "judge.baseline=latest"], "its candidates with each other"),
        (["--replay", "nowhere"], "nowhere is no results folder"),
        (["--replay", "nowhere", "--vary", "run.threads=1,2"], "only how the reply is cut"),
    ],
)
def test_what_cannot_be_tried_is_refused(
    voicebench: Command, tmp_path: Path, more: list[str], sentence: str
) -> None:
    ran = voicebench(*command(tmp_path / "results", *more))
    assert ran.code == 2
    assert sentence in ran.err
    assert len(ran.err.strip().splitlines()) == 1
    assert not (tmp_path / "results").exists()


def test_a_config_that_is_there_is_not_overwritten(voicebench: Command, tmp_path: Path) -> None:
    (tmp_path / "best.toml").write_text("")
    ran = voicebench(*command(tmp_path / "results", "-o", str(tmp_path / "best.toml")))
    assert ran.code == 2
    assert "is there already" in ran.err


# Which candidate is the best.


def tried(first_words: int, first_audio: Sequence[float], late_ms: float = 0) -> Tried:
    """A candidate whose second second of audio comes ``late_ms`` after the first was played."""
    base = load_settings(None, {})
    [candidate] = candidates(base, [("chunker.first_words", [first_words])])
    turns = [
        replace(
            drawn_turn(audio=[(ms, 1000), (ms + 1000 + late_ms, 1000)]), prompt=f"prompt {index}"
        )
        for index, ms in enumerate(first_audio)
    ]
    return tried_of(candidate, turns)


EARLY = [100.0 + step for step in range(12)]
LATE = [200.0 + step for step in range(12)]


def test_the_earliest_is_best_where_it_keeps_up() -> None:
    early, late = tried(1, EARLY), tried(4, LATE)
    assert best_of([late, early]) is early


def test_one_that_starves_is_not_the_best() -> None:
    starving, steady = tried(1, EARLY, late_ms=150), tried(4, LATE)
    assert best_of([starving, steady]) is steady


def test_of_those_as_early_the_longest_chunks_are_best() -> None:
    one, two = tried(1, EARLY), tried(2, [ms + (-1) ** ms for ms in EARLY])
    assert best_of([one, two]) is two


def test_where_all_starve_the_earliest_gapless_start_is_best() -> None:
    early, late = tried(1, EARLY, late_ms=400), tried(4, LATE, late_ms=150)
    assert best_of([early, late]) is late


def test_without_audio_there_is_no_best() -> None:
    assert best_of([tried(1, [])]) is None


def test_values_are_read_as_settings_files_have_them() -> None:
    assert parse_variation("run.threads=1, 2") == ("run.threads", [1, 2])
    assert parse_variation("llm.dtype=float32,bfloat16")[1] == ["float32", "bfloat16"]
    assert parse_variation("run.sequential=true,false")[1] == [True, False]
