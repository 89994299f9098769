"""Runs commands, and searches all that they print and write for a key and for what is obeyed."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from urllib.parse import quote

from hostile_peers import KEY
from ran_command import Command

FORMATS = (
    "table", "markdown", "csv", "json", "html", "junit", "badge", "github-benchmark", "bencher",
    "gitlab",
)  # fmt: skip
_OBEYED = re.compile(
    rb"[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]"  # control characters
    rb"|\xd8\x9c|\xe2\x80[\x8e\x8f\xaa-\xae]|\xe2\x81[\xa6-\xa9]"  # the writing direction
)
_PIECES = (KEY, quote(KEY, safe=""), base64.b64encode(f"me:{KEY}".encode()).decode()[6:-4])


def check_harmless(where: str, data: bytes) -> None:
    small = data.lower()
    for piece in _PIECES:
        for part in (piece[:12], piece[8:20], piece[-12:]):
            assert part.lower().encode() not in small, f"{where} repeats the key: {part}"
    found = _OBEYED.search(data)
    assert found is None, f"{where}: {data[max(0, found.start() - 60) : found.end() + 20]!r}"


class Searched:
    """Runs commands and searches what they print."""

    def __init__(self, voicebench: Command, results: Path) -> None:
        self._voicebench = voicebench
        self._results = results

    def run(self, *arguments: str, turns: int = 1) -> int:
        options = ("--runs", str(turns), "--warmup", "0", "--results", str(self._results))
        return self.say("run", *options, *arguments)

    def say(self, *arguments: str) -> int:
        ran = self._voicebench(*arguments)
        check_harmless(f"stdout of {arguments}", ran.out.encode())
        check_harmless(f"stderr of {arguments}", ran.err.encode())
        assert "Traceback" not in ran.err, ran.err
        return ran.code

    def search_results(self) -> Path:
        """Search every file of the one run, and all that is made of it; return its folder."""
        [folder] = self._results.iterdir()
        for path in folder.rglob("*"):
            if path.is_file() and path.suffix != ".wav":
                check_harmless(path.name, path.read_bytes())
        name = str(folder)
        for form in FORMATS:
            assert self.say("report", name, "-f", form) == 0, form
        for more in ((), ("--long",), ("--events",)):
            assert self.say("export", name, *more) == 0
        assert self.say("verify", name) == 0
        assert self.say("history", "--results", str(self._results)) in (0, 2)
        self.say("compare", name, name)
        return folder
