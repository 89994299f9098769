"""The transformers library as an engine: any architecture it knows, one forward pass per token.

This module has its own loop, because `generate` of transformers passes tokens through a second
thread, so they would arrive late and in groups.
"""

from __future__ import annotations

import importlib
import inspect
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from voicebench.engines.llm.engine_protocols import ignore
from voicebench.engines.llm.out_of_memory import memory_errors
from voicebench.engines.llm.sampling import TensorSampler
from voicebench.engines.llm.transformers_tokenizer import TransformersTokenizer
from voicebench.errors import ModelError
from voicebench.machine.devices import set_torch_threads


class TransformersEngine:
    """A causal language model of transformers, sampled id by id with its KV cache."""

    def __init__(self, model: Any, *, temperature: float, seed: int) -> None:
        self._model = model
        self._temperature = temperature
        self._seed = seed
        config = model.config.get_text_config()
        self._context_tokens = int(getattr(config, "max_position_embeddings", None) or 2**31)
        parameters = inspect.signature(model.forward).parameters
        self._last_only = {"logits_to_keep": 1} if "logits_to_keep" in parameters else {}

    @property
    def context_tokens(self) -> int:
        """How many ids the prompt and the reply may have together."""
        return self._context_tokens

    def generate(
        self,
        prompt_ids: Sequence[int],
        scope: str | None = None,  # noqa: ARG002 - every prompt is computed whole
        found: Callable[[int], None] = ignore,
    ) -> Generator[int]:
        """Yield sampled ids, each once it is on the host, until closed or the context is full."""
        found(0)
        device = self._model.device
        sampler = TensorSampler(self._temperature, self._seed)
        fed = torch.tensor([list(prompt_ids)], device=device)
        cache = None
        length = len(prompt_ids)
        while length <= self._context_tokens:
            logits, cache = self._forward(fed, cache)
            token_id = sampler.pick(logits)
            yield token_id
            fed = torch.tensor([[token_id]], device=device)
            length += 1

    def _forward(self, ids: torch.Tensor, cache: Any) -> tuple[torch.Tensor, Any]:
        """Return the scores after the last of ``ids``, and the cache with all ids so far."""
        # Entered in each pass: a generator that yields inside would leave it on for its caller.
        with torch.inference_mode(), memory_errors(self._model.device):
            output = self._model(
                input_ids=ids, past_key_values=cache, use_cache=True, **self._last_only
            )
        return output.logits[0, -1], output.past_key_values

    def read_ahead(self, ids: Sequence[int], scope: str) -> None:
        """Do nothing: every prompt is computed whole."""

    def describe(self) -> dict[str, object]:
        """Return engine, architecture, parameters, device, dtype and the context.

        ``kept_mb`` 0: no keys and values are kept, so a conversation's history is computed again in
        every turn.
        """
        return {
            "engine": "transformers",
            "architecture": self._model.config.model_type,
            "parameters": self._model.num_parameters(),
            "device": str(self._model.device),
            "dtype": str(self._model.dtype).removeprefix("torch."),
            "context_tokens": self._context_tokens,
            "kept_mb": 0,
        }

    def close(self) -> None:
        """Release the model."""
        self._model = None


def load(
    folder: Path,
    *,
    name: str,
    device: str,
    dtype: str,
    temperature: float,
    seed: int,
) -> tuple[TransformersEngine, TransformersTokenizer]:
    """Load the model in ``folder``, which errors call ``name``, and its tokenizer.

    Only safetensors weights are read, and no code in the folder is run. Raises `ModelError` if the
    folder holds no causal language model, or a broken or incomplete one.
    """
    if not (folder / "config.json").is_file():
        raise ModelError(
            f"folder {folder} holds no config.json",
            "name a folder as transformers' save_pretrained writes it",
        )
    if not any(folder.glob("*.safetensors")):
        raise ModelError(
            f"folder {folder} holds no safetensors weights, and pickled ones are never opened",
            "convert the model with transformers' save_pretrained, or name another one",
        )
    set_torch_threads()
    with _quiet_transformers():
        transformers: Any = importlib.import_module("transformers")
        # The libraries raise many kinds of exceptions for a truncated or unsuitable file.
        try:
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
            model, report = transformers.AutoModelForCausalLM.from_pretrained(
                folder,
                dtype=dtype,
                use_safetensors=True,
                local_files_only=True,
                output_loading_info=True,
            )
        except Exception as error:
            raise ModelError(
                f"language model {name!r} in {folder} cannot be loaded ({_first_line(error)})",
                "fetch it again if it is broken; it must be a causal language model",
            ) from error
    if report["missing_keys"]:
        missing = sorted(report["missing_keys"])
        raise ModelError(
            f"language model {name!r} in {folder} lacks {len(missing)} weights ({missing[0]}, …)",
            "fetch it again",
        )
    model = model.to(device).eval()
    if "past_key_values" not in inspect.signature(model.forward).parameters:
        raise ModelError(
            f"language model {name!r} is a {model.config.model_type}, which keeps no KV cache",
            "take a model with attention, such as a Llama, Qwen or Mistral",
        )
    eos_settings = (model.config.eos_token_id, model.generation_config.eos_token_id)
    engine = TransformersEngine(model, temperature=temperature, seed=seed)
    return engine, TransformersTokenizer(tokenizer, *eos_settings)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    text = lines[0].rstrip(".:") if lines else ""
    return f"{type(error).__name__}: {text[:200]}" if text else type(error).__name__


@contextmanager
def _quiet_transformers() -> Iterator[None]:
    """Hide the library's progress bars and warnings."""
    logging: Any = importlib.import_module("transformers.utils.logging")
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
