"""The limit of this process's file descriptors: one is needed for each connection."""

from __future__ import annotations

from contextlib import suppress

from voicebench.errors import UsageError


def check_descriptors(user: str, needed: int) -> None:
    """Raise `UsageError` if this process may not open ``needed`` files and connections.

    ``user`` names what needs them, such as ``400 callers``.
    """
    with suppress(ImportError):  # Windows has no such limit
        import resource

        allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if allowed not in (resource.RLIM_INFINITY, -1) and needed > allowed:
            raise UsageError(
                f"{user} need about {needed} file descriptors, and {allowed} are allowed",
                f"raise the limit first: ulimit -n {needed}",
            )
