"""The instrument's own error in calls: recorded response and stop times minus scripted ones.

A process serves a scripted agent on loopback. The usual caller speaks to it: lines with a hard end,
so that both sides agree on their last voiced frame, and interruptions. The error includes the
caller, the wire and the listener. The agent's own lateness is taken away: by its own record of when
it sent (`voicebench.checks.agent_acts`), on the one clock of the machine.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

from voicebench.agents import Agent
from voicebench.agents.agent_kinds import SimulatedAgent, agent_kind
from voicebench.audio.synthetic_voice import synthetic_voice
from voicebench.calls.call_script import CallScript, CallStep
from voicebench.calls.conversation import Manners
from voicebench.calls.line_sound import line_sound
from voicebench.calls.running.placing import CallPlan, place_call, place_call_in_thread
from voicebench.calls.sealing import seal_call
from voicebench.checks.agent_acts import ActKind, AgentAct
from voicebench.checks.agent_wires import AGENT_WIRES
from voicebench.checks.scripted_agent_server import LIVEKIT, WEBRTC, scripted_agent_server
from voicebench.checks.selftest import InstrumentError, summarize_errors
from voicebench.errors import CannotMeasure
from voicebench.figures.metrics import BY_NAME
from voicebench.machine.extras import is_installed
from voicebench.settings import load_settings
from voicebench.turn.timeline import Timeline

AGENT = "sim:wait=200ms,reply=30ms,voice=40ms,stop=150ms,ignore=100ms,speech=900ms,speed=4x"
MANNERS = Manners(silence_ms=350, patience_ms=3000, opening_ms=200)
LINE_S = 0.4
MOST_ERRORS = 40
"""A call of so many takes half a minute."""
FIGURES: Mapping[str, ActKind] = {"response_ms": "answer", "stop_ms": "clear"}
"""What is compared, and the act of the agent that ends it."""


@dataclass(frozen=True, slots=True)
class CallTransport:
    """One way to an agent: its protocol (``call.api``), further settings, and what is compared."""

    name: str
    api: str
    settings: Mapping[str, object] = field(default_factory=dict)
    figures: tuple[str, ...] = tuple(FIGURES)
    agent: str = AGENT
    rate: int | None = None
    """Of the agent's sound in Hz; None: that of the protocol's wire."""
    later_ms: Mapping[str, float] = field(default_factory=dict)
    """What the transport adds to a figure by its own rules, and is no error."""
    needs: str | None = None
    """A module of an extra."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables that the caller reads."""

    def rounds_for(self, errors: int) -> int:
        """Return how many lines, with an interruption each, bring so many errors."""
        answers = 2 if "response_ms" in self.figures else 0
        stops = 1 if "stop_ms" in self.figures else 0
        return math.ceil(errors / (answers + stops))


CALL_TRANSPORTS = (
    CallTransport("call, PCM socket", "pcm", {"call.speak_rate": 16_000}),
    CallTransport("call, Realtime", "realtime"),
    CallTransport("call, telephony", "telephony"),
    # Its agents send in real time.
    CallTransport("call, Pipecat", "pipecat", agent=AGENT.replace("speed=4x", "speed=1x")),
    # Its agent stops with a whole packet, which the codec blurs. It hears through a jitter buffer
    # of 80 ms, in one frame more than was voiced, and the codec delays its answer by 6.5 ms.
    CallTransport(
        "call, WebRTC",
        WEBRTC,
        figures=("response_ms",),
        rate=48_000,
        later_ms={"response_ms": 106.5},
        needs="aiortc",
    ),
    CallTransport(
        "call, LiveKit",
        LIVEKIT,
        figures=("response_ms",),
        rate=48_000,
        later_ms={"response_ms": 106.5},
        needs="livekit.protocol",
        environment={"LIVEKIT_API_KEY": "devkey", "LIVEKIT_API_SECRET": "secret"},
    ),
)


def measure_calls(
    errors_each: int, say: Callable[[str], None] = lambda _line: None
) -> list[InstrumentError]:
    """Return the error over each transport, of ``errors_each`` figures or a few more.

    Of `MOST_ERRORS` at most.

    Raises `CannotMeasure` if the server does not start, or a turn fails.
    """
    errors = []
    for transport in CALL_TRANSPORTS:
        if transport.needs is not None and not is_installed(transport.needs):
            continue
        say(transport.name)
        rounds = transport.rounds_for(min(errors_each, MOST_ERRORS))
        # At the rate of the protocol: a voice begins at another millisecond at another rate.
        rate = transport.rate or AGENT_WIRES[transport.api].rate
        simulated = SimulatedAgent(transport.agent.replace("speed=1x", "speed=4x"), rate)
        plan = plan_of(simulated, rounds)
        scripted = seal_call(place_call(simulated, plan, 1, simulated.clock), 1, "measured").turns
        with (
            _variables(transport.environment),
            scripted_agent_server(transport.agent, transport.api) as served,
        ):
            named = {"call.url": served.url, **transport.settings}
            if transport.api in AGENT_WIRES:
                named["call.api"] = transport.api
            settings = load_settings(None, named).settings
            with closing(agent_kind(served.url).open(served.url, settings, say)) as agent:
                call = place_call_in_thread(agent, plan_of(agent, rounds), 1)
            acts = served.acts()
        turns = seal_call(call, 1, "measured").turns
        errors.append(
            summarize_errors(transport.name, call_errors_ms(turns, scripted, transport, acts))
        )
    return errors


@contextmanager
def _variables(values: Mapping[str, str]) -> Iterator[None]:
    """Set variables of the environment until the context ends."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def plan_of(agent: Agent, rounds: int) -> CallPlan:
    """Return a plan with ``rounds`` lines, and an interruption after each."""
    steps = []
    for _ in range(rounds):
        steps.append(CallStep("line", pieces=("line",), text="line", limit_ms=3000))
        steps.append(
            CallStep("interruption", pieces=("stop",), text="stop", at_ms=200, limit_ms=1000)
        )
    rate = agent.sample_rate
    sound = line_sound(synthetic_voice(round(LINE_S * rate), rate), rate, "the self-test")
    return CallPlan(CallScript("selftest", tuple(steps)), [sound] * len(steps), MANNERS)


def call_errors_ms(
    turns: Sequence[Timeline],
    scripted: Sequence[Timeline],
    transport: CallTransport,
    acts: Sequence[AgentAct],
) -> list[float]:
    """Return recorded minus scripted response and stop times, less the agent's lateness.

    ``acts`` are those of the agent in the same call. Raises `CannotMeasure`.
    """
    errors = []
    for name in FIGURES:
        late_ms = [(act.sent_ns - act.due_ns) / 1e6 for act in acts if act.kind == FIGURES[name]]
        differences = _differences_ms(name, turns, scripted)
        if len(late_ms) != len(differences):
            raise CannotMeasure(
                f"a scripted call shows {name} {len(differences)} times, and its agent did it "
                f"{len(late_ms)} times",
                "try again",
            )
        if name in transport.figures:
            later_ms = transport.later_ms.get(name, 0.0)
            pairs = zip(differences, late_ms, strict=True)
            errors += [difference - late - later_ms for difference, late in pairs]
    return errors


def _differences_ms(
    name: str, turns: Sequence[Timeline], scripted: Sequence[Timeline]
) -> list[float]:
    """Return recorded minus scripted values of one metric, where the script has one."""
    found = []
    for ours, theirs in zip(turns, scripted, strict=True):
        if ours.failure is not None:
            raise CannotMeasure(f"a scripted call failed: {ours.failure.reason}", "try again")
        recorded, wanted = BY_NAME[name].of(ours), BY_NAME[name].of(theirs)
        if (recorded is None) != (wanted is None):
            raise CannotMeasure(f"a scripted call shows no {name} in step {ours.turn}")
        if recorded is not None and wanted is not None:
            found.append(recorded - wanted)
    return found
