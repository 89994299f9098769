"""What a transport costs, on a script: every way is taken in every round, and compared."""

from __future__ import annotations

import pytest

from benchmarks.transport import IN_PROCESS, difference_of_medians, interleaved, report
from voicebench.server.scripted_engines import ScriptedModel, ScriptedVoice
from voicebench.settings import load_settings
from voicebench.targets.cascade import Cascade
from voicebench.targets.script import parse_script
from voicebench.targets.simulated import RealClock


def test_every_way_is_taken_in_every_round() -> None:
    script = parse_script("sim:ttft=2ms,token=1ms,ttfb=2ms,speed=1000x,words=6")
    clock = RealClock(spin_ns=0)
    here = Cascade(
        ScriptedModel(script, clock),
        ScriptedVoice(script, clock),
        first_words=3,
        later_words=8,
    )
    figures = interleaved(here, load_settings().settings, rounds=2)
    groups = [way.group for way in figures]
    assert groups == ["turn"] * 4 + ["speech"] * 4 + ["text"] * 2
    assert all(len(values) == 2 and min(values) > 0 for values in figures.values())
    assert sum(way.name == IN_PROCESS for way in figures) == 3
    head, names, *lines = report(figures)
    assert head == "n = 2 rounds, interleaved; ms"
    assert "difference of p50" in names
    assert len(lines) == len(figures)
    assert [" to " in line for line in lines] == [way.name != IN_PROCESS for way in figures]


def test_the_difference_is_that_of_the_medians_and_not_the_median_of_differences() -> None:
    base, over = [10.0, 20.0, 30.0], [40.0, 21.0, 11.0]
    # Round by round +30, +1, -19: a median of +1. The p50 are 20 and 21.
    apart, low, high = difference_of_medians(base, over)
    assert apart == 1.0
    assert low <= 1.0 <= high
    base, over = [10.0, 12.0, 90.0], [30.0, 15.0, 16.0]
    assert difference_of_medians(base, over)[0] == 4.0


def test_what_befell_whole_rounds_does_not_widen_the_interval() -> None:
    base = [float(10 * round_) for round_ in range(60)]
    _, low, high = difference_of_medians(base, [figure + 3.0 for figure in base])
    assert (low, high) == pytest.approx((3.0, 3.0))
