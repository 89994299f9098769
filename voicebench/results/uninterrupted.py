"""Steps that Ctrl-C and SIGTERM must not separate."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_REQUESTS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Delay signals that end the program until the steps inside are done.

    Otherwise a turn could be on disk and missing in the summary, or be half a row of a table. Only
    the main thread is interrupted by signals, so other threads need nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    asked: list[tuple[int, FrameType | None]] = []
    handlers = {one: handler for one in _REQUESTS if callable(handler := signal.getsignal(one))}
    for one in handlers:
        signal.signal(one, lambda *request: asked.append(request))
    try:
        yield
    finally:
        for one, handler in handlers.items():
            signal.signal(one, handler)
        for number, frame in asked[:1]:
            handlers[signal.Signals(number)](number, frame)
