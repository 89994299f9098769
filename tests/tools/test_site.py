"""The hooks of the documentation site, and the reference pages that are made from the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer.main

import voicebench
from tools import reference_pages
from tools.site_hooks import plain_tables, relinked
from voicebench.cli import app
from voicebench.errors import ExitCode

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("source", "link", "on_the_site"),
    [
        (
            "docs/how-to/ci.md",
            "[a](../explanation/metrics.md#x)",
            "[a](../explanation/metrics.md#x)",
        ),
        ("docs/index.md", "[a](../CHANGELOG.md)", "[a](changelog.md)"),
        ("docs/how-to/ci.md", "[a](../../CHANGELOG.md)", "[a](../changelog.md)"),
        ("CONTRIBUTING.md", "[a](docs/how-to/ci.md)", "[a](how-to/ci.md)"),
        ("CONTRIBUTING.md", "the [licence](LICENSE).", "the licence."),
        ("docs/how-to/ci.md", "[a](https://example.com/x.md)", "[a](https://example.com/x.md)"),
        ("docs/how-to/ci.md", "[a](#below)", "[a](#below)"),
        ("docs/index.md", "```md\n[a](nothing.md)\n```", "```md\n[a](nothing.md)\n```"),
    ],
)
def test_a_link_leads_to_the_page_of_the_site(source: str, link: str, on_the_site: str) -> None:
    assert relinked(link, source) == on_the_site


def test_a_link_to_no_file_stops_the_build() -> None:
    with pytest.raises(FileNotFoundError, match=r"docs/index\.md links to gone\.md"):
        relinked("[a](gone.md)", "docs/index.md")


def test_only_code_in_a_table_loses_its_backslash() -> None:
    assert plain_tables("| `a\\|b` | c \\| d |") == "| `a|b` | c \\| d |"
    assert plain_tables("`a\\|b`") == "`a\\|b`"


def test_a_block_of_code_keeps_only_its_language() -> None:
    assert plain_tables("```text refused\nx\n```") == "```text\nx\n```"


def test_every_option_of_every_command_is_in_the_reference() -> None:
    text = reference_pages.commands()
    sections = dict(re.findall(r"^## (voicebench .+)\n((?:(?!## ).*\n?)*)", text, re.MULTILINE))

    def check(path: str, command: object) -> int:
        inner = getattr(command, "commands", None)
        if inner:
            return sum(check(f"{path} {name}", one) for name, one in inner.items())
        options = [name for one in command.params for name in one.opts if name.startswith("--")]  # type: ignore[attr-defined]
        for name in options:
            assert name in sections[path], (path, name)
        return len(options)

    assert check("voicebench", typer.main.get_command(app)) > 100


def test_every_exit_code_has_its_meaning() -> None:
    rows = reference_pages.exit_codes().splitlines()[2:]
    assert len(rows) == len(ExitCode)
    assert all(re.fullmatch(r"\| \d+ \| `[A-Z_]+` \| [A-Z].{10,}\. \|", row) for row in rows)


def test_every_name_of_the_python_interface_is_in_the_reference() -> None:
    assert set(reference_pages.INTERFACE) == set(voicebench.__all__) - {"__version__"}
    text = reference_pages.python_interface()
    assert "Run.judge(" in text
    assert "    settings: Mapping[str, object] | None = None,\n" in text
