"""Word error rates are counted as documented."""

from __future__ import annotations

import re

import pytest

from voicebench.checks.intelligibility import SENTENCES, normalised, word_errors


@pytest.mark.parametrize(
    ("text", "compared"),
    [
        ("  It's a well-known\nFACT: yes!  ", "its a well known fact yes"),
        ("It’s “fine” — really…", "its fine really"),
        ("under_score", "under score"),
        ("Café", "café"),
    ],
)
def test_texts_are_compared_without_case_and_punctuation(text: str, compared: str) -> None:
    assert normalised(text) == compared


def test_errors_are_counted_by_kind_over_all_texts() -> None:
    found = word_errors(
        ["The cat sat here.", "One two three."], ["the cat sat near here", "one three"]
    )
    assert (found.words, found.substituted, found.deleted, found.inserted) == (7, 0, 1, 1)
    assert found.rate == pytest.approx(2 / 7)


def test_what_is_heard_right_has_no_errors() -> None:
    assert word_errors(["Well, it's done!"], ["well its done"]).errors == 0


def test_there_are_forty_sentences_without_numbers_or_abbreviations() -> None:
    assert len(set(SENTENCES)) == 40
    for sentence in SENTENCES:
        assert re.fullmatch(r"[A-Z][A-Za-z ,]+\.", sentence)
