"""The JUnit report of a test run."""

from __future__ import annotations

import math
from pathlib import Path
from xml.etree import ElementTree

from voicebench.errors import UsageError
from voicebench.sprints.readings import Reading, suite_reading
from voicebench.sprints.sprint import Suite

MOST_BYTES = 50_000_000


def read_junit(path: Path) -> tuple[Reading, Suite]:
    """Return how many tests passed, and the other counts of the file.

    Skipped tests count neither as passed nor as failed. Raises `UsageError` if the file is not
    JUnit XML.
    """
    root = _read_xml(path)
    cases = list(root.iter("testcase"))
    if not cases:
        raise UsageError(f"--junit {path} has no test case")
    run = [case for case in cases if case.find("skipped") is None]
    passed = sum(case.find("failure") is None and case.find("error") is None for case in run)
    return suite_reading(passed, len(run)), Suite(len(cases) - len(run), None, _seconds(root))


def read_given(option: str, path: Path, most_bytes: int) -> bytes:
    """Return the file that ``option`` names. Raises `UsageError` if it is unreadable or larger."""
    try:
        with path.open("rb") as file:
            content = file.read(most_bytes + 1)
    except OSError as error:
        raise UsageError(f"{option} {path} cannot be read ({error.strerror})") from None
    if len(content) > most_bytes:
        raise UsageError(f"{option} {path} is larger than {most_bytes} bytes")
    return content


def _read_xml(path: Path) -> ElementTree.Element:
    content = read_given("--junit", path, MOST_BYTES)
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise UsageError(f"--junit {path} declares entities, which no test report needs")
    try:
        return ElementTree.fromstring(content)
    except ElementTree.ParseError as error:
        raise UsageError(f"--junit {path} is not XML ({error})") from None


def _seconds(root: ElementTree.Element) -> float | None:
    """Return the duration of all suites: the sum over the outermost elements that state one."""
    suites = [suite for suite in root if suite.tag == "testsuite"]
    stated = [suite for suite in ([root] if root.get("time") else suites) if suite.get("time")]
    try:
        seconds = sum(float(suite.get("time", "")) for suite in stated)
    except ValueError:
        return None
    return seconds if stated and math.isfinite(seconds) and seconds >= 0 else None
