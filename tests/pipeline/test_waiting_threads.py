"""Threads that wait for work: lent, used again, ended."""

from __future__ import annotations

import threading
import weakref

import pytest

from voicebench.pipeline.waiting_threads import WaitingThreads

NAME = "voicebench-waiting"


def running() -> int:
    return sum(thread.name == NAME for thread in threading.enumerate())


def ident_of_one(threads: WaitingThreads) -> int:
    idents: list[int] = []
    with threads.one() as thread:
        thread.do(lambda: idents.append(threading.get_ident()))
        thread.wait_until_done()
    return idents[0]


def test_one_thread_does_what_comes_one_after_the_other() -> None:
    threads = WaitingThreads(NAME)
    threads.prepare()
    threads.prepare()
    assert running() == 1
    assert ident_of_one(threads) == ident_of_one(threads) != threading.get_ident()
    threads.close()
    assert running() == 0


def test_turns_at_once_have_a_thread_each() -> None:
    threads = WaitingThreads(NAME)
    meeting = threading.Barrier(2, timeout=5)
    with threads.one() as first, threads.one() as second:

        def meet() -> None:
            meeting.wait()

        first.do(meet)
        second.do(meet)
        first.wait_until_done()
        second.wait_until_done()
    assert running() == 2
    threads.close()
    assert running() == 0


def test_a_thread_that_is_lent_ends_when_it_comes_back() -> None:
    threads = WaitingThreads(NAME)
    with threads.one():
        threads.close()
        assert running() == 1
    assert running() == 0
    threads.prepare()
    assert running() == 0


def test_a_failure_in_the_block_gives_the_thread_back() -> None:
    threads = WaitingThreads(NAME)
    with pytest.raises(ValueError, match="broke"), threads.one():
        raise ValueError("broke")
    ident_of_one(threads)
    assert running() == 1
    threads.close()


class Turn:
    def take(self) -> None:
        pass


def test_what_was_done_is_not_kept_until_there_is_more_to_do() -> None:
    threads = WaitingThreads(NAME)
    turn = Turn()
    known = weakref.ref(turn)
    with threads.one() as thread:
        thread.do(turn.take)
        del turn
        thread.wait_until_done()
        assert known() is None
    threads.close()
