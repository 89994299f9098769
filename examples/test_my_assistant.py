"""Gates as assertions: run it with ``pytest examples/test_my_assistant.py``."""

from __future__ import annotations

from voicebench.interface.pytest_plugin import VoiceGates

TARGET = "sim:ttft=20ms,token=2ms,ttfb=10ms,speed=50x,words=6"
"""Put the URL of a server here, or pass a function of yours."""


def test_it_speaks_soon(voice_gates: VoiceGates) -> None:
    run = voice_gates(TARGET, ["first_audio.p50 < 300ms", "errors.rate <= 0"], runs=20)
    assert run.failed == 0
