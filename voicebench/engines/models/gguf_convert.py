"""The program that converts a GGUF file: `python -m … SOURCE FOLDER`.

It runs in a child process (see `gguf.convert`), because it needs gigabytes of memory for a short
time and imports libraries that print warnings. It writes one JSON object a line to standard output:
``{"part": n, "of": m}`` as progress, and ``{"error": …, "remedy": …}`` for a known error. It ends
when its standard input closes, so it does not outlive a killed parent.

A file of Llama's architecture is read by `gguf_llama`. For the other families transformers does the
work: names, order of rows, meaning of settings. This program adds the rest. It refuses a model with
missing tensors instead of filling in random numbers. It takes the tokens that end a reply and the
scaling of rotary frequencies from the file. And it stores the weights as float16 (see `gguf`),
unless one of them is too large.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from voicebench.engines.models.gguf_header import Header, read_header, write_without_vocabulary
from voicebench.engines.models.gguf_llama import is_known, llama_config, llama_weights
from voicebench.engines.models.gguf_rope import stretched_rope
from voicebench.engines.models.gguf_tokenizer import split_rule, write_tokenizer
from voicebench.engines.models.tensor_file import save_tensors
from voicebench.errors import ModelError

PARTS = 4

_VOCABULARY_NOT_NEEDED = ("llama", "qwen2", "qwen3", "gemma2", "gemma3", "phi3", "starcoder2")
"""Families that transformers can read without the vocabulary's arrays, each of which takes
some ten seconds."""


def convert(source: Path, folder: Path) -> None:
    """Write the model in ``source`` into ``folder`` as safetensors, with config and tokenizer.

    Raises `ModelError`.
    """
    header = read_header(source)
    work = folder / ".convert"
    work.mkdir()
    try:
        _tell(0)
        if is_known(header):
            weights = llama_weights(header)
            _tell(1)
            save_tensors(weights, folder / "model.safetensors")
            _tell(2)
            stored = next(iter(weights.values())).dtype.name
            _write_configs(header, llama_config(header), "LlamaForCausalLM", stored, folder)
        else:
            _convert_by_transformers(header, work, folder)
        _tell(3)
        rule = split_rule(header)
        if rule is not None:
            write_tokenizer(header, rule, folder)
        else:
            _write_tokenizer_by_transformers(source, work, folder)
        _tell(4)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _convert_by_transformers(header: Header, work: Path, folder: Path) -> None:
    slim = work / "model.gguf"
    if header.family in _VOCABULARY_NOT_NEEDED:
        write_without_vocabulary(header, slim)
    else:
        _stand_in(header.path, slim)
    _write_model(header, slim, folder)


def _tell(part: int) -> None:
    print(json.dumps({"part": part, "of": PARTS}), flush=True)


def _stand_in(source: Path, place: Path) -> None:
    """Link ``source`` into a folder without other files that could be taken for its parts."""
    try:
        place.symlink_to(source.absolute())
    except OSError:  # no symbolic links here
        shutil.copyfile(source, place)


def _write_model(header: Header, slim: Path, folder: Path) -> None:
    import torch

    model = _load(header, slim, torch.float16)
    _tell(1)
    if not all(bool(torch.isfinite(weight).all()) for weight in model.state_dict().values()):
        model = _load(header, slim, torch.float32)
    _tell(2)
    _write_weights(model, folder / "model.safetensors")
    stored = str(next(model.parameters()).dtype).removeprefix("torch.")
    _write_configs(header, model.config.to_dict(), type(model).__name__, stored, folder)


def _load(header: Header, slim: Path, dtype: Any) -> Any:
    """Return the model with weights in ``dtype``; raises `ModelError` if any is missing."""
    from transformers import AutoConfig, AutoModelForCausalLM

    try:
        config = AutoConfig.from_pretrained(slim.parent, gguf_file=slim.name)
    except (ValueError, KeyError) as error:
        raise ModelError(
            f"transformers cannot read a GGUF of the family {header.family!r} ({_short(error)})",
            "take a model of another family, or its safetensors instead of a GGUF",
        ) from error
    options: dict[str, Any] = {"gguf_file": slim.name, "config": config, "dtype": dtype}
    if quantisation := _plain_numbers():
        options["quantization_config"] = quantisation
    loaded: Any = AutoModelForCausalLM.from_pretrained(
        slim.parent, output_loading_info=True, **options
    )
    model, info = loaded
    absent = sorted(info["missing_keys"])
    if absent:
        raise ModelError(
            f"{header.path} lacks {len(absent)} tensors of a {header.family} model, among them "
            f"{absent[0]}",
            "fetch the file again, or take another file of the model",
        )
    return model


def _plain_numbers() -> Any:
    """Return the option to unpack all weights, if this transformers can keep them packed."""
    try:
        from transformers import GgufConfig
    except ImportError:
        return None
    return GgufConfig(dequantize=True)


def _write_weights(model: Any, target: Path) -> None:
    """Write the state dict; a weight with two names is written under the first."""
    seen: set[int] = set()
    weights = {}
    for name, weight in model.state_dict().items():
        if weight.data_ptr() in seen:
            continue
        seen.add(weight.data_ptr())
        weights[name] = weight.contiguous()
    save_tensors(weights, target)


_NOT_OF_THE_MODEL = (
    "chunk_size_feed_forward",
    "id2label",
    "is_encoder_decoder",
    "label2id",
    "output_attentions",
    "output_hidden_states",
    "problem_type",
    "quantization_config",
    "return_dict",
)
"""Settings that transformers writes into every config, and that do not describe the model."""


def _write_configs(
    header: Header, settings: Mapping[str, object], architecture: str, stored: str, folder: Path
) -> None:
    config = {
        key: value
        for key, value in settings.items()
        if not key.startswith("_") and key not in _NOT_OF_THE_MODEL
    }
    config |= {"architectures": [architecture], "dtype": stored}
    if rope := stretched_rope(header):
        config["rope_parameters"] = rope
    if ends := ends_of_reply(header):
        config["eos_token_id"] = ends if len(ends) > 1 else ends[0]
    ids = ("bos_token_id", "eos_token_id", "pad_token_id")
    generation = {key: config[key] for key in ids if key in config}
    for name, document in (("config.json", config), ("generation_config.json", generation)):
        (folder / name).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def ends_of_reply(header: Header) -> list[int]:
    """Return the ids that end a reply: end of sequence, and end of turn if the file has one."""
    named = (header.get(f"tokenizer.ggml.{key}_token_id") for key in ("eos", "eot", "eom"))
    return list(dict.fromkeys(index for index in named if isinstance(index, int)))


def _write_tokenizer_by_transformers(source: Path, work: Path, folder: Path) -> None:
    from transformers import AutoTokenizer

    whole = work / "whole"
    whole.mkdir()
    _stand_in(source, whole / "model.gguf")
    try:
        tokenizer = AutoTokenizer.from_pretrained(whole, gguf_file="model.gguf")
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"transformers cannot read the tokenizer in {source} ({_short(error)})",
            "take the model's safetensors and tokenizer.json instead of a GGUF",
        ) from error
    tokenizer.save_pretrained(folder, save_jinja_files=False)


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def main(arguments: list[str]) -> int:
    """Convert; return 0, or 4 after a known error."""
    source, folder = map(Path, arguments)
    try:
        convert(source, folder)
    except ModelError as error:
        print(json.dumps({"error": error.message, "remedy": error.remedy}), flush=True)
        return error.exit_code
    return 0


def _end_with_parent() -> None:
    # Not sys.stdin: a thread that waits in it would break the normal exit.
    while os.read(0, 4096):
        pass
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    sys.exit(main(sys.argv[1:]))
