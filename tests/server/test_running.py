"""What goes out together, and when a request's time begins."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

from voicebench.server.bounded_protocols import Gathered
from voicebench.server.clock import arrived_s, note_arrival, now_s


class Transport:
    """Keeps what it was made to do."""

    def __init__(self) -> None:
        self.done: list[object] = []

    def write(self, data: bytes) -> None:
        self.done.append(data)

    def close(self) -> None:
        self.done.append("closed")

    def is_closing(self) -> bool:
        return "closed" in self.done

    def get_write_buffer_size(self) -> int:
        return 0


async def write(transport: Any, *pieces: bytes) -> None:
    for piece in pieces:
        transport.write(piece)


def test_what_is_written_in_one_round_of_the_loop_goes_out_in_one_piece() -> None:
    async def write_in_two_rounds() -> list[object]:
        transport = Transport()
        gathered = Gathered(transport)  # type: ignore[arg-type]
        await write(gathered, b"head ", b"body ")
        assert transport.done == []
        await asyncio.sleep(0)
        await write(gathered, b"more")
        await asyncio.sleep(0)
        return transport.done

    assert asyncio.run(write_in_two_rounds()) == [b"head body ", b"more"]


def test_what_was_written_goes_out_before_the_connection_is_closed() -> None:
    async def write_and_close() -> list[object]:
        transport = Transport()
        gathered = Gathered(transport)  # type: ignore[arg-type]
        await write(gathered, b"last words")
        assert not gathered.is_closing()
        gathered.close()
        await asyncio.sleep(0)
        return transport.done

    assert asyncio.run(write_and_close()) == [b"last words", "closed"]


def test_what_was_written_to_a_connection_that_broke_off_goes_nowhere() -> None:
    async def write_and_lose() -> list[object]:
        transport = Transport()
        gathered = Gathered(transport)  # type: ignore[arg-type]
        await write(gathered, b"too late")
        transport.close()
        await asyncio.sleep(0)
        return transport.done

    assert asyncio.run(write_and_lose()) == ["closed"]


def test_a_request_s_time_begins_when_it_is_in_hand_in_its_thread_too() -> None:
    def request() -> tuple[float, float]:
        note_arrival()
        with ThreadPoolExecutor(1) as threads:
            in_thread = threads.submit(copy_context().run, arrived_s).result()
        return arrived_s(), in_thread

    before = now_s()
    here, in_thread = copy_context().run(request)
    assert before <= here == in_thread <= now_s()


def test_without_a_request_its_time_is_now() -> None:
    before = now_s()
    assert copy_context().run(arrived_s) >= before
