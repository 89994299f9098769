"""The slow work of hearing, in a thread for each model: has the caller finished, which words."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_Job = TypeVar("_Job")


class LatestJob(Generic[_Job]):
    """A thread that does the newest job. One that has not begun is dropped for a newer one."""

    def __init__(self, work: Callable[[_Job], None], name: str) -> None:
        self._work = work
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, job: _Job) -> None:
        """Do ``job`` next."""
        self._jobs.put(job)

    def close(self) -> None:
        """End the thread after the present job."""
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            while not self._jobs.empty():
                newer = self._jobs.get()
                if newer is None:
                    return
                job = newer
            self._work(job)


class EarWork:
    """Judges pauses and recognises words.

    ``probability``, ``words`` and ``first_words`` are the models' calls
    (`voicebench.engines.ears`); the results go to ``judged``, ``recognised`` and ``looked`` with
    the number that the question had, from other threads.
    """

    def __init__(
        self,
        probability: Callable[[NDArray[np.float32], int], float],
        words: Callable[[NDArray[np.float32]], tuple[str, bool]],
        first_words: Callable[[NDArray[np.float32]], str],
        *,
        judged: Callable[[int, float], None],
        recognised: Callable[[int, str, bool], None],
        looked: Callable[[int, str], None],
    ) -> None:
        self._judge = LatestJob[tuple[int, "NDArray[np.float32]", int]](
            lambda job: judged(job[0], probability(job[1], job[2])), "voicebench-turn-end"
        )
        self._hear = LatestJob[tuple[int, "NDArray[np.float32]"]](
            lambda job: recognised(job[0], *words(job[1])), "voicebench-recognition"
        )
        self._look = LatestJob[tuple[int, "NDArray[np.float32]"]](
            lambda job: looked(job[0], first_words(job[1])), "voicebench-first-words"
        )

    def judge(self, number: int, pcm: NDArray[np.float32], silent: int) -> None:
        """Ask whether the turn is over after ``pcm``, with ``silent`` samples of silence in it."""
        self._judge.put((number, pcm, silent))

    def recognise(self, number: int, pcm: NDArray[np.float32]) -> None:
        """Ask for the words in ``pcm``, float32 ``(samples,)`` at 16 kHz."""
        self._hear.put((number, pcm))

    def look(self, began: int, pcm: NDArray[np.float32]) -> None:
        """Ask for the first words in ``pcm``, of speech that began at the sample ``began``."""
        self._look.put((began, pcm))

    def close(self) -> None:
        """End the threads."""
        self._judge.close()
        self._hear.close()
        self._look.close()
