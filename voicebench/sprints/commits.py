"""The commits of a sprint, and the files that they changed, read from git."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from voicebench.errors import UsageError
from voicebench.sprints.sprint import Commit, FileChange

MOST_COMMITS = 500
_TIMEOUT_S = 20.0
_REVISION = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._/~^@{}-]{0,200}$")


@dataclass(frozen=True, slots=True)
class Work:
    """The commits, the newest first; empty outside a repository."""

    head: str | None = None
    commits: tuple[Commit, ...] = ()
    files: tuple[FileChange, ...] = ()


def work_since(folder: Path, since: str | None) -> Work:
    """Return the commits after ``since``, or all of them, up to `MOST_COMMITS`.

    Raises `UsageError` for a revision that the repository does not have.
    """
    head = _git(folder, "rev-parse", "HEAD")
    if head is None:
        return Work()
    span = "HEAD"
    if since is not None:
        if (
            not _REVISION.match(since)
            or _git(folder, "rev-parse", "--verify", f"{since}^0") is None
        ):
            raise UsageError(f"the repository has no commit {since!r}", "name another with --since")
        span = f"{since}..HEAD"
    log = _git(
        folder,
        "log",
        "--no-merges",
        f"--max-count={MOST_COMMITS}",
        "--numstat",
        "--format=%x01%h%x02%as%x02%s",
        span,
        "--",
    )
    commits, files = _read_log(log or "")
    return Work(head.strip(), commits, files)


def _read_log(log: str) -> tuple[tuple[Commit, ...], tuple[FileChange, ...]]:
    commits: list[Commit] = []
    changes: dict[str, tuple[int | None, int | None]] = {}
    for line in log.splitlines():
        if line.startswith("\x01"):
            commit, day, subject = line[1:].split("\x02", 2)
            commits.append(Commit(commit, subject, day))
        elif line.count("\t") >= 2:
            added, removed, path = line.split("\t", 2)
            before = changes.get(path, (0, 0))
            changes[path] = (_sum(before[0], added), _sum(before[1], removed))
    files = tuple(FileChange(path, *counts) for path, counts in sorted(changes.items()))
    return tuple(commits), files


def _sum(before: int | None, count: str) -> int | None:
    return None if before is None or not count.isdecimal() else before + int(count)


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), "-c", "core.quotePath=false", *arguments],
            capture_output=True,
            check=False,
            timeout=_TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None
