from __future__ import annotations

from pathlib import Path

import pytest
import torch
from small_models import tiny_llama_config, write_model, write_tokenizer


@pytest.fixture(autouse=True)
def _one_thread():
    """Compute small models in one thread: waiting for a second one takes longer than they do."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tiny_llama(tmp_path_factory) -> Path:
    """A folder with a two-layer random Llama and a byte-level tokenizer with a ChatML template."""
    folder = tmp_path_factory.mktemp("tiny-llama")
    write_tokenizer(folder)
    write_model(folder, tiny_llama_config())
    return folder


@pytest.fixture
def copy_of(tmp_path):
    """Copy a model folder, so that a test may break it."""
    import shutil

    def copy(folder: Path) -> Path:
        return Path(shutil.copytree(folder, tmp_path / "copy"))

    return copy


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """The folder of the embedded model."""
    from voicebench.llm.model_folder import find_model_folder

    return find_model_folder("smollm2-135m-instruct")


@pytest.fixture(scope="session")
def c_decoder_or_none():
    """The C decoder, compiled in the user's cache; None without a C compiler."""
    from voicebench.llm.fast.native_library import native_library
    from voicebench.llm.fast.shape import Unsupported

    try:
        return native_library()
    except Unsupported:
        return None


@pytest.fixture
def c_decoder(c_decoder_or_none):
    """The compiled C decoder; without a C compiler the tests that need it are skipped."""
    if c_decoder_or_none is None:
        pytest.skip("there is no C compiler")
    return c_decoder_or_none
