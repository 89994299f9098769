"""Turns that the reader takes, one after the other, and the same bytes for the usual clients."""

from __future__ import annotations

import time
from typing import Any

from voicebench.audio.pcm import AudibleRule
from voicebench.load.reading.cascade_turn import CascadeTurn
from voicebench.load.reading.cascade_way import CascadeLines
from voicebench.load.reading.http_line import HttpLine
from voicebench.load.reading.read_turn import CascadeClients
from voicebench.load.reading.reading_loop import ReadingLoop
from voicebench.load.reading.reading_way import open_cascade_way, where_is
from voicebench.settings import load_settings

PROMPT = "When does the train leave?"
LONGEST_S = 20.0


def read_cascades(
    values: dict[str, Any], turns: int, kept_bytes: int | None = None
) -> tuple[list[CascadeTurn], CascadeClients]:
    """Take turns of a cascade with the reader."""
    settings = load_settings(None, values).settings
    way = open_cascade_way(settings, AudibleRule())
    loop = ReadingLoop()
    llm, tts = way.clients.llm, way.clients.tts
    lines = CascadeLines(
        HttpLine(loop, where_is(settings.llm.url or "", llm), llm),
        HttpLine(loop, where_is(settings.tts.url or "", tts), tts),
    )
    taken: list[CascadeTurn] = []
    lines.open()
    try:
        for _ in range(turns):
            loop.at(time.perf_counter_ns() + 20_000_000, loop.end)
            loop.run()
            begun = CascadeTurn(way, lines, PROMPT, kept_bytes, lambda _turn: loop.end())
            limit = loop.at(time.perf_counter_ns() + round(LONGEST_S * 1e9), loop.end)
            loop.run()
            limit.cancel()
            assert begun.has_ended
            taken.append(begun)
    finally:
        loop.close()
    return taken, way.clients
