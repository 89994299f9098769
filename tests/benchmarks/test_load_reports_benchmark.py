"""The benchmark of reports on many turns: when it says that a promise is held, and a small one."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.load_reports import Cost, cost_of, make_result, print_costs
from voicebench.load.recorded.load_run import read_load_run
from voicebench.results import batches


def test_each_promise_can_be_missed_by_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert print_costs([Cost("report", 29.0, 499.0, 0)])
    for missed in (Cost("a", 31.0, 1.0, 0), Cost("a", 1.0, 501.0, 0)):
        assert not print_costs([missed])
        assert capsys.readouterr().out.count("NOT HELD") == 1
    assert not print_costs([Cost("a", 1.0, 1.0, 5)])  # a command that failed was not fast


def test_a_result_of_many_turns_is_read_by_several_processes_and_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.load_reports.CALLERS", 10)
    folder = make_result(tmp_path, 300)
    alone = read_load_run(folder)
    assert alone.turns.count > 250
    monkeypatch.setattr(batches, "SHARED_FROM_BYTES", 0)
    together = read_load_run(folder)
    assert together.answer_document() == alone.answer_document()
    cost = cost_of("verify", "verify", str(folder))
    assert cost.code == 0
    assert 10 < cost.peak_mb < 500
