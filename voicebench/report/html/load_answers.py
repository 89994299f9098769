"""The first screen of a page of runs under load: how many callers, what limits, what next."""

from __future__ import annotations

from voicebench import format as form
from voicebench.judging.gates import Verdict
from voicebench.load.level_document import offered
from voicebench.load.level_rule import GateStanding
from voicebench.load.recorded.load_advice import bad_turns, deciding_level, load_advice
from voicebench.load.recorded.load_final import verdict_of
from voicebench.load.recorded.load_run import LoadRun
from voicebench.report.console.style import BAD, QUIET, UNSURE, VERDICT_STYLES
from voicebench.report.html.answers import ENOUGH, NEXT, NO_VERDICT, WORDS, limited
from voicebench.report.html.parts import PageAnswer

LIMITS = "What limits?"


def load_answers(run: LoadRun) -> list[PageAnswer]:
    """Return the answers of one run under load."""
    return [carries(run), what_limits(run), what_next(run)]


def carries(run: LoadRun, question: str = "") -> PageAnswer:
    """Return the capacity that was confirmed, or whether the level holds."""
    final = run.final
    style = VERDICT_STYLES[final.word]
    if final.obstacles:
        why = limited([one.in_full() for one in final.obstacles], "reason")
        return PageAnswer(question or ENOUGH, NO_VERDICT, style, why)
    level, answer = run.shown_level, run.replay.answer
    gates = [] if level is None else [_gate_line(gate) for gate in level.held.judgement.gates]
    if answer is None:
        because = limited(gates, "gate") or [final.why()]
        return PageAnswer(question or ENOUGH, WORDS.get(final.word, NO_VERDICT), style, because)
    word = "none confirmed"
    if answer.capacity is not None:
        word = f"{form.plural(answer.capacity, 'caller')}, confirmed"
    return PageAnswer(question or "How many callers?", word, style, [final.why()])


def _gate_line(gate: GateStanding) -> str:
    verdict = verdict_of(gate.standing)
    seen = "no turn" if gate.bounds.observed is None else form.percent(gate.bounds.observed)
    kept = "" if verdict is Verdict.PASS else f", {verdict.value}"
    return f"{gate.gate.gate.text}: {seen} good, {form.percent(gate.gate.share)} needed{kept}"


def what_limits(run: LoadRun) -> PageAnswer:
    """Return the bad turns of the level that decides, and the gates that it misses."""
    level = deciding_level(run)
    if level is None:
        return PageAnswer(LIMITS, "Nothing was held", QUIET)
    missed = [
        gate for gate in level.held.judgement.gates if verdict_of(gate.standing) is not Verdict.PASS
    ]
    counts = bad_turns(run, level)
    turns = form.plural(level.held.measured.n, "turn")
    counted = ", ".join(f"{count} {reason}" for reason, count in counts.items())
    bad = f"bad at {offered(level.document)}: {counted}, of {turns}" if counts else ""
    reasons = list(level.held.judgement.reasons)
    if not missed and not reasons:
        held = f"no gate is missed at {offered(level.document)}"
        return PageAnswer(LIMITS, "Nothing yet", QUIET, [line for line in (held, bad) if line])
    worst = max(counts, key=lambda reason: counts[reason], default="")
    word = f"Turns that are {worst}" if worst else "The gates are undecided"
    style = BAD if any(verdict_of(gate.standing) is Verdict.FAIL for gate in missed) else UNSURE
    lines = [*reasons, *(_gate_line(gate) for gate in missed)]
    return PageAnswer(LIMITS, word, style, [*limited(lines, "reason"), *([bad] if bad else [])])


def what_next(run: LoadRun, question: str = NEXT) -> PageAnswer:
    """Return the gravest advice, with the finding that it stands on."""
    advice = load_advice(run)
    if not advice:
        return PageAnswer(question, "Nothing", QUIET, ["every gate holds"])
    first = advice[0]
    more = "" if len(advice) == 1 else f"all {len(advice)} pieces of advice"
    return PageAnswer(question, first.remedy, "", [first.finding], "advice", more or "the advice")
