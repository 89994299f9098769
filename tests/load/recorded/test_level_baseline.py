"""A level against the level of an earlier run: what passes, what fails, what cannot be one."""

from __future__ import annotations

from pathlib import Path

import pytest
from load_folders import edit_json, edit_level, seal_again, written_load

from voicebench.errors import ResultsError
from voicebench.judging.final import Word
from voicebench.judging.gates import Verdict
from voicebench.load.recorded.level_baseline import BaselineLevel, stored_level_baseline
from voicebench.load.recorded.load_baseline import Wanted, read_level_baseline, set_load_baseline
from voicebench.load.recorded.load_run import LoadRun, read_load_run
from voicebench.load.recorded.load_verify import verify_load
from voicebench.report.exchange.load_reports import load_junit, load_verdicts
from voicebench.results.reading import read_document

FAST = "sim:ttft=20ms,token=1ms,ttfb=20ms,speed=50x,words=4"
SLOW = FAST.replace("ttft=20ms", "ttft=90ms")


def wanted(folder: Path, callers: int = 3) -> Wanted:
    settings = read_document(folder / "settings.json")
    return Wanted("load", "level", settings, {"callers": callers})


def baseline_of(folder: Path, *, allowed: float = 0.1, decide: bool = False) -> BaselineLevel:
    like = wanted(folder)
    return read_level_baseline(str(folder), folder.parent, like, allowed, decide=decide)


def against(folder: Path, before: BaselineLevel) -> LoadRun:
    edit_json(folder / "load.json", baseline=before.as_dict())
    return read_load_run(folder)


def test_the_same_server_keeps_the_baseline(tmp_path: Path) -> None:
    before = written_load(tmp_path, 3, **{"run.target": FAST})
    after = written_load(tmp_path, 3, **{"run.target": FAST}, seed=2)
    run = against(after, baseline_of(before))
    assert run.final.word is Word.PASS
    assert run.final.why().endswith("against the baseline: 3 of 3 figures kept it")


def test_a_slower_server_fails_though_every_gate_holds(tmp_path: Path) -> None:
    before = written_load(tmp_path, 3, **{"run.target": FAST})
    after = written_load(tmp_path, 3, **{"run.target": SLOW})
    assert read_load_run(after).final.word is Word.PASS
    run = against(after, baseline_of(before))
    assert run.final.word is Word.FAIL
    failed = [what for what, verdict, _ in load_verdicts(run) if verdict is Verdict.FAIL]
    assert failed == [
        "first_audio_due.p50 against the baseline",
        "first_audio_due.p95 against the baseline",
    ]
    assert load_junit([run]).count("<failure") == 2
    # And the other way round, and if so much is allowed, it is kept.
    assert against(before, baseline_of(after)).final.word is Word.PASS
    assert against(after, baseline_of(before, allowed=3.0)).final.word is Word.PASS


def test_an_edited_verdict_and_an_edited_baseline_are_seen(tmp_path: Path) -> None:
    before = written_load(tmp_path, 3, **{"run.target": FAST})
    after = written_load(tmp_path, 3, **{"run.target": SLOW})
    against(after, baseline_of(before))
    seal_again(after)
    assert verify_load(after).differences > 0  # the stored verdict is still PASS
    entry = baseline_of(before).as_dict()
    assert stored_level_baseline({"baseline": {**entry, "figures": {}}}) is None
    empty = BaselineLevel(
        "before", {"first_audio_due.p50": baseline_of(before).figures["good.rate"]}, 0.1
    )
    assert stored_level_baseline({"baseline": empty.as_dict()}) == empty


def test_what_cannot_be_the_baseline_is_refused(tmp_path: Path) -> None:
    folder = written_load(tmp_path, 3)
    for callers, said in ((3, None), (4, "it held 3 callers, and this run holds 4 callers")):
        like = wanted(folder, callers)
        if said is None:
            assert read_level_baseline("latest", tmp_path, like, 0.1, decide=False).figures
            continue
        for named in ("latest", str(folder), folder.name):
            with pytest.raises(ResultsError, match=said):
                read_level_baseline(named, tmp_path, like, 0.1, decide=False)
    assert set_load_baseline(folder, tmp_path).name == "level.load"
    assert read_level_baseline("set", tmp_path, wanted(folder), 0.1, decide=False).figures
    edit_level(folder, 0, steady=False)
    with pytest.raises(ResultsError, match="never steady"):
        baseline_of(folder)
