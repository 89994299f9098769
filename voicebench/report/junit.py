"""JUnit XML: a run is a suite, a gate is a test case with its figures.

The dialect is the one that GitHub's, GitLab's and Jenkins' readers share: ``failure`` for a gate
that misses its limit or was not measured, ``error`` for one that could not be decided.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree

from voicebench import format as form
from voicebench.gates import GateResult, Verdict
from voicebench.report.recorded import Recorded
from voicebench.report.sheets import names, observed_text

_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that no XML 1.0 document may hold, even escaped."""


def junit_report(runs: Sequence[Recorded]) -> str:
    """Return the document, with a line end."""
    root = ElementTree.Element("testsuites", name="voicebench")
    for name, run in zip(names(runs), runs, strict=True):
        root.append(_suite(name, run))
    counted = {key: sum(int(suite.get(key, "0")) for suite in root) for key in _COUNTS}
    root.attrib |= {key: str(count) for key, count in counted.items()}
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, "unicode") + "\n"


_COUNTS = ("tests", "failures", "errors")


def _suite(name: str, run: Recorded) -> ElementTree.Element:
    verdicts = [result.verdict for result in run.gate_results]
    errors = verdicts.count(Verdict.UNDECIDED)
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
        suite.append(_case(name, result))
    return suite


def _properties(run: Recorded) -> dict[str, str]:
    return {
        "result": run.path.name,
        "target": run.target or form.NOTHING,
        "voicebench": str(run.environment.get("voicebench") or form.NOTHING),
        "measured turns": str(run.summary.turns),
        "failed turns": str(run.summary.failed),
    }


def _case(suite: str, result: GateResult) -> ElementTree.Element:
    case = ElementTree.Element(
        "testcase", classname=_text(f"voicebench.{suite}"), name=_text(result.gate.text), time="0"
    )
    told = f"{result.verdict.value}: {observed_text(result)}"
    if result.note:
        told += f" ({result.note})"
    if result.verdict is not Verdict.PASS:
        kind = "error" if result.verdict is Verdict.UNDECIDED else "failure"
        problem = ElementTree.SubElement(case, kind, type=result.verdict.value, message=_text(told))
        problem.text = _text(f"{result.gate.text}\n{told}")
    ElementTree.SubElement(case, "system-out").text = _text(told)
    return case


def _text(text: str) -> str:
    return _ILLEGAL.sub("\N{REPLACEMENT CHARACTER}", text)
