"""Make `tokenizer.json` from the vocabulary in a GGUF file.

A GGUF file has a tokenizer's tokens and merges, but only the *name* of the rule that splits text
before merging. A wrong rule silently gives other tokens than in training. Transformers knows many
rules, but takes GPT-2's for an unknown name, such as ``smollm``, whose digits are single tokens.

So byte-level BPE with a rule in `SPLIT_RULES` is built here, which is also faster; transformers
does the rest. Sources of the rules: the published `tokenizer.json` of SmolLM2, Qwen2 and Llama 3,
and the table of pre-tokenizers in llama.cpp, which names them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voicebench.engines.models.gguf_header import Header

_CONTROL, _USER_DEFINED = 3, 4
"""Kinds of tokens in ``tokenizer.ggml.token_type`` that are never split or merged."""


@dataclass(frozen=True, slots=True)
class SplitRule:
    """How text is split into pieces; byte pairs are merged only within a piece.

    ``pattern`` is a regular expression for pieces; None means GPT-2's. With ``digits`` every digit
    is a piece, with ``nfc`` the text is normalised before, with ``whole_words`` a piece that is a
    token is not merged. With ``begin`` the text starts with the begin token, unless the file says
    otherwise.
    """

    pattern: str | None = None
    digits: bool = False
    nfc: bool = False
    whole_words: bool = False
    begin: bool = False


SPLIT_RULES = {
    "gpt-2": SplitRule(),
    "smollm": SplitRule(digits=True),
    "qwen2": SplitRule(
        pattern=(
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
            r"|\s*[\r\n]+|\s+(?!\S)|\s+"
        ),
        nfc=True,
    ),
    "llama-bpe": SplitRule(
        pattern=(
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
            r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        ),
        whole_words=True,
        begin=True,
    ),
}


def split_rule(header: Header) -> SplitRule | None:
    """Return the rule of a byte-level BPE vocabulary, or None if it is unknown."""
    byte_level = header.get("tokenizer.ggml.model") == "gpt2"
    if not byte_level or "tokenizer.ggml.merges" not in header.settings:
        return None
    return SPLIT_RULES.get(str(header.get("tokenizer.ggml.pre")))


def build_tokenizer(header: Header, rule: SplitRule) -> Any:
    """Return a `tokenizers.Tokenizer` with the vocabulary of a GGUF file and a split rule."""
    from tokenizers import (
        AddedToken,
        Regex,
        Tokenizer,
        decoders,
        models,
        normalizers,
        pre_tokenizers,
        processors,
    )

    tokens: list[str] = header.get("tokenizer.ggml.tokens")
    merges = [tuple(merge.split(" ", 1)) for merge in header.get("tokenizer.ggml.merges")]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, ignore_merges=rule.whole_words))
    if rule.nfc:
        tokenizer.normalizer = normalizers.NFC()
    cuts: list[Any] = []
    if rule.digits:
        cuts.append(pre_tokenizers.Digits(individual_digits=True))
    if rule.pattern is not None:
        cuts.append(pre_tokenizers.Split(Regex(rule.pattern), behavior="isolated"))
    own_rule = rule.pattern is None
    cuts.append(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=own_rule))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(cuts)
    tokenizer.decoder = decoders.ByteLevel()
    kinds = header.get("tokenizer.ggml.token_type", [])
    for token, kind in zip(tokens, kinds, strict=False):
        if kind == _CONTROL:
            tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True)])
        elif kind == _USER_DEFINED:
            tokenizer.add_tokens([AddedToken(token, normalized=False, special=False)])
    steps: list[Any] = [processors.ByteLevel(trim_offsets=False)]
    begin = header.get("tokenizer.ggml.bos_token_id")
    if begin is not None and header.get("tokenizer.ggml.add_bos_token", rule.begin):
        steps.append(
            processors.TemplateProcessing(
                single=f"{tokens[begin]} $A",
                pair=f"{tokens[begin]} $A {tokens[begin]} $B",
                special_tokens=[(tokens[begin], begin)],
            )
        )
    tokenizer.post_processor = processors.Sequence(steps)
    return tokenizer


def tokenizer_config(header: Header) -> dict[str, object]:
    """Return the content of `tokenizer_config.json`."""
    tokens: list[str] = header.get("tokenizer.ggml.tokens", [])
    config: dict[str, object] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "model_max_length": header.get(f"{header.family}.context_length"),
    }
    for name, key in (
        ("bos_token", "bos_token_id"),
        ("eos_token", "eos_token_id"),
        ("unk_token", "unknown_token_id"),
        ("pad_token", "padding_token_id"),
    ):
        index = header.get(f"tokenizer.ggml.{key}")
        if isinstance(index, int) and 0 <= index < len(tokens):
            config[name] = tokens[index]
    if template := header.get("tokenizer.chat_template"):
        config["chat_template"] = template
    return {key: value for key, value in config.items() if value is not None}


def write_tokenizer(header: Header, rule: SplitRule, folder: Path) -> None:
    """Write `tokenizer.json` and `tokenizer_config.json`."""
    build_tokenizer(header, rule).save(str(folder / "tokenizer.json"))
    text = json.dumps(tokenizer_config(header), indent=1, ensure_ascii=False)
    (folder / "tokenizer_config.json").write_text(text + "\n", encoding="utf-8")
