"""A real server for tests: in a thread of this process, with engines or a script behind it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from scripted_engines import Scripted

from voicebench.agents import Agent
from voicebench.server.app import ServeOptions
from voicebench.server.connections import Limits
from voicebench.server.request_gate import LOOPBACK_NAMES
from voicebench.server.running import serving
from voicebench.server.served import Served, ServedCascade, ServedScript
from voicebench.targets.cascade import Cascade

QUICK = "sim:ttft=4ms,token=1ms,ttfb=3ms,speed=1000x,words=6"
REPLY = "The weather will stay clear and"


@contextmanager
def server(
    served: Served | str = QUICK,
    *,
    token: str | None = None,
    most_running: int = 4,
    most_waiting: int = 8,
    limits: Limits | None = None,
    agent: Agent | None = None,
) -> Iterator[str]:
    """Serve a script (``sim:…``) or engines, and give the URL."""
    if isinstance(served, str):
        served = ServedScript(served)
    options = ServeOptions(token, LOOPBACK_NAMES, most_running, most_waiting)
    with serving(served, options, limits, agent) as url:
        yield url


def engines(llm: object, tts: object) -> ServedCascade:
    """Return engines (anything that replies, anything that speaks) as they are served."""
    return ServedCascade(Cascade(llm, tts, first_words=3, later_words=8))  # type: ignore[arg-type]


def prepared(*answers: object, name: str = "scripted") -> Scripted:
    """Return an engine of prepared answers."""
    return Scripted(*answers, name=name)  # type: ignore[arg-type]
