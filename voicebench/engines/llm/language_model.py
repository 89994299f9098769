"""Load a language model in this process, by its name and settings."""

from __future__ import annotations

import math
from collections.abc import Iterator

from voicebench.engines.llm.fast.choosing import (
    KERNELS,
    PRECISIONS,
    MeasuredDecoder,
    measure_all,
)
from voicebench.engines.llm.generation import (
    SPOKEN_SYSTEM_PROMPT,
    InProcessLanguageModel,
    ReplyRules,
)
from voicebench.engines.llm.model_folder import find_model_folder
from voicebench.engines.models.fetch_progress import Say, say_nothing
from voicebench.errors import ModelError, SettingsError
from voicebench.machine.devices import resolve_device, resolve_dtype, unused_gpu

ENGINES = ("auto", "fast", "transformers")
KEPT_MB = 128
"""A run stays below half a gigabyte with it; some five conversations of ten turns."""
_DTYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}


def load_language_model(
    model: str,
    *,
    device: str = "auto",
    dtype: str = "auto",
    precision: str = "auto",
    max_tokens: int = 128,
    temperature: float = 0.0,
    seed: int = 0,
    system_prompt: str | None = None,
    end_after_words: int | None = None,
    engine: str = "auto",
    kernels: str = "auto",
    kept_mb: int = KEPT_MB,
    say: Say = say_nothing,
) -> InProcessLanguageModel:
    """Load ``model``, ready to answer prompts.

    ``model`` is a folder as transformers writes it, a GGUF file, a hub id, or a name of the
    catalogue. Limits and sampling are those of `ReplyRules`. A ``system_prompt`` of None asks for
    short spoken sentences; an empty one is left out.

    ``engine`` "fast" computes Llama-family models, "transformers" all; "auto" prefers the fast one.
    ``precision`` is auto, fp32, bf16, fp16 or int8 (fast engine only). "auto" is the fastest whose
    quality passes (fast engine), or the format that suits the device (transformers). ``dtype`` sets
    the same by torch's names: auto, float32, bfloat16 or float16. ``kernels`` (fast engine) is
    "native" (C, for CPUs), "torch" or "auto". ``kept_mb`` MiB are the most memory for the keys and
    values of conversations (fast engine only). ``say`` gets a line before slow work.

    Raises `SettingsError` for a setting out of range, `DeviceError` for a device that does not
    exist, `ModelError` for a model that is missing, broken or of another kind.
    """
    if system_prompt is None:
        system_prompt = SPOKEN_SYSTEM_PROMPT
    rules = ReplyRules(max_tokens, temperature, seed, system_prompt, end_after_words)
    _check_rules(rules)
    if kept_mb < 0:
        raise SettingsError(f"kept_mb {kept_mb} is out of range", "write 0 (keep none) or more")
    _check_choice("engine", engine, ENGINES)
    _check_choice("precision", precision, PRECISIONS)
    _check_choice("kernels", kernels, KERNELS)
    if engine == "transformers" and precision == "int8":
        raise SettingsError("the transformers engine has no precision int8", "write engine fast")
    computing = resolve_device(device)
    resolve_dtype(dtype, computing)
    precision = _precision(precision, dtype)
    folder = find_model_folder(model, say)
    if engine != "transformers":
        from voicebench.engines.llm.fast import fast_model as loading
        from voicebench.engines.llm.fast.model_shape import Unsupported

        try:
            fast, tokenizer = loading.load(
                folder,
                device=computing,
                precision=precision,
                kernels=kernels,
                rules=rules,
                kept_bytes=kept_mb << 20,
                say=say,
                slower=unused_gpu(device, computing),
            )
        except Unsupported as reason:
            if engine == "fast" or precision == "int8":
                raise ModelError(
                    f"the fast engine cannot run {model!r}: {reason}",
                    "write auto for engine and precision",
                ) from reason
            say(f"the fast engine cannot run {model} ({reason}): transformers computes it")
        else:
            return InProcessLanguageModel(model, fast, tokenizer, rules)
    from voicebench.engines.llm import transformers_engine

    general, general_tokenizer = transformers_engine.load(
        folder,
        name=model,
        device=computing,
        dtype=resolve_dtype(_DTYPES.get(precision, "auto"), computing),
        temperature=temperature,
        seed=seed,
    )
    return InProcessLanguageModel(model, general, general_tokenizer, rules)


def _precision(precision: str, dtype: str) -> str:
    """Return the precision that both settings mean."""
    if dtype == "auto":
        return precision
    named = next(short for short, long in _DTYPES.items() if long == dtype)
    if precision not in ("auto", named):
        raise SettingsError(
            f"dtype {dtype} and precision {precision} contradict each other", "write one of them"
        )
    return named


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise SettingsError(f"{name} {value!r} is unknown", f"write {' or '.join(choices)}")


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


def measure_quality(
    model: str,
    *,
    device: str = "auto",
    kernels: str = "auto",
    say: Say = say_nothing,
) -> Iterator[MeasuredDecoder]:
    """Yield the quality of each way to compute ``model`` on this machine, the fastest first.

    The results are kept, and decide from now on what precision "auto" takes. Takes minutes. Raises
    as `load_language_model`, and `ModelError` for a model that the fast engine cannot compute.
    """
    from voicebench.engines.llm.fast.fast_model import open_model
    from voicebench.engines.llm.fast.model_shape import Unsupported

    _check_choice("kernels", kernels, KERNELS)
    computing = resolve_device(device)
    folder = find_model_folder(model, say)
    try:
        opened, _, threads = open_model(folder, computing, say)
    except Unsupported as reason:
        raise ModelError(
            f"the fast engine cannot run {model!r}: {reason}",
            "its quality is that of transformers; there is nothing to measure",
        ) from reason
    return measure_all(opened, kernels=kernels, threads=threads)
