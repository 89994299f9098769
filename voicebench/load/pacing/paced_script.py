"""The script of a paced server: when it sends each token and piece of sound, and its faults."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from typing import Literal, NamedTuple

NS_A_SECOND = 1_000_000_000
RATE_HZ = 24_000
SECONDS_A_WORD = 0.3
LONGEST_REPLY_S = 3600.0

PacedKind = Literal["token", "sound", "end"]
"""A token of text, a piece of sound, or the end of a reply."""


@dataclass(frozen=True, slots=True)
class PacedScript:
    """The delays, the sizes and the faults of a paced server. Times in seconds.

    A chat reply has ``words`` tokens: the first after ``ttft_s``, the others ``token_s`` apart. The
    sound of a text begins after ``ttfb_s`` and comes in pieces of ``piece_s``, ``speed_x`` times
    as fast as it is played (1: one piece each 40 ms, 25 a second). It is ``audio_s`` long; 0: 0.3 s
    for each word. A reply of the voice socket has both: its sound begins ``ttfb_s`` after its first
    token.

    Faults. They delay the first token of a chat reply or of a reply of the voice socket, or refuse
    it: above ``knee`` replies at once (0: never) each further one adds ``knee_s``; above ``cliff``
    replies each is ``cliff_s`` later; each reply before adds ``leak_s``; above ``room`` replies,
    and for each ``refuse_every``-th request, the answer is ``refuse_status`` (429 or 503). Each
    ``stall_every``-th reply with sound stops in its middle for ``stall_s``.
    """

    ttft_s: float = 0.100
    token_s: float = 0.010
    words: int = 16
    ttfb_s: float = 0.050
    piece_s: float = 0.040
    speed_x: float = 1.0
    audio_s: float = 0.0
    knee: int = 0
    knee_s: float = 0.010
    cliff: int = 0
    cliff_s: float = 1.0
    leak_s: float = 0.0
    room: int = 0
    refuse_every: int = 0
    refuse_status: int = 503
    stall_every: int = 0
    stall_s: float = 0.5

    def __post_init__(self) -> None:
        """Raise `ValueError` for a value that is out of range."""
        for field in fields(self):
            value = getattr(self, field.name)
            if not 0 <= value <= LONGEST_REPLY_S:
                raise ValueError(f"{field.name} = {value} is out of range")
        if not 0.001 <= self.piece_s <= 1 or self.speed_x < 0.01 or self.words < 1:
            raise ValueError("piece_s, speed_x or words is out of range")
        if self.refuse_status not in (429, 503):
            raise ValueError(f"refuse_status = {self.refuse_status} is not 429 or 503")

    @property
    def piece_samples(self) -> int:
        """Samples of one piece of sound."""
        return round(self.piece_s * RATE_HZ)

    @property
    def piece_ns(self) -> int:
        """Time between two pieces."""
        return round(self.piece_samples * NS_A_SECOND / RATE_HZ / self.speed_x)

    def pieces(self, words: int) -> int:
        """Return how many pieces the sound of ``words`` words has; all are whole."""
        seconds = self.audio_s or words * SECONDS_A_WORD
        return max(math.ceil(min(seconds, LONGEST_REPLY_S) / self.piece_s - 1e-9), 1)

    def as_json(self) -> str:
        """Return the script as `script_from` reads it."""
        return json.dumps(asdict(self))

    def delay_ns(self, at_once: int, earlier: int) -> int:
        """Return what the faults add to the first token.

        ``at_once`` replies are under way, this one included, and ``earlier`` have ended.
        """
        delay_s = self.leak_s * earlier
        if self.knee:
            delay_s += self.knee_s * max(at_once - self.knee, 0)
        if self.cliff and at_once > self.cliff:
            delay_s += self.cliff_s
        return nanoseconds(delay_s)

    def refuses(self, at_once: int, number: int) -> bool:
        """Return whether the reply with this ``number`` (from 1) is refused."""
        no_room = bool(self.room) and at_once > self.room
        return no_room or (self.refuse_every > 0 and number % self.refuse_every == 0)


def script_from(text: str) -> PacedScript:
    """Return the script in ``text`` (of `PacedScript.as_json`)."""
    return PacedScript(**json.loads(text))


class PacedStep(NamedTuple):
    """One thing to send, in nanoseconds after the request; ``number`` counts within its kind."""

    at_ns: int
    kind: PacedKind
    number: int


def nanoseconds(seconds: float) -> int:
    """Return ``seconds`` in whole nanoseconds."""
    return round(seconds * NS_A_SECOND)


@lru_cache(maxsize=64)
def chat_steps(script: PacedScript) -> tuple[PacedStep, ...]:
    """Return the steps of a chat reply; its end comes with the last token."""
    steps = [
        PacedStep(nanoseconds(script.ttft_s + number * script.token_s), "token", number)
        for number in range(script.words)
    ]
    return (*steps, PacedStep(steps[-1].at_ns, "end", 0))


@lru_cache(maxsize=256)
def speech_steps(script: PacedScript, words: int, *, stalls: bool) -> tuple[PacedStep, ...]:
    """Return the steps of the sound of ``words`` words; its end comes with the last piece."""
    pieces, stall_ns = script.pieces(words), nanoseconds(script.stall_s) if stalls else 0
    begin_ns, each_ns = nanoseconds(script.ttfb_s), script.piece_ns
    steps = [
        PacedStep(
            begin_ns + number * each_ns + (stall_ns if number >= (pieces + 1) // 2 else 0),
            "sound",
            number,
        )
        for number in range(pieces)
    ]
    return (*steps, PacedStep(steps[-1].at_ns, "end", 0))


@lru_cache(maxsize=64)
def voice_steps(script: PacedScript, *, stalls: bool) -> tuple[PacedStep, ...]:
    """Return the steps of a reply of the voice socket, in order of time."""
    tokens = chat_steps(script)[:-1]
    first_ns = tokens[0].at_ns
    sound = [
        step._replace(at_ns=step.at_ns + first_ns)
        for step in speech_steps(script, script.words, stalls=stalls)[:-1]
    ]
    steps = sorted([*tokens, *sound], key=lambda step: step.at_ns)
    return (*steps, PacedStep(steps[-1].at_ns, "end", 0))
