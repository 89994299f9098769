"""A turn of a level while it is under way: its recorder, its delay, and the client's lag."""

from __future__ import annotations

from voicebench.events import (
    AudioChunk,
    Connected,
    Event,
    ReadEvent,
    Token,
    TurnFailed,
    TurnFinished,
    TurnInterrupted,
    TurnStarted,
)
from voicebench.load.call_plan import DueTurn
from voicebench.load.faults.proxy_process import FaultOfTurn
from voicebench.load.reading.heard_reply import Heard, heard_reply
from voicebench.load.running.cut_timer import PlannedCut
from voicebench.load.running.level_clock import LevelClock, recorder_ns
from voicebench.remote.connection import kernel_stamps
from voicebench.turn.load_place import LoadPlace
from voicebench.turn.playback import NS_PER_S, Arrival
from voicebench.turn.recorder import Recorder, Unsealed
from voicebench.turn.timeline import Stamped

STILL_OPEN = "it was still open when the level ended"


class LagWatch:
    """The client's lag of a turn: how long the bytes of an event lay there, up to first audio.

    An object of its own, so that a turn is not in a circle of references: nothing would free it
    and its audio while the garbage collector is off.
    """

    def __init__(self, cut: PlannedCut | None = None, fault: FaultOfTurn | None = None) -> None:
        self._cut = cut
        self._fault = fault
        self.lag_ns: int | None = None
        """The largest so far; None while there is no stamp of the kernel."""
        self._has_audio = False
        kernel_stamps.take()  # what this thread read before is not of this turn

    def note(self, at_ns: int, event: Event) -> None:
        """Take an event that was stamped just now, in the thread that read it."""
        if self._fault is not None and isinstance(event, Connected):
            self._fault.connected(event.port)
        if self._has_audio or not isinstance(event, ReadEvent):
            return
        received_ns = kernel_stamps.take()
        if received_ns is not None:
            self.lag_ns = max(self.lag_ns or 0, at_ns - received_ns, 0)
        self._has_audio = isinstance(event, AudioChunk)
        if self._has_audio and self._cut is not None:
            self._cut.first_audio(at_ns)


class TurnUnderWay:
    """One turn that has started, or is about to."""

    def __init__(
        self,
        due: DueTurn,
        prompt: str,
        level: int,
        clock: LevelClock,
        setup_ns: int | None,
        *,
        cut: PlannedCut | None = None,
        fault: FaultOfTurn | None = None,
    ) -> None:
        self.due = due
        self.cut = cut
        """The interruption that the plan has for it."""
        self._fault = fault
        self._prompt = prompt
        self._level = level
        self._clock = clock
        self._setup_ns = setup_ns
        self._lag = LagWatch(cut, fault)
        self._recorder = Recorder(watch=self._lag.note)
        self._cut_off: tuple[Stamped, ...] | None = None

    @property
    def has_ended(self) -> bool:
        """Whether its terminal event was emitted."""
        return self._recorder.ended

    def emit(self, event: Event) -> None:
        """Stamp an event."""
        self._recorder.emit(event)

    def cut_off(self) -> None:
        """End it as unfinished, in another thread; later events do not count."""
        events = self._recorder.unsealed().events
        if not events:
            due_ns = self._clock.start_ns + round(self.due.due_s * NS_PER_S)
            events = (Stamped(due_ns, TurnStarted(self._prompt)),)
        if isinstance(events[-1].event, TurnFinished | TurnFailed):
            self._cut_off = events
            return
        ended_ns = max(recorder_ns(), events[-1].at_ns)
        failed = TurnFailed(STILL_OPEN, "timeout", "turn")
        self._cut_off = (*events, Stamped(ended_ns, failed))

    def unsealed(self) -> Unsealed:
        """Return its stamped events."""
        found = self._recorder.unsealed()
        return found if self._cut_off is None else Unsealed(self._cut_off, found.started_at)

    def place(self) -> LoadPlace:
        """Return its place in the level, once it has ended."""
        events = self.unsealed().events
        call = self.due.call
        due_ns = round(self.due.due_s * NS_PER_S)
        last = events[-1].event
        return LoadPlace(
            self._level,
            call.caller,
            call.call,
            self.due.number,
            due_ns,
            max(events[0].at_ns - self._clock.start_ns - due_ns, 0),
            self._lag.lag_ns,
            self._setup_ns,
            unfinished=isinstance(last, TurnFailed) and last.reason == STILL_OPEN,
            cut_after_ns=None if self.cut is None else self.cut.after_ns,
            interrupts=self.due.interrupts,
            fault=None if self._fault is None else self._fault.made,
        )

    def reply(self) -> str:
        """Return the words of the reply so far."""
        events = self._recorder.unsealed().events
        return "".join(one.event.text for one in events if isinstance(one.event, Token))

    def heard(self) -> Heard:
        """Return how long its caller listened; to the turn's end, if it failed."""
        events = self._recorder.unsealed().events
        ended = events[-1]
        sound = [
            (stamped.at_ns, stamped.event)
            for stamped in events
            if isinstance(stamped.event, AudioChunk)
        ]
        if not sound or isinstance(ended.event, TurnFailed):
            return Heard(ended.at_ns)
        arrivals = [Arrival(at_ns, int(chunk.pcm.size)) for at_ns, chunk in sound]
        cuts = [one.at_ns for one in events if isinstance(one.event, TurnInterrupted)]
        after_ns = None if self.cut is None else self.cut.after_ns
        rate = sound[0][1].sample_rate
        return heard_reply(arrivals, rate, ended.at_ns, cuts[0] if cuts else None, after_ns)
