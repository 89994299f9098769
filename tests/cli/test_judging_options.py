"""`voicebench run` judged by confidence, by a baseline, and on a noisy machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from ran_command import Command

from voicebench.judging import judgement
from voicebench.judging.noise import Noise
from voicebench.judging.regression import Regressions
from voicebench.measuring import open_run

pytestmark = pytest.mark.usefixtures("scripted_time")

SIM = "sim:ttft={ttft}ms,token=1ms,ttfb=5ms,speed=100x,words=6"


def command(results: Path, *more: str, ttft: int = 20, runs: int = 7) -> list[str]:
    return [
        *("run", "--quiet", "--results", str(results), "--runs", str(runs), "--warmup", "0"),
        *("--target", SIM.format(ttft=ttft), *more),
    ]


def document_of(results: Path) -> dict[str, Any]:
    [folder] = results.iterdir()
    return dict(json.loads((folder / "summary.json").read_text()))


def test_a_gate_that_seven_turns_cannot_decide_is_exit_5(
    voicebench: Command, tmp_path: Path
) -> None:
    ran = voicebench(*command(tmp_path, "--gate", "first_audio.p95 < 10s", "--decide"))
    assert ran.code == 5
    assert "UNDECIDED" in ran.out


def test_gates_that_turns_decide_end_the_sampling(voicebench: Command, tmp_path: Path) -> None:
    gates = ("--gate", "first_audio.p50 < 10s", "--gate", "first_audio.mean > 1ms")
    ran = voicebench(
        *command(tmp_path, *gates, "--allow-noise", "--until-decided", "--max-runs", "60", runs=12)
    )
    assert ran.code == 0
    assert document_of(tmp_path)["turns"]["measured"] == 12


def test_sampling_goes_on_until_the_gate_is_decided(voicebench: Command, tmp_path: Path) -> None:
    # At the level of several looks, a median needs more than seven turns for any upper bound.
    gate = ("--gate", "first_audio.p50 < 10s", "--allow-noise")
    ran = voicebench(*command(tmp_path, *gate, "--until-decided", "--max-runs", "20"))
    assert ran.code == 0
    assert document_of(tmp_path)["turns"]["measured"] == 10
    assert document_of(tmp_path)["gates"][0]["interval"]["level"] > 0.95


def test_sampling_ends_at_max_runs_undecided(voicebench: Command, tmp_path: Path) -> None:
    gate = ("--gate", "first_audio.p95 < 10s")
    ran = voicebench(*command(tmp_path, *gate, "--until-decided", "--max-runs", "9"))
    assert ran.code == 5
    assert document_of(tmp_path)["turns"]["measured"] == 9


def test_a_run_that_is_slower_than_its_baseline_is_exit_3(
    voicebench: Command, tmp_path: Path
) -> None:
    gate = ("--gate", "first_audio.mean < 10s")
    assert voicebench(*command(tmp_path / "a", *gate)).code == 0
    [baseline] = (tmp_path / "a").iterdir()
    more = (*gate, "--baseline", str(baseline), "--max-regression", "10%")
    slow = voicebench(*command(tmp_path / "b", *more, ttft=120))
    assert slow.code == 3
    assert "Against the baseline" in slow.out
    judgement = document_of(tmp_path / "b")["judgement"]
    assert judgement["regressions"][0]["verdict"] == "FAIL"
    assert judgement["baseline"] == str(baseline)


def test_a_faster_run_passes_against_its_baseline(voicebench: Command, tmp_path: Path) -> None:
    gate = ("--gate", "first_audio.mean < 10s")
    assert voicebench(*command(tmp_path / "a", *gate, ttft=120)).code == 0
    assert (
        voicebench(
            "baseline",
            "set",
            str(next((tmp_path / "a").iterdir())),
            "--results",
            str(tmp_path / "b"),
        ).code
        == 0
    )
    ran = voicebench(*command(tmp_path / "b", *gate, "--baseline", "set"))
    assert ran.code == 0
    assert "✓ PASS" in ran.out


@pytest.mark.parametrize(
    "gates",
    [
        ("--gate", "errors.rate <= 0"),
        ("--gate", "first_audio.max < 10s"),
        ("--gate", "first_audio.min < 10s", "--gate", "first_audio.stdev < 10s"),
        ("--no-gate",),
    ],
    ids=["errors alone", "max alone", "min and stdev", "no gate"],
)
def test_a_slower_run_fails_whatever_its_gates_say_of_speed(
    voicebench: Command, tmp_path: Path, gates: tuple[str, ...]
) -> None:
    voicebench(*command(tmp_path / "a", *gates))
    [baseline] = (tmp_path / "a").iterdir()
    against = (*gates, "--baseline", str(baseline))
    slow = voicebench(*command(tmp_path / "b", *against, ttft=120))
    assert slow.code == 3
    rows = [line.split() for line in slow.out.splitlines() if line.startswith("first_audio.p50")]
    assert ["✗", "FAIL"] in [row[-2:] for row in rows]
    assert "differs from the baseline: run.target: sim:ttft=20ms" in slow.out
    same = voicebench(*command(tmp_path / "c", *against))
    assert same.code == 0
    assert "kept the baseline" in same.out


def test_a_change_that_the_turns_do_not_show_is_no_pass_in_any_document(
    voicebench: Command, tmp_path: Path
) -> None:
    gate = ("--gate", "first_audio.p50 < 10s", "--gate", "errors.rate <= 0")
    voicebench(*command(tmp_path / "a", *gate, runs=3))
    [baseline] = (tmp_path / "a").iterdir()
    junit = tmp_path / "junit.xml"
    more = (*gate, "--baseline", str(baseline), "--max-regression", "10%", "--junit", str(junit))
    ran = voicebench(*command(tmp_path / "b", *more, ttft=40, runs=3))
    assert ran.code == 5
    assert "? NOT SHOWN" in ran.out.splitlines()[0]
    assert ran.out.splitlines()[-1].startswith("? NOT SHOWN  2 of 2 gates passed, 1 of 2 figures")
    [row] = [one for one in ran.out.splitlines() if one.startswith("first_audio.p50 ")]
    assert row.split()[-3:] == ["?", "NOT", "SHOWN"]
    told = "too few turns to show it: at least 6 turns in each run would decide"
    assert told in " ".join(ran.out.split())

    document = document_of(tmp_path / "b")
    assert (document["verdict"], document["exit_code"]) == ("NOT SHOWN", 5)
    [first, _] = document["judgement"]["regressions"]
    assert (first["verdict"], first["turns_needed"]) == ("NOT SHOWN", 6)
    assert first["change_share"] == pytest.approx(20 / 28)

    [suite] = ElementTree.parse(junit).getroot()
    assert (suite.get("errors"), suite.get("failures")) == ("1", "0")
    [problem] = suite.iter("error")
    assert problem.get("type") == "NOT SHOWN"
    assert told in str(problem.get("message"))

    [folder] = (tmp_path / "b").iterdir()
    for form in ("badge", "markdown", "html", "table", "json"):
        reported = voicebench("report", str(folder), "--format", form).out
        assert "not shown" in reported.lower(), form
    assert voicebench("verify", str(folder)).code == 0


def test_a_baseline_that_could_be_compared_in_nothing_is_no_pass(
    voicebench: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = ("--gate", "first_audio.p50 < 10s")
    voicebench(*command(tmp_path / "a", *gate))
    [baseline] = (tmp_path / "a").iterdir()
    monkeypatch.setattr(judgement, "check_regressions", lambda *_, **__: Regressions())
    junit = tmp_path / "junit.xml"
    more = (*gate, "--baseline", str(baseline), "--junit", str(junit))
    ran = voicebench(*command(tmp_path / "b", *more))
    assert ran.code == 5
    assert ran.out.splitlines()[-1] == (
        "? UNDECIDED  1 of 1 gate passed, nothing was compared with the baseline"
    )
    [suite] = ElementTree.parse(junit).getroot()
    assert [case.get("name") for case in suite.iter("testcase") if case.find("error") is not None]
    assert document_of(tmp_path / "b")["verdict"] == "UNDECIDED"


def test_a_baseline_of_another_meaning_is_exit_5(voicebench: Command, tmp_path: Path) -> None:
    gate = ("--gate", "first_audio.mean < 10s")
    voicebench(*command(tmp_path / "a", *gate, "--set", "audible.threshold=0.02"))
    [baseline] = (tmp_path / "a").iterdir()
    ran = voicebench(*command(tmp_path / "b", *gate, "--baseline", str(baseline)))
    assert ran.code == 5
    assert "audible.threshold: 0.02 → 0.01" in ran.out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--baseline", "nowhere"], "nowhere is not a run folder"),
        (["--baseline", "latest"], "no complete run of 'default'"),
        (["--max-regression", "10ms"], "write '10%' or '0.1'"),
        (["--max-regression", "10"], "'10' could mean 10 % or 1000 %; write '10%' or '0.1'"),
        (["--max-regression", "1"], "could mean 1 % or 100 %"),
        (["--max-regression", "10%"], "needs a run to compare with; name it with --baseline"),
        (["--set", "judge.max_regression=0.1"], "needs a run to compare with"),
        (["--set", "judge.max_regression=10"], "write '10%' or '0.1': it could mean 10 %"),
        (["--max-runs", "0"], "judge.max_runs = 0 is not allowed"),
    ],
)
def test_what_cannot_be_judged_is_refused_before_anything_is_measured(
    voicebench: Command, tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    ran = voicebench(*command(tmp_path, *arguments))
    assert ran.code == 2
    assert sentence in ran.err
    assert list(tmp_path.iterdir()) == []


def test_a_noisy_machine_is_exit_5_with_the_remedy_unless_allowed(
    voicebench: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = Noise("other processes", "others used it all", "stop them", invalidates=True)
    monkeypatch.setattr(open_run, "find_noise", lambda turns, lag: [noise])
    gate = ("--gate", "first_audio.mean < 10s")
    ran = voicebench(*command(tmp_path / "a", *gate))
    assert ran.code == 5
    assert "others used it all; stop them" in ran.out
    assert "INVALID" in ran.out
    assert document_of(tmp_path / "a")["judgement"]["invalid"] is True
    assert voicebench(*command(tmp_path / "b", *gate, "--allow-noise")).code == 0


def test_each_turn_is_stored_with_what_the_machine_did(voicebench: Command, tmp_path: Path) -> None:
    voicebench(*command(tmp_path, "--no-gate"))
    [folder] = tmp_path.iterdir()
    lines = [json.loads(line) for line in (folder / "turns.jsonl").read_text().splitlines()]
    assert all("collection_ms" in line["machine"] for line in lines)
    assert all(line["sound"]["seam_clicks"] == 0 for line in lines)
