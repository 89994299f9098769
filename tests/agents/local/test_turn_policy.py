from __future__ import annotations

import pytest

from voicebench.agents.local.turn_policy import (
    TurnPolicy,
    interrupts,
    is_farewell,
    is_turn,
    joined,
    may_go_on,
    words_of,
)


def test_remarks_about_noises_are_no_words() -> None:
    assert words_of("(coughs) Uh-huh, *sighs* it's [BLANK_AUDIO] fine.") == [
        "uh-huh",
        "it's",
        "fine",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "I would like the",
        "Please.",
        "and the.",
        "I mean...",
        "One, two,",
        "the?",
        "How many? How many? How",
        "I would like I would like I would",
    ],
)
def test_a_sentence_that_is_not_over_may_go_on(text: str) -> None:
    assert may_go_on(text)


@pytest.mark.parametrize(
    "text",
    [
        "Sorry, wait a moment.",
        "Hold on.",
        "Hmm. Let me see.",
        "One moment, please.",
        "Just a second please",
        "No, wait!",
        "Oh wait.",
        "My booking number is one moment please.",
        "For Friday, um, let me check.",
        "Give me a second.",
    ],
)
def test_a_caller_who_asks_for_time_goes_on(text: str) -> None:
    assert may_go_on(text)


@pytest.mark.parametrize(
    "text",
    ["Can you wait?", "How long is a minute?", "Call me back in a minute.", "I cannot wait.", ""],
)
def test_a_sentence_about_time_asks_for_none(text: str) -> None:
    assert not may_go_on(text)


SAID = [
    *("What is it for?", "I see it.", "Book a table.", "Yes, please.", "I hope so.", "Yes, I do."),
    *("No.", "Why not?", "Yes, I am.", "OK, I will.", "That is what I am looking for.", "Come in."),
    *("Thank you. Thank you so much.", "I would like a room and I would like breakfast."),
    "Can you hear me? Can you hear me?",
]


@pytest.mark.parametrize("text", SAID)
def test_a_sentence_of_every_day_is_not_waited_for_if_the_models_are_sure(text: str) -> None:
    policy = TurnPolicy()
    usual_ms = policy.likely_ms if text.endswith("for.") else policy.sure_ms
    assert policy.silence_ms(0.95, text) == usual_ms


@pytest.mark.parametrize(
    ("probability", "is_settled", "silence_ms"),
    [(0.95, True, 680), (0.95, False, 1400), (0.2, True, 1400), (0.01, False, 1400)],
)
def test_behind_a_word_that_ends_few_sentences_only_both_models_end_a_turn(
    probability: float, is_settled: bool, silence_ms: float
) -> None:
    found = TurnPolicy().silence_ms(probability, "I would like to", is_settled=is_settled)
    assert found == silence_ms


def test_a_farewell_ends_a_turn_whatever_marks_are_behind_it() -> None:
    assert TurnPolicy().silence_ms(0.01, "Goodbye...", is_settled=False) == 680
    assert TurnPolicy().silence_ms(0.95, "Goodbye.") == 240


@pytest.mark.parametrize(
    "text", ["Goodbye.", "Thank you. Good bye", "Okay, bye-bye!", "Bye for now."]
)
def test_a_farewell_is_the_end(text: str) -> None:
    assert is_farewell(text)


@pytest.mark.parametrize("text", ["", "A good buy.", "Goodbye is what he said.", "Stand by."])
def test_other_words_are_no_farewell(text: str) -> None:
    assert not is_farewell(text)


def test_what_a_listener_says_is_told_from_words_that_interrupt() -> None:
    assert not interrupts("Mm-hmm. Okay.")
    assert interrupts("Okay, but wait.")
    assert is_turn("Okay.")
    assert not is_turn("Mm-hmm.")


def test_two_parts_of_a_sentence_are_joined_without_the_marks_of_the_pause() -> None:
    assert joined("I would like...", "A table.") == "I would like A table."
    assert joined("", "A table.") == "A table."
    assert joined("A table.", " (coughs)") == "A table."
