"""The digest: figures of every turn, a few turns whole, and the same however they are batched."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from handmade import call_step, failed_turn, make_turn, sprint_turns

from voicebench.events import Connected, Phase
from voicebench.figures.columns import columns_of
from voicebench.figures.summary import summarize
from voicebench.judging.digest import (
    MOST_APART,
    MOST_WHOLE,
    SLOWEST_WHOLE,
    Digest,
    digest_of,
    merged,
    part_of,
)
from voicebench.turn.timeline import Sound, TimedRemark, Timeline


def heard_after(number: int, first_audio: float, phase: Phase = "measured") -> Timeline:
    return make_turn(number, phase=phase, audio=((first_audio, 500), (first_audio + 50, 500)))


def drawn(count: int, seed: int = 7) -> list[Timeline]:
    """Draw a run: a cold turn, warm-up, measured turns of which some failed, idle ones."""
    chance = random.Random(seed)
    turns = [heard_after(1, 900, "cold")]
    turns += [heard_after(n, 300, "warmup") for n in range(2, 17)]
    for n in range(17, 17 + count):
        if chance.random() < 0.02:
            turns.append(failed_turn(n, chance.choice(["no memory", "no text"])))
        else:
            turns.append(heard_after(n, round(chance.uniform(100, 400))))
    return [*turns, *(heard_after(n, 200, "idle") for n in range(17 + count, 32 + count))]


def in_batches(turns: Sequence[Timeline], size: int) -> Digest:
    measured = [turn for turn in turns if turn.phase == "measured"]
    batches = (part_of(turns[first : first + size]) for first in range(0, len(turns), size))
    return merged(batches, lambda number: measured[number - 1])


def test_a_short_run_is_kept_whole() -> None:
    digest = digest_of(drawn(MOST_WHOLE))
    assert [run.number for run in digest.runs] == list(range(1, MOST_WHOLE + 1))


def test_of_a_long_run_the_slowest_the_fastest_and_the_median_one_are_kept() -> None:
    turns = [heard_after(n, 100 + n % 700) for n in range(1, 1001)]
    digest = digest_of(turns)
    numbers = {run.number for run in digest.runs}
    slowest = sorted(range(1, 1001), key=lambda n: -(100 + n % 700))[:SLOWEST_WHOLE]
    assert set(slowest) <= numbers
    fastest, median, latest = digest.extremes()
    assert fastest is not None
    assert median is not None
    assert latest is not None
    ordered = sorted(turn.audio[0].at_ns / 1e6 for turn in turns)
    told = [run.first_audio_ms() for run in (fastest, median, latest)]
    assert told == [ordered[0], ordered[499], ordered[-1]]
    assert len(numbers) <= SLOWEST_WHOLE + 3


def test_many_failed_turns_do_not_crowd_the_slowest_heard_one_out() -> None:
    turns = [failed_turn(n) for n in range(1, 301)] + [heard_after(n, n) for n in range(301, 400)]
    fastest, _, latest = digest_of(turns).extremes()
    assert fastest is not None
    assert latest is not None
    assert (fastest.first_audio_ms(), latest.first_audio_ms()) == (301, 399)


def test_of_many_calls_the_slowest_and_the_wrong_steps_are_kept_and_all_calls_counted() -> None:
    calls = MOST_WHOLE // 2 + 1
    turns = [call_step(call, step) for call in range(1, calls + 1) for step in (1, 2)]
    turns[100] = call_step(51, 1, answer_s=4.0)
    turns[200] = call_step(101, 1, answer_s=None)
    turns[250] = call_step(126, 1, answer_s=1.5)  # it cuts in
    digest = digest_of(turns)
    assert len(digest.runs) < MOST_WHOLE
    assert [run.number for run in digest.slowest(3)] == [101, 201, 251]
    assert digest.columns.calls == calls
    assert digest_of([]).columns.calls == digest_of([heard_after(1, 100)]).columns.calls == 0


def test_figures_and_counts_are_of_all_turns() -> None:
    turns = drawn(1000)
    digest = digest_of(turns)
    assert digest.summary == summarize(turns)
    counts: dict[Phase, int] = {"cold": 1, "warmup": 15, "measured": 1000, "idle": 15}
    for phase, count in counts.items():
        assert digest.turns(phase) == count
    assert len(digest.failures) == digest.summary.failed > 0
    assert (len(digest.before), len(digest.after)) == (MOST_APART, MOST_APART)
    assert digest.before[0].phase == "cold"


@pytest.mark.parametrize("count", [0, 5, 290, 300, 301, 1000])
@pytest.mark.parametrize("size", [1, 7, 500])
def test_the_same_comes_of_any_batches(count: int, size: int) -> None:
    turns = drawn(count)
    whole, parts = digest_of(turns), in_batches(turns, size)
    assert [run.number for run in parts.runs] == [run.number for run in whole.runs]
    assert [run.turn for run in parts.runs] == [run.turn for run in whole.runs]
    for name in ("started_at", "summary", "failures", "flags", "remarks", "before", "after"):
        assert getattr(parts, name) == getattr(whole, name)
    assert parts.columns.prompts == whole.columns.prompts
    for trait, column in whole.columns.traits.items():
        np.testing.assert_array_equal(parts.columns.traits[trait], column)
    np.testing.assert_array_equal(parts.chunks, whole.chunks)


def test_no_turn_gives_an_empty_digest() -> None:
    digest = digest_of([])
    assert (digest.summary.turns, digest.started_at, digest.runs) == (0, None, ())
    assert digest.extremes() == (None, None, None)


def test_traits_are_missing_where_nobody_knows_them() -> None:
    [turn] = sprint_turns()[:1]
    connected = replace(turn, connections=(Connected(3.0, False, 1, True), Connected(2.0, False)))
    sound = replace(turn, sound=Sound(16_000, 0, 0.3, 0.2, 9))
    traits = columns_of([turn, connected, sound]).traits
    assert traits["waited_ms"].tolist()[1] == 3.0
    assert np.isnan(traits["waited_ms"][[0, 2]]).all()
    assert traits["clipped_samples"].tolist() == [0, 0, 9]
    assert np.isnan(traits["cpu_others"]).all()


def test_a_turn_remarks_each_kind_once_with_how_long_it_delayed_the_first_word() -> None:
    remarks = (
        TimedRemark(40_000_000, "reasoning"),
        TimedRemark(60_000_000, "reasoning"),
        TimedRemark(150_000_000, "unknown", "ping"),
    )
    found = digest_of([replace(make_turn(), remarks=remarks)]).remarks
    assert [(one.kind, one.wait_ms, one.said) for one in found] == [
        ("reasoning", 60.0, ""),
        ("unknown", None, "ping"),
    ]
