"""Write THIRD_PARTY_LICENSES.md: what each extra brings, and under which licence.

`python tools/write_licences.py` reads the metadata of what is installed, so it needs an environment
with every extra (`make licences` makes it). With ``--check`` it only says whether the file is up to
date. What metadata do not say (bundled libraries, models) is in this file.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "THIRD_PARTY_LICENSES.md"
OWN = "voicebench-latency"

BUNDLED = {
    "av": "with FFmpeg: LGPL-2.1-or-later",
    "piper-tts": "with espeak-ng and its data: GPL-3.0-or-later",
    "sounddevice": "with PortAudio on macOS and Windows: MIT",
    "soxr": "with libsoxr: LGPL-2.1-or-later",
}
"""What comes inside a package, by its project's own words."""

STATED = {
    "av": "BSD-3-Clause",
    "piper-tts": "GPL-3.0-or-later",
    "ray": "Apache-2.0",
    "soxr": "LGPL-2.1-or-later",
    "vl-convert-python": "BSD-3-Clause",
}
"""Licences that the metadata leave out or say in another way."""

MODELS = (
    ("SmolLM2-135M-Instruct", "Apache-2.0"),
    (
        "voice hibari-heart, with the lexicon of misaki",
        "Apache-2.0 (distilled from Kokoro-82M, Apache-2.0)",
    ),
    (
        "voice en_US-joe-medium",
        "CC0-1.0 (its recordings); fine-tuned from `lessac`, whose recordings are for research "
        "(see `docs/explanation/dependencies.md`)",
    ),
    ("Silero VAD (extra `ears`)", "MIT"),
    ("Smart Turn v3.2 (extra `ears`)", "BSD-2-Clause"),
    ("Whisper base (extras `ears`, `quality`)", "MIT"),
    ("facebook/mms-tts-eng (only with `configs/gpu-mms.toml`)", "CC-BY-NC-4.0"),
)
"""They are fetched when they are first used."""

_LICENCES = {
    "mit license": "MIT",
    "mit": "MIT",
    "bsd license": "BSD-3-Clause",
    "bsd 3-clause license": "BSD-3-Clause",
    "bsd-3-clause license": "BSD-3-Clause",
    "3-clause bsd license": "BSD-3-Clause",
    "bsd": "BSD-3-Clause",
    "apache software license": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache 2.0 license": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache-2.0": "Apache-2.0",
    "apache": "Apache-2.0",
}


def main(arguments: list[str]) -> int:
    """Write the file, or with ``--check`` return 1 if it is not up to date."""
    text = document()
    if arguments == ["--check"]:
        return 0 if TARGET.read_text(encoding="utf-8") == text else 1
    TARGET.write_text(text, encoding="utf-8")
    return 0


def document() -> str:
    """Return the content of THIRD_PARTY_LICENSES.md."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    parts = [
        "# Third-party licences\n",
        "voicebench is licensed under the Apache License 2.0 (see `LICENSE`). It contains no "
        "third-party\ncode. What it installs and fetches has licences of its own. This file is "
        "made by\n`tools/write_licences.py` from the packages' metadata; `constraints.txt` has "
        "the exact versions.\n",
        "Only the extra `piper` (and `all`, which includes it) has a package under the GPL.\n",
        *_section("The base", project["dependencies"], set()),
    ]
    base = brought_by(project["dependencies"])
    for extra, requirements in project["optional-dependencies"].items():
        if extra not in ("all", "test", "dev", "docs"):
            parts += _section(f"The extra `{extra}`", requirements, base)
    parts.append("## Models\n\nThey are fetched when they are first used, and are in no package.\n")
    parts.append("| model | licence |\n|---|---|")
    parts += [f"| {model} | {licence} |" for model, licence in MODELS]
    return "\n".join(parts) + "\n"


def brought_by(requirements: Iterable[str]) -> set[str]:
    """Return the distributions that are installed for ``requirements``, and for these in turn."""
    found: set[str] = set()
    waiting = [Requirement(one) for one in requirements]
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        if name == OWN or name in found:
            continue
        try:
            needed = metadata.requires(name) or []
        except metadata.PackageNotFoundError:  # for another system, or an extra of its own
            found |= {name} & STATED.keys()
            continue
        found.add(name)
        for one in map(Requirement, needed):
            extras = wanted.extras or {""}
            if one.marker is None or any(one.marker.evaluate({"extra": e}) for e in extras):
                waiting.append(one)
    return found


def _section(title: str, requirements: list[str], known: set[str]) -> Iterator[str]:
    yield f"## {title}\n"
    yield "| package | licence | |\n|---|---|---|"
    for name in sorted(brought_by(requirements) - known):
        yield f"| {name} | {licence_of(name)} | {BUNDLED.get(name, '')} |"
    parts = (one for one in map(Requirement, requirements) if one.name == OWN)
    own = sorted(extra for one in parts for extra in one.extras)
    yield f"\nand what is in {', '.join(f'`{extra}`' for extra in own)}.\n" if own else ""


def licence_of(distribution: str) -> str:
    """Return the licence of an installed distribution. Raises `PackageNotFoundError`."""
    if distribution in STATED:
        return STATED[distribution]
    found = metadata.metadata(distribution)
    expression = found["License-Expression"]
    if expression:
        return str(expression)
    said = str(found["License"] or "").strip()
    if said and "\n" not in said:
        return _LICENCES.get(said.lower(), said)
    for classifier in found.get_all("Classifier") or []:
        if classifier.startswith("License :: OSI Approved :: "):
            last = classifier.rpartition(" :: ")[2]
            return str(_LICENCES.get(last.lower(), last))
    raise SystemExit(f"{distribution} does not say its licence; add it to STATED")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
