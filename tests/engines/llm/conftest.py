from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from small_models import tiny_llama_config, write_model, write_tokenizer


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Compute small models in one thread: waiting for a second one takes longer than they do."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tiny_llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a two-layer random Llama and a byte-level tokenizer with a ChatML template."""
    folder = tmp_path_factory.mktemp("tiny-llama")
    write_tokenizer(folder)
    write_model(folder, tiny_llama_config())
    return folder


@pytest.fixture
def copy_of(tmp_path: Path) -> Callable[[Path], Path]:
    """Copy a model folder, so that a test may break it."""
    import shutil

    def copy(folder: Path) -> Path:
        return Path(shutil.copytree(folder, tmp_path / "copy"))

    return copy


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """The folder of the embedded model."""
    from voicebench.engines.llm.model_folder import find_model_folder

    return find_model_folder("smollm2-135m-instruct")
