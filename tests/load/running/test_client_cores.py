"""The cores of the client: how many processes, where they stay, and what is refused."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading

import pytest

from voicebench.errors import UsageError
from voicebench.load.reading.reading_choice import Over
from voicebench.load.running import client_cores
from voicebench.load.running.client_cores import away_from, choose_cores, is_this_machine

HERE, ELSEWHERE = ["127.0.0.1"], ["voice.example.com"]


@pytest.fixture(autouse=True)
def _eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_cores, "usable_core_numbers", lambda: list(range(8)))
    monkeypatch.setattr(client_cores, "CAN_PIN", True)


def test_half_of_the_cores_are_left_to_a_server_on_this_machine() -> None:
    assert choose_cores(1000, HERE, reads="websocket").of_processes == (5, 6, 7)
    assert choose_cores(500, HERE).of_processes == (4, 5, 6, 7)
    assert choose_cores(500, ELSEWHERE).of_processes == (1, 2, 3, 4, 5, 6, 7)
    assert choose_cores(500, HERE).server_is_here


def test_there_are_as_many_processes_as_the_replies_need() -> None:
    assert choose_cores(1, ELSEWHERE).of_processes == (7,)
    assert choose_cores(76, ELSEWHERE).of_processes == (6, 7)
    assert choose_cores(1, ELSEWHERE, wanted=3).of_processes == (5, 6, 7)


def test_sealing_is_done_on_free_cores() -> None:
    assert choose_cores(76, ELSEWHERE).pairs == [(6, 0), (7, 1)]
    assert choose_cores(500, HERE).pairs == [(4, 4), (5, 5), (6, 6), (7, 7)]


def test_what_the_client_cannot_time_is_refused() -> None:
    assert choose_cores(600, HERE)
    with pytest.raises(UsageError, match="601 replies would come in at once, and 4 client proc"):
        choose_cores(601, HERE)
    assert choose_cores(150, HERE, wanted=1)
    with pytest.raises(UsageError, match="1 client process can time 150"):
        choose_cores(151, HERE, wanted=1)
    with pytest.raises(UsageError, match=r"load.processes = 5, .* 8 cores, and half .* = 4 or"):
        choose_cores(1, HERE, wanted=5)
    with pytest.raises(UsageError, match=r"load.processes = 9, and this program may use 8 cores;"):
        choose_cores(1, ELSEWHERE, wanted=9)


@pytest.mark.parametrize("over", ["http", "websocket", "realtime"])
def test_what_the_reading_loop_cannot_time_is_refused(over: Over) -> None:
    most = client_cores.MOST_READING[over]
    assert choose_cores(most, HERE, wanted=1, reads=over)
    said = f"about {most + 1} replies would come in at once, and 1 client process can time {most} "
    with pytest.raises(UsageError, match=said):
        choose_cores(most + 1, HERE, wanted=1, reads=over)


def test_events_of_realtime_cost_the_loop_more() -> None:
    assert choose_cores(390, ELSEWHERE, reads="websocket").of_processes == (7,)
    assert len(choose_cores(390, ELSEWHERE, reads="realtime").of_processes) > 1


def test_one_core_is_shared_with_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_cores, "usable_core_numbers", lambda: [0])
    assert choose_cores(1, HERE).of_processes == (0,)


def test_engines_in_this_process_are_not_pinned() -> None:
    assert choose_cores(4, [], in_process=True).of_processes == (None,)


def test_a_system_that_cannot_pin_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_cores, "CAN_PIN", False)
    cores = choose_cores(100, ELSEWHERE)
    assert cores.of_processes == (None, None)
    assert cores.describe()["pinned"] is False


@pytest.mark.parametrize(
    ("host", "here"),
    [("localhost", True), ("127.3.2.1", True), ("::1", True), ("8.8.8.8", False), ("box", False)],
)
def test_which_hosts_are_this_machine(host: str, here: bool) -> None:
    assert is_this_machine(host) is here


@pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="Linux only")
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores cannot be chosen here")
def test_the_parent_stays_off_the_clients_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # the cores that there are
    before = os.sched_getaffinity(0)
    if len(before) < 2:
        pytest.skip("there is one core")
    over, told = threading.Event(), queue.SimpleQueue[int]()

    def stay() -> None:
        told.put(threading.get_native_id())
        over.wait()

    thread = threading.Thread(target=stay)
    thread.start()
    other = told.get()
    try:
        with away_from([min(before)]):
            assert os.sched_getaffinity(0) == before - {min(before)}
            assert os.sched_getaffinity(other) == before - {min(before)}
        assert os.sched_getaffinity(other) == before
        for nothing_to_leave in ([None], sorted(before)):
            with away_from(nothing_to_leave):
                assert os.sched_getaffinity(0) == before
    finally:
        over.set()
        thread.join()
    assert os.sched_getaffinity(0) == before


def test_a_sealing_process_gives_way_and_can_hurry() -> None:
    code = (
        "import os; from voicebench.load.running.client_cores import give_way, hurry\n"
        "give_way(); print(os.sched_getscheduler(0), os.nice(0))\n"
        "hurry(os.getpid()); print(os.sched_getscheduler(0))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    first, second = out.stdout.splitlines()
    policy, nice = map(int, first.split())
    assert policy == os.SCHED_IDLE or nice >= client_cores.LITTLE_PRIORITY
    assert int(second) == os.SCHED_OTHER
