"""The embedded model itself: exact where it must be exact, good enough where it is fast."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest
import torch

from voicebench.engines.llm import language_model as local
from voicebench.engines.llm import transformers_engine
from voicebench.engines.llm.ending import count_words
from voicebench.engines.llm.fast import fast_model as loading
from voicebench.engines.llm.fast.engine import FastEngine
from voicebench.engines.llm.fast.tokenizer import FolderTokenizer
from voicebench.engines.llm.generation import (
    SPOKEN_SYSTEM_PROMPT,
    InProcessLanguageModel,
    ReplyRules,
)
from voicebench.engines.models.fetch_progress import say_nothing
from voicebench.engines.native import library
from voicebench.engines.native.levels import processor_flags
from voicebench.events import Token, Usage
from voicebench.text.chat_template import PastMessage

pytestmark = [pytest.mark.models, pytest.mark.slow]
PROMPTS = [
    "What is the capital of Spain?",
    "How do I make a cup of tea?",
    "Tell me a fun fact about penguins.",
    "Why do cats purr?",
    "What is a good name for a goldfish?",
    "How does a plane fly?",
    "Give me one tip for learning English.",
    "What can I do with old newspapers?",
    "Who was Albert Einstein?",
    "How far is the sun?",
    "What should I eat before a run?",
    "Is a tomato a fruit?",
    "How do I fold a shirt?",
    "Wish me a happy birthday.",
    "What is the opposite of brave?",
    "Explain gravity to a child.",
    "How many legs does a spider have?",
    "Suggest a game for two players.",
    "What does a baker do?",
    "Why is exercise good for me?",
]


@pytest.fixture(autouse=True)
def _threads() -> None:
    """Compute a model of real size with all threads."""
    torch.set_num_threads(torch.get_num_threads())


@pytest.fixture(scope="module")
def exact(smollm2: Path) -> tuple[FastEngine, FolderTokenizer]:
    return loading.load(
        smollm2,
        device="cpu",
        precision="fp32",
        kernels="auto",
        rules=ReplyRules(),
        say=say_nothing,
    )


@pytest.fixture(scope="module")
def default_model(smollm2: Path) -> InProcessLanguageModel:
    return local.load_language_model(str(smollm2), device="cpu", max_tokens=64, end_after_words=8)


@pytest.fixture
def model_without_tiles(smollm2: Path, monkeypatch: pytest.MonkeyPatch) -> InProcessLanguageModel:
    """The model as a processor without tiles (AMX) computes it.

    Tiles round a prompt otherwise than a reply's tokens are rounded. Where two words are almost
    equally likely, a history that was kept may then choose another than one computed anew.
    """
    without = frozenset(flag for flag in processor_flags() if not flag.startswith("amx"))
    monkeypatch.setattr(library, "processor_flags", lambda: without)
    return local.load_language_model(str(smollm2), device="cpu", max_tokens=64, end_after_words=8)


def test_in_float32_greedy_replies_are_those_of_transformers_id_by_id(
    smollm2: Path, exact: tuple[FastEngine, FolderTokenizer]
) -> None:
    fast, tokenizer = exact
    general, general_tokenizer = transformers_engine.load(
        smollm2, name="smollm2", device="cpu", dtype="float32", temperature=0.0, seed=0
    )
    for prompt in PROMPTS[::4]:  # each takes seconds in transformers
        ids = tokenizer.encode_turn(SPOKEN_SYSTEM_PROMPT, prompt)
        assert ids == general_tokenizer.encode_turn(SPOKEN_SYSTEM_PROMPT, prompt)
        replies = [list(islice(engine.generate(ids), 16)) for engine in (fast, general)]
        assert replies[0] == replies[1], prompt


def test_what_auto_takes_is_not_float32_and_has_passed_the_quality_gate(
    default_model: InProcessLanguageModel, smollm2: Path
) -> None:
    precision = default_model.describe()["precision"]
    assert precision in {"fp32", "bf16", "fp16", "int8"}
    model, _, _ = loading.open_model(smollm2, "cpu", say_nothing)
    known = [
        quality
        for name in ("native int8", "weight-only int8", "packed fp16", "packed bf16")
        if (quality := model.findings.quality(name)) is not None
    ]
    assert precision == "fp32" or any(quality.passes for quality in known)


def test_answers_are_whole_spoken_sentences_of_twelve_words_on_average(
    default_model: InProcessLanguageModel,
) -> None:
    words = []
    for prompt in PROMPTS:
        *pieces, usage = filter(None, default_model.reply(prompt))
        assert all(isinstance(piece, Token) for piece in pieces)
        assert isinstance(usage, Usage)
        text = "".join(piece.text for piece in pieces if isinstance(piece, Token))
        words.append(count_words(text))
        assert text.rstrip().endswith((".", "!", "?", '"')), (prompt, text)
        assert "\n" not in text.strip(), (prompt, text)
        assert "*" not in text, (prompt, text)
    assert sum(words) / len(words) >= 12


def test_a_long_prompt_is_answered(default_model: InProcessLanguageModel) -> None:
    story = "Once upon a time there was a fox who lived near the river. " * 30
    *pieces, _ = default_model.reply(f"{story} Who lived near the river?")
    assert pieces


def test_a_conversation_is_the_same_with_its_history_kept_and_computed_anew(
    model_without_tiles: InProcessLanguageModel,
) -> None:
    model = model_without_tiles
    earlier: list[PastMessage] = []
    kept = lost = 0
    before = 0
    for number, prompt in enumerate(PROMPTS[:8]):
        texts = []
        for scope in ("a conversation", None):
            *pieces, usage = model.in_conversation(earlier, scope).reply(prompt)
            assert isinstance(usage, Usage)
            assert usage.prompt_tokens is not None
            assert usage.cached_tokens is not None
            texts.append("".join(piece.text for piece in pieces if isinstance(piece, Token)))
            if scope is None:
                assert usage.cached_tokens == model.describe()["kept_prefix_tokens"]
                continue
            if number:
                # All but the reply's last id, which was sampled and never fed to the model.
                lost += max(0, before - 1 - usage.cached_tokens)
                kept += usage.cached_tokens
            before = usage.prompt_tokens + usage.tokens
        assert texts[0] == texts[1]
        earlier += [PastMessage("user", prompt), PastMessage("assistant", texts[0].strip())]
    # A reply's text is encoded to the ids that were sampled, with few exceptions.
    assert lost <= 0.05 * kept
