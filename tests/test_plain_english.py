"""Phrases that a reader has to decode do not come back; each has a plain replacement."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

INSTEAD = {
    r"asks (no other|nobody)": "makes no requests",
    r"blamed\b": "named",
    r"broken? off": "interrupted, closed",
    r"brought (a|an|no) ": "gave",
    r"(can|cannot) carry\b": "are (not) enough for",
    r"\bcannot be had\b": "is not available",
    r"can be had\b": "is available",
    r"for want of\b": "because … is missing",
    r"\bheld against\b": "compared with",
    r"\b(is|are) held to\b": "is judged by",
    r"hurries any more": "after the time-critical part",
    r"(?<!there )(is|are) (?-i:none)\b": "is not one, is out of range",
    r"is no (results|run) folder\b(?! to)": "is not a results folder",
    r"\blends? (no|a|its)\b": "contributes, gives",
    r"\blies? far off\b": "is an outlier",
    r"(?-i:METRICS)(\.md| says| as a)": "docs/explanation/metrics.md",
    r"of one's own\b": "your own",
    r"\bmore patience\b": "has interrupted",
    r"\breach(es)? nobody": "is unused",
    r"\bsprints? of reference\b": "the reference; docs/glossary.md says what it is",
    r"\btell (a|the|its) \w+ again\b": "show",
    r"told otherwise": "by default",
    r"\bwhat is told\b": "what is reported",
    r"\bwhat to know of\b": "caveats",
    r"\bwhatever it is\b": "of any kind",
    r"\bwhoever\b": "name the person or the part of the program",
    r"\bwhose turn it is\b": "which run is next",
}
"""Banned phrases (regular expressions, in any case), and what to write instead."""

SPOKEN = ("*.py", "*.md", "*.toml", "*.html", "*.txt")
PLACES = ("voicebench", "docs", "configs", "tests/support", "README.md", "CHANGELOG.md", "Makefile")


def texts() -> Iterator[tuple[str, str]]:
    """Yield each file's name and its text as one line, without the marks of comments."""
    for place in PLACES:
        found = ROOT / place
        files = [path for kind in SPOKEN for path in found.rglob(kind)] or [found]
        for path in files:
            text = re.sub(r"^\s*#+:? ", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
            yield str(path.relative_to(ROOT)), " ".join(text.split())


TEXTS = dict(texts())


@pytest.mark.parametrize("phrase", INSTEAD)
def test_a_phrase_that_has_to_be_decoded_is_not_used(phrase: str) -> None:
    banned = re.compile(phrase, re.IGNORECASE)
    found = {
        f"{name}: …{text[max(match.start() - 40, 0) : match.end() + 20]}…"
        for name, text in TEXTS.items()
        for match in banned.finditer(text)
    }
    assert not found, f"write instead: {INSTEAD[phrase]}"


RIDDLES = ("What ", "Where ", "Whether ", "Which ", "Who ", "Whose ")
"""A summary that begins like this does not say what the thing is."""


def summaries(path: Path) -> Iterator[str]:
    """Yield the first lines of the docstrings of a file's module and classes."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Module | ast.ClassDef):
            yield (ast.get_docstring(node) or "").partition("\n")[0]


def test_every_module_and_class_says_what_it_is() -> None:
    found = {
        f"{path.relative_to(ROOT)}: {summary}"
        for path in (ROOT / "voicebench").rglob("*.py")
        for summary in summaries(path)
        if summary.startswith(RIDDLES)
    }
    assert not found


def test_every_banned_phrase_can_be_found() -> None:
    assert "voicebench/cli/run.py" in TEXTS
    assert len(TEXTS) > 300
    assert all(re.compile(phrase) for phrase in INSTEAD)
