"""How fast the command line answers: the median of ten runs of each help page.

Run it with ``make bench``. The limits are promises. A wide spread shows that the machine was busy.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

RUNS = 10
BOUNDS_S = {("--help",): 0.3, ("run", "--help"): 0.4}


def seconds_of(arguments: tuple[str, ...]) -> list[float]:
    """Return the wall time of each of ten fresh processes."""
    command = [sys.executable, "-m", "voicebench", *arguments]
    seconds = []
    for _ in range(RUNS):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - start)
    return seconds


def main() -> int:
    """Print one row for each command; fail if a median is above its limit."""
    failed = False
    print(f"{'command':28}{'median':>9}{'min':>9}{'max':>9}{'bound':>9}")
    for arguments, bound in BOUNDS_S.items():
        seconds = seconds_of(arguments)
        median = statistics.median(seconds)
        failed |= median > bound
        name = " ".join(("voicebench", *arguments))
        figures = (median, min(seconds), max(seconds), bound)
        print(f"{name:28}" + "".join(f"{figure:8.3f}s" for figure in figures))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
