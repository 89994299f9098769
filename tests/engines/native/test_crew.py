"""The threads that compute in C, and the cores that they compute on."""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from voicebench.engines.llm.fast.decoder_trial import trial_model
from voicebench.engines.llm.fast.native_decoder import NativeDecoder

IDS = list(range(30))


def cores_of_tasks() -> list[set[int]]:
    """Return on which cores each thread of this process may run."""
    found = []
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(ProcessLookupError):  # It has ended since, as a joined one may.
            found.append(os.sched_getaffinity(int(task.name)))
    return found


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no system that pins threads")
def test_callers_on_any_core_get_the_same_and_no_thread_is_left_without_one(
    c_library: ctypes.CDLL,
) -> None:
    decoder = NativeDecoder(c_library, *trial_model(), threads=3)
    expected = decoder.forward(IDS, decoder.new_cache(32), 0)
    ours = os.sched_getaffinity(0)
    found: list[NDArray[np.float32]] = []

    def compute(core: int) -> None:
        os.sched_setaffinity(0, {core})  # of this thread alone
        found.extend(decoder.forward(IDS, decoder.new_cache(32), 0) for _ in range(20))

    for core in sorted(ours) * 2:
        thread = threading.Thread(target=compute, args=(core,))
        thread.start()
        thread.join()
        assert all(cores_of_tasks())
    assert len(found) == 40 * len(ours)
    assert all(np.array_equal(scores, expected) for scores in found)
    assert os.sched_getaffinity(0) == ours
