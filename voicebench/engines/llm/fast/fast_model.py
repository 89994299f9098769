"""Load a model folder into the fast engine."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from voicebench.engines.llm.agreement import held_out_turns
from voicebench.engines.llm.fast.choosing import Model, choose_decoder
from voicebench.engines.llm.fast.decoder_weights import read_weights
from voicebench.engines.llm.fast.engine import FastEngine
from voicebench.engines.llm.fast.findings import Findings
from voicebench.engines.llm.fast.model_shape import Unsupported, read_shape
from voicebench.engines.llm.fast.tokenizer import FolderTokenizer
from voicebench.engines.llm.generation import SPOKEN_SYSTEM_PROMPT, ReplyRules
from voicebench.errors import ModelError
from voicebench.machine.devices import threads as computing_threads
from voicebench.machine.slower import Slower


def load(
    folder: Path,
    *,
    device: str,
    precision: str,
    kernels: str,
    rules: ReplyRules,
    kept_bytes: int = 0,
    say: Callable[[str], None],
    slower: Slower | None = None,
) -> tuple[FastEngine, FolderTokenizer]:
    """Load the model in ``folder`` and its tokenizer.

    ``kept_bytes`` is the most memory for the keys and values of conversations. ``slower`` says why
    ``device`` is not the fastest one. Raises `Unsupported` for a model outside
    the Llama family, `ModelError` for a broken one, `SettingsError` if the device cannot compute
    with ``precision`` and ``kernels``.
    """
    model, tokenizer, threads = open_model(folder, device, say)
    prefix = tokenizer.encode_beginning(rules.system_prompt, ())
    kept = None
    if prefix and len(prefix) < model.shape.context and precision != "fp32" and not model.is_large:
        kept = model.exact_prefix(prefix)
    decoder = choose_decoder(model, precision=precision, kernels=kernels, threads=threads)
    if model.no_library is not None:
        slower = slower or model.no_library.slower
    engine = FastEngine(
        decoder,
        prefix=prefix,
        kept=kept,
        kept_bytes=kept_bytes,
        temperature=rules.temperature,
        seed=rules.seed,
        slower=slower,
    )
    return engine, tokenizer


def open_model(
    folder: Path, device: str, say: Callable[[str], None]
) -> tuple[Model, FolderTokenizer, int]:
    """Return the model in ``folder``, its tokenizer, and the number of CPU threads for it.

    Raises as `load`.
    """
    shape = read_shape(_read_config(folder))
    if not (folder / "tokenizer.json").is_file():
        raise Unsupported("it has no tokenizer.json")
    tokenizer = FolderTokenizer(folder)
    threads = min(computing_threads(), MOST_THREADS)
    model = Model(
        shape,
        read_weights(folder, shape),
        device,
        turns=lambda: held_out_turns(tokenizer, SPOKEN_SYSTEM_PROMPT),
        findings=Findings(folder, device=device),
        say=say,
    )
    return model, tokenizer, threads


MOST_THREADS = 16
"""With more threads a small model is slower: they wait for each other more than they compute."""


def _read_config(folder: Path) -> dict[str, object]:
    file = folder / "config.json"
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(
            f"folder {folder} holds no config.json",
            "name a folder as transformers' save_pretrained writes it",
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{file} cannot be read ({error})", "fetch the model again") from error
    if not isinstance(config, dict):
        raise ModelError(f"{file} holds no JSON object", "fetch the model again")
    return config
