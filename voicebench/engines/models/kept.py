"""What was found out and is kept between runs: small files, each with a sum of its own content.

All of it can be found out again. So a file that cannot be read, or is not what was written, counts
as one that is not there; one that cannot be written costs time at the next start, and nothing else.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
from pathlib import Path


def read_kept(file: Path) -> object:
    """Return what was kept in ``file``; None where that is nothing, or no longer what it was."""
    with contextlib.suppress(OSError, ValueError, RecursionError):
        stored = json.loads(file.read_text(encoding="utf-8"))
        if isinstance(stored, dict) and stored.get("sum") == _sum(stored.get("kept")):
            return stored["kept"]
    return None


def write_kept(file: Path, content: object) -> None:
    """Keep ``content`` (plain JSON) in ``file``."""
    document = {"sum": _sum(content), "kept": content}
    replace_file(file, json.dumps(document, indent=1).encode())


def replace_file(file: Path, content: bytes) -> None:
    """Write a file whole or not at all; one that cannot be written is no error."""
    temporary = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_bytes(content)
            os.replace(temporary, file)
        finally:
            temporary.unlink(missing_ok=True)


def _sum(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
