"""The manifest of a finished folder in the cache: its files, their sizes and checksums.

`manifest.json` has two sums of every file. The quick sum is compared at every use (`quick_sum`), so
a disk that has lost or changed a page is noticed before anything is computed. The SHA-256 takes six
times as long and also finds deliberate changes; it is compared on request.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from voicebench.engines.models.kept import replace_file

NAME = "manifest.json"
SCHEMA = 1

BLOCK_BYTES = 4096
"""The size of a page, the unit that disks and memories lose; each page has its own sum."""

READ_BYTES = 1024 * BLOCK_BYTES
"""The size of one read; it fits into the processor's cache."""

_summed: dict[tuple[str, int, int, int], str] = {}
"""The quick sums in this process, by path, size, time of change and inode."""


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def quick_sum(path: Path) -> str:
    """Return a fast checksum of a file: 270 MB take 50 to 80 ms.

    The words of each page are added, and the sums of all pages are hashed. This finds lost, changed
    and exchanged pages, but not words exchanged within a page. A process sums a file once, unless
    it changes.
    """
    stat = path.stat()
    key = (str(path), stat.st_size, stat.st_mtime_ns, stat.st_ino)
    if key not in _summed:
        _summed[key] = _sum_pages(path)
    return _summed[key]


def _sum_pages(path: Path) -> str:
    import numpy as np

    buffer = np.zeros((READ_BYTES // BLOCK_BYTES, BLOCK_BYTES // 8), np.dtype("<u8"))
    room = memoryview(buffer).cast("B")  # type: ignore[arg-type]
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while filled := file.readinto(room):
            while filled < READ_BYTES and (more := file.readinto(room[filled:])):
                filled += more
            if filled < READ_BYTES:
                room[filled:] = bytes(READ_BYTES - filled)
            digest.update(buffer.sum(axis=1).tobytes())
    return digest.hexdigest()


def write(folder: Path, about: Mapping[str, object]) -> None:
    """Write the manifest of ``folder``: every file below it, and ``about``, its origin."""
    (folder / NAME).write_text(_listed(folder, about), encoding="utf-8")


def _listed(folder: Path, about: Mapping[str, object]) -> str:
    files = {
        path.relative_to(folder).as_posix(): {
            "bytes": path.stat().st_size,
            "sha256": file_sha256(path),
            "quick": quick_sum(path),
        }
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path != folder / NAME
    }
    document = {"schema": SCHEMA, "about": dict(about), "files": files}
    return json.dumps(document, indent=1) + "\n"


def damage(folder: Path, *, hashes: bool = False) -> str | None:
    """Return the damage of a finished folder as words, or None.

    Compares sizes and quick sums; with ``hashes`` also the SHA-256 of every file. Folders from
    before quick sums existed are always compared by SHA-256.
    """
    try:
        document = json.loads((folder / NAME).read_text(encoding="utf-8"))
        if document["schema"] != SCHEMA:
            return f"{NAME} has schema {document['schema']!r}, not {SCHEMA}"
        about = dict(document["about"])
        entries = {name: _entry(file) for name, file in document["files"].items()}
    except FileNotFoundError:
        return f"{NAME} is missing"
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return f"{NAME} cannot be read"
    for name, entry in entries.items():
        try:
            difference = _difference(entry, folder / name, hashes=hashes)
        except OSError as error:
            difference = f"cannot be read ({error.strerror})"
        if difference:
            return f"{name} {difference}"
    if not all("quick" in entry for entry in entries.values()):
        replace_file(folder / NAME, _listed(folder, about).encode())  # with quick sums from now on
    return None


def _entry(file: Mapping[str, object]) -> dict[str, str]:
    """Return a file's entry as text; raises `KeyError` if it has no size or no SHA-256."""
    needed = {"bytes": str(file["bytes"]), "sha256": str(file["sha256"])}
    return needed | ({"quick": str(file["quick"])} if file.get("quick") is not None else {})


def _difference(entry: Mapping[str, str], path: Path, *, hashes: bool) -> str | None:
    """Return the difference of the file at ``path`` to its entry in words, or None."""
    if not path.is_file():
        return "is missing"
    if str(found := path.stat().st_size) != entry["bytes"]:
        return f"has {found} bytes instead of {entry['bytes']}"
    if "quick" in entry and quick_sum(path) != entry["quick"]:
        return "is not what it was when it was made"
    if hashes or "quick" not in entry:
        sha256 = file_sha256(path)
        if sha256 != entry["sha256"]:
            return f"has SHA-256 {sha256} instead of {entry['sha256']}"
    return None


def size(folder: Path) -> int:
    """Return the size of the files below a folder, in bytes."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
