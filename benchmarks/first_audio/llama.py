"""llama.cpp as an engine: llama-cpp-python, sampled id by id under voicebench's own rules.

The model is the very GGUF file that voicebench's embedded model was converted from, in the numbers
it is stored in (Q4_1). The library keeps the keys and values of what two prompts have in common, so
the system prompt is computed once, as it is in voicebench. Ids come from the same tokenizer and
replies end by the same rules, so the two differ in nothing but how they compute.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

CONTEXT = 2048
INSTALL = "pip install llama-cpp-python"


def is_installed() -> bool:
    """Return whether this interpreter has llama-cpp-python."""
    return importlib.util.find_spec("llama_cpp") is not None


class LlamaEngine:
    """A GGUF model by llama.cpp; implements `voicebench.llm.answering.Generating`."""

    def __init__(self, path: Path, threads: int) -> None:
        from llama_cpp import Llama

        self._threads = threads
        self._llama: Any = Llama(
            str(path),
            n_ctx=CONTEXT,
            n_threads=threads,
            n_threads_batch=threads,
            verbose=False,
        )

    @property
    def context_tokens(self) -> int:
        """How many ids the prompt and the reply may have together."""
        return CONTEXT

    def generate(self, prompt_ids: Sequence[int]) -> Generator[int]:
        """Yield the likeliest ids, each once it is on the host, until closed."""
        yield from self._llama.generate(list(prompt_ids), temp=0.0, repeat_penalty=1.0)

    def describe(self) -> dict[str, object]:
        """Return what a reader of the results must know."""
        return {"engine": "llama.cpp", "device": "cpu", "threads": self._threads, "dtype": "Q4_1"}

    def close(self) -> None:
        """Release the model."""
        self._llama.close()
