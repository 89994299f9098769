"""Events on their way into the event loop: in order, bounded, and given up when nobody reads."""

from __future__ import annotations

import asyncio
import threading

import pytest

from voicebench.events import Event, Token, TurnFinished
from voicebench.pipeline.device_queue import TurnCancelled
from voicebench.server.channel import CAPACITY, EventChannel


async def read_all(channel: EventChannel) -> list[Event]:
    events = []
    while (event := await channel.get()) is not None:
        events.append(event)
    return events


def test_events_of_a_thread_arrive_in_order_however_many_there_are() -> None:
    sent = [Token(str(number)) for number in range(5 * CAPACITY)]

    async def run() -> list[Event]:
        channel = EventChannel(asyncio.get_running_loop())

        def work() -> None:
            for event in sent:
                channel.emit(event)
            channel.end()

        thread = threading.Thread(target=work)
        thread.start()
        received = await read_all(channel)
        thread.join()
        return received

    assert asyncio.run(run()) == sent


def test_a_reader_is_woken_from_another_thread() -> None:
    async def run() -> Event | None:
        channel = EventChannel(asyncio.get_running_loop())
        reading = asyncio.create_task(channel.get())
        while not reading.done():
            if channel._reader is not None:  # it waits now
                threading.Thread(target=channel.emit, args=(TurnFinished(),)).start()
                return await reading
            await asyncio.sleep(0)
        return None

    assert asyncio.run(run()) == TurnFinished()


def test_a_turn_that_is_cancelled_can_emit_nothing_more() -> None:
    async def run() -> list[Event]:
        channel = EventChannel(asyncio.get_running_loop())
        channel.emit(Token("a"))
        channel.cancel()
        for _ in range(3):
            with pytest.raises(TurnCancelled):
                channel.emit(Token("b"))
        return await read_all(channel)

    assert asyncio.run(run()) == [Token("a")]


def test_an_emitter_that_waits_for_room_is_freed_by_cancelling() -> None:
    async def run() -> None:
        channel = EventChannel(asyncio.get_running_loop(), capacity=1)
        refused = threading.Event()

        def work() -> None:
            try:
                while True:
                    channel.emit(Token("a"))
            except TurnCancelled:
                refused.set()

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        channel.cancel()
        for thread in threads:
            await asyncio.to_thread(thread.join, 5)
            assert not thread.is_alive()

    asyncio.run(run())


def test_a_client_that_reads_nothing_for_too_long_loses_its_turn() -> None:
    async def run() -> None:
        channel = EventChannel(asyncio.get_running_loop(), capacity=1, stall_s=0.01)
        channel.emit(Token("a"))
        with pytest.raises(TurnCancelled):
            channel.emit(Token("b"))
        assert channel.stalled
        assert await read_all(channel) == [Token("a")]

    asyncio.run(run())
