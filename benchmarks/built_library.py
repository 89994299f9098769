"""How much longer the built C library takes than one that is compiled for this processor.

Run it with ``make bench``; it needs a C compiler. The limit is a promise. Both libraries compute in
turn, on the same random weights.
"""

from __future__ import annotations

import sys

from voicebench.checks.compiled import compare_libraries
from voicebench.engines.native.compiling import NoLibrary
from voicebench.engines.native.library import native_library

ROUNDS = 200
MOST_TIMES = 1.05


def main() -> int:
    """Print one row for each piece of work; fail if the built library is too slow at one."""
    try:
        times = compare_libraries(ROUNDS)
    except NoLibrary as error:
        print(f"not measured: {error}; {error.remedy}")
        return 0
    print(f"{native_library().origin:34}{'built':>10}{'compiled':>10}{'ratio':>8}{'bound':>8}")
    for stage in times:
        figures = f"{stage.built_ms:8.3f}ms{stage.compiled_ms:8.3f}ms{stage.ratio:8.3f}"
        print(f"{stage.stage:34}{figures}{MOST_TIMES:8.2f}")
    return int(any(stage.ratio > MOST_TIMES for stage in times))


if __name__ == "__main__":
    sys.exit(main())
