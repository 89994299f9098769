"""What a recogniser writes in its own way is the same words."""

from __future__ import annotations

import pytest

from voicebench.checks.intelligibility import FIGURES_AND_NAMES, figure_errors
from voicebench.checks.spoken_form import readings, spoken_form


@pytest.mark.parametrize(
    ("heard", "reference"),
    [
        ("The train leaves at 9:30 AM.", "the train leaves at nine thirty a m"),
        ("It costs $3.50 with tax.", "It costs three dollars and fifty cents with tax."),
        ("Dr. Smith", "doctor smith"),
        ("room two hundred and four", "room 204"),
        ("the FBI", "the f b i"),
        ("in the U.S.A. near", "in the USA near"),
        ("It's 45%", "its forty five percent"),
    ],
)
def test_spellings_of_the_same_words_are_equal(heard: str, reference: str) -> None:
    assert spoken_form(heard) == spoken_form(reference)


def test_other_words_stay_other_words() -> None:
    assert spoken_form("at 9:30") != spoken_form("at 9:31")
    assert spoken_form("a share of a building") == "a share of a building"


def test_a_decimal_may_be_a_time() -> None:
    assert readings("at 9.30 AM") == ("at nine point three zero am", "at nine thirty am")
    assert readings("version 3.2") == ("version three point two",)


def test_the_reading_with_the_fewest_errors_counts() -> None:
    assert figure_errors(["at nine thirty"], ["at 9.30"]).errors == 0
    assert figure_errors(["nine point three zero"], ["9.30"]).errors == 0
    assert figure_errors(["at nine thirty", "room five"], ["at 9.40", "room 5"]).errors == 1


def test_there_are_forty_sentences_whose_written_and_spoken_forms_agree() -> None:
    assert len(set(FIGURES_AND_NAMES)) == 40
    for written, spoken in FIGURES_AND_NAMES:
        assert figure_errors([spoken], [written]).errors == 0, written
        assert figure_errors([spoken], ["something else"]).errors > 0
