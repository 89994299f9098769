"""The final verdict: the one word that a run is called by, wherever it is told.

The first line of a report, its last line, the badge, every colour, the exit code and every document
take it from here. The first row that applies decides:

=================  =========  ==================================================================
NOT KEPT           exit 4     the run could not be written to its folder; what was measured is told
                              all the same, once
INTERRUPTED        exit 130   the run did not come to its end
NOTHING MEASURED   exit 4     no measured turn brought a usable answer
INVALID            exit 5     the machine was too noisy for a verdict, sound came after the end
                              of its turn, or the numbers of the baseline mean other things
FAIL and so on     by gate    the worst of the gates and of the figures against the baseline;
                              UNDECIDED where a baseline is named and nothing was compared with it
NOT JUDGED         exit 0     no gate is set, and no baseline is named
=================  =========  ==================================================================

What stands in the way of a verdict on the gates (the first four rows) is an `Obstacle`. The gates
keep verdicts of their own below it: they say what the finished turns showed, and decide nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from voicebench.errors import ExitCode
from voicebench.format import plural
from voicebench.judging.gates import Verdict, worst

TOO_NOISY = "the machine was too noisy for a verdict; measure again"
NOTHING_COMPARED = "nothing was compared with the baseline"


class Word(StrEnum):
    """What a run is called, the gravest first."""

    NOT_KEPT = "NOT KEPT"
    INTERRUPTED = "INTERRUPTED"
    NOTHING_MEASURED = "NOTHING MEASURED"
    INVALID = "INVALID"
    FAIL = "FAIL"
    NOT_MEASURED = "NOT MEASURED"
    CLOSE = "CLOSE"
    NOT_SHOWN = "NOT SHOWN"
    UNDECIDED = "UNDECIDED"
    NOT_JUDGED = "NOT JUDGED"
    PASS = "PASS"

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of a command that ends with this word."""
        return _EXIT_CODES[self]

    @property
    def is_obstacle(self) -> bool:
        """Whether it says what stands in the way of a verdict; then no figure may be judged."""
        return self in _OBSTACLES


_OBSTACLES = (Word.NOT_KEPT, Word.INTERRUPTED, Word.NOTHING_MEASURED, Word.INVALID)
_EXIT_CODES = {
    Word.PASS: ExitCode.PASSED,
    Word.CLOSE: ExitCode.GATE_FAILED,
    Word.FAIL: ExitCode.GATE_FAILED,
    Word.NOT_SHOWN: ExitCode.UNDECIDED,
    Word.UNDECIDED: ExitCode.UNDECIDED,
    Word.NOT_MEASURED: ExitCode.GATE_FAILED,
    Word.INVALID: ExitCode.UNDECIDED,
    Word.NOTHING_MEASURED: ExitCode.COULD_NOT_MEASURE,
    Word.INTERRUPTED: ExitCode.INTERRUPTED,
    Word.NOT_KEPT: ExitCode.COULD_NOT_MEASURE,
    Word.NOT_JUDGED: ExitCode.PASSED,
}


@dataclass(frozen=True, slots=True)
class Taken:
    """The measured turns of a run, failed ones included."""

    measured: int
    failed: int
    planned: int | None
    """How many the settings asked for; None where they do not say."""
    complete: bool
    """Whether the run came to its end."""
    stray: int = 0
    """Turns in or before which sound came that was none of their own."""

    def progress(self) -> str:
        """Return ``2 of 12 turns``."""
        if self.planned is None:
            return plural(self.measured, "turn")
        return f"{self.measured} of {plural(self.planned, 'turn')}"


@dataclass(frozen=True, slots=True)
class Obstacle:
    """What stands in the way of a verdict on the gates."""

    word: Word
    subject: str
    """What it is about: the run, its results, the machine or the baseline."""
    reason: str
    """One line, short enough for a heading."""
    detail: str = ""

    def told(self) -> str:
        """Return all that is known of it."""
        return self.detail or self.reason


@dataclass(frozen=True, slots=True)
class Final:
    """The final verdict of a run, and what it is made of."""

    word: Word
    obstacles: tuple[Obstacle, ...]
    gates: tuple[Verdict, ...]
    figures: tuple[Verdict, ...]
    """The figures against the baseline."""
    nothing_compared: bool = False
    """Whether a baseline was named that could not be held against the run in any figure."""

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of a command that ends with this verdict."""
        return self.word.exit_code

    def why(self) -> str:
        """Return what made the word, in one line: ``1 of 4 gates passed``."""
        if self.obstacles:
            return self.obstacles[0].reason
        parts = []
        if self.gates:
            parts.append(f"{_passed(self.gates)} of {plural(len(self.gates), 'gate')} passed")
        if self.figures:
            figures = plural(len(self.figures), "figure")
            parts.append(f"{_passed(self.figures)} of {figures} kept the baseline")
        if self.nothing_compared:
            parts.append(NOTHING_COMPARED)
        return ", ".join(parts) or "no gate is set"

    def but_not_kept(self, why: str) -> Final:
        """Return the verdict of a run of which this could not be written to its folder."""
        obstacle = Obstacle(Word.NOT_KEPT, "the results", "the run could not be kept", why)
        return replace(self, word=obstacle.word, obstacles=(obstacle, *self.obstacles))

    def as_dict(self) -> dict[str, object]:
        """Return the entries of ``summary.json``."""
        return {"verdict": self.word.value, "why": self.why(), "exit_code": int(self.exit_code)}


def final_verdict(
    taken: Taken,
    gates: Iterable[Verdict],
    figures: Iterable[Verdict] = (),
    *,
    noise: Sequence[str] | None = None,
    refused: Sequence[str] = (),
    has_baseline: bool = False,
) -> Final:
    """Return the final verdict of a run.

    ``figures`` are those against the baseline, if it ``has_baseline``. ``noise`` says why the
    machine made the run invalid, None where it did not; ``refused`` says why the run cannot be
    compared with its baseline.
    """
    found = _obstacles(taken, noise, refused)
    judged, compared = tuple(gates), tuple(figures)
    nothing_compared = has_baseline and not compared and not refused
    said = [*judged, *compared, *([Verdict.UNDECIDED] if nothing_compared else [])]
    judgement = Word(worst(said).value) if said else Word.NOT_JUDGED
    word = found[0].word if found else judgement
    return Final(word, tuple(found), judged, compared, nothing_compared)


def _obstacles(taken: Taken, noise: Sequence[str] | None, refused: Sequence[str]) -> list[Obstacle]:
    """Return what stands in the way, the gravest first."""
    found = []
    if not taken.complete:
        after = f"after {taken.progress()}"
        found.append(Obstacle(Word.INTERRUPTED, "the run", after, f"interrupted {after}"))
    elif taken.failed == taken.measured:
        what = "no turn was measured"
        if taken.measured:
            what = f"{plural(taken.measured, 'measured turn')}, and every one failed"
        found.append(Obstacle(Word.NOTHING_MEASURED, "the run", what))
    if taken.stray:
        turns = f"{taken.stray} of {plural(taken.measured, 'turn')}"
        late = f"sound came after its turn's end in {turns}"
        told = f"{late}: a turn was recorded too short; the advice says what to mend"
        found.append(Obstacle(Word.INVALID, "the server", late, told))
    if noise is not None:
        found.append(Obstacle(Word.INVALID, "the machine", TOO_NOISY, "; ".join(noise)))
    found += [
        Obstacle(
            Word.INVALID,
            "the baseline",
            "not compared with the baseline, whose numbers mean other things",
            f"not compared with the baseline, whose numbers mean other things: {why}",
        )
        for why in refused
    ]
    return found


def _passed(verdicts: Sequence[Verdict]) -> int:
    return sum(verdict is Verdict.PASS for verdict in verdicts)
