"""Hooks of mkdocs: what the site needs beside the pages of ``docs/``.

The pages are written for readers of the repository too. So their links to files outside ``docs/``
are right there; on the site they lead to a page that is made of the same file.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]

FROM_THE_ROOT = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "THIRD_PARTY_LICENSES.md": "licences.md",
}
"""Files of the repository that are pages of the site."""

_LINK = re.compile(r"(\]\()(?!https?:|#)([^)#\s]+)")
_BLOCK_OF_CODE = re.compile(r"(^```.*?^```$)", re.DOTALL | re.MULTILINE)
_CODE_IN_A_TABLE = re.compile(r"`[^`\n]*`")


OUTSIDE = "outside:"
"""Stands for the target of a link to a file that the site does not have."""


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that are made of files outside ``docs/``."""
    for source, page in FROM_THE_ROOT.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=relinked(text, source)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Return a page with links and tables as the site needs them."""
    source = page.file.src_uri
    if source in FROM_THE_ROOT.values():
        return plain_tables(markdown)
    return plain_tables(relinked(markdown, f"docs/{source}"))


def relinked(markdown: str, source: str) -> str:
    """Return the text of the file ``source`` with links that are right on the site.

    A link to a page of the site leads there. A link to another file of the repository becomes the
    file's name, since the site does not have the file. Raises `FileNotFoundError` for a link to no
    file.
    """
    folder = posixpath.dirname(source)
    place = FROM_THE_ROOT.get(source, source.removeprefix("docs/"))

    def moved(link: re.Match[str]) -> str:
        wanted = posixpath.normpath(posixpath.join(folder, link[2]))
        if not (ROOT / wanted).exists():
            raise FileNotFoundError(f"{source} links to {link[2]}, which does not exist")
        if wanted in FROM_THE_ROOT:
            page = FROM_THE_ROOT[wanted]
        elif wanted.startswith("docs/"):
            page = wanted.removeprefix("docs/")
        else:
            return link[1] + OUTSIDE
        return link[1] + posixpath.relpath(page, posixpath.dirname(place) or ".")

    parts = _BLOCK_OF_CODE.split(markdown)
    parts[::2] = [_LINK.sub(moved, part) for part in parts[::2]]
    return re.sub(rf"\[([^\]]*)\]\({OUTSIDE}\)", r"\1", "".join(parts))


def plain_tables(markdown: str) -> str:
    """Return ``markdown`` without the backslash before ``|`` in the code of a table.

    GitHub needs it there, and mkdocs would show it. Also without a second word behind the language
    of a block of code (it is for our tests).
    """
    lines = [
        _CODE_IN_A_TABLE.sub(lambda code: code[0].replace("\\|", "|"), line)
        if line.startswith("|")
        else re.sub(r"^(```\w+) \w+$", r"\1", line)
        for line in markdown.split("\n")
    ]
    return "\n".join(lines)
