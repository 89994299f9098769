"""How soon does the agent in this process answer, does it wait, and what does it hear?

``make bench-ears`` (or ``python -m benchmarks.ears``) calls the agent with 60 lines, each with a
pause of 600 ms inside its sentence. The caller has the embedded voice at another pitch; the parts
before and behind the pause are spoken for themselves. Frames come in real time.

Then it recognises 40 sentences in the embedded voice: as they are, in noise at 10 dB, and over
G.711 µ-law at 8 kHz.

``--first 10 --lines 5`` takes a part of the lines, ``--words`` only the sentences, ``--out FILE``
appends each answer to a file, and ``--read FILE`` judges such a file. ``--waiting`` begins no reply
before the end of the turn, to see what answering on suspicion gains.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from benchmarks.ears.caller_lines import LINES, with_pause
from benchmarks.ears.heard_words import RATES, WORDS_PROMISED, heard_words
from benchmarks.ears.spoken_call import Answered, call_with
from benchmarks.promised import Judged
from voicebench.agents.local.local_agent import LocalAgent
from voicebench.agents.local.local_opening import open_local_agent
from voicebench.agents.local.turn_policy import TurnPolicy
from voicebench.settings import load_settings

PAUSE_MS = 600.0
PROMISED_MS = {50: 450.0, 95: 700.0}
STRETCH_MS = {50: 250.0, 95: 400.0}
LEAST_WAITED = 0.95


def main() -> None:
    """Take the calls, recognise the sentences, and print the promises."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--lines", type=int, default=len(LINES))
    parser.add_argument("--waiting", action="store_true")
    parser.add_argument("--words", action="store_true")
    parser.add_argument("--calls", action="store_true")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--read", type=Path)
    wanted = parser.parse_args()
    answers: list[Answered] = []
    if wanted.read is not None:
        lines = wanted.read.read_text(encoding="utf-8").splitlines()
        answers = [Answered(**json.loads(line)) for line in lines]
    elif not wanted.words:
        chosen = LINES[wanted.first : wanted.first + wanted.lines]
        answers = called(chosen, TurnPolicy(on_suspicion=not wanted.waiting))
        if wanted.out is not None:
            with wanted.out.open("a", encoding="utf-8") as file:
                file.writelines(json.dumps(asdict(one)) + "\n" for one in answers)
    if answers:
        show(answers)
    if wanted.words or not (wanted.calls or wanted.read):
        for name, found in heard_words(RATES).items():
            print(f"{name:<16} {found.errors} of {found.words} words wrong ({found.rate:.1%})")
            if name in WORDS_PROMISED:
                show_judged(Judged(f"{name} ≤ 12 %", f"{found.rate:.1%}", found.rate <= 0.12))


def called(lines: Sequence[str], policy: TurnPolicy) -> list[Answered]:
    """Say each of ``lines`` in a call of its own."""
    agent: LocalAgent = open_local_agent(load_settings().settings, print, policy)
    sounds = [with_pause(line, PAUSE_MS) for line in lines]
    answers = []
    for line, sound in zip(lines, sounds, strict=True):
        answers.append(call_with(agent, sound))
        one = answers[-1]
        mark = "cut in" if one.cut_in else "-" if one.response_ms is None else "answered"
        print(f"{mark:<9} {_ms(one.response_ms)}  {line}  |  {one.heard}")
    described = agent.describe()
    for key in ("replies_begun_early", "replies_discarded", "discarded_tokens"):
        print(f"{key}: {described[key]}")
    print(f"discarded work: {described['discarded_work_ms']} ms of the engines")
    agent.close()
    return answers


def show(answers: Sequence[Answered]) -> None:
    """Print the percentiles and the promises."""
    for name in ("endpoint_ms", "transcript_ms", "reply_text_ms", "response_ms"):
        values = [getattr(one, name) for one in answers if getattr(one, name) is not None]
        middle, late = np.percentile(values, [50, 95])
        print(f"{name:<14} p50 {middle:.0f} ms  p95 {late:.0f} ms  of {len(values)}")
    waited = sum(not one.cut_in for one in answers)
    missed = sum(one.response_ms is None for one in answers)
    print(f"{len(answers)} lines, {len(answers) - waited} cut in, {missed} without an answer")
    for judged in judge(answers):
        show_judged(judged)


def judge(answers: Sequence[Answered]) -> list[Judged]:
    """Return the promises; a line without an answer counts as one that took for ever."""
    times = [np.inf if one.response_ms is None else one.response_ms for one in answers]
    found = []
    for percent, limit_ms in PROMISED_MS.items():
        with np.errstate(invalid="ignore"):  # between two infinite ones numpy finds no number
            value = float(np.nan_to_num(np.percentile(times, percent), nan=np.inf, posinf=np.inf))
        held = None if len(answers) < len(LINES) else value <= limit_ms
        stretch = "yes" if value <= STRETCH_MS[percent] else "no"
        found.append(
            Judged(
                f"response_ms p{percent} ≤ {limit_ms:.0f} ms",
                f"{value:.0f} ms (stretch of {STRETCH_MS[percent]:.0f} ms: {stretch})",
                held,
            )
        )
    share = sum(not one.cut_in for one in answers) / len(answers)
    held = None if len(answers) < len(LINES) else share >= LEAST_WAITED
    found.append(Judged(f"pauses waited for ≥ {LEAST_WAITED:.0%}", f"{share:.1%}", held))
    return found


def show_judged(judged: Judged) -> None:
    """Print a promise with its verdict."""
    print(f"  {judged.promise:<32} {judged.found:<36} {judged.word}")


def _ms(value: float | None) -> str:
    return "   –   " if value is None else f"{value:4.0f} ms"


if __name__ == "__main__":
    main()
