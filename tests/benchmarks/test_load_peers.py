"""The comparison with other load generators: which run holds its streams, and the row of a run."""

from __future__ import annotations

import pytest

from benchmarks.load_peers import HEADER, LIMIT_MS, PeerRun, row


def run(p99: float = 1.0, seen: int = 100, n: int = 300, processor_s: float = 9.0) -> PeerRun:
    return PeerRun("one", 100, n, (0.5, p99, 9.0), seen, processor_s, 803.0)


@pytest.mark.parametrize(
    ("found", "holds"),
    [
        (run(), True),
        (run(p99=LIMIT_MS), False),
        (run(p99=float("nan")), False),
        (run(seen=89), False),
        (run(n=0), False),
    ],
)
def test_a_run_holds_if_the_streams_were_there_and_timed_within_the_limit(
    found: PeerRun, holds: bool
) -> None:
    assert found.holds == holds


def test_the_time_of_start_and_end_is_subtracted() -> None:
    alone = PeerRun("one", 1, 3, (0.5, 1.0, 2.0), 1, 1.08, 11.0)
    found = row(run(), alone)
    assert found == "| one | 100 | 100 | 300 | 0.50 | 1.00 | 9.0 | yes | 10.0 |"
    assert HEADER.splitlines()[0].count("|") == found.count("|")
