"""The door to language models in this process: from a model's name to a model that answers."""

from __future__ import annotations

import math

from voicebench.devices import resolve_device, resolve_dtype
from voicebench.errors import SettingsError
from voicebench.llm.answering import SPOKEN_SYSTEM_PROMPT, InProcessLanguageModel, ReplyRules
from voicebench.llm.model_folder import find_model_folder

ENGINES = ("auto", "transformers")


def load_language_model(
    model: str,
    *,
    device: str = "auto",
    dtype: str = "auto",
    max_tokens: int = 128,
    temperature: float = 0.0,
    seed: int = 0,
    system_prompt: str | None = None,
    end_after_words: int | None = None,
    engine: str = "auto",
) -> InProcessLanguageModel:
    """Load ``model`` so that it answers prompts, token by token.

    ``model`` is a folder as transformers writes it, a GGUF file, a hub id, or a name of the
    catalogue. The limits and the sampling are those of `ReplyRules`; ``system_prompt``
    None asks for short spoken sentences, and an empty one is left out.

    Raises `SettingsError` for a setting out of range, `DeviceError` for a device that is not
    there, `ModelError` for a model that is missing, broken or of another kind.
    """
    if system_prompt is None:
        system_prompt = SPOKEN_SYSTEM_PROMPT
    rules = ReplyRules(max_tokens, temperature, seed, system_prompt, end_after_words)
    _check_rules(rules)
    if engine not in ENGINES:
        raise SettingsError(
            f"language model engine {engine!r} is unknown", f"write {' or '.join(ENGINES)}"
        )
    computing = resolve_device(device)
    number_format = resolve_dtype(dtype, computing)
    folder = find_model_folder(model)
    from voicebench.llm import transformers_engine

    loaded, tokenizer = transformers_engine.load(
        folder,
        name=model,
        device=computing,
        dtype=number_format,
        temperature=temperature,
        seed=seed,
    )
    return InProcessLanguageModel(model, loaded, tokenizer, rules)


def _check_rules(rules: ReplyRules) -> None:
    if rules.max_tokens < 1:
        raise SettingsError(f"max_tokens {rules.max_tokens} leaves no reply", "write 1 or more")
    if not (math.isfinite(rules.temperature) and rules.temperature >= 0):
        raise SettingsError(
            f"temperature {rules.temperature} is out of range", "write 0 (greedy) or more"
        )
    if rules.end_after_words is not None and rules.end_after_words < 1:
        raise SettingsError(
            f"end_after_words {rules.end_after_words} leaves no reply", "write 1 or more, or none"
        )
