"""What turns remark beside their figures, told once each with how many turns do."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest
from drawn_turns import MS, drawn_turn

from voicebench.events import RemarkKind
from voicebench.judging.digest import digest_of
from voicebench.judging.remarks import remarked
from voicebench.turn.timeline import TimedRemark, Timeline


def turn(*remarks: tuple[float, RemarkKind], said: str = "", first_token: float = 400) -> Timeline:
    """Return a turn with remarks drawn as (moment in ms, kind)."""
    drawn = drawn_turn(tokens=(first_token, first_token + 10), audio=((500, 100),))
    made = tuple(TimedRemark(round(at * MS), kind, said) for at, kind in remarks)
    return replace(drawn, remarks=made)


def findings(*turns: Timeline) -> list[str]:
    return [finding for finding, _ in remarked(digest_of(turns))]


def test_nothing_is_said_of_turns_that_remark_nothing() -> None:
    assert findings(turn(), turn()) == []


def test_a_thought_before_the_first_word_is_told_with_how_long_it_took() -> None:
    thought = [turn((at, "reasoning")) for at in (50, 100, 200)]
    (finding,) = findings(*thought, turn())
    assert finding == (
        "the model thought before it spoke, in 3 of 4 turns: 300 ms (median) from its first "
        "thought to its first word; nobody hears them, and llm_ttft includes them"
    )


@pytest.mark.parametrize("at", [401, 900])
def test_a_thought_that_delayed_nothing_is_told_without_a_time(at: float) -> None:
    (finding,) = findings(turn((at, "reasoning")))
    assert (
        finding == "the reply contained reasoning in 1 of 1 turn; it is not spoken and not a token"
    )


@pytest.mark.parametrize(("at", "is_told"), [(200, True), (350, True), (351, False), (400, False)])
def test_white_space_is_told_where_it_came_long_before_the_first_word(
    at: float, is_told: bool
) -> None:
    assert len(findings(turn((at, "blank")))) == is_told


def test_an_unknown_event_is_told_in_the_servers_words() -> None:
    (finding,) = findings(turn((10, "unknown"), said='{"type": "ping"}'))
    assert finding.endswith('does not define, in 1 of 1 turn: {"type": "ping"}')


@pytest.mark.parametrize("kind", get_args(RemarkKind))
def test_there_is_a_sentence_for_each_kind_of_remark(kind: RemarkKind) -> None:
    found = list(remarked(digest_of([turn((10, kind)), turn()])))
    assert len(found) == 1
    assert "1 of 2 turns" in found[0][0]
    assert found[0][1]


def test_a_count_that_gives_no_rate_is_told_with_what_was_seen() -> None:
    odd = replace(turn(), usage_tokens=411, usage_with_hidden=True)
    (finding,) = findings(odd, turn())
    assert "1 of 2 turns: 411 counted, 2 pieces of text seen" in finding
