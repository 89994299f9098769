"""The benchmark of turns at once: when it says that a promise is held."""

from __future__ import annotations

import pytest

from benchmarks.many_turns import AT_ONCE, WAYS, Found, print_page, promises


def figures(
    median: float = 100, last: float = 180, stall: float = 0, way: str = "in process"
) -> dict[tuple[str, int], Found]:
    found = {(each, n): Found([50.0] * 3, [60.0] * 3, [0.0] * 9) for each in WAYS for n in AT_ONCE}
    found[way, 8] = Found([median] * 3, [last] * 3, [0.0] * 23 + [stall])
    return found


def rates(times: float) -> dict[int, list[float]]:
    return {n: [200.0 * (times if n == 8 else 1)] * 3 for n in AT_ONCE}


def test_all_promises_are_held_within_their_limits() -> None:
    judged = promises(figures(), rates(3.1))
    assert len(judged) == 7
    assert all(one.held for one in judged)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("changed", [{"median": 111}, {"last": 191}, {"stall": 5}])
def test_each_promise_can_be_missed_by_itself(way: str, changed: dict[str, float]) -> None:
    missed = [one for one in promises(figures(**changed, way=way), rates(3.1)) if not one.held]
    assert len(missed) == 1
    assert missed[0].promise.startswith(way)


def test_too_few_tokens_are_missed_with_their_ratio(capsys: pytest.CaptureFixture[str]) -> None:
    assert not print_page(figures(), rates(2.5))
    printed = capsys.readouterr().out
    assert "2.50 × (2.50 to 2.50) | NOT HELD" in printed
    assert printed.count("| held |") == 6
