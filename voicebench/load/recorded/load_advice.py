"""Advice for a run under load: what makes its turns bad, and what to change.

Every rule looks at one level, the one that decides: of a search the lowest that was shown to fail,
else the level that the answer rests on. The *reason* of a bad turn is its outcome; an answered turn
is bad if it came too late or stalled. What helps depends on the shape: turns that get slower with
more callers wait for each other, and turns that are slow at one caller are slow by themselves.
"""

from __future__ import annotations

from collections.abc import Iterator

from voicebench import format as form
from voicebench.judging.advice_sentences import Advice
from voicebench.judging.final import Word
from voicebench.load.level_document import offered
from voicebench.load.level_rule import LevelStanding
from voicebench.load.load_gate import good_marks
from voicebench.load.loaded_turn import FAILED, REFUSED, UNFINISHED
from voicebench.load.recorded.judged_again import RecordedLevel
from voicebench.load.recorded.load_run import LoadRun

CROWDED_FACTOR = 1.5
"""Turns wait for each other if first audio takes this many times as long as at the fewest callers
that were held."""
LATE = "first_audio_due_ms"


def load_advice(run: LoadRun) -> tuple[Advice, ...]:
    """Return the advice for a run, the gravest first."""
    return tuple(_advice(run))


def deciding_level(run: LoadRun) -> RecordedLevel | None:
    """Return the lowest level that was shown to fail, else the level that the answer rests on."""
    answer = run.replay.answer
    if answer is not None and answer.high is not None:
        for level in run.levels:
            if level.callers == answer.high and level.held.judgement.is_shown:
                return level
    return run.shown_level


def _advice(run: LoadRun) -> Iterator[Advice]:
    if run.final.obstacles:
        yield _again(run)
        return
    level = deciding_level(run)
    if level is not None:
        yield from _bad_turns(run, level)
    yield from _open_end(run)


def _again(run: LoadRun) -> Advice:
    """Say what to change before a load without a verdict is held again."""
    finding, remedy = run.final.obstacles[0].in_full(), "hold the load again"
    if run.final.word in (Word.INVALID, Word.NOTHING_MEASURED):
        levels = [one.held.judgement for one in run.levels]
        invalid = [one.reasons for one in levels if one.standing is LevelStanding.INVALID]
        why = next((reasons[0] for reasons in invalid if reasons), "")
        if why and why not in finding:
            finding = f"{finding}: {why}"
        remedy = next((what for sign, what in BEFORE_AGAIN if sign in why), remedy)
    return Advice(finding, remedy, "load: no verdict")


_RELIEVE = (
    "give the client more cores (load.processes), or another machine than the server's, or offer "
    "fewer callers"
)
BEFORE_AGAIN = (
    ("began late", _RELIEVE),
    ("read late", _RELIEVE),
    ("core of the client", _RELIEVE),
    ("other programs", "end the other programs of this machine, or load from another one"),
    ("no file descriptor", "raise the limit (ulimit -n), or hold calls for longer (load.turns)"),
    ("still open", "offer fewer callers, or give turns more time to end (load.drain_s)"),
)
"""What helps against the reasons of an invalid level, by a part of its sentence."""


def bad_turns(run: LoadRun, level: RecordedLevel) -> dict[str, int]:
    """Return how many measured turns of a level are bad, by the reason; empty if none is."""
    inside = level.held.measured
    bad = ~good_marks(run.gates, inside)
    counts = {
        "refused": int((bad & (inside.outcome == REFUSED)).sum()),
        "failed": int((bad & (inside.outcome == FAILED)).sum()),
        "unfinished": int((bad & (inside.outcome == UNFINISHED)).sum()),
        "late or stalled": int((bad & inside.went_well).sum()),
    }
    return {reason: count for reason, count in counts.items() if count}


def _bad_turns(run: LoadRun, level: RecordedLevel) -> Iterator[Advice]:
    if all(gate.standing.value == "holds" for gate in level.held.judgement.gates):
        return
    turns = level.held.measured.n
    for reason, count in sorted(bad_turns(run, level).items(), key=lambda item: -item[1]):
        finding = (
            f"at {offered(level.document)}, {count} of {form.plural(turns, 'turn')} are {reason}"
        )
        figures: dict[str, str | float] = {"bad": count, "turns": turns}
        figures["metrics"] = f"good.rate, {_STANDS_ON[reason]}"
        if reason == "refused":
            remedy = "raise the server's limit on simultaneous turns, or add a server"
            yield Advice(finding, remedy, "load: refused", figures)
        elif reason == "failed":
            yield Advice(
                f"{finding}{_commonest(level)}",
                "fix the cause of the failures first: each turn has its reason",
                "load: failed",
                figures,
            )
        elif reason == "unfinished":
            remedy = "the server does not keep up: offer fewer callers, or add a server"
            yield Advice(finding, remedy, "load: unfinished", figures)
        else:
            yield _late(run, level, finding, figures)


_STANDS_ON = {
    "refused": "refused.rate",
    "failed": "errors.rate",
    "unfinished": "unfinished.rate",
    "late or stalled": "first_audio_due.p50",
}


def _commonest(level: RecordedLevel) -> str:
    reasons = sorted(level.reasons.items(), key=lambda item: (-item[1], item[0]))
    return f", mostly: {form.one_line(reasons[0][0])}" if reasons else ""


def _late(
    run: LoadRun, level: RecordedLevel, finding: str, figures: dict[str, str | float]
) -> Advice:
    """Say whether late turns wait for each other or are slow by themselves."""
    here = level.percentile(LATE, 50)
    fewest = min(
        (one for one in run.levels if one.callers is not None and not one.held.interrupted),
        key=lambda one: one.callers or 0,
        default=None,
    )
    alone = None if fewest is None else fewest.percentile(LATE, 50)
    if here is None or alone is None or fewest is None or fewest.callers == level.callers:
        remedy = "`voicebench capacity` finds how many callers are answered in time"
        return Advice(finding, remedy, "load: late", figures)
    figures |= {"p50_ms": here, "alone_ms": alone}
    finding += (
        f"; half of first audio comes after {form.quantity(here, 'ms')} or more, and after "
        f"{form.quantity(alone, 'ms')} at {offered(fewest.document)}"
    )
    if here > CROWDED_FACTOR * alone:
        remedy = (
            "turns wait for each other: let the server compute more of them at once, or add one"
        )
        return Advice(finding, remedy, "load: crowded", figures)
    remedy = "a turn alone is slow already: tune it with few callers (`voicebench run`, `tune`)"
    return Advice(finding, remedy, "load: slow alone", figures)


def _open_end(run: LoadRun) -> Iterator[Advice]:
    """Say what would bound an answer that is open."""
    answer = run.replay.answer
    if run.final.word in (Word.UNDECIDED, Word.NOT_SHOWN):
        finding = f"the turns do not decide: {run.final.why()}"
        remedy = "hold levels longer (--for), or ask for less (--quick)"
        yield Advice(finding, remedy, "load: open", {"metrics": "good.rate"})
        return
    if answer is None or answer.high is not None or not answer.capacity:
        return
    if answer.capacity < answer.most:
        finding = f"above {form.plural(answer.capacity, 'caller')} no level was decided"
        remedy = "hold levels longer (--for): that confirms more, or shows where it fails"
        yield Advice(finding, remedy, "load: open", {"metrics": "capacity"})
    else:
        finding = f"{answer.most} callers, the most that were tried, hold"
        yield Advice(
            finding, "search further: --max", "load: no upper end", {"metrics": "capacity"}
        )
