"""Does a turn of a conversation cost its own words, or its history?

``make bench`` (or ``python -m benchmarks.conversations [conversations]``) loads the embedded models
and takes conversations of ten turns in three ways, turn by turn in changing order:

- *in process*: the keys and values of earlier turns are kept;
- *served*: the same model behind ``/v1/chat/completions``, which gets all messages every time;
- *anew*: in process, and the whole history is computed in every turn, for comparison.

The prompts rotate: each one is said at every place of a conversation, so that no place has the
longer prompts. Before each turn comes a short silence, as there is while a user speaks. The first
token's time is that of the client, from the request on.

The promise is that the first token of turn 10 takes at most 1.3 times as long as that of turn 1,
in process and served. The speed of a machine drifts by more than that within a conversation. So
turn 10 is compared with turn 1 of the next conversation, which comes right after it. The figure is
the median of these ratios, with its 95 % interval from a bootstrap over the pairs.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchmarks.promised import word_for
from voicebench.engines.llm.generation import InProcessLanguageModel
from voicebench.events import LlmEvent, Token, Usage
from voicebench.pipeline.protocols import ConversingModel, LanguageModel, PreparesNext
from voicebench.remote import Remote
from voicebench.remote.clients.openai_chat import ChatOptions, OpenAiChat
from voicebench.server.app import ServeOptions
from voicebench.server.request_gate import LOOPBACK_NAMES
from voicebench.server.running import serving
from voicebench.server.served import ServedCascade, warm_up
from voicebench.settings import load_settings
from voicebench.targets.cascade import open_cascade
from voicebench.text.chat_template import PastMessage

CONVERSATIONS = 10
TURNS = 10
PAUSE_S = 0.1
MOST_RATIO = 1.3
RESAMPLES = 4000
SEED = 20_260_101
SIDES = ("in process", "served", "anew")
PROMISED = SIDES[:2]
PROMPTS = (
    "What can I cook with rice and eggs?",
    "How do I keep my plants alive?",
    "Why is the sky blue at noon?",
    "What should I take to the beach?",
    "How can I sleep better at night?",
    "What is a good gift for my sister?",
    "Why do dogs like to chase cats?",
    "How do I write a short letter?",
    "What makes a good cup of coffee?",
    "How long does a train trip take?",
)


@dataclass
class Talk:
    """One side's conversation: what was said, and when each first token came."""

    side: str
    name: str
    model: LanguageModel
    said: list[PastMessage] = field(default_factory=list)
    first_token_ms: list[float] = field(default_factory=list)
    cached_tokens: list[float] = field(default_factory=list)

    def take(self, prompt: str) -> None:
        """Take the next turn."""
        assert isinstance(self.model, ConversingModel)
        model = self.model.in_conversation(tuple(self.said), self.name)
        if isinstance(self.model, Remote):
            self.model.prepare()
        events = model.reply(prompt)
        began = time.perf_counter()
        first, text, usage = _received(events, began)
        self.first_token_ms.append(1000 * first)
        self.cached_tokens.append(
            np.nan if usage is None or usage.cached_tokens is None else usage.cached_tokens
        )
        self.said += [PastMessage("user", prompt), PastMessage("assistant", text.strip())]
        if isinstance(model, PreparesNext):
            model.prepare_next()


class Anew:
    """The same model, whose conversations find nothing of their earlier turns."""

    def __init__(self, model: InProcessLanguageModel) -> None:
        self._model = model

    def in_conversation(self, earlier: Sequence[PastMessage], _scope: str) -> LanguageModel:
        return self._model.in_conversation(earlier)

    def reply(self, prompt: str) -> Iterator[LlmEvent | None]:
        return self._model.reply(prompt)

    def describe(self) -> dict[str, object]:
        return self._model.describe()

    def close(self) -> None:
        """Nothing: the model is shared."""


def _received(events: Iterator[LlmEvent | None], began: float) -> tuple[float, str, Usage | None]:
    first, text, usage = None, "", None
    for event in events:
        if isinstance(event, Token):
            first = time.perf_counter() - began if first is None else first
            text += event.text
        elif isinstance(event, Usage):
            usage = event
    if first is None:
        raise RuntimeError("a reply had no token")
    return first, text, usage


def prompts_of(conversation: int) -> list[str]:
    """Return the prompts of a conversation; each conversation begins one prompt further on."""
    return [PROMPTS[(conversation + turn) % len(PROMPTS)] for turn in range(TURNS)]


def measure(models: dict[str, LanguageModel], conversations: int) -> dict[str, list[Talk]]:
    """Take all conversations, each turn by all sides before the next turn."""
    found: dict[str, list[Talk]] = {side: [] for side in models}
    for conversation in range(conversations):
        # One conversation shows what a history costs that is computed again.
        sides = [side for side in models if side in PROMISED or not conversation]
        talks = [Talk(side, f"{side} {conversation}", models[side]) for side in sides]
        for turn, prompt in enumerate(prompts_of(conversation)):
            shift = (conversation + turn) % len(talks)
            for talk in (*talks[shift:], *talks[:shift]):
                time.sleep(PAUSE_S)
                talk.take(prompt)
        for talk in talks:
            found[talk.side].append(talk)
    return found


def table_of(talks: Sequence[Talk]) -> NDArray[np.float64]:
    """Return the first tokens in ms, ``(conversations, turns)``."""
    return np.array([talk.first_token_ms for talk in talks])


@dataclass(frozen=True, slots=True)
class Ratio:
    """First tokens of last turns over those of the first turns right after them.

    ``low`` and ``high`` are the 95 % interval.
    """

    ratio: float
    low: float
    high: float
    pairs: int

    @property
    def is_held(self) -> bool:
        """Whether the promise is held."""
        return self.ratio <= MOST_RATIO

    @property
    def word(self) -> str:
        """Return the verdict on the promise."""
        return word_for(self.is_held)


def ratio_of(table: NDArray[np.float64]) -> Ratio:
    """Return the median of each last turn over the first turn of the next conversation."""
    ratios = table[:-1, -1] / table[1:, 0]
    drawn = np.random.default_rng(SEED).integers(0, ratios.size, (RESAMPLES, ratios.size))
    low, high = np.percentile(np.median(ratios[drawn], axis=1), [2.5, 97.5])
    return Ratio(float(np.median(ratios)), float(low), float(high), ratios.size)


def print_page(found: dict[str, list[Talk]]) -> bool:
    """Print the table and the verdicts; return whether every promise is held."""
    sides = list(found)
    counts = ", ".join(f"{side}: {len(talks)}" for side, talks in found.items())
    print(f"first token, p50 of the conversations ({counts}), in ms")
    print(f"{'turn':>6}" + "".join(f"{side:>14}" for side in sides) + f"{'said cached':>14}")
    tables = {side: table_of(talks) for side, talks in found.items()}
    cached = np.median([talk.cached_tokens for talk in found["served"]], axis=0)
    for turn in range(TURNS):
        cells = "".join(f"{np.median(table[:, turn]):14.1f}" for table in tables.values())
        print(f"{turn + 1:6}{cells}{cached[turn]:14.0f}")
    held = True
    for side, table in tables.items():
        if side not in PROMISED:
            print(f"{side}: turn {TURNS} takes {table[0, -1] / table[0, 0]:.1f} × turn 1")
            continue
        ratio = ratio_of(table)
        held &= ratio.is_held
        print(
            f"{side}: turn {TURNS} takes {ratio.ratio:.2f} × turn 1 ({ratio.low:.2f} to "
            f"{ratio.high:.2f}, {ratio.pairs} pairs); promised ≤ {MOST_RATIO:g} ×: {ratio.word}"
        )
    return held


def main(arguments: Sequence[str]) -> int:
    """Measure, and print the page; 1 if a promise is not held."""
    conversations = max(2, int(arguments[0])) if arguments else CONVERSATIONS
    settings = load_settings(None, {}).settings
    with ExitStack() as opened:
        cascade = opened.enter_context(
            closing(open_cascade(settings, lambda line: print(line, file=sys.stderr)))
        )
        served = ServedCascade(cascade)
        warm_up(served, lambda _line: None)
        options = ServeOptions(None, LOOPBACK_NAMES, most_running=2, most_waiting=8)
        url = opened.enter_context(serving(served, options))
        chat = OpenAiChat(f"{url}/v1", None, ChatOptions())
        opened.enter_context(closing(chat))
        chat.check()
        assert isinstance(cascade.llm, InProcessLanguageModel)
        models: dict[str, LanguageModel] = {
            "in process": cascade.llm,
            "served": chat,
            "anew": Anew(cascade.llm),
        }
        measure({side: models[side] for side in PROMISED}, 1)
        return 0 if print_page(measure(models, conversations)) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
