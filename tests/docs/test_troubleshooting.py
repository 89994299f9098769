"""``docs/troubleshooting.md``: each message that it explains is a message of the code."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
MESSAGES = re.findall(r"^### `(.+)`$", PAGE, re.MULTILINE)


@cache
def sources() -> dict[Path, str]:
    """Return the text of every file of the package."""
    return {path: path.read_text(encoding="utf-8") for path in (ROOT / "voicebench").rglob("*.py")}


@cache
def texts(path: Path) -> frozenset[str]:
    """Return the texts in a file, with ``…`` for each part that is computed."""
    return frozenset(filter(None, map(text_of, ast.walk(ast.parse(sources()[path])))))


def text_of(node: ast.AST) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(text_of(part) or "…" for part in parts)
    return ""


def is_a_message(message: str) -> bool:
    """Return whether a file says this; only files that have its longest part's begin are parsed."""
    begin = max(message.split("…"), key=len).strip()[:12]
    return any(message in texts(path) for path, text in sources().items() if begin in text)


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_is_one_of_the_code(message: str) -> None:
    assert is_a_message(message)


@pytest.mark.parametrize("message", ["…: unknown setting …", "there is no run", "answers with"])
def test_a_message_that_is_not_said_is_found(message: str) -> None:
    assert not is_a_message(message)


def test_every_message_has_an_explanation() -> None:
    assert len(MESSAGES) >= 25
    sections = re.split(r"^### .*$", PAGE, flags=re.MULTILINE)[1:]
    assert all(len(section.split("\n## ")[0].split()) > 5 for section in sections)
