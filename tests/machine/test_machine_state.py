"""What the machine did in a turn is the difference of two readings; what is not told is None."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

import voicebench.machine.machine_state as under_test
from voicebench.machine.machine_state import Counters, MachineWatch


@pytest.fixture
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_test, "usable_core_numbers", lambda: [0, 1])


def watch_between(before: Counters, after: Counters) -> MachineWatch:
    readings: Iterator[Counters] = iter((before, after))
    return MachineWatch(lambda: next(readings))


@pytest.mark.usefixtures("two_cores")
def test_the_share_of_others_is_what_we_did_not_use_ourselves() -> None:
    # One second on two cores: 1.5 s busy, 0.5 s of it ours; 1 s of 2 s were others'.
    watch = watch_between(Counters(0, 10.0, 3.0, 5.0, 7), Counters(1, 11.5, 3.5, 25.0, 9))
    watch.before_turn()
    state = watch.after_turn()
    assert state.cpu_others == pytest.approx(0.5)
    assert state.quota_ms == pytest.approx(20)
    assert state.throttled == 2


def test_what_the_system_does_not_tell_is_none() -> None:
    watch = watch_between(Counters(0, None, 0, None, None), Counters(1, None, 0, None, None))
    watch.before_turn()
    state = watch.after_turn()
    assert (state.cpu_others, state.quota_ms, state.throttled) == (None, None, None)


@pytest.mark.usefixtures("two_cores")
def test_steps_of_the_systems_clock_give_no_share_outside_0_to_1() -> None:
    for busy, share in ((0.0, 0.0), (9.0, 1.0)):
        watch = watch_between(Counters(0, 0, 0, None, None), Counters(1, busy, 0.5, None, None))
        watch.before_turn()
        assert watch.after_turn().cpu_others == share


@pytest.mark.slow
def test_garbage_collections_of_the_turn_are_counted_and_those_before_are_not() -> None:
    reading = Counters(0, None, 0, None, None)

    def read_and_collect() -> Counters:
        gc.collect()
        return reading

    with MachineWatch(read_and_collect) as watch:
        watch.before_turn()
        assert watch.after_turn().collection_ms == 0
        watch.before_turn()
        gc.collect()
        collected_ms = watch.after_turn().collection_ms
        assert collected_ms is not None
        assert collected_ms > 0
    assert watch._collection not in gc.callbacks


def test_this_machine_can_be_read() -> None:
    with MachineWatch() as watch:
        watch.before_turn()
        state = watch.after_turn()
    assert state.cpu_others is None or 0 <= state.cpu_others <= 1


def test_a_quota_is_read_from_the_control_group(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stat = tmp_path / "cpu.stat"
    monkeypatch.setattr(under_test, "CGROUP_STAT", stat)
    assert under_test.read_counters().quota_ms is None
    stat.write_text("usage_usec 100\nnr_throttled 3\nthrottled_usec 2500\n")
    assert under_test.read_counters().quota_ms == 2.5


def test_clocks_and_throttle_counts_of_the_cores_are_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for core, (khz, count) in enumerate((("3000000", "1"), ("2000000", "4"))):
        for name, text in (
            ("cpufreq/scaling_cur_freq", khz),
            ("thermal_throttle/core_throttle_count", count),
        ):
            path = tmp_path / f"cpu{core}" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{text}\n")
    monkeypatch.setattr(under_test, "CPU_FOLDER", tmp_path)
    monkeypatch.setattr(under_test, "usable_core_numbers", lambda: [0, 1, 2])
    under_test._paths.cache_clear()
    try:
        assert under_test.clock_mhz() == 2500
        assert under_test.read_counters().throttled == 5
    finally:
        under_test._paths.cache_clear()


@pytest.mark.parametrize(
    ("listed", "others"), [(None, None), (set(), 0), ({1, "us"}, 1), ({"us"}, 0), ({1, 2}, None)]
)
def test_others_on_the_gpu_are_counted_only_where_we_can_be_told_from_them(
    monkeypatch: pytest.MonkeyPatch, listed: set[object] | None, others: int | None
) -> None:
    import os

    found = listed and {os.getpid() if one == "us" else -1 - int(str(one)) for one in listed}
    monkeypatch.setattr(under_test, "_nvml", object)
    monkeypatch.setattr(under_test, "_gpu_process_ids", lambda _: found)
    assert under_test.foreign_gpu_processes() == others
