"""The benchmarks lie beside the package, not in it: the repository's root has to be on the path."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
