"""Waits until sockets can be read: ``epoll`` where the system has it, else `selectors`.

``epoll`` and `selectors` count their time-outs in milliseconds. So the wait is `select.select` on
the descriptor of the whole set, which counts in microseconds, where that is possible: a turn that
is due has not to wait for the next millisecond.
"""

from __future__ import annotations

import select
import selectors
from typing import Protocol

READABLE, WRITABLE = 1, 4
"""As bits; those of ``EPOLLIN`` and ``EPOLLOUT``. Errors and hang-ups count as readable."""
MOST_FOR_SELECT = 1024
"""``FD_SETSIZE``: `select.select` takes no descriptor from this number on."""


class Readiness(Protocol):
    """A set of sockets that are watched."""

    name: str

    def watch(self, fd: int, *, writing: bool = False) -> None:
        """Watch a descriptor, or change how it is watched."""
        ...

    def forget(self, fd: int) -> None:
        """Watch it no longer."""
        ...

    def wait(self, seconds: float | None) -> list[tuple[int, int]]:
        """Return (descriptor, bits) of what is ready within ``seconds``; None waits for ever."""
        ...


class EpollReadiness:
    """A set of ``epoll``."""

    name = "epoll"

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._watched: set[int] = set()
        self._can_select = self._epoll.fileno() < MOST_FOR_SELECT

    def watch(self, fd: int, *, writing: bool = False) -> None:
        """Watch a descriptor, or change how it is watched."""
        bits = select.EPOLLIN | (select.EPOLLOUT if writing else 0)
        if fd in self._watched:
            self._epoll.modify(fd, bits)
        else:
            self._epoll.register(fd, bits)
            self._watched.add(fd)

    def forget(self, fd: int) -> None:
        """Watch it no longer."""
        if fd in self._watched:
            self._watched.discard(fd)
            self._epoll.unregister(fd)

    def wait(self, seconds: float | None) -> list[tuple[int, int]]:
        """Return what is ready within ``seconds``."""
        if seconds is not None and seconds <= 0:
            return self._epoll.poll(0)
        if self._can_select:
            select.select((self._epoll.fileno(),), (), (), seconds)
            return self._epoll.poll(0)
        return self._epoll.poll(seconds)


class SelectorReadiness:
    """A set of Python's `selectors`: ``kqueue`` on macOS, ``select`` on Windows."""

    name = "selectors"

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def watch(self, fd: int, *, writing: bool = False) -> None:
        """Watch a descriptor, or change how it is watched."""
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if writing else 0)
        if fd in self._selector.get_map():
            self._selector.modify(fd, events)
        else:
            self._selector.register(fd, events)

    def forget(self, fd: int) -> None:
        """Watch it no longer."""
        if fd in self._selector.get_map():
            self._selector.unregister(fd)

    def wait(self, seconds: float | None) -> list[tuple[int, int]]:
        """Return what is ready within ``seconds``."""
        found = self._selector.select(seconds)
        return [
            (
                key.fd,
                (READABLE if events & selectors.EVENT_READ else 0)
                | (WRITABLE if events & selectors.EVENT_WRITE else 0),
            )
            for key, events in found
        ]


def best_readiness() -> Readiness:
    """Return a set of the best kind that this system has."""
    return EpollReadiness() if hasattr(select, "epoll") else SelectorReadiness()
