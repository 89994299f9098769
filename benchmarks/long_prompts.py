"""How long prompts of 16 to 2,000 tokens take, beside transformers and llama.cpp.

Every engine gets the same ids, of which none are kept from an earlier prompt, and takes its turn at
each length, so that a disturbance of the machine affects all of them. transformers is tried in
float32 and bfloat16; at each length the faster one counts.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from benchmarks.first_audio import llama
from benchmarks.first_audio.rows import LLM, gguf
from benchmarks.first_audio.stages import timed_ms
from benchmarks.promised import word_for
from voicebench.engines.llm.language_model import load_language_model
from voicebench.figures.summary import percentile
from voicebench.machine.devices import usable_cores

if TYPE_CHECKING:
    from voicebench.engines.llm.engine_protocols import Generating

LENGTHS = (16, 64, 128, 250, 500, 1000, 2000)
ROUNDS = 5
FIRST_ID, IDS = 100, 40_000
"""Ids of ordinary pieces of words."""
OURS, LLAMA = "voicebench", "llama.cpp"
LEAST = {"transformers": 1.0, LLAMA: 2.0}
"""The promise: how many times as long the others take, at least."""


@dataclass(frozen=True, slots=True)
class Line:
    """The times of one length by engine, in milliseconds; transformers has its faster one."""

    tokens: int
    ms: dict[str, float]

    def ratio(self, other: str) -> float | None:
        """Return how many times as long the other one takes; None if it was not measured."""
        return self.ms[other] / self.ms[OURS] if other in self.ms else None

    def verdict(self, other: str) -> str:
        """Return whether the promise about the other one holds at this length."""
        ratio = self.ratio(other)
        return word_for(None if ratio is None else ratio >= LEAST[other])


@contextmanager
def engines() -> Iterator[dict[str, Generating]]:
    """Load the engines, voicebench's first."""
    with closing(load_language_model(LLM)) as ours:
        others = {
            f"transformers {precision}": load_language_model(
                LLM, engine="transformers", precision=precision
            )
            for precision in ("fp32", "bf16")
        }
        loaded: dict[str, Generating] = {OURS: ours.engine}
        loaded |= {name: model.engine for name, model in others.items()}
        unusable = llama.why_not(gguf())
        if unusable is None:
            loaded[LLAMA] = llama.LlamaEngine(gguf(), usable_cores())
        else:
            print(f"{LLAMA} was not measured: {unusable}.")
        yield loaded


def measure(
    loaded: Mapping[str, Generating], lengths: Sequence[int] = LENGTHS, rounds: int = ROUNDS
) -> Iterator[Line]:
    """Yield a line for each length: the medians of some rounds, after one that does not count."""
    openings = count(FIRST_ID)  # no two prompts begin alike
    for tokens in lengths:
        times: dict[str, list[float]] = {name: [] for name in loaded}
        for number in range(rounds + 1):
            ids = ids_of(tokens, next(openings))
            names = list(loaded)
            for name in names[number % len(names) :] + names[: number % len(names)]:
                taken = timed_ms(first_token(loaded[name], ids))
                if number:
                    times[name].append(taken)
        yield Line(tokens, faster({name: percentile(some, 50) for name, some in times.items()}))


def ids_of(tokens: int, opening: int) -> list[int]:
    """Return ids that begin with ``opening``."""
    return [opening, *(FIRST_ID + 7919 * number % IDS for number in range(1, tokens))]


def first_token(engine: Generating, ids: Sequence[int]) -> Callable[[], None]:
    """Return the work from a prompt to its first token; between pieces of it there is None."""

    def work() -> None:
        with closing(engine.generate(ids)) as sampled:
            next(token_id for token_id in sampled if token_id is not None)

    return work


def faster(ms: dict[str, float]) -> dict[str, float]:
    """Return the times with transformers in its faster precision only."""
    mine = {name: taken for name, taken in ms.items() if name.startswith("transformers")}
    others = {name: taken for name, taken in ms.items() if name not in mine}
    return others | ({"transformers": min(mine.values())} if mine else {})


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure prompts of 16 to 2,000 tokens.")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="how often each is measured")
    parser.add_argument("--lengths", type=int, nargs="+", default=list(LENGTHS), help="in tokens")
    options = parser.parse_args()
    print("time to the first token, ms (median); promised: transformers 1 x, llama.cpp 2 x as long")
    print("tokens  voicebench  transformers   ratio              llama.cpp   ratio")
    with engines() as loaded:
        for line in measure(loaded, options.lengths, options.rounds):
            cells = f"{line.tokens:6}  {line.ms[OURS]:10.0f}"
            for other in LEAST:
                ratio = line.ratio(other)
                cells += (
                    f"  {line.ms[other]:12.0f}  {ratio:5.2f} x  {line.verdict(other):8}"
                    if ratio is not None
                    else f"  {'not measured':>12}"
                )
            print(cells, flush=True)


if __name__ == "__main__":
    main()
