"""The reader's error with many streams, small: what is compared with what, and what fails."""

from __future__ import annotations

import resource
from collections.abc import Iterator

import numpy as np
import pytest

from voicebench.checks import many_streams
from voicebench.checks.many_streams import PIECE_BYTES, begins_s, measure_streams, piece_errors
from voicebench.errors import CannotMeasure, UsageError
from voicebench.load.reading.reading_choice import Over
from voicebench.machine.descriptors import check_descriptors

LATE_MS = 1000.0
"""Longest that a busy machine may hold up the reader."""


def column(*values: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(values, dtype=np.int64)


def test_a_piece_is_compared_by_its_first_byte() -> None:
    # The second read ends the first piece and holds the second, the third read the third piece.
    at_ns = column(110, 250, 390)
    sizes = column(PIECE_BYTES // 2, PIECE_BYTES // 2 + PIECE_BYTES, PIECE_BYTES)
    assert piece_errors(at_ns, sizes, column(100, 200, 300)).tolist() == [10, 50, 90]


def test_a_reader_that_stands_still_shows_it() -> None:
    sent = column(*range(0, 1000, 100))
    at_once = column(1000)
    errors = piece_errors(at_once, column(10 * PIECE_BYTES), sent)
    assert errors.tolist() == list(range(1000, 0, -100))


def test_streams_begin_one_after_the_other_and_their_pieces_are_spread() -> None:
    begins = begins_s(1000, 8.0)
    assert begins == sorted(begins)
    assert begins[0] == 0
    assert 1.9 < begins[-1] < 2.0
    places = sorted(begin % 0.04 for begin in begins)
    assert max(np.diff(places)) < 2 * 0.04 / 1000
    assert begins_s(3, 0.1) == pytest.approx([0, 0.04 / 3, 0.08 / 3])


@pytest.mark.parametrize("over", ["http", "websocket", "realtime"])
def test_thirty_streams(over: Over) -> None:
    found = measure_streams(30, 1.0, over=over)
    assert found.over == over
    assert found.pieces == 30 * 25
    assert found.reads + found.merged == found.pieces
    assert 0 < found.p50_ms <= found.p99_ms <= found.p999_ms <= found.max_ms < LATE_MS
    assert 0 < found.busy <= 1
    assert found.as_dict()["on_target"] == (found.p99_ms < 2 and found.p999_ms < 5)


@pytest.fixture
def few_descriptors() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.usefixtures("few_descriptors")
def test_too_few_descriptors_are_refused_before_anything_starts() -> None:
    check_descriptors("400 streams", 464)
    with pytest.raises(UsageError, match="1000 streams need about 1064 file descriptors"):
        measure_streams(1000)


def test_a_stream_that_does_not_end_is_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many_streams, "OVERTIME_S", -0.6)
    with pytest.raises(CannotMeasure, match="of 3 streams failed"):
        measure_streams(3, 1.0)
