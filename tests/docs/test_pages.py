"""Generated parts are up to date; links, commands and settings on the pages exist."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from command_line import voicebench

from tools.site_hooks import FROM_THE_ROOT
from voicebench.settings import describe_keys, load_settings

ROOT = Path(__file__).parents[2]
CONFIGURATION = (ROOT / "docs" / "reference" / "configuration.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
BLOCKS = "".join(re.findall(r"```sh\n(.*?)```", README, re.DOTALL))
COMMANDS = re.findall(r"^(voicebench .*?)(?: +#.*)?$", BLOCKS, re.MULTILINE)


def test_the_generated_parts_are_up_to_date() -> None:
    command = [sys.executable, str(ROOT / "tools" / "write_docs.py"), "--check"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_example_file_is_a_legal_one(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", CONFIGURATION, re.DOTALL)
    tomllib.loads(example)
    path = tmp_path / "example.toml"
    path.write_text(example, encoding="utf-8")
    assert load_settings(path).settings.run.name == "my-agent"


def test_every_config_that_ships_is_described() -> None:
    for path in (ROOT / "configs").glob("*.toml"):
        assert f"`configs/{path.name}`" in CONFIGURATION
    for folder in (ROOT / "configs").glob("*/"):
        assert f"`configs/{folder.name}/*.toml`" in CONFIGURATION


def test_every_setting_named_in_prose_exists() -> None:
    keys = {key for key, _ in describe_keys()}
    named = set(re.findall(r"--set ([a-z_]+\.[a-z_]+)=", CONFIGURATION))
    assert named - {"llm.max_token", "section.key"} <= keys


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^a-z0-9 _-]", "", title.lower()).replace(" ", "-") for title in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", page.read_text(encoding="utf-8")):
        name, _, anchor = link.partition("#")
        linked = (page.parent / name).resolve() if name else page
        assert linked.exists(), link
        assert not anchor or anchor in anchors(linked), link


def test_the_site_has_every_page_once() -> None:
    named = re.findall(r"[\w/-]+\.md$", (ROOT / "mkdocs.yml").read_text("utf-8"), re.MULTILINE)
    pages = [
        page.relative_to(ROOT / "docs").as_posix()
        for page in PAGES
        if page.is_relative_to(ROOT / "docs")
    ]
    assert sorted(named) == sorted([*pages, *FROM_THE_ROOT.values()])


def test_the_changelog_is_sorted_as_its_form_asks() -> None:
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    for version in re.split(r"^## ", changes, flags=re.MULTILINE)[1:]:
        assert re.match(r"\d+\.\d+\.\d+ \((unreleased|\d{4}-\d\d-\d\d)\)\n", version)
        kinds = re.findall(r"^### (.+)$", version, re.MULTILINE)
        order = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]
        assert kinds == sorted(set(kinds), key=order.index)


def test_the_readme_stays_short() -> None:
    assert len(COMMANDS) == 5
    assert len(re.findall(r"^!\[", README, re.MULTILINE)) == 1
    assert len(README.splitlines()) < 90
    assert "`voicebench-latency`" in README.split("\n\n")[2]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_the_readme_exists(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _, name, *arguments = shlex.split(command)
    assert voicebench(name, "--help") == 0
    shown = capsys.readouterr().out
    assert {word for word in arguments if word.startswith("--")} <= set(shown.split())


def test_the_page_on_reading_a_run_explains_every_table() -> None:
    page = (ROOT / "docs" / "how-to" / "reading-a-run.md").read_text(encoding="utf-8")
    example = page.partition("```text")[2].partition("```")[0]
    tables = re.findall(r"(?:^|\n\n)([A-Z][A-Za-z ]+)(?:, in ms.*)?\n", example)
    assert len(tables) >= 6
    assert set(tables) <= set(re.findall(r"^## (.+)$", page, re.MULTILINE))
