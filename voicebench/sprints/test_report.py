"""What the tests' own JUnit report says of them."""

from __future__ import annotations

import math
from pathlib import Path
from xml.etree import ElementTree

from voicebench.errors import UsageError
from voicebench.sprints.readings import Reading
from voicebench.sprints.sprint import Suite

MOST_BYTES = 50_000_000


def read_junit(path: Path) -> tuple[Reading, Suite]:
    """Return how many tests passed, and what else the file says of them.

    Skipped tests count neither as passed nor as failed. Raises `UsageError` for a file that is no
    JUnit XML.
    """
    root = _read_xml(path)
    cases = list(root.iter("testcase"))
    if not cases:
        raise UsageError(f"--junit {path} holds no test case")
    run = [case for case in cases if case.find("skipped") is None]
    passed = sum(case.find("failure") is None and case.find("error") is None for case in run)
    return suite_reading(passed, len(run)), Suite(len(cases) - len(run), None, _seconds(root))


def suite_reading(passed: int, total: int) -> Reading:
    """Return the reading of a test suite; of no tests nothing was measured."""
    return Reading("tests", "count", float(passed) if total else None, kept=passed, of=total)


def _read_xml(path: Path) -> ElementTree.Element:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"--junit {path} cannot be read ({error.strerror})") from None
    if len(content) > MOST_BYTES:
        raise UsageError(f"--junit {path} is larger than {MOST_BYTES} bytes")
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise UsageError(f"--junit {path} declares entities, which no test report needs")
    try:
        return ElementTree.fromstring(content)
    except ElementTree.ParseError as error:
        raise UsageError(f"--junit {path} is no XML ({error})") from None


def _seconds(root: ElementTree.Element) -> float | None:
    """Return what all suites took, as the outermost elements that say it have it."""
    suites = [suite for suite in root if suite.tag == "testsuite"]
    stated = [suite for suite in ([root] if root.get("time") else suites) if suite.get("time")]
    try:
        seconds = sum(float(suite.get("time", "")) for suite in stated)
    except ValueError:
        return None
    return seconds if stated and math.isfinite(seconds) and seconds >= 0 else None
