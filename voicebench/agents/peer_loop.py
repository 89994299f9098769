"""An event loop in a thread of its own, for a connection of WebRTC.

aiortc works in an event loop. The caller, and who opens a call, work in threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from voicebench.machine.processes import hurry_this_thread

CLOSE_S = 2.0
Result = TypeVar("Result")


class PeerLoop:
    """The loop runs from the moment that this is made until `close`."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="voicebench-webrtc", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Result], timeout_s: float | None) -> Result:
        """Return the result of ``work``. Raises `TimeoutError`."""
        done = asyncio.run_coroutine_threadsafe(work, self.loop)
        try:
            return done.result(timeout_s)
        except TimeoutError:
            done.cancel()
            raise

    def close(self, last: Coroutine[Any, Any, None]) -> None:
        """Do ``last``, within `CLOSE_S`, and end the thread."""
        with contextlib.suppress(TimeoutError):
            self.run(last, CLOSE_S)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(CLOSE_S)
        if not self._thread.is_alive():
            self.loop.run_until_complete(self.loop.shutdown_default_executor())
            self.loop.close()

    @property
    def is_closed(self) -> bool:
        """Whether the loop is closed."""
        return self.loop.is_closed()

    def _run(self) -> None:
        hurry_this_thread()  # it stamps what the agent sends
        self.loop.run_forever()
