"""Models of random weights, written as real model folders."""

from __future__ import annotations

import json
import re
import shutil
import warnings
from pathlib import Path
from typing import Any

import torch

LLAMAS: dict[str, dict[str, Any]] = {
    "tiny": {
        "hidden_size": 256,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 64,
        "intermediate_size": 512,
    },
    "1B": {
        "hidden_size": 2048,
        "num_hidden_layers": 16,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 64,
        "intermediate_size": 8192,
    },
    "3B": {
        "hidden_size": 3072,
        "num_hidden_layers": 28,
        "num_attention_heads": 24,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "intermediate_size": 8192,
    },
}
"""The shapes of Llama 3.2 (its config.json), and one for trying the benchmark."""

VOCABULARY = 128_256
SCORE_SPREAD = 3.0
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")
_WORD = re.compile(r"[a-z]{2,9}")


def write_llama(folder: Path, size: str, device: str, tokenizer: Path | None) -> None:
    """Write a model of random weights in bfloat16, drawn on ``device``."""
    from transformers import AutoModelForCausalLM, LlamaConfig

    config = LlamaConfig(
        **LLAMAS[size],
        vocab_size=VOCABULARY,
        max_position_embeddings=8192,
        rope_parameters={"rope_type": "default", "rope_theta": 500_000.0},
        tie_word_embeddings=False,
        bos_token_id=1,
        eos_token_id=VOCABULARY - 1,
        pad_token_id=0,
    )
    torch.manual_seed(0)
    with torch.device(device), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model: Any = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
        # The scores of trained models are spread about as widely.
        model.lm_head.weight.normal_(std=SCORE_SPREAD / config.hidden_size**0.5)
        if tokenizer is not None:
            is_word = torch.zeros(VOCABULARY, 1, dtype=torch.bfloat16)
            is_word[_words(tokenizer)] = 1
            model.lm_head.weight.mul_(is_word)
        model.save_pretrained(folder)
    if tokenizer is not None:
        for name in TOKENIZER_FILES:
            shutil.copy(tokenizer / name, folder / name)


def _words(tokenizer: Path) -> list[int]:
    """Return the ids of whole words with a space before them."""
    vocabulary = json.loads((tokenizer / "tokenizer.json").read_bytes())["model"]["vocab"]
    return [
        number
        for token, number in vocabulary.items()
        if token.startswith("Ġ") and _WORD.fullmatch(token[1:])
    ]


def write_vits(folder: Path) -> None:
    """Write a voice of MMS-TTS's shape (the defaults of ``VitsConfig``), with random weights."""
    from transformers import VitsConfig, VitsModel

    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model: Any = VitsModel(VitsConfig())
        with torch.no_grad():
            for parameter in model.decoder.parameters():
                if (
                    parameter.dim() > 1
                ):  # so that samples are neither silence nor noise at the rails
                    parameter.normal_(std=parameter[0].numel() ** -0.5)
        model.save_pretrained(folder)
    write_vits_tokenizer(folder, "|abcdefghijklmnopqrstuvwxyz '-_234567")


def write_vits_tokenizer(folder: Path, letters: str) -> None:
    """Write the tokenizer of a voice that speaks ``letters``; the first one is the blank."""
    vocabulary = {letter: number for number, letter in enumerate(letters)}
    vocabulary["<unk>"] = len(letters)
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    settings = {
        "tokenizer_class": "VitsTokenizer",
        "language": "eng",
        "add_blank": True,
        "normalize": True,
        "phonemize": False,
        "is_uroman": False,
        "pad_token": letters[0],
        "unk_token": "<unk>",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
