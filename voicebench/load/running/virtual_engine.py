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
from dataclasses import replace
from typing import NamedTuple

from voicebench.audio.pcm import AudibleRule
from voicebench.load.call_plan import Call, DueTurn, LoadPlan
from voicebench.load.draws import draws_of
from voicebench.load.level_rule import ClientState
from voicebench.load.loaded_turn import LoadedTurn, Outcome
from voicebench.load.running.scripted_reply import ScriptedInterruptions, ScriptedReply
from voicebench.targets.script import Script
from voicebench.targets.simulated import plan_turn, scripted_turn
from voicebench.text.chunking import Chunker
from voicebench.turn.load_place import LoadPlace
from voicebench.turn.playback import NS_PER_S
from voicebench.turn.timeline import Failure, Timeline

Keep = Callable[[Timeline], None]
"""Keep a finished turn."""

_CALL, _DUE, _SERVED, _ENDED, _HEARD = range(5)


class _Answer(NamedTuple):
    """A reply that is on its way, and how long after the due moment it began."""

    turn: DueTurn
    reply: ScriptedReply
    delay_s: float


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
        rule = rule or AudibleRule()
        plans = [plan_turn(script, "", new_chunker(), fails=fails) for fails in (False, True)]
        answered, failed = (scripted_turn(plan, rule) for plan in plans)
        names = tuple(metrics)
        self.answered = ScriptedReply(answered, names)
        self.failed = ScriptedReply(failed, names)
        self._interrupted = ScriptedInterruptions(plans[0], script, rule, self.answered)
        self._interrupting = replace(self.answered, interrupts=True)

    def reply(self, turn: DueTurn, *, fails: bool) -> ScriptedReply:
        """Return the reply that ``turn`` gets."""
        if fails:
            return self.failed
        if turn.cut_after_s is not None:
            return replace(self._interrupted.after(turn.cut_after_s), interrupts=turn.interrupts)
        return self._interrupting if turn.interrupts else self.answered

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

    def now_s(self) -> float:
        """Return the moment on the level's clock."""
        return self._now_s

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

    def abandon(self) -> Sequence[LoadedTurn]:
        """Return the turns that ended."""
        done, self._done = self._done, []
        return done

    def close(self) -> None:
        """Nothing to release."""

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
                assert isinstance(event, _Answer)
                following = self._plan.following(
                    event.turn, at_s, cut=event.reply.turn.cut is not None
                )
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
        reply = self._engine.reply(turn, fails=fails)
        script = self._engine.script
        begins_s = at_s + turn.number * script.history_s + self._served * script.leak_s
        answer = _Answer(turn, reply, begins_s - turn.due_s)
        self._later(begins_s + reply.length_s, _ENDED, answer)
        self._later(begins_s + reply.heard_s, _HEARD, answer)

    def _end(self, answer: _Answer) -> None:
        turn, reply, delay_s = answer
        self._open.pop(id(turn), None)
        delay_ns = round(delay_s * NS_PER_S)
        took_ns = reply.turn.end_ns + delay_ns
        self._done.append(_loaded(turn, took_ns, reply.outcome, reply.values(delay_ns)))
        if self._engine.keep is not None:
            self._engine.keep(self._timeline(turn, reply.after(delay_ns)))

    def _timeline(self, turn: DueTurn, timeline: Timeline, *, unfinished: bool = False) -> Timeline:
        engine = self._engine
        engine.kept += 1
        prompt = turn.prompt
        if isinstance(prompt, int):
            prompt = engine.prompts[prompt % len(engine.prompts)] if engine.prompts else ""
        call = turn.call
        cut_s = turn.cut_after_s
        place = LoadPlace(
            *(self._level, call.caller, call.call, turn.number, _ns(turn.due_s), 0),
            unfinished=unfinished,
            cut_after_ns=None if cut_s is None else _ns(cut_s),
            interrupts=turn.interrupts,
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
        to_be_cut=turn.cut_after_s is not None,
        interrupts=turn.interrupts,
    )


def _ns(seconds: float) -> int:
    return round(seconds * NS_PER_S)
