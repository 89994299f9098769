"""Which candidate is the best, and when the turns are too few to say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from drawn_turns import drawn_turn, failed_turn

from voicebench.figures.columns import columns_of
from voicebench.figures.comparison import side_of
from voicebench.judging.best_setting import (
    AS_EARLY_WITHIN,
    CandidateStanding,
    Choice,
    Contender,
    choose,
)


def contender(
    words: int, first_audio: Sequence[float], late_ms: float | Sequence[float] = 0, failed: int = 0
) -> Contender:
    """A candidate whose second second of audio comes ``late_ms`` after the first was played."""
    late = [late_ms] * len(first_audio) if isinstance(late_ms, int | float) else late_ms
    turns = [
        drawn_turn(audio=[(ms, 1000), (ms + 1000 + more, 1000)])
        for ms, more in zip(first_audio, late, strict=True)
    ]
    turns += [failed_turn()] * failed
    turns = [replace(turn, prompt=f"prompt {number}") for number, turn in enumerate(turns)]
    return Contender(side_of(columns_of(turns), {}, {}), (words, 8))


def noisy(middle: float, seed: int, n: int, spread: float = 15) -> list[float]:
    return [float(value) for value in np.random.default_rng(seed).normal(middle, spread, n)]


EARLY = [100.0 + step for step in range(12)]
LATE = [200.0 + step for step in range(12)]


def test_the_earliest_is_best_where_it_keeps_up() -> None:
    choice = choose([contender(4, LATE), contender(1, EARLY)])
    assert choice.best == 1
    assert choice.standings == (CandidateStanding.LATER, CandidateStanding.BEST)


def test_one_that_starves_is_not_the_best() -> None:
    choice = choose([contender(1, EARLY, late_ms=150), contender(4, LATE)])
    assert choice.best == 1
    assert choice.standings == (CandidateStanding.STARVES, CandidateStanding.BEST)


def test_of_those_as_early_the_longest_chunks_are_best() -> None:
    one, two = contender(1, EARLY), contender(2, [ms + (-1 if ms % 2 else 1) for ms in EARLY])
    choice = choose([one, two])
    assert choice.best == 1
    assert choice.standings == (CandidateStanding.AS_EARLY, CandidateStanding.BEST)


def test_a_little_later_is_as_early_where_the_interval_says_that_it_is_no_more() -> None:
    little = AS_EARLY_WITHIN * 100 - 1
    assert choose([contender(1, EARLY), contender(2, [ms + little for ms in EARLY])]).best == 1
    assert choose([contender(1, EARLY), contender(2, [ms + 30 for ms in EARLY])]).best == 0


def test_where_all_starve_the_earliest_gapless_start_is_best() -> None:
    choice = choose([contender(1, EARLY, late_ms=400), contender(4, LATE, late_ms=150)])
    assert choice.best == 1
    assert choice.figure.name == "gapless_start.p50"
    assert choice.standings == (CandidateStanding.STARVES, CandidateStanding.BEST)


def test_without_audio_there_is_no_best() -> None:
    choice = choose([contender(1, [])])
    assert choice.best is None
    assert choice.standings == (CandidateStanding.NOT_MEASURED,)


def test_a_single_candidate_is_the_best_if_it_keeps_up() -> None:
    assert choose([contender(3, EARLY)]).best == 0
    assert choose([contender(3, EARLY, late_ms=150)]).best == 0


def too_few(choice: Choice) -> int:
    assert choice.best is None
    assert choice.turns_needed is not None
    return choice.turns_needed


def test_four_turns_are_too_few_to_prefer_longer_chunks_that_seem_later() -> None:
    one, three = contender(1, noisy(110, 1, 4)), contender(3, noisy(130, 2, 4))
    assert too_few(choose([one, three])) >= 6
    assert choose([one, three]).at_least


@pytest.mark.parametrize("seed", range(6))
def test_noise_that_could_hide_a_later_first_audio_leaves_no_choice(seed: int) -> None:
    one, three = noisy(110, seed, 8, 40), noisy(120, seed + 50, 8, 40)
    choice = choose([contender(1, one), contender(3, three)])
    assert choice.standings != (CandidateStanding.AS_EARLY, CandidateStanding.BEST)
    if choice.best is None:
        assert too_few(choice) > 8


def test_as_many_turns_as_it_says_mostly_decide() -> None:
    n = too_few(choose([contender(1, noisy(100, 4, 8)), contender(3, noisy(115, 5, 8))]))
    assert 8 < n < 500
    decided = [
        choose([contender(1, noisy(100, seed, n)), contender(3, noisy(115, seed + 500, n))]).best
        for seed in range(20)
    ]
    assert decided.count(None) <= 6
    assert decided.count(1) == 0


def test_a_shorter_one_in_doubt_does_not_stand_in_the_way_of_a_longer_one_as_early() -> None:
    short = contender(1, [100.0 + (30 if step % 2 else -30) for step in range(12)])
    choice = choose([short, contender(4, [60.0] * 12)])
    assert choice.best == 1


@pytest.mark.parametrize("words", [1, 9])
def test_a_candidate_with_failed_turns_is_not_the_best_however_early(words: int) -> None:
    choice = choose([contender(words, EARLY, failed=1), contender(4, LATE)])
    assert choice.best == 1
    assert choice.standings[0] is CandidateStanding.FAILED_TURNS


def test_where_each_has_failed_turns_none_is_chosen() -> None:
    choice = choose([contender(1, EARLY, failed=1), contender(4, LATE, failed=1)])
    assert (choice.best, choice.turns_needed) == (None, None)


def test_whether_the_best_keeps_up_has_to_be_shown() -> None:
    around_the_bound = [40.0, 160] * 6
    choice = choose([contender(2, EARLY, late_ms=[*around_the_bound[:-1], 40]), contender(1, LATE)])
    assert too_few(choice) > 12
    seems_to_starve = contender(9, EARLY, late_ms=[160.0, 160, *around_the_bound[2:]])
    assert too_few(choose([seems_to_starve, contender(1, EARLY)])) > 12
    certainly = contender(9, EARLY, late_ms=160)
    assert choose([certainly, contender(1, EARLY)]).best == 1
