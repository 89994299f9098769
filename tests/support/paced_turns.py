"""Turns of the usual targets with a paced server."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from voicebench.audio.pcm import AudibleRule
from voicebench.settings import load_settings
from voicebench.targets.kinds import open_target
from voicebench.turn.recorder import Recorder
from voicebench.turn.timeline import Timeline


def cascade_settings(host: str) -> dict[str, Any]:
    """Return settings of a cascade of both HTTP routes."""
    return {
        "llm.url": f"http://{host}/v1",
        "llm.model": "paced",
        "tts.url": f"http://{host}/v1",
        "tts.model": "paced",
        "tts.voice": "any",
        "tts.format": "pcm",
    }


def voice_settings(host: str) -> dict[str, Any]:
    """Return settings of the voice socket."""
    return {"run.target": "voice", "server.url": f"ws://{host}/v1/voice"}


def realtime_settings(host: str) -> dict[str, Any]:
    """Return settings of the Realtime protocol."""
    return {"run.target": "realtime", "server.url": f"ws://{host}/v1/realtime?model=paced"}


def take_turns(settings: dict[str, Any], turns: int) -> list[Timeline]:
    """Take turns with a target, one after the other."""
    taken = []
    target: Any = open_target(load_settings(None, settings).settings, lambda _line: None)
    with closing(target):
        for number in range(turns):
            target.prepare()
            recorder = Recorder()
            target.run("When does the train leave?", recorder.emit)
            taken.append(recorder.seal(number + 1, "measured", AudibleRule()).timeline)
    return taken
