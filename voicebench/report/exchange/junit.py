"""JUnit XML: a run is a suite; a gate, or a figure held against the baseline, is a test case.

The dialect is the one that GitHub's, GitLab's and Jenkins' readers share: ``failure`` for a gate
that misses its limit or was not measured, ``error`` for one that could not be decided (and for a
change against the baseline that the turns do not show, or that nothing was compared), and for
whatever stood in the way of a verdict: an interrupt, a noisy machine, a baseline of another kind.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree

from voicebench import format as form
from voicebench.judging.final import NOTHING_COMPARED, Obstacle
from voicebench.judging.gates import OPEN, Verdict
from voicebench.report.console.sheets import names, observed_text
from voicebench.results.run import RecordedRun

_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that no XML 1.0 document may hold, even escaped."""


def junit_report(runs: Sequence[RecordedRun]) -> str:
    """Return the document, with a line end."""
    root = ElementTree.Element("testsuites", name="voicebench")
    for name, run in zip(names(runs), runs, strict=True):
        root.append(_suite(name, run))
    counted = {key: sum(int(suite.get(key, "0")) for suite in root) for key in _COUNTS}
    root.attrib |= {key: str(count) for key, count in counted.items()}
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, "unicode") + "\n"


def junit_failure(word: str, sentence: str) -> str:
    """Return the document of a run that ended without an outcome: one test case with an error."""
    counts = {"tests": "1", "failures": "0", "errors": "1"}
    root = ElementTree.Element("testsuites", counts, name="voicebench")
    suite = ElementTree.SubElement(root, "testsuite", counts, name="run", skipped="0", time="0")
    suite.append(_told_case("run", "the run", "error", word, sentence))
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, "unicode") + "\n"


_COUNTS = ("tests", "failures", "errors")


def _suite(name: str, run: RecordedRun) -> ElementTree.Element:
    judged = run.judged
    verdicts = [result.verdict for result in run.gate_results]
    verdicts += [regression.verdict for regression in judged.regressions]
    obstacles = run.final.obstacles
    verdicts += [Verdict.UNDECIDED for _ in obstacles]
    verdicts += [Verdict.UNDECIDED] if run.final.nothing_compared else []
    errors = sum(verdict in OPEN for verdict in verdicts)
    seconds = sum(run.summary.metrics["turn_ms"].values) / 1000
    suite = ElementTree.Element(
        "testsuite",
        name=_text(name),
        tests=str(len(verdicts)),
        failures=str(len(verdicts) - errors - verdicts.count(Verdict.PASS)),
        errors=str(errors),
        skipped="0",
        time=f"{seconds:.3f}",
        timestamp=_text(run.started_at or ""),
    )
    properties = ElementTree.SubElement(suite, "properties")
    for key, value in _properties(run).items():
        ElementTree.SubElement(properties, "property", name=key, value=_text(value))
    for result in run.gate_results:
        note = f" ({result.note})" if result.note else ""
        suite.append(_case(name, result.gate.text, result.verdict, observed_text(result) + note))
    for one in judged.regressions:
        against = f"{one.figure} against the baseline"
        suite.append(_case(name, against, one.verdict, one.told()))
    if run.final.nothing_compared:
        suite.append(_case(name, "the baseline", Verdict.UNDECIDED, NOTHING_COMPARED))
    for obstacle in obstacles:
        suite.append(_error(name, obstacle))
    if run.advice:
        advice = "\n".join(f"advice: {one}" for one in run.advice)
        ElementTree.SubElement(suite, "system-out").text = _text(advice)
    return suite


def _properties(run: RecordedRun) -> dict[str, str]:
    return {
        "result": run.path.name,
        "target": run.target or form.NOTHING,
        "voicebench": str(run.environment.get("voicebench") or form.NOTHING),
        "measured turns": str(run.summary.turns),
        "failed turns": str(run.summary.failed),
    }


def _case(suite: str, what: str, verdict: Verdict, figures: str) -> ElementTree.Element:
    kind = None
    if verdict is not Verdict.PASS:
        kind = "error" if verdict in OPEN else "failure"
    return _told_case(suite, what, kind, verdict.value, figures)


def _error(suite: str, obstacle: Obstacle) -> ElementTree.Element:
    """Return a case that no gate of the run has: what stands in the way of a verdict."""
    return _told_case(suite, obstacle.subject, "error", obstacle.word.value, obstacle.in_full())


def _told_case(
    suite: str, what: str, kind: str | None, word: str, figures: str
) -> ElementTree.Element:
    """Return a test case; ``kind`` is the element of its problem, None where it passed."""
    case = ElementTree.Element(
        "testcase", classname=_text(f"voicebench.{suite}"), name=_text(what), time="0"
    )
    told = f"{word}: {figures}"
    if kind is not None:
        problem = ElementTree.SubElement(case, kind, type=word, message=_text(told))
        problem.text = _text(f"{what}\n{told}")
    ElementTree.SubElement(case, "system-out").text = _text(told)
    return case


def _text(text: str) -> str:
    return _ILLEGAL.sub("\N{REPLACEMENT CHARACTER}", text)
