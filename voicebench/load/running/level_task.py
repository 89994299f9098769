"""Messages between the processes of a level: the task, finished turns, and requests.

The parent gives each client process a `LevelTask` and a moment to start. A client process gives its
finished turns (`TakenTurn`) to its sealing process, which gives them sealed (`SealedTurn`) to the
parent. All messages go through pipes between processes of one user.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from voicebench.audio.pcm import AudibleRule
from voicebench.events import AudioChunk
from voicebench.load.call_plan import DueTurn, LoadPlan
from voicebench.load.loaded_turn import LoadedTurn
from voicebench.load.shares import Share
from voicebench.secrecy import NO_SECRETS, Secrets
from voicebench.settings import Settings
from voicebench.turn.load_place import LoadPlace
from voicebench.turn.recorder import Unsealed
from voicebench.turn.timeline import Stamped, Timeline

if TYPE_CHECKING:
    from voicebench.calls.running.placing import CallPlan
    from voicebench.load.reading.read_socket import ReadSocket
    from voicebench.load.reading.read_turn import ReadCascade
    from voicebench.load.running.packed_call import PackedCall


@dataclass(frozen=True)
class LevelTask:
    """One level for client processes: its plan, the target, and how its turns are sealed."""

    plan: LoadPlan
    level: int
    settings: Settings
    prompts: tuple[str, ...]
    """The texts that the plan's numbers stand for."""
    metrics: tuple[str, ...]
    """The metrics that the judgement of the level needs."""
    rule: AudibleRule
    secrets: Secrets = NO_SECRETS
    """Hidden in every turn."""
    reads: bool = False
    """Whether one reading loop carries out the calls (`call_reader`), not a thread a call."""
    spoken: CallPlan | None = None
    """The lines of callers with a voice; None for turns of text."""
    fault_port: int | None = None
    """Where the fault proxy takes requests, if there is one; the settings lead through it."""

    def prompt_of(self, due: DueTurn) -> str:
        """Return the text of a turn's prompt."""
        if isinstance(due.prompt, str):
            return due.prompt
        return self.prompts[due.prompt % len(self.prompts)]


@dataclass(frozen=True)
class ProcessTask:
    """The part of a level that one client process carries out."""

    level: LevelTask
    share: Share
    core: int | None = None
    """The core that it stays on; None: any core."""
    sealing_core: int | None = None
    """The same for its sealing process."""


@dataclass(frozen=True, slots=True)
class PackedTurn:
    """The stamped events of a turn with all its samples in one array.

    A turn has a hundred pieces of sound. As one array they are sent to another process in a
    quarter of the time, in which no other thread of a client process can read.
    """

    started_at: str
    others: tuple[Stamped, ...]
    """The events without sound."""
    places: tuple[int, ...]
    """For each piece of sound, its place among all events."""
    stamps_ns: tuple[int, ...]
    sizes: tuple[int, ...]
    sample_rates: tuple[int, ...]
    pcm: NDArray[np.float32]
    """Shape ``(samples,)``."""

    @classmethod
    def of(cls, turn: Unsealed) -> PackedTurn:
        """Pack a turn."""
        others, places, stamps, pieces, rates = [], [], [], [], []
        for place, stamped in enumerate(turn.events):
            if isinstance(stamped.event, AudioChunk) and stamped.event.pcm.ndim == 1:
                places.append(place)
                stamps.append(stamped.at_ns)
                pieces.append(stamped.event.pcm)
                rates.append(stamped.event.sample_rate)
            else:
                others.append(stamped)
        pcm = np.concatenate(pieces) if pieces else np.zeros(0, dtype=np.float32)
        sizes = tuple(int(piece.size) for piece in pieces)
        return cls(
            turn.started_at,
            tuple(others),
            tuple(places),
            tuple(stamps),
            sizes,
            tuple(rates),
            pcm,
        )

    def unpacked(self) -> Unsealed:
        """Return the turn as it was."""
        events: list[Stamped | None] = [None] * (len(self.others) + len(self.places))
        begin = 0
        for place, at_ns, size, rate in zip(
            self.places, self.stamps_ns, self.sizes, self.sample_rates, strict=True
        ):
            events[place] = Stamped(at_ns, AudioChunk(self.pcm[begin : begin + size], rate))
            begin += size
        others = iter(self.others)
        return Unsealed(tuple(one or next(others) for one in events), self.started_at)


@dataclass(frozen=True, slots=True)
class TakenTurn:
    """A turn that has ended, or was still open when the level ended; not sealed yet."""

    number: int
    """The number in its process, from 1."""
    place: LoadPlace
    turn: PackedTurn | ReadCascade | ReadSocket


@dataclass(frozen=True, slots=True)
class TakenCall:
    """A spoken call that has ended, or was going on when the level ended; not sealed yet."""

    first: int
    """The number of its first turn in its process, from 1; the others follow."""
    turns: int
    caller: int
    call: int
    begun_ns: int
    """The begin of its first frame on the level's clock."""
    recorded: PackedCall
    is_cut: bool
    """Whether it was going on when the level ended."""


@dataclass(frozen=True, slots=True)
class SealedTurn:
    """A turn as it is kept and as it is judged. The timeline has no number yet."""

    number: int
    """The number of its `TakenTurn`."""
    timeline: Timeline
    turn: LoadedTurn


@dataclass(frozen=True, slots=True)
class Ready:
    """The connections of the callers who are there from the start are open."""


@dataclass(frozen=True, slots=True)
class Begin:
    """Start the level at this moment of the recorder's clock."""

    start_ns: int


@dataclass(frozen=True, slots=True)
class TellOpen:
    """Name the turns that have started and that the parent does not have.

    ``received`` is the number of turns that it has from this process.
    """

    received: int


@dataclass(frozen=True, slots=True)
class OpenTurns:
    """The due moments of those turns, in seconds on the level's clock."""

    due_s: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class End:
    """End the level. ``keep_open``: hand over the open turns as unfinished, else drop them."""

    keep_open: bool


@dataclass(frozen=True, slots=True)
class Ended:
    """Every turn was handed to the sealing process."""

    most_in_flight: int
    """The largest number of turns that were under way at once."""


@dataclass(frozen=True, slots=True)
class Broke:
    """The process cannot go on, and why."""

    why: str
    error: Exception | None = None
    """An error for the user, if it is one."""
