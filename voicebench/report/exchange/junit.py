"""JUnit XML: a run is a suite; a gate, or a figure compared with the baseline, is a test case.

The dialect is the common one of GitHub, GitLab and Jenkins. ``failure`` is a gate that misses its
limit or was not measured. ``error`` is a gate that could not be decided, a change against the
baseline that is not shown, a baseline with which nothing was compared, or an obstacle to a verdict:
an interrupt, a noisy machine, a baseline of another kind.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from xml.etree import ElementTree

from voicebench import format as form
from voicebench.judging.final import NOTHING_COMPARED
from voicebench.judging.gates import OPEN, Verdict
from voicebench.report.console.sheets import names, observed_text
from voicebench.results.run import RecordedRun

_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 does not allow, even escaped."""


def junit_report(runs: Sequence[RecordedRun]) -> str:
    """Return the document, which ends with a line break."""
    return document_of([_suite(name, run) for name, run in zip(names(runs), runs, strict=True)])


def document_of(suites: Iterable[ElementTree.Element]) -> str:
    """Return the document of these suites (`suite_of`)."""
    root = ElementTree.Element("testsuites", name="voicebench")
    root.extend(suites)
    counted = {key: sum(int(suite.get(key, "0")) for suite in root) for key in _COUNTS}
    root.attrib |= {key: str(count) for key, count in counted.items()}
    return _document(root)


def junit_failure(word: str, sentence: str) -> str:
    """Return the document for a run that ended with an error: one test case with an error."""
    counts = {"tests": "1", "failures": "0", "errors": "1"}
    root = ElementTree.Element("testsuites", counts, name="voicebench")
    suite = ElementTree.SubElement(root, "testsuite", counts, name="run", skipped="0", time="0")
    suite.append(case_of("run", "the run", "error", word, sentence))
    return _document(root)


def _document(root: ElementTree.Element) -> str:
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, "unicode") + "\n"


_COUNTS = ("tests", "failures", "errors")


def _suite(name: str, run: RecordedRun) -> ElementTree.Element:
    return suite_of(
        name,
        list(_cases(name, run)),
        seconds=sum(run.summary.metrics["turn_ms"].values) / 1000,
        timestamp=run.started_at or "",
        properties=_properties(run),
        notes="\n".join(f"advice: {item}" for item in run.advice),
    )


def suite_of(
    name: str,
    cases: Sequence[ElementTree.Element],
    *,
    seconds: float,
    timestamp: str,
    properties: Mapping[str, str],
    notes: str,
) -> ElementTree.Element:
    """Return the suite of a run; ``notes`` are what a reader must know besides the cases."""
    suite = ElementTree.Element(
        "testsuite",
        name=_text(name),
        tests=str(len(cases)),
        failures=str(sum(case.find("failure") is not None for case in cases)),
        errors=str(sum(case.find("error") is not None for case in cases)),
        skipped="0",
        time=f"{seconds:.3f}",
        timestamp=_text(timestamp),
    )
    listed = ElementTree.SubElement(suite, "properties")
    for key, value in properties.items():
        ElementTree.SubElement(listed, "property", name=key, value=_text(value))
    suite.extend(cases)
    if notes:
        ElementTree.SubElement(suite, "system-out").text = _text(notes)
    return suite


def _properties(run: RecordedRun) -> dict[str, str]:
    return {
        "result": run.path.name,
        "target": run.target or form.NOTHING,
        "voicebench": str(run.environment.get("voicebench") or form.NOTHING),
        "measured turns": str(run.summary.turns),
        "failed turns": str(run.summary.failed),
    }


def _cases(suite: str, run: RecordedRun) -> Iterator[ElementTree.Element]:
    for result in run.gate_results:
        note = f" ({result.note})" if result.note else ""
        yield judged_case(suite, result.gate.text, result.verdict, observed_text(result) + note)
    for regression in run.judged.regressions:
        what = f"{regression.figure} against the baseline"
        yield judged_case(suite, what, regression.verdict, regression.sentence())
    if run.final.nothing_compared:
        yield judged_case(suite, "the baseline", Verdict.UNDECIDED, NOTHING_COMPARED)
    for obstacle in run.final.obstacles:
        yield case_of(suite, obstacle.subject, "error", obstacle.word.value, obstacle.in_full())


def judged_case(suite: str, what: str, verdict: Verdict, figures: str) -> ElementTree.Element:
    """Return the test case of something that was judged."""
    kind = None
    if verdict is not Verdict.PASS:
        kind = "error" if verdict in OPEN else "failure"
    return case_of(suite, what, kind, verdict.value, figures)


def case_of(
    suite: str, what: str, kind: str | None, word: str, figures: str
) -> ElementTree.Element:
    """Return a test case; ``kind`` is the element of its problem, None if it passed."""
    case = ElementTree.Element(
        "testcase", classname=_text(f"voicebench.{suite}"), name=_text(what), time="0"
    )
    message = f"{word}: {figures}"
    if kind is not None:
        problem = ElementTree.SubElement(case, kind, type=word, message=_text(message))
        problem.text = _text(f"{what}\n{message}")
    ElementTree.SubElement(case, "system-out").text = _text(message)
    return case


def _text(text: str) -> str:
    return _ILLEGAL.sub("\N{REPLACEMENT CHARACTER}", text)
