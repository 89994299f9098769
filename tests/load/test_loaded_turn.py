"""Columns of turns, and the turns under way."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from loaded_turns import columns, turn

from voicebench.load.loaded_turn import mean_in_flight

TURNS = st.lists(st.tuples(st.floats(0, 100), st.floats(0.01, 40)), max_size=30)


@given(TURNS)
def test_in_flight_is_the_time_under_way_in_each_block(pairs: list[tuple[float, float]]) -> None:
    edges = np.array([0.0, 10.0, 45.0, 100.0])
    found = mean_in_flight(columns([turn(due, lasts_s=lasts) for due, lasts in pairs]), edges)
    for block, (start, end) in enumerate(pairwise(edges)):
        under_way = sum(max(min(due + lasts, end) - max(due, start), 0.0) for due, lasts in pairs)
        assert found[block] == pytest.approx(under_way / (end - start), abs=1e-6)


def test_turns_are_in_order_of_their_due_moments() -> None:
    found = columns([turn(5, 1.0), turn(1, 2.0), turn(3, None)])
    assert found.due_s.tolist() == [1, 3, 5]
    assert np.isnan(found.values["first_audio_due_ms"][1])
    inside = found.due_in(1, 5)
    assert inside.due_s.tolist() == [1, 3]
    assert inside.n == 2
