"""A pytest plugin: each test runs several times, and each time one of its threads stands still.

A machine with few cores does that to any thread at any moment. A test that counts on who is woken
first fails by it once in a hundred runs, and so does a program; here both fail at once::

    make test-stalled STALLED=tests/server
    PYTHONPATH=tests python -m pytest -p stalling --stalls 5 --stall-seed 7 tests/server

The first run of a test is undisturbed: it shows which threads there are, and how often each calls
something that lets others go on. In each further run one of these calls is drawn, and its thread
sleeps there.
"""

from __future__ import annotations

import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Generator
from types import FrameType

import pytest

CALLS = frozenset({
    *("send", "sendall", "recv", "accept", "connect", "shutdown", "close", "settimeout"),
    *("poll", "select", "acquire", "release", "sleep", "read", "write", "start_new_thread"),
    *("monotonic", "perf_counter_ns", "do_handshake", "getaddrinfo"),
})  # fmt: skip
"""Where a thread waits, hands something over or looks at the clock."""
_sleep = time.sleep
_calls_of: dict[str, Counter[str]] = {}


class Watch:
    """Counts the `CALLS` of each thread, and holds the thread up at one of them.

    ``where`` is a thread and the number of its call; None: nobody is held up.
    """

    def __init__(self, where: tuple[str, int] | None, seconds: float) -> None:
        self.calls: Counter[str] = Counter()
        self.held_at: str | None = None
        self._where = where
        self._seconds = seconds
        self._names: dict[int, str] = {}
        self._of_a_kind: Counter[str] = Counter()

    def __enter__(self) -> Watch:
        threading.setprofile(self._look)
        sys.setprofile(self._look)
        return self

    def __exit__(self, *_error: object) -> None:
        sys.setprofile(None)
        threading.setprofile(None)

    def _look(self, frame: FrameType, event: str, function: object) -> None:
        if event not in ("c_call", "c_return"):
            return
        call = getattr(function, "__name__", "")
        if call not in CALLS:
            return
        thread = self._name()
        self.calls[thread] += 1
        if (thread, self.calls[thread]) == self._where:
            when = "before" if event == "c_call" else "after"
            code = frame.f_code
            self.held_at = f"{thread}, {when} {call}: {code.co_filename}:{frame.f_lineno}"
            _sleep(self._seconds)

    def _name(self) -> str:
        """Return the same name in every run: what the thread does, and which of its kind it is."""
        thread = threading.get_ident()
        if thread not in self._names:
            kind = threading.current_thread().name.rpartition("(")[2].rstrip(")")
            self._of_a_kind[kind] += 1
            self._names[thread] = f"{kind} {self._of_a_kind[kind]}"
        return self._names[thread]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add how often, how long and where."""
    group = parser.getgroup("stalling")
    group.addoption("--stalls", type=int, default=2, help="disturbed runs of each test")
    group.addoption("--stall-s", type=float, default=1.0, help="seconds that a thread stands still")
    group.addoption("--stall-seed", type=int, default=0, help="draws the places")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test once undisturbed, and then so many times disturbed."""
    metafunc.fixturenames.append("stall")
    metafunc.parametrize("stall", range(metafunc.config.option.stalls + 1))


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Hold one thread of the test up."""
    run = pyfuncitem.callspec.params["stall"]
    test = pyfuncitem.nodeid.replace(f"[{run}", "[", 1)
    option = pyfuncitem.config.option
    where = drawn(_calls_of.get(test), f"{test} {run} {option.stall_seed}") if run else None
    with Watch(where, option.stall_s) as watch:
        try:
            return (yield)
        finally:
            if not run:
                _calls_of[test] = watch.calls
            if watch.held_at:
                pyfuncitem.add_report_section("call", "stall", watch.held_at)


def drawn(calls: Counter[str] | None, seed: str) -> tuple[str, int] | None:
    """Draw a thread and one of its calls; a busy thread more often, and not by as much."""
    if not calls:
        return None
    draws = random.Random(seed)
    threads = sorted(calls)
    (thread,) = draws.choices(threads, [calls[thread] ** 0.5 for thread in threads])
    return thread, draws.randint(1, calls[thread])
