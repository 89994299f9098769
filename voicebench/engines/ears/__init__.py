"""Ears: is there speech, has the speaker finished, and which words were said.

Everything here takes speech at `SAMPLE_RATE`, mono. Frames are int16, as a call delivers them. The
models are the catalogue's; the extra ``ears`` installs the packages that run them.
"""

from __future__ import annotations

SAMPLE_RATE = 16_000
"""In Hz; the rate that all three models expect."""
