"""The cache: the folder with models and with everything that was made or measured from them.

A folder in the cache is either complete or absent. It is built under a temporary name, flushed to
the disk, and renamed, so an interrupted build leaves no half folder. With a lock file, two
processes build it only once. The next build removes temporary folders of a killed process: it holds
the lock, so no other process uses them.

The cache is `$VOICEBENCH_CACHE`, or else in the user's cache folder. Everything in it can be
deleted at any time; it is fetched or made again.
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
    """Return ``folder``, filled by ``build`` now or in an earlier run.

    ``build`` gets an empty temporary folder and writes the content into it. After an error, Ctrl-C,
    a kill or a full disk, ``folder`` is either absent or complete. A damaged ``folder`` (a file
    cut, missing or changed) is reported and built again. Its name should have a hash of its
    sources, so that it never needs an update. ``about`` goes into its manifest; reports use its
    ``model`` as the name.

    Raises `ModelError` if the disk is full or the folder cannot be written, and what ``build``
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
    """Hold the lock to build or remove ``folder``, for all processes and threads."""
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
    """Remove ``folder`` and its temporary folders; return the bytes freed. Needs the lock.

    The folder is renamed first, so an interrupted removal leaves no half folder.
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
    """Turn a disk's errors into `ModelError` with the folder and the remedy."""
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
    """Return whether an error is about ``folder``, something in it, or one of its parents.

    A build also reads files elsewhere; their errors are not about the cache.
    """
    if not isinstance(error.filename, str | os.PathLike):
        return False
    named = Path(error.filename)
    return folder.is_relative_to(named) or named.is_relative_to(folder.parent)


def full_disk(folder: Path) -> ModelError:
    """Return the error for a disk that became full while ``folder`` was built."""
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
    """Return the SHA-256 of a file, from the cache if the file has not changed.

    Hashing gigabytes at every start would take seconds. The cache keeps the sum with size, time of
    change and inode; if one of them differs, the file is read again.
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
    """Return the name of a folder, without the additions of a temporary one."""
    final, partial, _ = folder.name.rpartition(".partial-")
    return final.removeprefix(".") if partial else folder.name


def _write_through(folder: Path) -> None:
    """Flush the files below ``folder`` to the disk.

    Otherwise a power cut after the rename could leave empty files with the right names.
    """
    for path in folder.rglob("*"):
        if path.is_dir():
            _sync_folder(path)
        else:
            with path.open("rb+") as file:
                os.fsync(file.fileno())
    _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":  # other systems cannot open folders, and need no sync
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
