"""The final verdict: the one word for a run in every report, document and exit code.

The first row that applies decides:

=================  =========  ==================================================================
NOT KEPT           exit 4     the run could not be written to its folder; it is reported once
INTERRUPTED        exit 130   the run was stopped before its end
NOTHING MEASURED   exit 4     no measured turn has a usable answer
INVALID            exit 5     the machine was too noisy for a verdict, sound came after the end
                              of its turn, or the numbers of the baseline mean other things
FAIL and so on     by gate    the worst of the gates and of the figures against the baseline;
                              UNDECIDED where a baseline is named and nothing was compared with it
NOT JUDGED         exit 0     no gate is set, and no baseline is named
=================  =========  ==================================================================

An `Obstacle` (the first four rows) prevents a verdict on the gates. The gates are still judged by
the finished turns, but decide nothing.
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
    """The final verdict of a run, the gravest first."""

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
        """Whether the word names an obstacle; then no figure may be judged."""
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
    """How many the settings asked for; None if unknown."""
    complete: bool
    """Whether the run ended as planned."""
    stray: int = 0
    """The number of turns in or before which sound of another turn came."""

    def progress(self) -> str:
        """Return ``2 of 12 turns``."""
        if self.planned is None:
            return plural(self.measured, "turn")
        return f"{self.measured} of {plural(self.planned, 'turn')}"


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Something that prevents a verdict on the gates."""

    word: Word
    subject: str
    """The run, its results, the server, the machine or the baseline."""
    reason: str
    """One line, short enough for a heading."""
    detail: str = ""

    def in_full(self) -> str:
        """Return the detail, or the reason if there is none."""
        return self.detail or self.reason


@dataclass(frozen=True, slots=True)
class Final:
    """The final verdict of a run, and the verdicts that it follows from."""

    word: Word
    obstacles: tuple[Obstacle, ...]
    gates: tuple[Verdict, ...]
    figures: tuple[Verdict, ...]
    """The verdicts on the figures against the baseline."""
    nothing_compared: bool = False
    """Whether a baseline was named, but no figure could be compared with it."""

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of a command that ends with this verdict."""
        return self.word.exit_code

    def why(self) -> str:
        """Return the reason for the word in one line: ``1 of 4 gates passed``."""
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
        """Return the verdict of the same run if it could not be written to its folder."""
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

    ``figures`` are the verdicts against the baseline, if it ``has_baseline``. ``noise`` has the
    reasons why the machine made the run invalid, None if it did not. ``refused`` has the reasons
    why the run cannot be compared with its baseline.
    """
    found = _obstacles(taken, noise, refused)
    judged, compared = tuple(gates), tuple(figures)
    nothing_compared = has_baseline and not compared and not refused
    verdicts = [*judged, *compared, *([Verdict.UNDECIDED] if nothing_compared else [])]
    judgement = Word(worst(verdicts).value) if verdicts else Word.NOT_JUDGED
    word = found[0].word if found else judgement
    return Final(word, tuple(found), judged, compared, nothing_compared)


def _obstacles(taken: Taken, noise: Sequence[str] | None, refused: Sequence[str]) -> list[Obstacle]:
    """Return the obstacles, the gravest first."""
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
        detail = f"{late}: a turn was recorded too short; the advice has the remedy"
        found.append(Obstacle(Word.INVALID, "the server", late, detail))
    if noise is not None:
        found.append(Obstacle(Word.INVALID, "the machine", TOO_NOISY, "; ".join(noise)))
    other = "not compared with the baseline, whose numbers mean other things"
    found += [Obstacle(Word.INVALID, "the baseline", other, f"{other}: {why}") for why in refused]
    return found


def _passed(verdicts: Sequence[Verdict]) -> int:
    return sum(verdict is Verdict.PASS for verdict in verdicts)
