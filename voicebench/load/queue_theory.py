"""The M/M/c//N queue in formulas: the truth that the search for capacity is tested against.

N callers, c slots, first come first served. A turn holds a slot for an exponential time with mean
``service_s``. Between the end of its service and its next due moment a caller pauses for a mean of
``pause_s``; the pause may have any distribution, because a pause needs no slot (Baskett, Chandy,
Muntz and Palacios 1975, Journal of the ACM 22). The number of turns in the system is the birth and
death process of Kleinrock 1975 (Queueing Systems, volume 1, section 3.8). A turn that comes due
meets the system as N - 1 callers would leave it (Sevcik and Mitrani 1981, Journal of the ACM 28).
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FiniteQueue:
    """A server with ``slots`` and callers who pause."""

    slots: int
    service_s: float
    pause_s: float

    def share_within(self, callers: int, limit_s: float) -> float:
        """Return the share of turns whose wait plus service lasts at most ``limit_s``."""
        if limit_s <= 0:
            return 0.0
        met = self.in_system(callers - 1)
        rate = 1 / self.service_s
        late = 0.0
        for turns, probability in enumerate(met):
            late += probability * self._later(max(turns - self.slots + 1, 0), limit_s, rate)
        return 1 - late

    def capacity(self, limit_s: float, share: float, most: int = 10_000) -> int:
        """Return the highest number of callers at which ``share`` of the turns keep ``limit_s``.

        0 if a single caller does not.
        """
        callers = 0
        while callers < most and self.share_within(callers + 1, limit_s) >= share:
            callers += 1
        return callers

    def in_system(self, callers: int) -> list[float]:
        """Return the probability of 0, 1, … ``callers`` turns that wait or are served."""
        logs = [0.0]
        for turns in range(callers):
            served = min(turns + 1, self.slots)
            ratio = (callers - turns) * self.service_s / (self.pause_s * served)
            logs.append(logs[-1] + math.log(ratio))
        most = max(logs)
        weights = [math.exp(log - most) for log in logs]
        total = math.fsum(weights)
        return [weight / total for weight in weights]

    def _later(self, ahead: int, limit_s: float, rate: float) -> float:
        """Return the probability of more than ``limit_s`` if ``ahead`` slots must be freed first.

        The wait is Erlang with ``ahead`` stages of rate c / service, then comes the service.
        """
        served = math.exp(-rate * limit_s)
        if ahead == 0:
            return served
        freed = self.slots * rate
        if self.slots == 1:
            return 1 - _erlang(ahead + 1, rate * limit_s)
        waiting = 1 - _erlang(ahead, freed * limit_s)
        # The wait is over, and the service is not. The convolution of both densities is a series.
        log = -freed * limit_s + ahead * math.log(freed * limit_s) - math.lgamma(ahead + 1)
        term, stage, total = math.exp(log), ahead, 0.0
        while term > 1e-18:
            total += term
            stage += 1
            term *= (freed - rate) * limit_s / stage
        return waiting + total


def _erlang(stages: int, time: float) -> float:
    """Return the probability that ``stages`` stages of rate 1 end within ``time``."""
    term = math.exp(-time)
    below = term
    for stage in range(1, stages):
        term *= time / stage
        below += term
        if term < 1e-18 and stage > time:
            break
    return max(1 - below, 0.0)
