"""The plugin that lets a thread stand still: it sees every thread, and holds up the one drawn."""

from __future__ import annotations

import threading
import time
from collections import Counter

import pytest
import stalling
from stalling import Watch, drawn


def work(done: list[str]) -> None:
    """Let another thread do something, and then do something."""

    def other() -> None:
        time.sleep(0)
        done.append("other")

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    done.append("main")


def test_the_calls_of_every_thread_are_counted() -> None:
    with Watch(None, 0) as watch:
        work([])
    assert set(watch.calls) == {"MainThread 1", "other 1"}
    assert watch.held_at is None


def test_the_thread_that_is_named_is_held_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    held: list[tuple[float, list[str]]] = []
    monkeypatch.setattr(stalling, "_sleep", lambda seconds: held.append((seconds, [*done])))
    with Watch(None, 0) as undisturbed:
        work([])
    last = undisturbed.calls["other 1"]
    with Watch(("other 1", last), 3.0) as watch:
        work(done)
    ((seconds, before),) = held
    assert seconds == 3.0
    assert "main" not in before
    assert watch.held_at is not None
    assert watch.held_at.startswith("other 1, ")


def test_what_is_drawn_is_one_of_the_calls_and_the_same_every_time() -> None:
    calls = Counter({"MainThread 1": 100, "other 1": 3})
    places = [drawn(calls, f"seed {number}") for number in range(200)]
    assert places == [drawn(calls, f"seed {number}") for number in range(200)]
    assert {place for place in places if place and place[0] == "other 1"} == {
        ("other 1", number) for number in (1, 2, 3)
    }
    assert all(place and 1 <= place[1] <= calls[place[0]] for place in places)
    assert drawn(None, "seed") is drawn(Counter(), "seed") is None
