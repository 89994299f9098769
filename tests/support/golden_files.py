"""Golden files: what a format gave when somebody last read it.

``VOICEBENCH_RECORD_GOLDEN=1`` records them anew; the difference has to be read before a commit.
"""

from __future__ import annotations

import os
from pathlib import Path


def assert_golden(path: Path, text: str) -> None:
    """Compare ``text`` with the file, or record it."""
    if os.environ.get("VOICEBENCH_RECORD_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), f"{path.name} is not what is given now"
