"""Engine for simulated targets: a whole level on a virtual clock, event by event.

The server has ``slots`` (0: any number) and serves first come first served. A turn waits for a
slot, holds it for its service time, and then its reply comes with the delays of the script. Nothing
sleeps: the clock jumps from event to event, so that a level of ten minutes takes milliseconds, and
no turn is late.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

from voicebench.audio.pcm import AudibleRule
from voicebench.figures.metrics import BY_NAME, NS_PER_MS
from voicebench.load.call_plan import Call, DueTurn, LoadPlan
from voicebench.load.draws import draws_of
from voicebench.load.level_rule import ClientState
from voicebench.load.loaded_turn import LoadedTurn, Outcome
from voicebench.targets.script import Script
from voicebench.targets.simulated import plan_turn, scripted_turn
from voicebench.text.chunking import Chunker
from voicebench.turn.load_place import LoadPlace
from voicebench.turn.playback import NS_PER_S, listen
from voicebench.turn.timeline import Failure, TimedText, Timeline

Keep = Callable[[Timeline], None]
"""Keep a finished turn."""

_CALL, _DUE, _SERVED, _ENDED, _HEARD = range(5)


class _Answer(NamedTuple):
    """A reply that is on its way, and how long after the due moment it began."""

    turn: DueTurn
    reply: ScriptedReply
    delay_s: float


@dataclass(frozen=True)
class ScriptedReply:
    """The reply of a script as a sealed turn, whose stamps can be moved."""

    turn: Timeline
    metrics: tuple[str, ...]

    @cached_property
    def _lines(self) -> list[tuple[str, float | None, bool]]:
        """Each metric at no delay, and whether it grows by the delay."""
        moved = self.after(NS_PER_S)
        lines: list[tuple[str, float | None, bool]] = []
        for name in self.metrics:
            at_once, later = BY_NAME[name].of(_placed(self.turn)), BY_NAME[name].of(_placed(moved))
            grows = at_once is not None and later is not None and later - at_once > 1.0
            lines.append((name, at_once, grows))
        return lines

    def values(self, delay_ns: int) -> dict[str, float | None]:
        """Return the metrics of a turn whose reply begins ``delay_ns`` after its start.

        They are computed in nanoseconds as from the stamps of `after`: the same floats.
        """
        return {
            name: (_in_ns(at_once) + delay_ns) / NS_PER_MS
            if grows and at_once is not None
            else at_once
            for name, at_once, grows in self._lines
        }

    @cached_property
    def length_s(self) -> float:
        """From the beginning of the reply to its end."""
        return self.turn.end_ns / NS_PER_S

    @cached_property
    def heard_s(self) -> float:
        """From the beginning of the reply to the end of playback; of the turn, if it failed."""
        if self.turn.failed or self.turn.sound is None:
            return self.length_s
        return listen(self.turn.audio, self.turn.sound.sample_rate).end_ns / NS_PER_S

    def after(self, delay_ns: int) -> Timeline:
        """Return the turn with everything after its start moved by ``delay_ns``."""
        turn = self.turn
        return replace(
            turn,
            end_ns=turn.end_ns + delay_ns,
            tokens=tuple(TimedText(at + delay_ns, text) for at, text in turn.tokens),
            chunks=tuple(TimedText(at + delay_ns, text) for at, text in turn.chunks),
            audio=tuple(one._replace(at_ns=one.at_ns + delay_ns) for one in turn.audio),
        )


def _placed(turn: Timeline) -> Timeline:
    return replace(turn, load=LoadPlace(1, 0, 0, 0, 0, 0))


class VirtualEngine:
    """Carries out plans for a `Script`. ``keep`` gets the timeline of each finished turn."""

    def __init__(
        self,
        script: Script,
        metrics: Sequence[str],
        *,
        rule: AudibleRule | None = None,
        new_chunker: Callable[[], Chunker] = Chunker,
        keep: Keep | None = None,
        prompts: Sequence[str] = (),
    ) -> None:
        self.script = script
        self.keep = keep
        self.prompts = prompts
        self.kept = 0
        answered, failed = (
            scripted_turn(plan_turn(script, "", new_chunker(), fails=fails), rule or AudibleRule())
            for fails in (False, True)
        )
        names = tuple(metrics)
        self.answered = ScriptedReply(answered, names)
        self.failed = ScriptedReply(failed, names)

    def start(self, plan: LoadPlan, level: int) -> VirtualLevel:
        """Start a level."""
        return VirtualLevel(self, plan, level)


class VirtualLevel:
    """One level on the virtual clock."""

    def __init__(self, engine: VirtualEngine, plan: LoadPlan, level: int) -> None:
        self._engine = engine
        self._plan = plan
        self._level = level
        self._service = engine.script.service_time
        self._free = engine.script.slots or None
        self._waiting: deque[DueTurn] = deque()
        self._open: dict[int, float] = {}
        self._events: list[tuple[float, int, int, object]] = []
        self._number = 0
        self._served = 0
        self._done: list[LoadedTurn] = []
        self._now_s = 0.0
        self._calls: Iterator[Call] = plan.calls()
        self._next_call()

    def advance(self, until_s: float) -> Sequence[LoadedTurn]:
        """Let the level go on until ``until_s``; return the turns that ended."""
        while self._events and self._events[0][0] <= until_s:
            self._step()
        self._now_s = until_s
        done, self._done = self._done, []
        return done

    def open_due_s(self) -> Sequence[float]:
        """Return the due moments of the turns that wait or are answered."""
        return list(self._open.values())

    def drain(self, due_before_s: float, at_most_s: float) -> Sequence[LoadedTurn]:
        """Go on until the turns that were due before have ended; the others stay unfinished."""
        limit_s = self._now_s + at_most_s
        while (
            self._events
            and self._events[0][0] <= limit_s
            and any(due_s < due_before_s for due_s in self._open.values())
        ):
            self._step()
        for waiting in [*self._waiting]:
            self._unfinished(waiting)
        for _, _, kind, event in sorted(self._events, key=lambda event: event[:2]):
            if kind in (_SERVED, _ENDED):
                turn = event.turn if isinstance(event, _Answer) else event
                assert isinstance(turn, DueTurn)
                self._unfinished(turn)
        self._events.clear()
        self._waiting.clear()
        self._open.clear()
        done, self._done = self._done, []
        return done

    def client_state(self) -> ClientState:
        """Return nothing: there is no client beside the clock."""
        return ClientState()

    def _step(self) -> None:
        at_s, _, kind, event = heapq.heappop(self._events)
        self._now_s = max(self._now_s, at_s)
        match kind, event:
            case _ if kind == _CALL:
                assert isinstance(event, Call)
                turn = self._plan.first_turn(event)
                self._later(turn.due_s, _DUE, turn)
                self._next_call()
            case _ if kind == _DUE:
                assert isinstance(event, DueTurn)
                self._open[id(event)] = event.due_s
                self._waiting.append(event)
                self._serve(at_s)
            case _ if kind == _SERVED:
                assert isinstance(event, DueTurn)
                if self._free is not None:
                    self._free += 1
                self._answer(event, at_s)
                self._serve(at_s)
            case _ if kind == _ENDED:
                assert isinstance(event, _Answer)
                self._end(event)
            case _:
                assert isinstance(event, DueTurn)
                following = self._plan.following(event, at_s)
                if following is not None:
                    self._later(following.due_s, _DUE, following)

    def _later(self, at_s: float, kind: int, event: object) -> None:
        self._number += 1
        heapq.heappush(self._events, (at_s, self._number, kind, event))

    def _next_call(self) -> None:
        call = next(self._calls, None)
        if call is not None:
            self._later(call.begins_s, _CALL, call)

    def _serve(self, at_s: float) -> None:
        """Give free slots to the turns that wait."""
        while self._waiting and self._free != 0:
            turn = self._waiting.popleft()
            if self._free is not None:
                self._free -= 1
            call = turn.call
            drawn = draws_of(self._plan.seed, call.caller, call.call, turn.number)
            self._later(at_s + self._service.draw(drawn.service), _SERVED, turn)

    def _answer(self, turn: DueTurn, at_s: float) -> None:
        self._served += 1
        every = self._engine.script.fail
        fails = every > 0 and self._served % every == 0
        reply = self._engine.failed if fails else self._engine.answered
        begins_s = at_s + turn.number * self._engine.script.history_s
        answer = _Answer(turn, reply, begins_s - turn.due_s)
        self._later(begins_s + reply.length_s, _ENDED, answer)
        self._later(begins_s + reply.heard_s, _HEARD, turn)

    def _end(self, answer: _Answer) -> None:
        turn, reply, delay_s = answer
        self._open.pop(id(turn), None)
        outcome: Outcome = "failed" if reply.turn.failed else "answered"
        delay_ns = round(delay_s * NS_PER_S)
        took_ns = reply.turn.end_ns + delay_ns
        self._done.append(_loaded(turn, took_ns, outcome, reply.values(delay_ns)))
        if self._engine.keep is not None:
            self._engine.keep(self._timeline(turn, reply.after(delay_ns)))

    def _timeline(self, turn: DueTurn, timeline: Timeline, *, unfinished: bool = False) -> Timeline:
        engine = self._engine
        engine.kept += 1
        prompt = turn.prompt
        if isinstance(prompt, int):
            prompt = engine.prompts[prompt % len(engine.prompts)] if engine.prompts else ""
        call = turn.call
        place = LoadPlace(
            *(self._level, call.caller, call.call, turn.number, _ns(turn.due_s), 0),
            unfinished=unfinished,
        )
        return replace(timeline, turn=engine.kept, prompt=prompt, load=place)

    def _unfinished(self, turn: DueTurn) -> None:
        took_ns = max(_ns(self._now_s) - _ns(turn.due_s), 0)
        self._done.append(_loaded(turn, took_ns, "unfinished", {"late_ms": 0.0}))
        if self._engine.keep is not None:
            answered = self._engine.answered.turn
            still_open = Timeline(
                turn=0,
                phase=answered.phase,
                prompt="",
                started_at=answered.started_at,
                end_ns=took_ns,
                failure=Failure(STILL_OPEN, "timeout", "turn"),
            )
            self._engine.keep(self._timeline(turn, still_open, unfinished=True))


STILL_OPEN = "still open at the end of the level"


def _loaded(
    turn: DueTurn, took_ns: int, outcome: Outcome, values: dict[str, float | None]
) -> LoadedTurn:
    """Return a turn with the moments that are written to its line, which are whole nanoseconds."""
    call, due_ns = turn.call, _ns(turn.due_s)
    return LoadedTurn(
        *(call.caller, call.call, turn.number, due_ns / NS_PER_S),
        *((due_ns + took_ns) / NS_PER_S, outcome, values),
    )


def _in_ns(milliseconds: float) -> float:
    """Return nanoseconds, whole if they were whole before they became milliseconds."""
    found = milliseconds * NS_PER_MS
    return round(found) if abs(found - round(found)) < 1e-3 else found


def _ns(seconds: float) -> int:
    return round(seconds * NS_PER_S)
