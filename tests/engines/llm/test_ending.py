from __future__ import annotations

import pytest

from voicebench.engines.llm.ending import SentenceEnding, count_words, is_sentence_end


@pytest.mark.parametrize(
    ("text", "following"),
    [
        ("It is late.", " Good"),
        ("Is it late?", " Yes"),
        ("Stop!", "\n"),
        ('He said "no."', " Then"),
        ("It costs 5.", " That"),
        ("C'est fini !", " Oui"),
        ("你好。", "世界"),
        ("Well…", " Maybe"),
        ("I met Dr. Smith.", " He"),
    ],
)
def test_a_sentence_ends_at_its_closing_mark(text: str, following: str) -> None:
    assert is_sentence_end(text, following)


@pytest.mark.parametrize(
    ("text", "following"),
    [
        ("It is 3.", "14"),
        ("See Dr.", " Smith"),
        ("The U.S.", " army"),
        ("J.", " Doe"),
        ("Fruit, e.g.", " apples"),
        ("See example.", "com"),
        ("Hello", " world"),
        ("First,", " then"),
        ("A list:\n1.", " Bread"),
        ("1.", " Bread"),
        ("Wait.", '"'),
    ],
)
def test_a_sentence_does_not_end_inside_a_number_name_or_list(text: str, following: str) -> None:
    assert not is_sentence_end(text, following)


def test_a_reply_may_end_only_once_it_has_enough_words() -> None:
    ending = SentenceEnding(5)
    ending.push("Yes. It")
    assert not ending.ends_before(" is")
    ending.push(" is.")
    assert not ending.ends_before(" And")
    ending.push(" And more.")
    assert ending.ends_before(" The")


def test_a_reply_does_not_end_before_the_next_piece_is_known() -> None:
    ending = SentenceEnding(1)
    ending.push("Pi is 3.")
    assert not ending.ends_before("")
    assert not ending.ends_before("14")


def test_without_a_limit_the_model_ends_its_reply() -> None:
    ending = SentenceEnding(None)
    ending.push("One. Two. Three.")
    assert not ending.ends_before(" Four")


def test_words_are_counted_between_spaces_and_per_character_without_them() -> None:
    assert count_words("It's  a\nwell-known fact.") == 4
    assert count_words("你好 world") == 3
