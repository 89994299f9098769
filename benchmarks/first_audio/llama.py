"""llama.cpp as an engine: llama-cpp-python, sampled id by id under voicebench's own rules.

The model is the GGUF file from which voicebench's embedded model was converted, in its stored
precision (Q4_1). The library keeps the keys and values of the common beginning of two prompts, so
the system prompt is computed once, as in voicebench. Ids come from the same tokenizer and replies
end by the same rules, so the two differ only in their computation.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

from voicebench.engines.llm.engine_protocols import ignore

CONTEXT = 2048
INSTALL = "pip install llama-cpp-python"
WITHOUT_AMX = (
    'CMAKE_ARGS="-DGGML_NATIVE=OFF -DGGML_AVX512=ON -DGGML_AVX512_VBMI=ON -DGGML_AVX512_VNNI=ON '
    '-DGGML_AVX512_BF16=ON" pip install --no-binary llama-cpp-python llama-cpp-python'
)
TRIAL_S = 60


def is_installed() -> bool:
    """Return whether this interpreter has llama-cpp-python."""
    return importlib.util.find_spec("llama_cpp") is not None


def why_not(path: Path) -> str | None:
    """Return why llama.cpp cannot be measured here, and the remedy; None if it can.

    It is tried in another process: on processors with AMX, the default build of release 0.3.36
    multiplies tiles before it has configured them, and the process crashes.
    """
    if not is_installed():
        return f"llama.cpp is not installed ({INSTALL})"
    command = [sys.executable, "-m", "benchmarks.first_audio.llama", str(path)]
    tried = subprocess.run(command, capture_output=True, timeout=TRIAL_S, check=False)
    if tried.returncode == 0:
        return None
    return f"llama.cpp, as it was built here, does not run (build it anew: {WITHOUT_AMX})"


class LlamaEngine:
    """A GGUF model by llama.cpp; implements `Generating` of voicebench's engines."""

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

    def generate(
        self,
        prompt_ids: Sequence[int],
        scope: str | None = None,  # noqa: ARG002
        found: Callable[[int], None] = ignore,  # noqa: ARG002 - llama.cpp does not say
    ) -> Generator[int]:
        """Yield the most likely ids, each when it is on the host, until closed."""
        yield from self._llama.generate(list(prompt_ids), temp=0.0, repeat_penalty=1.0)

    def read_ahead(self, ids: Sequence[int], scope: str) -> None:
        """Do nothing: llama.cpp compares each prompt with the one before."""

    def describe(self) -> dict[str, object]:
        """Return what a reader of the results must know."""
        return {"engine": "llama.cpp", "device": "cpu", "threads": self._threads, "dtype": "Q4_1"}

    def close(self) -> None:
        """Release the model."""
        self._llama.close()


def main() -> None:
    """Compute a few ids with the named model, as a trial."""
    engine = LlamaEngine(Path(sys.argv[1]), threads=2)
    for count, _ in enumerate(engine.generate(range(10, 40)), 1):
        if count == 3:
            break
    engine.close()


if __name__ == "__main__":
    main()
