"""The benchmark of conversations: what it compares, and when it says that its promise is held."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from benchmarks.conversations import (
    PROMISED,
    SIDES,
    TURNS,
    Talk,
    print_page,
    prompts_of,
    ratio_of,
)
from voicebench.server.scripted_engines import ScriptedModel
from voicebench.targets.script import parse_script
from voicebench.targets.simulated import VirtualClock

MODEL = ScriptedModel(parse_script("sim:"), VirtualClock())


def talks(side: str, first_ms: float, last_ms: float) -> list[Talk]:
    found = []
    for number in range(6):
        talk = Talk(side, f"{side} {number}", MODEL)
        talk.first_token_ms = np.linspace(first_ms + number, last_ms + number, TURNS).tolist()
        talk.cached_tokens = [23.0] * TURNS
        found.append(talk)
    return found


def test_every_prompt_comes_at_every_place() -> None:
    places = Counter(
        (place, prompt) for talk in range(TURNS) for place, prompt in enumerate(prompts_of(talk))
    )
    assert len(places) == TURNS * TURNS
    assert set(places.values()) == {1}


def test_a_last_turn_is_compared_with_the_first_turn_right_after_it() -> None:
    table = np.array([[99.0, 99.0, 26.0], [20.0, 99.0, 12.0], [10.0, 99.0, 52.0], [40.0, 0, 0]])
    found = ratio_of(table)
    assert found.ratio == pytest.approx(1.3)
    assert found.low <= found.ratio <= found.high
    assert (found.low, found.high) == pytest.approx((1.2, 1.3))
    assert found.pairs == 3
    assert found.word == "held"
    assert ratio_of(table * [1, 1, 1.01]).word == "NOT HELD"


def test_a_machine_that_becomes_slower_looks_like_a_history_only_by_one_step() -> None:
    """Turn 1 takes 10 ms and turn 10 takes 11; the machine takes 3 % longer from turn to turn."""
    speed = 1.03 ** np.arange(8 * TURNS).reshape(8, TURNS)
    table = np.linspace(10, 11, TURNS) * speed
    assert ratio_of(table).ratio == pytest.approx(1.1 / 1.03)
    assert table[0, -1] / table[0, 0] > 1.4


@pytest.mark.parametrize(
    ("in_process", "served", "held"), [(12, 13, True), (16, 12, False), (12, 90, False)]
)
def test_both_promised_sides_have_to_hold_and_the_compared_one_need_not(
    in_process: float, served: float, held: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    last = dict(zip(SIDES, (in_process, served, 400), strict=True))
    found = {side: talks(side, 10, last[side]) for side in SIDES}
    assert print_page(found) is held
    out = capsys.readouterr().out
    assert out.count("promised ≤ 1.3 ×") == len(PROMISED)
    assert ("NOT HELD" in out) is not held
