from __future__ import annotations

import time
from collections import Counter
from itertools import pairwise
from pathlib import Path

from benchmarks.first_audio import rounds
from voicebench.targets.script import Script
from voicebench.targets.simulated import Simulated

ROWS = ["a", "b", "c", "d3", "d2"]
PROMPTS = [f"prompt {number}" for number in range(10)]
FAST = Script(ttft_s=0.001, token_s=0.0, ttfb_s=0.001, speed_x=1000.0, words=4)


def test_every_row_takes_every_prompt_once_in_each_condition() -> None:
    taken = Counter((slot.row, slot.condition, slot.prompt) for slot in rounds.plan(ROWS, PROMPTS))
    assert set(taken.values()) == {1}
    assert len(taken) == len(ROWS) * 2 * len(PROMPTS)


def test_all_rows_take_a_prompt_before_any_takes_the_next() -> None:
    slots = rounds.plan(ROWS, PROMPTS)
    for first in range(0, len(slots), len(ROWS)):
        together = slots[first : first + len(ROWS)]
        assert {slot.row for slot in together} == set(ROWS)
        assert len({(slot.prompt, slot.condition, slot.number) for slot in together}) == 1


def test_each_row_goes_first_as_often_as_the_others() -> None:
    slots = rounds.plan(ROWS, PROMPTS)
    first = Counter(slots[index].row for index in range(0, len(slots), len(ROWS)))
    assert set(first.values()) == {2 * len(PROMPTS) // len(ROWS)}


def test_no_row_is_asked_the_same_twice_in_a_row() -> None:
    for row in ROWS:
        asked = [slot.prompt for slot in rounds.plan(ROWS, PROMPTS) if slot.row == row]
        assert all(one != other for one, other in pairwise(asked))


def test_a_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    targets = {row: Simulated(FAST) for row in ("a", "d3")}
    slots = [slot for slot in rounds.plan(list(targets), PROMPTS[:3]) if slot.condition == "back"]
    stopped = list(rounds.take(targets, slots, tmp_path, until=0.0))
    assert stopped == slots[:1]
    rest = list(rounds.take(targets, slots, tmp_path, until=time.monotonic() + 60))
    assert rest == slots[1:]
    stored = rounds.read(tmp_path)
    for row in targets:
        assert [turn.prompt for turn in stored[row, "back"]] == PROMPTS[:3]
        assert not any(turn.failed for turn in stored[row, "back"])
