"""The folder in which models are kept, and the one way in which anything gets into it.

What is in the cache is either whole or absent. A folder is built under a temporary name beside its
place, written through to the disk, and renamed: a rename happens or it does not, whatever ends the
process. A lock file makes two runs at once build once. A temporary that a killed process left
behind is swept away by the next build of the same folder, which can tell it is stale because it
holds the lock.

The cache is `$VOICEBENCH_CACHE`, else the user's cache folder of the system. Everything in it can
be deleted at any time; it is fetched or made again.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from voicebench.engines.models import manifest
from voicebench.engines.models.fetch_progress import Report, Step, ignore
from voicebench.engines.models.kept import read_kept, write_kept
from voicebench.engines.models.manifest import file_sha256
from voicebench.errors import ModelError

__all__ = [
    "build_once",
    "cache_folder",
    "discard",
    "disk_errors",
    "file_sha256",
    "known_sha256",
    "locked",
    "recall",
    "remember",
    "require_space",
]

ENVIRONMENT = "VOICEBENCH_CACHE"


def cache_folder() -> Path:
    """Return the folder of the cache, absolute; it need not exist yet."""
    if chosen := os.environ.get(ENVIRONMENT):
        return Path(chosen).expanduser().absolute()
    import platformdirs

    return Path(platformdirs.user_cache_dir("voicebench", appauthor=False))


def build_once(
    folder: Path,
    build: Callable[[Path], None],
    *,
    about: Mapping[str, object] | None = None,
    report: Report = ignore,
) -> Path:
    """Return ``folder``, which ``build`` has filled: now, or in an earlier run.

    ``build`` gets an empty temporary folder and leaves in it what ``folder`` shall hold. Whatever
    ends it (an error, Ctrl-C, a kill, a full disk), ``folder`` is absent or whole afterwards.
    ``folder`` belongs to the cache: what stands there and is not whole (a file cut, missing or
    changed) is reported, thrown away and built anew. Name it after a hash of what it is made from,
    so that it never has to be renewed. ``about`` is recorded in its manifest; its ``model`` is how
    the report calls it.

    Raises `ModelError` when the disk is full or the folder cannot be written, and what ``build``
    raises.
    """
    if manifest.damage(folder) is None:
        return folder
    with disk_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with locked(folder, report):
            damage = manifest.damage(folder)
            if damage is None:
                return folder
            if folder.exists():
                report(Step(str((about or {}).get("model", folder.name)), "damaged", detail=damage))
            discard(folder)
            temporary = _temporary(folder)
            try:
                temporary.mkdir()
                build(temporary)
                manifest.write(temporary, about or {})
                _write_through(temporary)
                temporary.rename(folder)
                _sync_folder(folder.parent)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
    return folder


@contextlib.contextmanager
def locked(folder: Path, report: Report = ignore) -> Iterator[None]:
    """Hold the right to build or remove ``folder``, among all processes and threads."""
    import filelock

    lock = filelock.FileLock(folder.parent / f".{folder.name}.lock")
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        report(Step(folder.name, "wait"))
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def discard(folder: Path) -> int:
    """Remove ``folder`` and the temporaries of it; return the bytes freed. Needs its lock.

    The folder first loses its name, at once; so an interrupted removal leaves no half folder.
    """
    freed = 0
    if folder.is_dir():
        folder.rename(_temporary(folder))
    elif folder.exists():
        folder.unlink()
    for stale in folder.parent.glob(f".{glob.escape(folder.name)}.partial-*"):
        freed += manifest.size(stale)
        shutil.rmtree(stale, ignore_errors=True)
    return freed


@contextlib.contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turn what a disk can refuse into one sentence that names the folder and the remedy."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise full_disk(folder) from error
        if error.errno in _UNWRITABLE and _is_about(error, folder):
            raise ModelError(
                f"the cache {folder.parent} cannot be written ({error.strerror})",
                f"give yourself the right to write there, or set {ENVIRONMENT} to another folder",
            ) from error
        raise


_UNWRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST)


def _is_about(error: OSError, folder: Path) -> bool:
    """Tell whether an error names ``folder``, something in it, or one of the folders it is in.

    A build also reads files that lie elsewhere; what goes wrong there is not the cache's fault.
    """
    if not isinstance(error.filename, str | os.PathLike):
        return False
    named = Path(error.filename)
    return folder.is_relative_to(named) or named.is_relative_to(folder.parent)


def full_disk(folder: Path) -> ModelError:
    """Return the error of a disk that was full while ``folder`` was built."""
    return ModelError(
        f"the disk is full: {_final_name(folder)} could not be written to {folder.parent}",
        f"free some space there, or set {ENVIRONMENT} to a folder on another disk",
    )


def require_space(folder: Path, needed: int) -> None:
    """Raise `ModelError` if the disk of ``folder`` has fewer than ``needed`` bytes free."""
    existing = folder
    while not existing.exists():
        existing = existing.parent
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise ModelError(
            f"{_final_name(folder)} needs {needed / 1e6:.0f} MB of disk while it is made, and "
            f"{folder.parent} has {free / 1e6:.0f} MB free",
            f"free some space there, or set {ENVIRONMENT} to a folder on another disk",
        )


def known_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, from memory if the file has not changed since it was taken.

    Hashing gigabytes at every start would cost seconds. The cache remembers the sum beside size,
    time of change and inode; if one differs, the file is read again.
    """
    stat = path.stat()
    seen = [stat.st_size, stat.st_mtime_ns, stat.st_ino]
    place = hashlib.sha256(os.fsencode(path.absolute())).hexdigest()[:32]
    memory = cache_folder() / "digests" / f"{place}.json"
    remembered = read_kept(memory)
    if isinstance(remembered, dict) and remembered.get("seen") == seen:
        return str(remembered["sha256"])
    digest = file_sha256(path)
    write_kept(memory, {"seen": seen, "sha256": digest})
    return digest


def recall(kind: str, key: str) -> dict[str, float] | None:
    """Return the measured figures of this ``kind`` that are kept under ``key``, or None."""
    stored = read_kept(cache_folder() / kind / f"{key}.json")
    try:
        return {name: float(figure) for name, figure in stored.items()}  # type: ignore[attr-defined]
    except (ValueError, AttributeError, TypeError):
        return None


def remember(kind: str, key: str, figures: Mapping[str, float]) -> None:
    """Keep ``figures`` under ``key`` for later runs; a cache that cannot be written is no error."""
    write_kept(cache_folder() / kind / f"{key}.json", dict(figures))


def _temporary(folder: Path) -> Path:
    return folder.parent / f".{folder.name}.partial-{secrets.token_hex(4)}"


def _final_name(folder: Path) -> str:
    """Return the name of a folder, or of the one that a temporary is going to be."""
    final, partial, _ = folder.name.rpartition(".partial-")
    return final.removeprefix(".") if partial else folder.name


def _write_through(folder: Path) -> None:
    """Wait until the files below ``folder`` are on the disk, before the rename says that they are.

    Without it, a power cut after the rename could leave the right names on empty files.
    """
    for path in folder.rglob("*"):
        if path.is_dir():
            _sync_folder(path)
        else:
            with path.open("rb+") as file:
                os.fsync(file.fileno())
    _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":  # elsewhere a folder cannot be opened, and its entries need no sync
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
