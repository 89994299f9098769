"""The names and shapes of a voice's weights: what a file must have, and what the network reads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from voicebench.engines.tts.hibari.onnx_weights import Weights
from voicebench.engines.tts.hibari.sizes import (
    BINS,
    DECODER_BLOCKS,
    DECODER_CHANNELS,
    FRAME_CHANNELS,
    KERNEL,
    PARTS,
    PROSODY_CHANNELS,
    PROSODY_DILATIONS,
    SYMBOLS,
    TEXT_BLOCKS,
    TEXT_CHANNELS,
)
from voicebench.errors import ModelError

Shape = tuple[int, ...]
_Named = Iterator[tuple[str, Shape]]

_TEXT_KERNEL = 5


def weight_shapes() -> dict[str, Shape]:
    """Return the shape of every array of a voice: matrices are (inputs, outputs)."""
    return dict(_all())


def check_weights(path: Path, weights: Weights) -> None:
    """Raise `ModelError` if ``weights``, read from ``path``, are not those of a hibari voice."""
    for name, shape in weight_shapes().items():
        found = weights[name].shape if name in weights else "missing"
        if found != shape:
            raise ModelError(
                f"{path} is not a hibari voice: {name} is {found}, not {shape}",
                "take the .onnx file of a voice of hibari-tts 0.2.1",
            )


def _all() -> _Named:
    yield from _text("m.text", TEXT_CHANNELS)
    yield from _text("pn.text", PROSODY_CHANNELS)
    yield from _layer("pn.dur.0", (3, PROSODY_CHANNELS, PROSODY_CHANNELS))
    yield from _layer("pn.dur.2", (1, PROSODY_CHANNELS, 1))
    yield from _layer("pn.pro_in", (1, PROSODY_CHANNELS, PROSODY_CHANNELS))
    for number in range(len(PROSODY_DILATIONS)):
        yield from _block(f"pn.pro.{number}", PROSODY_CHANNELS, 2 * PROSODY_CHANNELS, KERNEL)
    yield from _layer("pn.pro_out", (1, PROSODY_CHANNELS, 4))
    yield from _layer("m.dec_in", (KERNEL, FRAME_CHANNELS, DECODER_CHANNELS))
    for number in range(DECODER_BLOCKS):
        yield from _block(f"m.dec.{number}", DECODER_CHANNELS, 3 * DECODER_CHANNELS, KERNEL)
    yield from _layer("m.dec_norm", (DECODER_CHANNELS,))
    yield from _layer("m.head", (DECODER_CHANNELS, PARTS * BINS))


def _text(name: str, channels: int) -> _Named:
    yield f"{name}.emb.weight", (SYMBOLS, channels)
    for number in range(TEXT_BLOCKS):
        yield from _block(f"{name}.convs.{number}", channels, 2 * channels, _TEXT_KERNEL)
    yield f"{name}.attn.self_attn.in_proj_weight", (channels, 3 * channels)
    yield f"{name}.attn.self_attn.in_proj_bias", (3 * channels,)
    yield from _layer(f"{name}.attn.self_attn.out_proj", (channels, channels))
    for norm in ("attn.norm1", "attn.norm2", "norm"):
        yield from _layer(f"{name}.{norm}", (channels,))
    yield from _layer(f"{name}.attn.linear1", (channels, 2 * channels))
    yield from _layer(f"{name}.attn.linear2", (2 * channels, channels))


def _block(name: str, channels: int, wide: int, kernel: int) -> _Named:
    yield f"{name}.dw.weight", (kernel, channels)
    yield f"{name}.dw.bias", (channels,)
    yield from _layer(f"{name}.norm", (channels,))
    yield from _layer(f"{name}.pw1", (channels, wide))
    yield from _layer(f"{name}.pw2", (wide, channels))
    yield f"{name}.gamma", (channels,)


def _layer(name: str, shape: Shape) -> _Named:
    yield f"{name}.weight", shape
    yield f"{name}.bias", shape[-1:]
