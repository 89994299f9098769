"""``/v1/voice``: whole turns over one WebSocket, in the messages of `voicebench.turn.wire`.

The client sends `TurnStarted`. The server sends each event of the pipeline at once, with the number
that the client gave the turn, and before the turn's end its own duration of the turn. Then the next
turn may begin. A client whose listener interrupts sends `TurnInterrupted`: the turn stops within a
step of its engines, and the server answers `TurnStopped` and `TurnFinished`. A prompt that is
refused fails only its turn. A message that breaks the protocol ends the connection.
"""

from __future__ import annotations

from functools import partial

from starlette.websockets import WebSocket

from voicebench.events import (
    Event,
    Fault,
    ServerTiming,
    TurnFailed,
    TurnFinished,
    TurnInterrupted,
    TurnStarted,
    TurnStopped,
)
from voicebench.server.admission import Turns
from voicebench.server.clock import note_arrival
from voicebench.server.inbox import Inbox, Message, accepted
from voicebench.server.refusal import Refusal
from voicebench.server.request_bodies import spoken_text
from voicebench.server.served import AnswerRequest, Served
from voicebench.turn import wire

ROUTE = "/v1/voice"
PROTOCOL_ERROR = 1002


async def voice_socket(socket: WebSocket, served: Served, turns: Turns) -> None:
    """Serve one connection until its client leaves."""
    async with accepted(socket, wire.SUBPROTOCOL) as inbox:
        while await _take_turn(socket, inbox, served, turns):
            pass
        await socket.close(PROTOCOL_ERROR)


async def _take_turn(socket: WebSocket, inbox: Inbox, served: Served, turns: Turns) -> bool:
    """Serve one turn; return whether another may follow."""
    try:
        started, number = await _next_request(inbox)
    except wire.WireError as error:
        await _send(socket, _failure(str(error), "protocol"), None)
        return False
    if not isinstance(started, TurnStarted):
        await _send(socket, _failure("a turn begins with 'turn_started'", "protocol"), number)
        return False
    well_behaved = True
    interrupted = False

    async def take(message: Message) -> bool:
        """Take a message in the middle of the turn; return whether the turn goes on."""
        nonlocal well_behaved, interrupted
        try:
            event, of_turn = wire.decode_of_turn(message)
            well_behaved = isinstance(event, TurnInterrupted)
            interrupted = well_behaved and of_turn in (None, number)
        except wire.WireError:
            well_behaved = False
        return well_behaved and not interrupted

    try:
        prompt = spoken_text(started.prompt, "prompt")
        sending = _send_turn(socket, prompt, number, served, turns)
        await inbox.listen_during(sending, take)
    except Refusal as refusal:
        await _send(socket, _failure(refusal.message, "refused"), number)
    if interrupted:
        await _send(socket, TurnStopped(), number)
        await _send(socket, TurnFinished(), number)
    if not well_behaved:
        await _send(socket, _failure("a message in the middle of a turn", "protocol"), number)
    return well_behaved


async def _next_request(inbox: Inbox) -> wire.OfTurn:
    """Return the next message that does not interrupt a turn which is over already."""
    while True:
        message = await inbox.next()
        note_arrival()
        request = wire.decode_of_turn(message)
        if not isinstance(request.event, TurnInterrupted):
            return request


async def _send_turn(
    socket: WebSocket, prompt: str, number: int | None, served: Served, turns: Turns
) -> None:
    async with turns.turn(ROUTE, partial(served.answer, AnswerRequest(prompt))) as turn:
        async for event in turn.events():
            if isinstance(event, TurnFinished):
                await _send(socket, ServerTiming(turn.elapsed_ms()), number)
            await _send(socket, event, number)
        if turn.figures.outcome == "cancelled":
            await _send(socket, _failure("the turn was interrupted", "engine"), number)


def _failure(reason: str, fault: Fault) -> TurnFailed:
    return TurnFailed(reason, fault, "turn")


async def _send(socket: WebSocket, event: Event, number: int | None) -> None:
    """Send ``event`` as part of turn ``number``, if the client gave a number."""
    message = wire.encode(event, turn=number)
    if isinstance(message, bytes):
        await socket.send_bytes(message)
    else:
        await socket.send_text(message)
