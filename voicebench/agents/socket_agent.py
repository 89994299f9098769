"""An agent behind a WebSocket, in any dialect.

Each call has a connection of its own, opened before the call's clock begins. The caller's thread
sends; a thread of the call receives, and emits each event the moment its message is whole. A call
that is read by its driver (`voicebench.agents.ReadCall`) has no such thread.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from voicebench.agents.wire_dialect import Answered, WireDialect
from voicebench.calls.agent_events import AgentFailed, EmitAgentEvent
from voicebench.errors import CannotMeasure, VoicebenchError
from voicebench.remote.connection.access import Access
from voicebench.remote.connection.timeouts import Timeouts, WaitBudget
from voicebench.remote.connection.websocket import SocketService
from voicebench.remote.failure import RemoteError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LONGEST_CALL_S = 3600.0
SEND_S = 2.0
"""An agent that takes no frame for so long has failed."""
MOST_GREETINGS = 100
JOIN_S = 2.0


class SocketAgent:
    """Takes calls at a WebSocket URL. ``dialect`` makes a new dialect for each call."""

    def __init__(
        self,
        url: str,
        dialect: Callable[[], WireDialect],
        access: Access,
        *,
        name: str,
        subprotocol: str | None = None,
    ) -> None:
        """Raise `voicebench.errors.UsageError` for a URL or a key that cannot be used."""
        self._url = url
        self._dialect = dialect
        self._name = name
        self._subprotocol = subprotocol
        # A caller may be silent, and so may the agent: only the whole call has a limit.
        limits = Timeouts(access.timeouts.connect_s, LONGEST_CALL_S, LONGEST_CALL_S, LONGEST_CALL_S)
        self._access = replace(access, timeouts=limits)
        self._ready_s = access.timeouts.first_byte_s
        self._peer = SocketService(url, self._access, "turn")
        self.sample_rate = dialect().hear_rate

    def open_call(self, emit: EmitAgentEvent) -> SocketAgentCall:
        """Connect, open the call in the dialect, and begin to receive."""
        call = self.open_read_call(emit)
        call.start()
        return call

    def open_read_call(self, emit: EmitAgentEvent) -> SocketAgentCall:
        """Connect, and open the call in the dialect; its driver reads."""
        service = SocketService(self._url, self._access, "turn", subprotocol=self._subprotocol)
        dialect = self._dialect()
        try:
            _, budget = service.begin()
            for message in dialect.opening():
                service.send(message, budget)
            call = SocketAgentCall(service, dialect, emit)
            # An agent may speak the moment it is called; that was set aside as no answer.
            call.take_early(service.set_aside.take())
            if dialect.waits_for_ready:
                budget.end_within(self._ready_s)
                call.await_ready(budget)
        except BaseException:
            service.drop()
            raise
        return call

    def describe(self) -> dict[str, object]:
        """Return what a reader of the results must know."""
        return {
            "agent": self._name,
            "url": self._peer.shown_url,
            "sample_rate": self.sample_rate,
        } | self._access.describe()

    def close(self) -> None:
        """Do nothing: each call closes its own connection."""


class SocketAgentCall:
    """One call over one connection."""

    def __init__(self, service: SocketService, dialect: WireDialect, emit: EmitAgentEvent) -> None:
        self._service = service
        self._dialect = dialect
        self._emit = emit
        self._is_over = threading.Event()
        self._is_ready = False
        self._lock = threading.Lock()  # guards the dialect, which both threads use
        self._receiver = threading.Thread(
            target=self._receive, name="voicebench-agent", daemon=True
        )

    def await_ready(self, budget: WaitBudget) -> None:
        """Take messages until the agent is ready. Raises `CannotMeasure`."""
        for _ in range(MOST_GREETINGS):
            if self._is_ready:
                return
            self.take_early([self._service.receive(budget).data])
        raise CannotMeasure(f"{self._service.shown_url} does not say that it is ready")

    def take_early(self, messages: Iterable[str | bytes]) -> None:
        """Take messages that came before the first frame. Raises `RemoteError`."""
        for message in messages:
            try:
                self._is_ready |= self._dialect.is_ready(message)
                for event in self._dialect.take(message):
                    if isinstance(event, AgentFailed):
                        raise self._service.failure(self._service.quote(event.reason))
                    self._handle(event)
            except ValueError as error:
                raise self._service.failure(self._service.quote(str(error))) from None

    def start(self) -> None:
        """Begin to receive, in a thread."""
        self._receiver.start()

    def fileno(self) -> int:
        """Return the descriptor of the connection."""
        return self._service.fileno()

    def wait(self, seconds: float) -> bool:
        """Wait until something has come, or for ``seconds``; return whether it has."""
        return self._service.wait(seconds)

    def read(self) -> bool:
        """Emit what has come by now; return False if the call is over."""
        try:
            for message in self._service.arrived():
                self._take(message.data)
        except (ValueError, RemoteError) as error:
            self._fail_with(error)
            return False
        return not self._is_over.is_set()

    def hear(self, frame: NDArray[np.int16]) -> None:
        """Send 20 ms of the caller."""
        if self._is_over.is_set():
            return
        with self._lock:
            messages = list(self._dialect.frame(frame))
        self._send(messages)

    def hang_up(self) -> None:
        """Say good-bye, and close the connection."""
        if self._is_over.is_set():
            return
        with self._lock:
            messages = list(self._dialect.closing())
        with contextlib.suppress(VoicebenchError):
            self._send(messages)
        self._is_over.set()
        self._service.interrupt()
        if self._receiver.is_alive():
            self._receiver.join(JOIN_S)
        self._service.drop()

    def _receive(self) -> None:
        budget = self._service.wait_budget()
        while not self._is_over.is_set():
            try:
                self._take(self._service.receive(budget).data)
            except (ValueError, RemoteError) as error:
                self._fail_with(error)
                return

    def _take(self, message: str | bytes) -> None:
        """Emit what a message means. Raises `ValueError` with what is wrong with it."""
        with self._lock:
            events = list(self._dialect.take(message))
        for event in events:
            self._handle(event)

    def _handle(self, event: object) -> None:
        if isinstance(event, Answered):
            with contextlib.suppress(VoicebenchError):
                self._send([event.message])
        elif isinstance(event, AgentFailed):
            self._fail(f"{self._service.shown_url} {self._service.quote(event.reason)}")
        elif not self._is_over.is_set():
            self._emit(event)  # type: ignore[arg-type]

    def _send(self, messages: Iterable[str | bytes]) -> None:
        budget = self._service.wait_budget()
        budget.end_within(SEND_S)
        try:
            for message in messages:
                self._service.send(message, budget)
        except RemoteError as error:
            self._fail(str(error))

    def _fail_with(self, error: ValueError | RemoteError) -> None:
        if isinstance(error, RemoteError):
            self._fail(str(error))
        else:
            self._fail(f"{self._service.shown_url} {self._service.quote(str(error))}")

    def _fail(self, reason: str) -> None:
        if not self._is_over.is_set():
            self._emit(AgentFailed(reason))
