"""Measure turns that start together on the same engines: first audio, stalls, tokens per second.

``make bench`` (or ``python -m benchmarks.many_turns [rounds]``) loads the embedded models. Each
round starts 1, 2, 4 and 8 turns at once, in rotating order, in three ways:

- *in process*: whole turns that share one queue for the device, as in the server;
- *served*: whole turns over the voice socket of ``voicebench serve``, each with its own connection;
- *text*: replies of 48 tokens without a voice, for the tokens per second of all turns together
  while all of them write: from the last turn's first token to the first turn's last one.

Server and clients share this process, so the figures of *served* are rather too high than too low.
The promises are those for eight turns: median and last first audio (each the median over rounds),
no stall, and the tokens per second against one turn. Their 95 % interval is from a bootstrap that
draws whole rounds.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field

from benchmarks.first_audio.ratios import ratio
from benchmarks.promised import Judged
from voicebench.audio.pcm import AudibleRule
from voicebench.engines.llm.generation import InProcessLanguageModel
from voicebench.events import Emit, Event, Token
from voicebench.figures.metrics import compute
from voicebench.figures.summary import percentile
from voicebench.pipeline.pipeline import write_turn
from voicebench.pipeline.scheduling import TurnTaking
from voicebench.server.app import ServeOptions
from voicebench.server.request_gate import LOOPBACK_NAMES
from voicebench.server.running import SWITCH_S, serving
from voicebench.server.served import ServedCascade, warm_up
from voicebench.settings import load_settings
from voicebench.targets.cascade import Cascade, open_cascade, shared_device
from voicebench.targets.voice_socket import VoiceSocket
from voicebench.text.prompts import load
from voicebench.turn.recorder import Recorder

ROUNDS = 12
AT_ONCE = (1, 2, 4, 8)
MANY = AT_ONCE[-1]
PROMISED_MEDIAN_MS = 110.0
PROMISED_LAST_MS = 190.0
PROMISED_TIMES_TOKENS = 3.0
STALL_MS = 1.0
"""A shorter one is the clock's, not the listener's."""
TEXT_TOKENS = 48
HEROES = ("fox", "king", "robot", "baker", "whale", "child", "witch", "pilot")
WAYS = ("in process", "served")


@dataclass
class Found:
    """What one way and one number of turns gave, by round."""

    median_ms: list[float] = field(default_factory=list)
    last_ms: list[float] = field(default_factory=list)
    stalls_ms: list[float] = field(default_factory=list)
    """Of every turn."""


Turn = Callable[[str, Emit], None]
"""Takes one turn on a prompt."""


def start_together(turns: Sequence[Turn], prompts: Sequence[str]) -> list[Recorder]:
    """Take one turn in a thread each, all at once; return their recordings."""
    recorders = [Recorder() for _ in turns]
    threads = [
        threading.Thread(target=turn, args=(prompt, recorder.emit))
        for turn, prompt, recorder in zip(turns, prompts[: len(turns)], recorders, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return recorders


def take(found: Found, turns: Sequence[Turn], prompts: Sequence[str]) -> None:
    """Take one burst of whole turns, and note its figures. A turn without audio is a defect."""
    first = []
    for recorder in start_together(turns, prompts):
        metrics = compute(recorder.seal(1, "measured", AudibleRule()).timeline)
        heard = metrics["first_audio_ms"]
        if heard is None:
            raise RuntimeError("a turn had no audio")
        first.append(heard)
        found.stalls_ms.append(metrics["stall_ms"] or 0.0)
    found.median_ms.append(percentile(first, 50))
    found.last_ms.append(max(first))


def in_process(cascade: Cascade) -> Turn:
    """Return turns that share a new queue for the device."""
    device = shared_device(cascade)

    def run(prompt: str, emit: Emit) -> None:
        cascade.run(prompt, emit, TurnTaking(device=device))

    return run


def tokens_per_s(cascade: Cascade, number: int) -> float:
    """Return the tokens per second of replies that start together, while all are written."""
    assert isinstance(cascade.llm, InProcessLanguageModel)
    model = cascade.llm.with_rules(max_tokens=TEXT_TOKENS)
    device = shared_device(cascade)
    stamps: list[list[float]] = []

    def write(prompt: str, _emit: Emit) -> None:
        own: list[float] = []
        stamps.append(own)

        def note(event: Event) -> None:
            if isinstance(event, Token):
                own.append(time.perf_counter())

        write_turn(prompt, note, llm=model, schedule=TurnTaking(device=device))

    start_together([write] * number, [f"Tell me a long story about a {one}." for one in HEROES])
    begin, end = max(own[0] for own in stamps), min(own[-1] for own in stamps)
    return sum(begin < stamp <= end for own in stamps for stamp in own) / (end - begin)


def promises(found: dict[tuple[str, int], Found], rates: dict[int, list[float]]) -> list[Judged]:
    """Judge every promise by what was found."""
    judged = []
    for way in WAYS:
        many = found[way, MANY]
        median, last = percentile(many.median_ms, 50), percentile(many.last_ms, 50)
        stalled = sum(stall > STALL_MS for stall in many.stalls_ms)
        judged += [
            Judged(
                f"{way}: median first audio of {MANY} ≤ {PROMISED_MEDIAN_MS:g} ms",
                f"{median:.0f} ms",
                median <= PROMISED_MEDIAN_MS,
            ),
            Judged(
                f"{way}: last first audio of {MANY} ≤ {PROMISED_LAST_MS:g} ms",
                f"{last:.0f} ms",
                last <= PROMISED_LAST_MS,
            ),
            Judged(
                f"{way}: no stall in {MANY} turns at once",
                f"{stalled} of {len(many.stalls_ms)} turns",
                stalled == 0,
            ),
        ]
    faster = ratio(rates[MANY], rates[1], 50)
    judged.append(
        Judged(
            f"tokens per second of {MANY} at least {PROMISED_TIMES_TOKENS:g} × those of 1",
            "–" if faster is None else str(faster),
            None if faster is None else faster.ratio >= PROMISED_TIMES_TOKENS,
        )
    )
    return judged


def print_page(found: dict[tuple[str, int], Found], rates: dict[int, list[float]]) -> bool:
    """Print the tables and the verdicts; return whether every promise is held."""
    print(
        "| turns at once | way | first audio p50, ms | of the last one, ms | stalled | stall, ms |"
    )
    print("| ---: | --- | ---: | ---: | ---: | ---: |")
    for (way, number), one in found.items():
        stalled = sum(stall > STALL_MS for stall in one.stalls_ms)
        print(
            f"| {number} | {way} | {percentile(one.median_ms, 50):.0f} "
            f"| {percentile(one.last_ms, 50):.0f} | {stalled} of {len(one.stalls_ms)} "
            f"| {sum(one.stalls_ms) / len(one.stalls_ms):.1f} |"
        )
    print("\n| replies at once | tokens per second |\n| ---: | ---: |")
    for number, rate in rates.items():
        print(f"| {number} | {percentile(rate, 50):.0f} |")
    judged = promises(found, rates)
    print("\n| promise | found here |  |\n| --- | ---: | ---: |")
    for one_promise in judged:
        print(f"| {one_promise.promise} | {one_promise.found} | {one_promise.word} |")
    return all(one_promise.held for one_promise in judged)


def measure(
    cascade: Cascade, url: str, rounds: int
) -> tuple[dict[tuple[str, int], Found], dict[int, list[float]]]:
    """Take all rounds; each one takes every number of turns in every way."""
    found = {(way, number): Found() for way in WAYS for number in AT_ONCE}
    rates: dict[int, list[float]] = {number: [] for number in AT_ONCE}
    prompts = load("english").rotate(4 * MANY)
    with ExitStack() as opened:
        sockets = [opened.enter_context(closing(VoiceSocket(url))) for _ in range(MANY)]
        for number_of_round in range(rounds):
            shift = number_of_round % len(AT_ONCE)
            for number in (*AT_ONCE[shift:], *AT_ONCE[:shift]):
                begin = MANY * number_of_round
                chosen = [prompts[(begin + n) % len(prompts)] for n in range(number)]
                take(found["in process", number], [in_process(cascade)] * number, chosen)
                for socket in sockets[:number]:
                    socket.prepare()
                take(found["served", number], [s.run for s in sockets[:number]], chosen)
                rates[number].append(tokens_per_s(cascade, number))
    return found, rates


def main(arguments: Sequence[str]) -> int:
    """Measure, and print the page; 1 if a promise is not held."""
    rounds = int(arguments[0]) if arguments else ROUNDS
    sys.setswitchinterval(SWITCH_S)  # as `voicebench serve` does
    settings = load_settings(None, {}).settings
    with ExitStack() as opened:
        cascade = opened.enter_context(
            closing(open_cascade(settings, lambda line: print(line, file=sys.stderr)))
        )
        served = ServedCascade(cascade)
        warm_up(served, lambda _line: None)
        options = ServeOptions(None, LOOPBACK_NAMES, most_running=MANY, most_waiting=MANY)
        url = opened.enter_context(serving(served, options)).replace("http", "ws", 1)
        measure(cascade, f"{url}/v1/voice", 1)
        return 0 if print_page(*measure(cascade, f"{url}/v1/voice", rounds)) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
