"""`voicebench run`: exit codes, machine output, and bad input, on the simulated target."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ran_command import Command

from voicebench.measuring import open_run, plan
from voicebench.results import folder as folder_module
from voicebench.turn.recorder import Recording

pytestmark = pytest.mark.usefixtures("scripted_time")

QUICK = "sim:ttft=5ms,token=1ms,ttfb=5ms,speed=100x,words=6"
SILENT_ENOUGH = ("--runs", "2", "--warmup", "0")


def sim(results: Path, *more: str, target: str = QUICK) -> list[str]:
    return ["run", "--target", target, "--results", str(results), *SILENT_ENOUGH, *more]


def test_all_gates_pass_is_exit_0(voicebench: Command, tmp_path: Path) -> None:
    ran = voicebench(*sim(tmp_path))
    assert ran.code == 0
    assert "PASS" in ran.out


def test_a_failed_gate_is_exit_3(voicebench: Command, tmp_path: Path) -> None:
    ran = voicebench(*sim(tmp_path, "--gate", "first_audio.mean < 1ms"))
    assert ran.code == 3
    assert "FAIL" in ran.out


def test_a_gate_that_was_not_measured_is_exit_3(voicebench: Command, tmp_path: Path) -> None:
    ran = voicebench(*sim(tmp_path, "--gate", "server.p50 < 1s"))
    assert ran.code == 3
    assert "NOT MEASURED" in ran.out


def test_one_failed_turn_fails_the_default_gates(voicebench: Command, tmp_path: Path) -> None:
    ran = voicebench(*sim(tmp_path, target=f"{QUICK},fail=3"))
    assert ran.code == 3
    assert "scripted failure" in ran.out


def test_every_turn_failed_is_exit_4(voicebench: Command, tmp_path: Path) -> None:
    ran = voicebench(*sim(tmp_path, target=f"{QUICK},fail=1"))
    assert ran.code == 4
    assert "every one of the 2 measured turns failed: scripted failure" in ran.err
    (folder,) = tmp_path.iterdir()
    assert len((folder / "turns.jsonl").read_text().splitlines()) == 3


def test_json_prints_one_document_and_nothing_else(voicebench: Command, tmp_path: Path) -> None:
    ran = voicebench(*sim(tmp_path, "--json"))
    document = json.loads(ran.out)
    assert document["schema"] == 1
    assert document["turns"] == {"measured": 2, "failed": 0, "cold": 1, "warmup": 0, "idle": 0}
    assert document["verdict"] == "PASS"
    (folder,) = tmp_path.iterdir()
    assert json.loads((folder / "summary.json").read_text()) == document
    figures = document["metrics"]["first_audio_ms"]
    assert figures["n"] == 2
    assert figures["missing"] == 0
    assert figures["min"] <= figures["p50"] <= figures["max"]


def test_csv_on_stdout_has_one_row_a_turn(voicebench: Command, tmp_path: Path) -> None:
    ran = voicebench(*sim(tmp_path, "--csv", "-"))
    rows = list(csv.DictReader(io.StringIO(ran.out)))
    assert [row["phase"] for row in rows] == ["cold", "measured", "measured"]


@pytest.mark.parametrize("option", ["--csv", "--junit"])
@pytest.mark.parametrize("place", ["nowhere/file", "."])
def test_a_file_that_could_not_be_written_is_said_before_measuring(
    voicebench: Command, tmp_path: Path, option: str, place: str
) -> None:
    path = tmp_path / place
    ran = voicebench(*sim(tmp_path / "results", "--json", option, str(path)))
    assert (ran.code, ran.out) == (2, "")
    assert f"{option} {path}" in ran.err
    assert not (tmp_path / "results").exists()


def test_a_csv_is_replaced_only_where_that_is_asked_for(
    voicebench: Command, tmp_path: Path
) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("mine")
    ran = voicebench(*sim(tmp_path / "results", "--csv", str(path)))
    assert ran.code == 2
    assert f"--csv {path} is there already; give --force to replace it" in ran.err
    assert path.read_text() == "mine"
    assert voicebench(*sim(tmp_path / "results", "--csv", str(path), "--force")).code == 0
    assert path.read_text().startswith("turn,")


def test_two_files_of_one_name_are_refused(voicebench: Command, tmp_path: Path) -> None:
    one = str(tmp_path / "one")
    ran = voicebench(*sim(tmp_path / "results", "--csv", one, "--junit", one))
    assert ran.code == 2
    assert f"--csv and --junit both name {one}" in ran.err


def test_a_csv_that_was_lost_takes_nothing_with_it(
    voicebench: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, junit = tmp_path / "rows" / "rows.csv", tmp_path / "junit.xml"
    rows.parent.mkdir()
    monkeypatch.setattr(open_run, "take_turns", removing(rows.parent, plan.take_turns))
    ran = voicebench(
        *sim(tmp_path / "results", "--json", "--csv", str(rows), "--junit", str(junit))
    )
    assert ran.code == 2
    assert f"{rows} cannot be written" in ran.err
    assert json.loads(ran.out)["verdict"] == "PASS"
    assert junit.exists()


def removing(folder: Path, take: Callable[..., Iterator[Recording]]) -> Callable[..., object]:
    """Return ``take``, and remove ``folder`` as soon as turns are taken."""

    def taking(*arguments: object, **named: object) -> Iterator[Recording]:
        folder.rmdir()
        return take(*arguments, **named)

    return taking


def test_a_disk_that_is_full_at_the_end_costs_no_result(
    voicebench: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(folder_module, "write_checksums", full)
    junit = tmp_path / "junit.xml"
    ran = voicebench(*sim(tmp_path / "results", "--json", "--junit", str(junit), "--quiet"))
    (folder,) = (tmp_path / "results").iterdir()
    assert ran.code == 4
    assert ran.err == (
        f"voicebench: SHA256SUMS cannot be written to {folder} (No space left on device); "
        f"free space there; the finished turns are kept (voicebench report {folder})\n"
    )
    document = json.loads(ran.out)
    assert [gate["verdict"] for gate in document["gates"]] == ["PASS"] * 4
    assert (document["verdict"], document["exit_code"]) == ("NOT KEPT", 4)
    assert junit.exists()
    assert (folder / "INCOMPLETE").stat().st_size > 0
    assert voicebench("report", str(folder)).code == 0


@pytest.mark.parametrize("against", [False, True])
def test_a_folder_that_is_removed_in_mid_run_ends_the_run_at_the_next_turn(
    voicebench: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, against: bool
) -> None:
    taken = []

    def taking(*arguments: object, **named: object) -> Iterator[Recording]:
        for recording in take(*arguments, **named):
            yield recording
            taken.append(recording)
            if len(taken) == 1:
                shutil.rmtree(tmp_path / "results")

    take: Callable[..., Iterator[Recording]] = plan.take_turns
    monkeypatch.setattr(open_run, "take_turns", taking)
    config = tmp_path / "other.toml"
    config.write_text("")
    more = ("--against", str(config)) if against else ("--runs", "50")
    ran = voicebench(*sim(tmp_path / "results", *more))
    assert ran.code == 4
    assert "was removed or moved during the run; leave it in its place" in ran.err
    assert "Traceback" not in ran.err
    assert len(taken) == 1
    assert not (tmp_path / "results").exists()


def test_no_measured_turn_uses_a_warmed_prompt(voicebench: Command, tmp_path: Path) -> None:
    ran = voicebench(*sim(tmp_path, "--runs", "30", "--warmup", "5", "--csv", "-"))
    rows = list(csv.DictReader(io.StringIO(ran.out)))
    measured = {row["prompt"] for row in rows if row["phase"] == "measured"}
    warmed = {row["prompt"] for row in rows if row["phase"] != "measured"}
    assert len(measured) == 30
    assert not measured & warmed


def test_the_second_run_shows_the_first_as_previous(voicebench: Command, tmp_path: Path) -> None:
    voicebench(*sim(tmp_path, "--first-words", "5"))
    for folder in tmp_path.iterdir():
        folder.rename(folder.with_name("20200101T000000Z-default"))
    ran = voicebench(*sim(tmp_path, "--first-words", "1"))
    assert ran.code == 0
    assert "improved" in ran.out


def test_a_run_of_another_script_is_not_the_previous_one(
    voicebench: Command, tmp_path: Path
) -> None:
    voicebench(*sim(tmp_path, target="sim:ttft=40ms,token=1ms,ttfb=5ms,speed=100x,words=6"))
    for folder in tmp_path.iterdir():
        folder.rename(folder.with_name("20200101T000000Z-default"))
    ran = voicebench(*sim(tmp_path))
    assert ran.code == 0
    assert "Against the targets" in ran.out
    assert not any(word in ran.out for word in ("improved", "maintained", "regressed"))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--runs", "0"], "run.runs = 0 is not allowed"),
        (["--device", "gpu7"], "'gpu7' is not a device name"),
        (["--target", "sim:nonsense=1"], "unknown part 'nonsense=1'"),
        (["--target", "telepathy"], "unknown target 'telepathy'"),
        (["--prompt", ""], "empty"),
        (["--prompt", "x" * 100_000], "at most 8,000"),
        (["--prompt", "ring the bell \x07"], "U+0007"),
        (["--prompts", "no-such-file.txt"], "no-such-file.txt"),
        (["--gate", "first_adio.p95 < 300ms"], "did you mean 'first_audio'?"),
        (["--gate", "first_audio.p95 < 300kg"], "limit '300kg'"),
        (["--set", "llm.max_tokens=many"], "llm.max_tokens = 'many' is not allowed"),
        (["--set", "llm.max_token=3"], "did you mean 'llm.max_tokens'?"),
        (["--set", "nonsense"], "--set 'nonsense' is not 'section.key=value'"),
        (["--json", "--csv", "-"], "--json and --csv - both want stdout; give --csv a file"),
        (["--csv", "-", "--junit", "-"], "--csv - and --junit - both want stdout"),
        (["--no-gate", "--gate", "errors.rate <= 0"], "exclude each other"),
        (["--first-words", "0"], "chunker.first_words = 0 is not allowed"),
    ],
)
def test_bad_usage_is_one_sentence_and_exit_2(
    voicebench: Command, tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    ran = voicebench("run", "--results", str(tmp_path / "results"), *arguments)
    assert ran.code == 2
    assert sentence in ran.err
    assert "Traceback" not in ran.err
    assert ran.out == ""
    assert len(ran.err.strip().splitlines()) == 1


def test_a_config_that_is_a_folder_is_said(voicebench: Command, tmp_path: Path) -> None:
    ran = voicebench("run", str(tmp_path))
    assert ran.code == 2
    assert f"{tmp_path} is a folder, not a settings file" in ran.err


def test_an_unknown_key_names_file_and_key(voicebench: Command, tmp_path: Path) -> None:
    config = tmp_path / "mine.toml"
    config.write_text("[chunker]\nfirst_word = 2\n")
    ran = voicebench("run", str(config))
    assert ran.code == 2
    assert f"{config}: unknown key 'chunker.first_word'; did you mean 'chunker.first_words'?" in (
        ran.err
    )


def test_an_unwritable_results_folder_is_said_before_anything_is_loaded(
    voicebench: Command, tmp_path: Path
) -> None:
    blocker = tmp_path / "results"
    blocker.write_text("")
    ran = voicebench("run", "--results", str(blocker))
    assert ran.code == 2
    assert f"results folder {blocker} cannot be written" in ran.err


def test_an_emoji_is_a_prompt(voicebench: Command, tmp_path: Path) -> None:
    assert voicebench(*sim(tmp_path, "--prompt", "🤔")).code == 0


def test_conversations_have_a_table_by_turn_and_a_history_that_costs_is_named(
    voicebench: Command, tmp_path: Path
) -> None:
    talks = ("--turns-per-conversation", "4", "--runs", "16", "--no-gate")
    ran = voicebench(*sim(tmp_path, *talks, target=f"{QUICK},history=20ms"))
    assert "By turn of the conversation, in ms" in ran.out
    assert "the history is probably computed again in every turn" in " ".join(ran.err.split())
    (folder,) = tmp_path.iterdir()
    rows = json.loads((folder / "summary.json").read_text())["conversations"]
    assert [(row["turn"], row["turns"]) for row in rows] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert [round(row["llm_ttft_ms"]["max"]) for row in rows] == [5, 25, 45, 65]
    assert voicebench("verify", str(folder)).code == 0


def test_conversations_with_an_endpoint_that_takes_one_prompt_are_refused(
    voicebench: Command, tmp_path: Path
) -> None:
    url = "ws://127.0.0.1:9/v1/voice"
    ran = voicebench(
        *("run", "--server", url, "--turns-per-conversation", "2", "--results", str(tmp_path))
    )
    assert ran.code == 2
    assert "target 'voice' cannot have conversations" in ran.err
