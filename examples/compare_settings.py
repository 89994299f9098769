"""Measure two settings, and compare their figures with intervals."""

from __future__ import annotations

import sys

import voicebench

TARGET = "sim:ttft=20ms,token=2ms,ttfb=10ms,speed=50x"

for words in (3, 8):
    run = voicebench.measure(
        TARGET, {"run.name": f"first-{words}", "chunker.first_words": words}, runs=20
    )
    median, interval = run.figure("first_audio.p50")
    assert median is not None
    assert interval is not None
    print(f"{words} words first: {median:.1f} ms ({interval.low:.1f} to {interval.high:.1f})")
    if run.failed:
        sys.exit(f"{run.failed} of {run.turns} turns failed; see {run.path}")
