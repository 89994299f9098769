from __future__ import annotations

import pytest

from voicebench.agents.local.turn_policy import (
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
        "I would like to",
        "Please.",
        "and the.",
        "I mean...",
        "One, two,",
        "the?",
        "How many? How many? How",
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


@pytest.mark.parametrize(
    "text",
    [
        "What is it for?",
        "I see it.",
        "",
        "Book a table.",
        "Yes, please.",
        "I hope so.",
        "Yes, I do.",
    ],
)
def test_a_sentence_that_may_be_over_is_not_waited_for(text: str) -> None:
    assert not may_go_on(text)


@pytest.mark.parametrize("text", ["Goodbye.", "Thank you. Good bye", "Okay, bye-bye!", "Bye."])
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
