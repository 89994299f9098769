"""One word for a run: which of its parts decides, and what the exit code is."""

from __future__ import annotations

import json

import pytest

from voicebench.judging.final import Final, Taken, Word, final_verdict
from voicebench.judging.gates import Verdict

PASS, FAIL, CLOSE = Verdict.PASS, Verdict.FAIL, Verdict.CLOSE
DONE = Taken(measured=12, failed=0, planned=12, complete=True)
BROKEN_OFF = Taken(measured=2, failed=0, planned=12, complete=False)
ALL_FAILED = Taken(measured=3, failed=3, planned=3, complete=True)


STRAY = Taken(measured=12, failed=0, planned=12, complete=True, stray=3)


def final(taken: Taken = DONE, *gates: Verdict, **more: object) -> Final:
    return final_verdict(taken, gates, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("verdict", Verdict)
def test_a_gates_verdict_is_the_word_where_nothing_stands_in_its_way(verdict: Verdict) -> None:
    assert final(DONE, PASS, verdict).word.value == verdict.value


@pytest.mark.parametrize(
    ("made", "word", "code"),
    [
        (final(DONE, PASS), Word.PASS, 0),
        (final(DONE), Word.NOT_JUDGED, 0),
        (final(DONE, PASS, CLOSE), Word.CLOSE, 3),
        (final(DONE, PASS, Verdict.NOT_MEASURED), Word.NOT_MEASURED, 3),
        (final(DONE, PASS, Verdict.UNDECIDED), Word.UNDECIDED, 5),
        (final(DONE, PASS, figures=[FAIL]), Word.FAIL, 3),
        (final(DONE, figures=[PASS]), Word.PASS, 0),
        (final(DONE, PASS, figures=[Verdict.NOT_SHOWN, PASS]), Word.NOT_SHOWN, 5),
        (final(DONE, CLOSE, figures=[Verdict.NOT_SHOWN]), Word.CLOSE, 3),
        (final(DONE, PASS, has_baseline=True), Word.UNDECIDED, 5),
        (final(DONE, has_baseline=True), Word.UNDECIDED, 5),
        (final(DONE, FAIL, has_baseline=True), Word.FAIL, 3),
        (final(DONE, PASS, figures=[PASS], has_baseline=True), Word.PASS, 0),
        (final(DONE, PASS, noise=["it drifts"]), Word.INVALID, 5),
        (final(STRAY, PASS), Word.INVALID, 5),
        (final(DONE, FAIL, noise=[]), Word.INVALID, 5),
        (final(DONE, PASS, refused=["another rule"]), Word.INVALID, 5),
        (final(ALL_FAILED, FAIL, noise=["it drifts"]), Word.NOTHING_MEASURED, 4),
        (final(ALL_FAILED), Word.NOTHING_MEASURED, 4),
        (final(Taken(0, 0, 12, complete=True), PASS), Word.NOTHING_MEASURED, 4),
        (final(BROKEN_OFF, PASS), Word.INTERRUPTED, 130),
        (final(BROKEN_OFF, FAIL, noise=["it drifts"]), Word.INTERRUPTED, 130),
        (final(Taken(1, 1, 12, complete=False), FAIL), Word.INTERRUPTED, 130),
        (final(Taken(0, 0, 12, complete=False)), Word.INTERRUPTED, 130),
    ],
)
def test_what_decides_the_word_and_the_exit_code(made: Final, word: Word, code: int) -> None:
    assert (made.word, made.exit_code) == (word, code)


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (final(DONE, PASS, FAIL), "1 of 2 gates passed"),
        (final(DONE, PASS, figures=[PASS, FAIL]), "1 of 1 gate passed, 1 of 2 figures kept "
         "the baseline"),
        (final(DONE), "no gate is set"),
        (
            final(DONE, PASS, has_baseline=True),
            "1 of 1 gate passed, nothing was compared with the baseline",
        ),
        (final(BROKEN_OFF, PASS), "after 2 of 12 turns"),
        (final(Taken(1, 0, None, complete=False)), "after 1 turn"),
        (final(ALL_FAILED), "3 measured turns, and every one failed"),
        (final(DONE, PASS, noise=["x"]), "the machine was too noisy for a verdict; measure again"),
    ],
)  # fmt: skip
def test_the_reason_stands_beside_the_word(made: Final, why: str) -> None:
    assert made.why() == why


def test_every_obstacle_is_told_with_all_that_is_known_of_it() -> None:
    made = final(BROKEN_OFF, PASS, noise=["it drifts; stop it"], refused=["another rule"])
    assert [(one.subject, one.in_full()) for one in made.obstacles] == [
        ("the run", "interrupted after 2 of 12 turns"),
        ("the machine", "it drifts; stop it"),
        (
            "the baseline",
            "not compared with the baseline, whose numbers mean other things: another rule",
        ),
    ]


def test_a_run_that_could_not_be_kept_is_called_so_and_says_why() -> None:
    made = final(DONE, PASS).but_not_kept("summary.json cannot be written")
    assert (made.word, made.exit_code) == (Word.NOT_KEPT, 4)
    assert made.why() == "the run could not be kept"
    assert made.obstacles[0].in_full() == "summary.json cannot be written"


def test_the_entries_of_the_summary_are_plain() -> None:
    entry = final(DONE, PASS).as_dict()
    assert json.loads(json.dumps(entry)) == entry
    assert entry == {"verdict": "PASS", "why": "1 of 1 gate passed", "exit_code": 0}


def test_late_sound_is_told_with_the_number_of_turns() -> None:
    made = final(STRAY, PASS)
    assert made.why() == "sound came after its turn's end in 3 of 12 turns"
    assert made.obstacles[0].subject == "the server"
