"""What of a reply's text is visible, however the text is cut into pieces."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebench.errors import EngineError
from voicebench.text.visible import VisibleText, visible_reply


def shown(*pieces: str) -> list[str]:
    """Return what each piece makes visible, and what the end does."""
    text = VisibleText()
    return [*map(text.push, pieces), text.finish()]


def whole(*pieces: str) -> str:
    return "".join(shown(*pieces))


@pytest.mark.parametrize(
    ("opens", "closes"),
    [
        ("<think>", "</think>"),
        ("<THINK>", "</Think>"),
        ("<thinking>", "</thinking>"),
        ("<thought>", "</thought>"),
        ("<reasoning>", "</reasoning>"),
        ("<seed:think>", "</seed:think>"),
        ("<think >", "</think >"),
        ("< think\n>", "</ think>"),
        ('<think effort="low">', "</think>"),
        ("<|think|>", "<|/think|>"),
        ("<｜think｜>", "</｜think｜>"),
        ("<scratch_pad>", "</scratch_pad>"),
        ("<inner_monologue>", "</inner_monologue>"),
        ("<|think_start|>", "<|think_end|>"),
        ("[THINKING]", "[/THINKING]"),
        ("[THINK]", "[/THINK]"),
        ("◁think▷", "◁/think▷"),
        ("<|begin_of_thought|>", "<|end_of_thought|>"),
        ("<|START_THINKING|>", "<|END_THINKING|>"),
        ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
    ],
)
def test_a_thought_between_marks_is_not_shown(opens: str, closes: str) -> None:
    text = VisibleText()
    assert text.push(f"{opens}They ask for the time.{closes}It is late.") == "It is late."
    assert text.finish() == ""
    assert text.had_thought
    assert "reasoning" in text.withheld


def test_a_call_of_a_tool_between_marks_is_not_shown() -> None:
    text = VisibleText()
    assert text.push('It is late.<tool_call>{"name": "x"}</tool_call>') == "It is late."
    assert list(text.withheld) == ["tool calls"]


@pytest.mark.parametrize("space", [*"\u2800\u3164\u115f\ufe0f\u034f\u00a0\u200b\x00", "\U000e0100"])
def test_a_letter_that_cannot_be_seen_or_heard_is_blank(space: str) -> None:
    text = VisibleText()
    assert text.push(space) == ""
    assert list(text.withheld) == ["blank"]
    assert text.push("Yes") == f"{space}Yes"


REPLY = "\n<think>It <b>may</b> be < late</thinking> or not.</think>\n\n4 < 5 [sic] <b>Yes</b>.</s>"


@given(st.lists(st.integers(0, len(REPLY)), max_size=12))
def test_where_the_pieces_are_cut_changes_nothing(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(REPLY)]
    pieces = [REPLY[start:end] for start, end in pairwise(edges)]
    assert whole(*pieces) == "\n\n\n4 < 5 [sic] <b>Yes</b>."


def test_only_what_may_be_a_mark_is_held_back_and_only_until_the_next_letter() -> None:
    assert shown("It is", " late <", "b", "> now <thi", "s", " <") == [
        *("It is", " late ", "<b", "> now ", "<this", " ", "<")
    ]


def test_a_mark_cut_in_two_is_a_mark() -> None:
    assert shown("<thi", "nk>hm</th", "ink>Y", "es.") == ["", "", "Y", "es.", ""]


def test_a_thought_that_is_never_closed_is_never_shown() -> None:
    text = VisibleText()
    assert text.push("Well. <think>hm") + text.finish() == "Well. "
    assert text.is_thinking
    assert "reasoning" in text.withheld


def test_a_closing_mark_before_any_text_is_a_mark_and_no_more() -> None:
    assert whole("</think>", "\n\nYes.") == "\n\nYes."
    assert whole("they ask</think>Yes.") == "Yes."


def test_a_closing_mark_after_text_that_was_shown_says_that_it_was_a_thought() -> None:
    text = VisibleText()
    assert text.push("They ask for the time.") == "They ask for the time."
    with pytest.raises(EngineError, match="contains reasoning") as caught:
        text.push(" Hm.</think>It is late.")
    assert "--reasoning-parser" in caught.value.remedy


def test_white_space_before_the_first_visible_character_comes_with_it() -> None:
    assert shown("\n\n", " \u200b", "Yes", "\n\n", "No") == [
        *("", "", "\n\n \u200bYes", "\n\n", "No", "")
    ]


def test_an_empty_thought_is_no_reasoning_but_was_made_of_tokens() -> None:
    text = VisibleText()
    assert text.push("<think>\n\n</think>\n\nYes.") == "\n\nYes."
    assert text.had_thought
    assert "reasoning" not in text.withheld


def test_special_tokens_written_as_text_are_not_shown() -> None:
    text = VisibleText()
    assert text.push("Yes.<|im_end|>") == "Yes."
    assert list(text.withheld) == ["mark"]


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        ("It is late.", "It is late."),
        ("they ask</think>It is late.", "It is late."),
        ("a</think>b</think>It is late.", "It is late."),
        ("<think>they ask</think>It is late.", "It is late."),
        ("It is <think>hm", "It is "),
    ],
)
def test_of_a_whole_reply_all_before_a_closing_mark_without_an_opening_one_is_a_thought(
    reply: str, answer: str
) -> None:
    text, withheld, had_thought = visible_reply(reply)
    assert text == answer
    assert had_thought == ("reasoning" in withheld) == (reply != answer)


def test_a_letter_whose_lower_case_is_longer_shifts_no_mark() -> None:
    assert whole("İİİ <think>hm</think>Yes") == "İİİ Yes"
