"""`voicebench tune`: interleaved, one best, written as a config; and replayed without a model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ran_command import Command

from voicebench.judging.noise import Noise
from voicebench.measuring import open_run
from voicebench.measuring.sweep import parse_variation
from voicebench.settings import load_settings

SIM = "sim:ttft=10ms,token=15ms,ttfb=5ms,speed=100x,words=8"


def command(results: Path, *more: str) -> list[str]:
    return [
        *("tune", "--target", SIM, "--results", str(results), "--runs", "3", "--warmup", "0"),
        *("--quiet", *more),
    ]


TWO_CANDIDATES = ("--vary", "chunker.first_words=1,4")


@pytest.mark.usefixtures("scripted_time", "undrawn")
def test_the_best_candidate_is_written(voicebench: Command, tmp_path: Path) -> None:
    best, page = tmp_path / "best.toml", tmp_path / "tuned.html"
    # So many that a later first audio is shown.
    more = (*TWO_CANDIDATES, "--runs", "7", "-o", str(best), "--json", "--html", str(page))
    ran = voicebench(*command(tmp_path / "results", *more))
    assert ran.code == 0
    content = page.read_text(encoding="utf-8")
    assert '<b class="good">first_words=1</b>' in content
    assert f"voicebench run {best}" in content
    again = voicebench(*command(tmp_path / "results", *TWO_CANDIDATES, "--html", str(page)))
    assert (again.code, page.read_text(encoding="utf-8")) == (2, content)
    assert "is there already; give --force to replace it" in again.err
    document = json.loads(ran.out)
    assert document["best"] == {"chunker.first_words": 1}
    early, late = document["candidates"]
    assert (early["standing"], late["standing"]) == ("best", "later")
    assert early["first_audio_ms"] < late["first_audio_ms"]
    assert early["first_audio_interval"] == {"low": 30.0, "high": 30.0, "level": 0.95}
    assert load_settings(best).settings.chunker.first_words == 1


@pytest.mark.usefixtures("scripted_time")
def test_nothing_but_what_was_varied_is_written(voicebench: Command, tmp_path: Path) -> None:
    config, best = tmp_path / "base.toml", tmp_path / "best.toml"
    config.write_text('[run]\nname = "mine"\n[llm]\nmax_tokens = 9\n[chunker]\nlater_words = 5\n')
    more = (*TWO_CANDIDATES, "--runs", "7", "-o", str(best), "--set", "llm.seed=3")
    arguments = [one for one in command(tmp_path / "results", *more) if one != "--quiet"]
    ran = voicebench(*arguments[:1], str(config), *arguments[1:])
    assert ran.code == 0
    assert best.read_text().splitlines()[1:] == ["", "[chunker]", "first_words = 1"]
    assert ran.err.splitlines()[-1] == (
        f"settings: {best}; measure with: voicebench run {config} --set llm.seed=3 "
        f"--set run.target={SIM} --set chunker.first_words=1"
    )


@pytest.mark.usefixtures("scripted_time", "undrawn")
def test_four_turns_are_too_few_to_choose(voicebench: Command, tmp_path: Path) -> None:
    best, page = tmp_path / "best.toml", tmp_path / "tuned.html"
    more = (*TWO_CANDIDATES, "--runs", "4", "-o", str(best), "--html", str(page))
    ran = voicebench(*command(tmp_path / "results", *more))
    assert ran.code == 5
    assert "too few turns to choose: at least 6 turns of each candidate would decide" in ran.out
    assert not best.exists()
    assert "None is chosen" in page.read_text(encoding="utf-8")
    again = command(tmp_path / "results", *more, "--force", "--json")
    document = json.loads(voicebench(*again).out)
    assert document["best"] is None
    assert document["turns_needed"] == 6
    assert [row["standing"] for row in document["candidates"]] == ["in doubt", "in doubt"]


@pytest.mark.usefixtures("scripted_time")
def test_on_a_machine_that_is_too_noisy_nothing_is_chosen(
    voicebench: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = Noise("other processes", "others used it all", "stop them", invalidates=True)
    monkeypatch.setattr(open_run, "find_noise", lambda turns, lag: [noise])
    ran = voicebench(*command(tmp_path / "results", *TWO_CANDIDATES, "--runs", "7"))
    assert ran.code == 5
    assert "INVALID: the machine was too noisy for a choice" in ran.out
    assert "first_words=1, first_words=4: others used it all; stop them" in " ".join(
        ran.out.split()
    )
    allowed = ("--runs", "7", "--set", "judge.allow_noise=true")
    assert voicebench(*command(tmp_path / "results", *TWO_CANDIDATES, *allowed)).code == 0


@pytest.mark.usefixtures("scripted_time")
def test_a_target_that_fails_turns_is_not_chosen(voicebench: Command, tmp_path: Path) -> None:
    failing = ("--target", f"{SIM},fail=3", "--runs", "9")
    ran = voicebench(*command(tmp_path / "results", *TWO_CANDIDATES, *failing))
    assert ran.code == 5
    assert "no candidate is chosen: all have failed turns" in ran.out


def test_the_candidates_are_measured_in_rotation(voicebench: Command, tmp_path: Path) -> None:
    assert voicebench(*command(tmp_path / "results", *TWO_CANDIDATES)).code == 5
    turns = []
    for folder in sorted((tmp_path / "results").iterdir()):
        assert not (folder / "INCOMPLETE").exists()
        for line in (folder / "turns.jsonl").read_text().splitlines():
            turn = json.loads(line)
            if turn["phase"] == "measured":
                turns.append((turn["started_at"], folder.name[-2:], turn["prompt"]))
    turns.sort()
    assert [letter for _, letter, _ in turns] == ["01", "02", "02", "01", "02", "01"]
    assert [prompt for _, _, prompt in turns[::2]] == [prompt for _, _, prompt in turns[1::2]]


def test_a_recorded_run_is_replayed_without_a_model(voicebench: Command, tmp_path: Path) -> None:
    voicebench(*command(tmp_path / "results", "--vary", "chunker.first_words=3"))
    [folder] = (tmp_path / "results").iterdir()
    ran = voicebench("tune", "--replay", str(folder), "--json")
    assert ran.code == 5  # of three turns
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
        (["--replay", "nowhere"], "nowhere is not a run folder"),
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


def test_values_are_read_as_settings_files_have_them() -> None:
    assert parse_variation("run.threads=1, 2") == ("run.threads", [1, 2])
    assert parse_variation("llm.dtype=float32,bfloat16")[1] == ["float32", "bfloat16"]
    assert parse_variation("run.sequential=true,false")[1] == [True, False]
