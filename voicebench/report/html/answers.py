"""The first screen of a run's page: is it fast enough, what changed, what is to be done?

Each answer is the verdict, the comparison or the advice that the page shows below, so it can never
say more than they do: without a verdict there is no "yes", and a change without an interval is not
called a change that is shown.
"""

from __future__ import annotations

from collections.abc import Sequence

from voicebench import format as form
from voicebench.judging.final import NOTHING_COMPARED, Word
from voicebench.judging.gates import GRAVEST, GateResult, Verdict
from voicebench.report.console.sheets import observed_text
from voicebench.report.console.style import BAD, GOOD, QUIET, UNSURE, VERDICT_STYLES
from voicebench.report.console.verdicts import trend
from voicebench.report.html.parts import PageAnswer
from voicebench.results.run import RecordedRun

MOST_SHOWN = 3
"""Of more gates or figures, the others are only counted: the page has all below."""
ENOUGH = "Fast enough?"
CHANGED = "What changed?"
NEXT = "What next?"
WORDS = {
    Word.PASS: "Yes",
    Word.CLOSE: "No, but close",
    Word.FAIL: "No",
    Word.NOT_MEASURED: "Not shown: not measured",
    Word.NOT_SHOWN: "Not shown",
    Word.UNDECIDED: "Undecided",
    Word.NOT_JUDGED: "Not judged",
}
"""The answer for each verdict; all other words prevent one."""
NO_VERDICT = "No verdict"
SET_A_GATE = "no gate is set; --gate 'first_audio.p95 < 300ms' sets one"
NOT_IN_TURN = "not measured in turn, so this is no verdict: voicebench compare has intervals"


def run_answers(run: RecordedRun) -> list[PageAnswer]:
    """Return the answers of one run."""
    return [is_fast_enough(run), what_changed(run), what_next(run)]


def is_fast_enough(run: RecordedRun, question: str = ENOUGH) -> PageAnswer:
    """Return the verdict with the gates that it follows from, the worst first."""
    final, word = run.final, WORDS.get(run.final.word, NO_VERDICT)
    because: Sequence[str] = [one.in_full() for one in final.obstacles]
    if final.word is Word.NOT_JUDGED:
        because = [SET_A_GATE]
    elif not because:
        missed = [one for one in run.gate_results if one.verdict is not Verdict.PASS]
        missed.sort(key=lambda one: GRAVEST.index(one.verdict))
        because = limited([_gate_line(one) for one in missed or run.gate_results], "gate")
        if not missed and final.word is not Word.PASS:
            because = [final.why()]  # the baseline decided
    return PageAnswer(
        question, word, VERDICT_STYLES[final.word], because, "verdicts", "all verdicts"
    )


def _gate_line(result: GateResult) -> str:
    verdict = "" if result.verdict is Verdict.PASS else f", {result.verdict.value}"
    return f"{result.gate.text}: {observed_text(result)}{verdict}"


def what_changed(run: RecordedRun) -> PageAnswer:
    """Return the change against the baseline, else against the previous run of the name."""
    judged = run.judged
    if judged.refused:
        return PageAnswer(CHANGED, "Not compared", UNSURE, limited(judged.refused, "reason"))
    if judged.baseline is not None:
        return _against_baseline(run)
    if run.previous:
        return _against_previous(run)
    alone = (
        "no earlier run of this name lay beside it",
        "voicebench run --baseline latest compares with one",
    )
    return PageAnswer(CHANGED, "Nothing to compare with", QUIET, alone)


def _against_baseline(run: RecordedRun) -> PageAnswer:
    rows = run.judged.regressions
    if not rows:
        return PageAnswer(CHANGED, "Not shown", UNSURE, [NOTHING_COMPARED])
    kept = sum(row.verdict is Verdict.PASS for row in rows)
    word = f"{kept} of {form.plural(len(rows), 'figure')} kept the baseline"
    worst = [row for row in rows if row.verdict is not Verdict.PASS]
    because = limited([f"{row.figure}: {row.sentence()}" for row in worst or rows], "figure")
    style = GOOD
    if worst:
        is_missed = any(row.verdict in (Verdict.FAIL, Verdict.CLOSE) for row in worst)
        style = BAD if is_missed else UNSURE
    if run.final.obstacles:
        style = UNSURE
    return PageAnswer(CHANGED, word, style, because, "figures", "all figures")


def _against_previous(run: RecordedRun) -> PageAnswer:
    words = []
    lines = []
    for result in run.gate_results:
        gate, now = result.gate, result.observed
        before = run.previous.get(gate.figure.name)
        if before is None or now is None:
            continue
        lower = gate.operator in ("<", "<=")
        words.append(trend(before, now, lower_is_better=lower, exact=gate.metric is None))
        was, is_now = (form.quantity(value, gate.unit) for value in (before, now))
        change = form.change(before, now)
        change = "" if change in (form.NOTHING, form.NO_CHANGE) else f" ({change})"
        lines.append(f"{gate.figure.name}: {was} → {is_now}{change}, {words[-1]}")
    if not words:
        return PageAnswer(CHANGED, "Nothing to compare with", QUIET)
    counts = [
        f"{words.count(word)} {word}" for word in dict.fromkeys(words) if word != "maintained"
    ]
    word = f"Since the run before: {', '.join(counts) or 'all maintained'}"
    return PageAnswer(CHANGED, word, "", [*limited(lines, "figure"), NOT_IN_TURN])


def what_next(run: RecordedRun, question: str = NEXT) -> PageAnswer:
    """Return the gravest advice, with the finding that it stands on."""
    if run.final.obstacles and run.final.word is not Word.NOTHING_MEASURED:
        return PageAnswer(question, "Measure again", UNSURE, [run.final.obstacles[0].in_full()])
    if not run.advice:
        return PageAnswer(question, "Nothing", QUIET, ["no rule found anything to change"])
    first = run.advice[0]
    more = "" if len(run.advice) == 1 else f"all {len(run.advice)} pieces of advice"
    return PageAnswer(question, first.remedy, "", [first.finding], "advice", more or "the advice")


def limited(lines: Sequence[str], noun: str) -> list[str]:
    """Return the first lines, and how many more there are."""
    if len(lines) <= MOST_SHOWN:
        return list(lines)
    return [*lines[:MOST_SHOWN], f"and {form.plural(len(lines) - MOST_SHOWN, f'other {noun}')}"]
