"""Spoken calls over WebSockets: the caller's sound to an agent, and its events back.

A `CallForm` has the messages; this module has the call: at most `MOST_CALLS` at once, each at most
`LONGEST_CALL_S` long. A caller that sends sound faster than real time by more than `MOST_AHEAD_S`,
or reads nothing while `MOST_UNREAD` messages wait, is hung up on. A caller that sends nothing for
`LULL_S` is heard as silent: many send only what is spoken.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
from starlette.websockets import WebSocket, WebSocketDisconnect

from voicebench.agents import Agent, AgentCall
from voicebench.audio.pcm import from_int16, to_int16
from voicebench.calls.agent_events import AgentEvent, AgentFailed, EmitAgentEvent
from voicebench.server.call_forms import CallForm, Hangup
from voicebench.server.inbox import Inbox, Message, accepted
from voicebench.server.refusal import Refusal
from voicebench.server.sound_rate import SoundRate
from voicebench.turn.wire import SUBPROTOCOL

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_CALLS = 4
LONGEST_CALL_S = 1800.0
SILENT_CALLER_S = 30.0
"""A caller that sends nothing at all for so long is hung up on."""
LULL_S = 0.5
STEP_S = 0.1
"""A lull is seen in steps, so that an event loop that stood still is not taken for one."""
MOST_AHEAD_S = 10.0
MOST_UNREAD = 2000
POLICY_VIOLATION = 1008
TRY_AGAIN_LATER = 1013

NO_EARS = Refusal(
    503, "this server was started without ears; start it with `voicebench serve --ears`"
)


class CallDesk:
    """The agent that takes a server's calls, and how many are open."""

    def __init__(self, agent: Agent | None, most_calls: int = MOST_CALLS) -> None:
        self.agent = agent
        self._most_calls = most_calls
        self._open = 0

    def enter(self) -> Agent:
        """Take a place. Raises `Refusal` if there is none, or no agent."""
        if self.agent is None:
            raise NO_EARS
        if self._open >= self._most_calls:
            raise Refusal(503, f"{self._open} calls are open; try again later")
        self._open += 1
        return self.agent

    def leave(self) -> None:
        """Give the place back."""
        self._open -= 1


def call_socket(
    desk: CallDesk, new_form: Callable[[], CallForm]
) -> Callable[[WebSocket], Awaitable[None]]:
    """Return the endpoint of a WebSocket route whose messages are those of ``new_form``."""

    async def endpoint(socket: WebSocket) -> None:
        # A browser offers it to send its key, and hangs up if none that it offers is taken.
        async with accepted(socket, SUBPROTOCOL) as inbox:
            try:
                agent = desk.enter()
            except Refusal as refusal:
                await socket.send_text(json.dumps(refusal.content()))
                await socket.close(TRY_AGAIN_LATER)
                return
            try:
                await _carry(socket, inbox, agent, new_form())
                await socket.close()
            except Refusal as refusal:
                await socket.send_text(json.dumps(refusal.content()))
                await socket.close(POLICY_VIOLATION)
            finally:
                desk.leave()

    return endpoint


async def _carry(socket: WebSocket, inbox: Inbox, agent: Agent, form: CallForm) -> None:
    """Carry one call to its end. Raises `Refusal`, and `Gone` when the caller leaves."""
    async with OpenCall(agent, form.rate, lambda event: _send(socket, form.give(event))) as call:
        await _send(socket, form.opening())
        with suppress(Hangup):
            while True:
                samples = form.take(await call.until_over(inbox))
                if samples is not None:
                    call.hear(samples)


async def _send(socket: WebSocket, messages: Iterable[Message]) -> None:
    for message in messages:
        if isinstance(message, bytes):
            await socket.send_bytes(message)
        else:
            await socket.send_text(message)


class OpenCall:
    """A call between an event loop and an agent with threads.

    ``give`` sends an event of the agent. Used as a context; the call ends with it. ``by_hand``: the
    caller says when a turn is over, so what is not sent is no silence.
    """

    def __init__(
        self,
        agent: Agent,
        rate: int,
        give: Callable[[AgentEvent], Awaitable[None]],
        *,
        open_call: Callable[[EmitAgentEvent], AgentCall] | None = None,
        most_ahead_s: float = MOST_AHEAD_S,
        by_hand: bool = False,
    ) -> None:
        self._agent = agent
        self._open_call = open_call or agent.open_call
        self._most_ahead_s = most_ahead_s
        self._by_hand = by_hand
        self._rate = rate
        self._give = give
        self._sound = SoundRate(rate, agent.sample_rate)
        self._frame = agent.sample_rate // 50
        self._rest: NDArray[np.int16] = np.zeros(0, np.int16)
        self._heard_s = 0.0
        self._events: asyncio.Queue[AgentEvent] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()

    async def __aenter__(self) -> OpenCall:
        self._call = await asyncio.to_thread(self._open_call, self._emit)
        self._begun_s = self._loop.time()
        self._sending = asyncio.create_task(self._send_all())
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._sending.cancel()
        await asyncio.gather(self._sending, return_exceptions=True)
        await asyncio.to_thread(self._call.hang_up)

    async def until_over(self, inbox: Inbox) -> Message:
        """Return the caller's next message.

        Raises `Refusal` if the call has to end: the agent failed, or the caller sends or reads
        nothing for too long.
        """
        next_message = asyncio.ensure_future(inbox.next())
        try:
            quiet_s = 0.0
            while quiet_s < SILENT_CALLER_S:
                step_s = min(STEP_S, SILENT_CALLER_S)
                done, _ = await asyncio.wait(
                    {next_message, self._sending},
                    timeout=step_s,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if self._sending.done():
                    self._sending.result()
                    raise Refusal(500, "the call has ended")
                if done:
                    return next_message.result()
                quiet_s += step_s
                self._hear_lull(quiet_s)
            raise Refusal(400, f"no message for {SILENT_CALLER_S:.0f} s")
        finally:
            next_message.cancel()

    def _hear_lull(self, quiet_s: float) -> None:
        """Hear silence if a caller who is not ahead of real time has sent nothing for so long."""
        if self._by_hand or quiet_s < LULL_S or not 0 < self._heard_s < self._passed_s():
            return
        lull_s = STEP_S if quiet_s >= LULL_S + STEP_S else LULL_S
        self.hear(np.zeros(round(lull_s * self._rate), np.int16))

    def hear(self, samples: NDArray[np.int16]) -> None:
        """Pass the caller's samples on, in frames of 20 ms.

        Raises `Refusal` for too many, and where the call has ended or is too long.
        """
        if self._sending.done():
            raise Refusal(500, "the call has ended")
        passed_s = self._passed_s()
        if passed_s > LONGEST_CALL_S:
            raise Refusal(400, f"a call lasts at most {LONGEST_CALL_S / 60:.0f} minutes")
        self._heard_s += samples.size / self._rate
        if self._heard_s > passed_s + self._most_ahead_s:
            raise Refusal(400, f"sound is more than {self._most_ahead_s:.0f} s ahead of real time")
        if self._rate != self._agent.sample_rate:
            samples = to_int16(self._sound.feed(from_int16(samples)))
        waiting = np.concatenate((self._rest, samples))
        whole = waiting.size // self._frame * self._frame
        self._rest = waiting[whole:]
        for begin in range(0, whole, self._frame):
            self._call.hear(waiting[begin : begin + self._frame])

    def _passed_s(self) -> float:
        return self._loop.time() - self._begun_s

    def _emit(self, event: AgentEvent) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._events.put_nowait, event)

    async def _send_all(self) -> None:
        """Send each event; ends with a `Refusal` if the agent failed or nobody reads."""
        while True:
            event = await self._events.get()
            if self._events.qsize() > MOST_UNREAD:
                raise Refusal(400, "the caller reads nothing")
            with suppress(WebSocketDisconnect):
                await self._give(event)
            if isinstance(event, AgentFailed):
                raise Refusal(500, "the agent failed")
