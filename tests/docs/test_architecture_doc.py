"""The walks of docs/explanation/architecture.md: each step has a file and a function, in order."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

import pytest
from import_graph import PACKAGE, ROOT, read_modules

PAGE = (ROOT / "docs" / "explanation" / "architecture.md").read_text(encoding="utf-8")
MODULES = read_modules()
STEP = re.compile(r"^(\d+)\. `([\w/]+)\.py`, `([\w.]+)`( \([^)]+\))?: ", re.MULTILINE)


@dataclass(frozen=True)
class Step:
    """One step of a walk."""

    module: str
    function: str
    reason: str
    """Why no earlier file has to import this one; empty if one does."""


def walk_below(heading: str) -> list[Step]:
    """Return the steps below a heading; their numbers count up from 1."""
    found = STEP.findall(PAGE.partition(f"### {heading}\n")[2].partition("\n##")[0])
    assert [int(number) for number, *_ in found] == list(range(1, len(found) + 1))
    return [
        Step(f"{PACKAGE}.{path.replace('/', '.')}", function, reason)
        for _, path, function, reason in found
    ]


WALKS = {
    heading: walk_below(heading)
    for heading in (
        "A prompt to sound",
        "A timeline to a page",
        "Bytes to samples",
        "A plan to a capacity",
    )
}


@pytest.mark.parametrize("heading", WALKS)
def test_each_function_of_a_walk_exists(heading: str) -> None:
    assert len(WALKS[heading]) >= 5
    for step in WALKS[heading]:
        assert step.module in MODULES, step
        body: list[ast.stmt] = MODULES[step.module].tree.body
        for name in step.function.split("."):
            (found,) = [node for node in body if getattr(node, "name", None) == name]
            body = getattr(found, "body", [])


@pytest.mark.parametrize("heading", WALKS)
def test_each_file_of_a_walk_is_imported_by_an_earlier_one_or_says_why_not(heading: str) -> None:
    first, *others = WALKS[heading]
    known = {first.module} | MODULES[first.module].imported()
    for step in others:
        assert step.module in known or step.reason, step
        known |= {step.module} | MODULES[step.module].imported()
