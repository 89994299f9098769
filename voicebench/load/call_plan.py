"""The plan of a level: which callers call, how long they think and speak, when a turn is due.

A *call* is one caller's session. Its turns follow each other: the next turn is **due** when the
assistant was heard out, the caller has thought, and has spoken::

    next due = end of playback + think time + the caller's speech

A caller who interrupts does not think: the next turn is due when that speech has ended.

The end of playback depends on the assistant, so due times come out as the level goes on. Everything
else of a turn is fixed by (seed, caller, call, turn) before.

Four sources of calls (`Arrivals`):

* `Population`: a fixed number of callers. A caller who hangs up is replaced at once by a new call.
* `CallRate`: calls arrive as a Poisson process; each has several turns (a partly open system).
* `TurnRate`: single turns arrive as a Poisson process (open loop).
* `Trace`: the calls of a file.

**Random ages.** All callers of a population join in the middle of their call and of their pause, as
an observer would find them at a random moment (the equilibrium of a renewal process). So no herd of
first turns arrives at once. What was a pause of playback is not known beforehand; the time until a
level is steady is dropped for this.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from voicebench.load.distributions import CountDistribution, DurationDistribution
from voicebench.load.draws import ARRIVALS, Draws, draws_of
from voicebench.load.fault_plan import FaultPlan, PlannedFault
from voicebench.load.interruption import Interruption


@dataclass(frozen=True, slots=True)
class Population:
    """A fixed number of callers at once."""

    callers: int


@dataclass(frozen=True, slots=True)
class CallRate:
    """Calls that arrive as a Poisson process."""

    per_s: float


@dataclass(frozen=True, slots=True)
class TurnRate:
    """Single turns that arrive as a Poisson process."""

    per_s: float


@dataclass(frozen=True, slots=True)
class TracedTurn:
    """One turn of a trace: the pause before it, the caller's speech, and the prompt if given."""

    think_s: float
    speech_s: float
    prompt: str | None = None


@dataclass(frozen=True, slots=True)
class TracedCall:
    """One call of a trace, and when it begins after the start of the level."""

    at_s: float
    turns: tuple[TracedTurn, ...]


@dataclass(frozen=True, slots=True)
class Trace:
    """Calls as a file has them."""

    calls: tuple[TracedCall, ...]


Arrivals = Population | CallRate | TurnRate | Trace


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How a caller behaves."""

    think: DurationDistribution
    speech: DurationDistribution
    turns: CountDistribution
    """Turns of a call."""
    interruption: Interruption | None = None
    """None: every reply is heard out."""

    @property
    def pause_s(self) -> float:
        """The mean time from the end of playback to the next due moment."""
        return self.think.mean_s + self.speech.mean_s

    @property
    def cut_share(self) -> float:
        """The share of the turns that callers are to interrupt."""
        return 0.0 if self.interruption is None else self.interruption.share


@dataclass(frozen=True, slots=True)
class Call:
    """One call: who calls, how many turns it has, when it joins, and at which turn."""

    caller: int
    """A place of the population, or the number of the arrival."""
    call: int
    """0 for the first call of this caller, 1 for the one that replaces it."""
    turns: int
    begins_s: float
    """When it joins, on the clock of the level."""
    from_turn: int = 0
    """The number of its first turn in the level: above 0 if it was going on already."""
    running: bool = False
    """Whether the pause before that turn was going on as well."""


@dataclass(frozen=True, slots=True)
class DueTurn:
    """One turn that is due: the identity of its draws, and its moment on the level's clock."""

    call: Call
    number: int
    due_s: float
    speech_s: float
    """The caller's speech, which ends at the due moment."""
    prompt: int | str
    """The prompt's number in the set, or its text."""
    cut_after_s: float | None = None
    """From first audio to the moment at which the caller interrupts, if the reply is still being
    played then; None: never."""
    interrupts: bool = False
    """Whether with it the caller interrupts the turn before."""

    @property
    def is_last(self) -> bool:
        """Whether the caller hangs up after it."""
        return self.number + 1 >= self.call.turns


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """The plan of one level. Pure: equal plans give equal turns, whatever carries them out."""

    seed: int
    arrivals: Arrivals
    behaviour: Behaviour
    prompts: int = 1
    """Number of prompts that turns choose from."""
    ramp_s: float = 0.0
    """Time over which the callers join, or the rate grows from 0."""
    faults: FaultPlan | None = None
    """Faults of the network that are made on purpose."""
    _think: DurationDistribution = field(init=False, repr=False, compare=False)
    _speech: DurationDistribution = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Keep what every turn needs."""
        object.__setattr__(self, "_think", self.behaviour.think)
        object.__setattr__(self, "_speech", self.behaviour.speech)

    def calls(self) -> Iterator[Call]:
        """Yield the calls that begin by themselves, in order of time.

        Endless for a rate. The calls that replace others are not among them (`following`).
        """
        match self.arrivals:
            case Population(callers):
                for caller in range(callers):
                    yield self._running_call(caller, self.ramp_s * caller / callers)
            case CallRate(per_s) | TurnRate(per_s):
                yield from self._poisson(per_s)
            case Trace(calls):
                for number, traced in enumerate(calls):
                    yield Call(number, 0, len(traced.turns), traced.at_s)

    def following(self, turn: DueTurn, heard_s: float, *, cut: bool = False) -> DueTurn | None:
        """Return the turn that comes after ``turn``; None if nobody replaces its caller.

        ``heard_s`` is the end of its playback on the level's clock (of the turn, if it failed).
        With ``cut`` it is the moment at which the caller interrupted; the speech begins there.
        """
        call = turn.call
        if not turn.is_last:
            return self._due(call, turn.number + 1, heard_s, interrupts=cut)
        if not isinstance(self.arrivals, Population):
            return None
        drawn = draws_of(self.seed, call.caller, call.call + 1, 0)
        turns = self.behaviour.turns.draw(drawn.length)
        return self._due(Call(call.caller, call.call + 1, turns, heard_s), 0, heard_s, drawn)

    def first_turn(self, call: Call) -> DueTurn:
        """Return the first turn of ``call`` in this level."""
        if isinstance(self.arrivals, TurnRate):
            drawn = draws_of(self.seed, call.caller, call.call, 0)
            speech_s = self._speech.draw(drawn.speech)
            cut_after_s = self._cut_after(call, 0)
            return DueTurn(call, 0, call.begins_s, speech_s, self._prompt(drawn), cut_after_s)
        return self._due(call, call.from_turn, call.begins_s)

    def fault_of(self, turn: DueTurn) -> PlannedFault | None:
        """Return the fault that ``turn`` meets; None for most turns, or if none are made."""
        call = turn.call
        if self.faults is None:
            return None
        return self.faults.drawn(self.seed, call.caller, call.call, turn.number)

    def _due(
        self,
        call: Call,
        number: int,
        after_s: float,
        drawn: Draws | None = None,
        *,
        interrupts: bool = False,
    ) -> DueTurn:
        cut_after_s = self._cut_after(call, number)
        if isinstance(self.arrivals, Trace):
            traced = self.arrivals.calls[call.caller].turns[number]
            due_s = after_s + (0.0 if interrupts else traced.think_s) + traced.speech_s
            prompt = number if traced.prompt is None else traced.prompt
            return DueTurn(call, number, due_s, traced.speech_s, prompt, cut_after_s, interrupts)
        drawn = drawn or draws_of(self.seed, call.caller, call.call, number)
        if call.running and number == call.from_turn:
            pause_s, speech_s = self._rest_of_a_pause(call, number, drawn)
        else:
            speech_s = self._speech.draw(drawn.speech)
            pause_s = speech_s if interrupts else self._think.draw(drawn.think) + speech_s
        due_s, prompt = after_s + pause_s, self._prompt(drawn)
        return DueTurn(call, number, due_s, speech_s, prompt, cut_after_s, interrupts)

    def _cut_after(self, call: Call, number: int) -> float | None:
        interruption = self.behaviour.interruption
        if interruption is None:
            return None
        return interruption.drawn(self.seed, call.caller, call.call, number)

    def _prompt(self, drawn: Draws) -> int:
        return min(int(drawn.prompt * self.prompts), self.prompts - 1)

    def _running_call(self, caller: int, begins_s: float) -> Call:
        drawn = draws_of(self.seed, caller, 0, -1)
        turns, past = self.behaviour.turns.draw_running(drawn.length, drawn.age)
        return Call(caller, 0, turns, begins_s, past, running=True)

    def _rest_of_a_pause(self, call: Call, number: int, drawn: Draws) -> tuple[float, float]:
        """Return the rest of a pause that is met at a random moment, and its speech.

        The pause is think time plus speech. Which of the two makes it long is chosen in proportion
        to their means; the rest is a uniform share of the whole.
        """
        extra = draws_of(self.seed, call.caller, call.call, -2 - number)
        think_s, speech_s = self._think.draw(drawn.think), self._speech.draw(drawn.speech)
        pause_s = self.behaviour.pause_s
        if extra.think * pause_s < self._think.mean_s:
            think_s = self._think.draw_running(drawn.think, extra.speech)
        else:
            speech_s = self._speech.draw_running(drawn.speech, extra.speech)
        return extra.age * (think_s + speech_s), speech_s

    def _poisson(self, per_s: float) -> Iterator[Call]:
        """Yield arrivals: the same calls at every rate, closer together at a higher one."""
        unit, number = 0.0, 0
        while True:
            gap = -math.log1p(-draws_of(self.seed, ARRIVALS, 0, number).think)
            unit += gap
            drawn = draws_of(self.seed, number, 0, 0)
            single = isinstance(self.arrivals, TurnRate)
            turns = 1 if single else self.behaviour.turns.draw(drawn.length)
            yield Call(number, 0, turns, self._moment(unit / per_s))
            number += 1

    def _moment(self, steady_s: float) -> float:
        """Return the moment at which a rate that grows over the ramp has given as many calls.

        Without a ramp they were there after ``steady_s``. The rate grows linearly, so a ramp of r
        seconds gives what r / 2 seconds at the full rate give.
        """
        ramp_s = self.ramp_s
        if steady_s < ramp_s / 2:
            return math.sqrt(2 * ramp_s * steady_s)
        return steady_s + ramp_s / 2


def offered_turns_per_s(plan: LoadPlan, reply_s: float) -> float:
    """Return the mean number of turns a second that ``plan`` offers.

    ``reply_s`` is the mean time from a due moment to the end of its playback.
    """
    behaviour = plan.behaviour
    match plan.arrivals:
        case Population(callers):
            return callers / cycle_s(behaviour, reply_s)
        case CallRate(per_s):
            return per_s * behaviour.turns.mean
        case TurnRate(per_s):
            return per_s
        case Trace(calls):
            return _traced_rate(calls, reply_s)


def _traced_rate(calls: Sequence[TracedCall], reply_s: float) -> float:
    ends = [
        call.at_s + sum(turn.think_s + turn.speech_s + reply_s for turn in call.turns)
        for call in calls
    ]
    span = max(ends, default=0.0)
    return sum(len(call.turns) for call in calls) / span if span > 0 else 0.0


def cycle_s(behaviour: Behaviour, reply_s: float) -> float:
    """Return the mean time from one due moment of a caller to the next, at least 1 ms."""
    return max(behaviour.pause_s + reply_s, 0.001)
