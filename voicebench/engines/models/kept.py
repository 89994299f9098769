"""Small files in the cache with measured values, each with a checksum of its content.

Everything in them can be measured again. So a damaged file counts as missing, and a file that
cannot be written only costs time at the next start.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
from pathlib import Path


def read_kept(file: Path) -> object:
    """Return the content of ``file``; None if it is missing or damaged."""
    with contextlib.suppress(OSError, ValueError, RecursionError):
        stored = json.loads(file.read_text(encoding="utf-8"))
        if isinstance(stored, dict) and stored.get("sum") == _sum(stored.get("kept")):
            return stored["kept"]
    return None


def write_kept(file: Path, content: object) -> None:
    """Write ``content`` (plain JSON) to ``file``."""
    document = {"sum": _sum(content), "kept": content}
    replace_file(file, json.dumps(document, indent=1).encode())


def replace_file(file: Path, content: bytes) -> None:
    """Write a complete file or none; a file that cannot be written is no error."""
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
