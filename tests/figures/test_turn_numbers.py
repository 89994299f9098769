"""Figures by turn of the conversation, in the documents and in the advice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from drawn_turns import drawn_turn, failed_turn

from voicebench.figures.columns import columns_of
from voicebench.figures.turn_numbers import by_turn_number
from voicebench.judging.advice_sentences import Advice
from voicebench.judging.conversation_advice import late_turns
from voicebench.results.document import conversations_document
from voicebench.turn.timeline import Timeline


def turn(
    conversation: int, number: int, ttft: float, *, cached: int | None = None, prompt: int = 100
) -> Timeline:
    drawn = drawn_turn(tokens=[ttft], audio=[(ttft + 50, 100)])
    return replace(
        drawn,
        conversation=conversation,
        conversation_turn=number,
        prompt_tokens=prompt,
        cached_tokens=cached,
    )


def talks(*ttft_by_turn: float, conversations: int = 4, **said: int) -> list[Timeline]:
    return [
        turn(conversation, number, ttft + conversation, **said)
        for conversation in range(1, conversations + 1)
        for number, ttft in enumerate(ttft_by_turn, 1)
    ]


def test_each_turn_number_has_its_own_row() -> None:
    failed = replace(failed_turn(), conversation=2, conversation_turn=2)
    turns = [turn(1, 1, 100, cached=23), turn(1, 2, 300, cached=80), turn(2, 1, 120), failed]
    first, second = by_turn_number(columns_of(turns))
    assert (first.number, first.turns, first.failed) == (1, 2, 0)
    assert first.first_token.values == (100, 120)
    assert first.first_audio.values == (150, 170)
    assert (first.prompt_tokens, first.cached_tokens) == (100, 23)
    assert (second.number, second.turns, second.failed) == (2, 2, 1)
    assert second.first_token.values == (300,)
    assert second.first_token.missing == 1
    assert second.cached_tokens == 80


def test_turns_that_stand_alone_have_no_row_and_other_phases_neither() -> None:
    alone = drawn_turn(audio=[(100, 100)])
    cold = replace(turn(1, 1, 900), phase="cold")
    assert by_turn_number(columns_of([alone, cold])) == []
    assert conversations_document(columns_of([alone])) == []
    (row,) = by_turn_number(columns_of([alone, cold, turn(1, 1, 100)]))
    assert row.turns == 1


def test_no_cached_token_is_a_count_and_not_the_same_as_none() -> None:
    zero, unknown = turn(1, 1, 100, cached=0), turn(1, 1, 100)
    assert by_turn_number(columns_of([zero]))[0].cached_tokens == 0
    assert by_turn_number(columns_of([unknown]))[0].cached_tokens is None


def test_the_document_has_one_entry_a_turn_number() -> None:
    entries = conversations_document(columns_of(talks(100, 200)))
    assert [entry["turn"] for entry in entries] == [1, 2]
    assert entries[1]["turns"] == 4
    assert isinstance(found := entries[1]["llm_ttft_ms"], dict)
    assert found["p50"] == 202.5


def advice_for(turns: list[Timeline]) -> list[Advice]:
    return list(late_turns(columns_of(turns)))


def test_a_history_that_is_computed_again_is_named() -> None:
    (found,) = advice_for(talks(100, 150, 200, 250, 300, 350))
    assert found.kind == "history computed again"
    assert "turn 5 of a conversation on, llm_ttft takes 328 ms, 3.20×" in found.finding
    assert "prefix caching" in found.remedy


def test_a_server_that_says_it_keeps_the_history_is_quoted_and_not_believed() -> None:
    (found,) = advice_for(talks(100, 150, 200, 250, 300, 350, cached=90))
    assert found.kind == "late turns"
    assert "the server says that 90 % of the prompt" in found.finding


@pytest.mark.parametrize(
    "ttft_by_turn",
    [
        (100, 101, 100, 102, 100),
        (100, 120, 130, 135, 140),
        (4, 6, 8, 9, 10),
        (100,),
        (300, 100, 90),
    ],
)
def test_turns_that_stay_early_get_no_advice(ttft_by_turn: tuple[float, ...]) -> None:
    assert advice_for(talks(*ttft_by_turn)) == []


def test_too_few_conversations_prove_nothing() -> None:
    assert advice_for(talks(100, 200, 400, conversations=2)) == []


def test_a_wide_scatter_proves_nothing() -> None:
    chance = np.random.default_rng(1)
    turns = [
        turn(talk, number, float(chance.choice([20, 60, 400])))
        for talk in range(1, 9)
        for number in range(1, 7)
    ]
    assert advice_for(turns) == []


def test_turns_that_stand_alone_get_no_advice() -> None:
    assert advice_for([drawn_turn(audio=[(100 * number, 100)]) for number in range(1, 9)]) == []
