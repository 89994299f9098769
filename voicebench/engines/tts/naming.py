"""Names of a voice's weights in the voice's file.

There are two kinds of files: transformers' ``VitsModel``, and Piper voices, which keep the names of
the program that trained them. Both hold the same weights of the same layers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from voicebench.engines.tts.vits.torch_voice import Vits
from voicebench.engines.tts.vits.voice_shape import VitsShape
from voicebench.errors import ModelError

_DURATIONS = """
shift                   flows.0.translate           flows.0.m
log_scale               flows.0.log_scale           flows.0.logs
first                   conv_1                      conv_1
first_norm              norm_1                      norm_1
second                  conv_2                      conv_2
second_norm             norm_2                      norm_2
plain_project           proj                        proj
speaker                 cond                        cond
pre                     conv_pre                    pre
project                 conv_proj                   proj
layers.#.alone          conv_dds.convs_dilated.#    convs.convs_sep.#
layers.#.mix            conv_dds.convs_pointwise.#  convs.convs_1x1.#
layers.#.alone_norm     conv_dds.norms_1.#          convs.norms_1.#
layers.#.mix_norm       conv_dds.norms_2.#          convs.norms_2.#
"""

_NAMES = {
    # The beginning of a name, and the rest: ours, VitsModel's and Piper's. # is a number.
    ("text.", "text_encoder.", "enc_p."): """
embedding               embed_tokens.weight         emb.weight
project                 project                     proj
""",
    ("text.layers.#.", "text_encoder.encoder.layers.#.", "enc_p.encoder."): """
attention.q             attention.q_proj            attn_layers.#.conv_q
attention.k             attention.k_proj            attn_layers.#.conv_k
attention.v             attention.v_proj            attn_layers.#.conv_v
attention.output        attention.out_proj          attn_layers.#.conv_o
attention.near_keys     attention.emb_rel_k         attn_layers.#.emb_rel_k
attention.near_values   attention.emb_rel_v         attn_layers.#.emb_rel_v
attention_norm          layer_norm                  norm_layers_1.#
feed_norm               final_layer_norm            norm_layers_2.#
widen                   feed_forward.conv_1         ffn_layers.#.conv_1
narrow                  feed_forward.conv_2         ffn_layers.#.conv_2
""",
    ("durations.", "duration_predictor.", "dp."): _DURATIONS,
    ("durations.flows.#.", "duration_predictor.flows.#.", "dp.flows.#."): _DURATIONS,
    ("flow.couplings.#.", "flow.flows.#.", "flow.flows.#."): """
pre                     conv_pre                    pre
post                    conv_post                   post
gates.#                 wavenet.in_layers.#         enc.in_layers.#
mixes.#                 wavenet.res_skip_layers.#   enc.res_skip_layers.#
speaker                 wavenet.cond_layer          enc.cond_layer
""",
    ("decoder.", "decoder.", "dec."): """
pre                     conv_pre                    conv_pre
post                    conv_post                   conv_post
speaker                 cond                        cond
stages.#.upsampling     upsampler.#                 ups.#
blocks.#.dilated.#      resblocks.#.convs1.#        resblocks.#.convs1.#
blocks.#.plain.#        resblocks.#.convs2.#        resblocks.#.convs2.#
""",
    ("", "", ""): """
speakers                embed_speaker.weight        emb_g.weight
""",
}

_FILE_NAMES = {
    prefixes[0] + ours: (prefixes[1] + vits_model, prefixes[2] + piper)
    for prefixes, table in _NAMES.items()
    for ours, vits_model, piper in map(str.split, table.strip().splitlines())
}

_JOINT = ".joint."
"""Query, key and value of attention are one weight here, and three (q, k, v) in every file."""


@dataclass(frozen=True, slots=True)
class FileNames:
    """How a file names the weights of a network.

    ``splines`` and ``couplings`` are the file's numbers of the duration flows and of the flow's
    coupling layers, in the order in which the reversed flows run.
    """

    family: Literal["mms", "piper"]
    splines: Sequence[int]
    couplings: Sequence[int]

    def of(self, name: str, shape: VitsShape) -> str:
        """Return what the file calls the weight ``name`` of a network of ``shape``."""
        decoder = shape.decoder
        if not shape.durations.stochastic:
            name = name.replace("durations.project", "durations.plain_project")
        name = re.sub(r"(?<=^durations\.flows\.)\d+", lambda m: str(self.splines[int(m[0])]), name)
        name = re.sub(r"(?<=^flow\.couplings\.)\d+", lambda m: str(self.couplings[int(m[0])]), name)
        if block := re.match(r"decoder\.stages\.(\d+)\.blocks\.(\d+)", name):
            number = int(block[1]) * len(decoder.block_kernels) + int(block[2])
            name = f"decoder.blocks.{number}{name[block.end() :]}"
        layer = name.removesuffix(".weight").removesuffix(".bias")
        found = _FILE_NAMES[re.sub(r"\d+", "#", layer)][self.family == "piper"]
        for number in re.findall(r"\d+", layer):
            found = found.replace("#", number, 1)
        if decoder.block_kind == 2:
            found = found.replace(".convs1.", ".convs.")
        return found + name[len(layer) :]


def collect(
    source: Path, shape: VitsShape, names: FileNames, get: Callable[[str], Tensor]
) -> dict[str, Tensor]:
    """Return all weights of a network of ``shape``, float32, by our names.

    ``get`` returns the tensor that has a name in the file. Dimensions of size 1 may differ: a
    convolution over one symbol is a linear layer. Raises `ModelError` if a weight is missing,
    has another shape, or is not finite.
    """
    with torch.device("meta"):
        network = Vits(shape)
    modules = dict(network.named_modules())
    weights = {}
    for name, kept in network.state_dict().items():
        owner, _, field = name.rpartition(".")
        arranged = getattr(modules[owner], "arranged", None) if field == "weight" else None
        wanted = modules[owner].trained_shape if arranged else tuple(kept.shape)
        parts = [name.replace(_JOINT, f".{part}.") for part in "qkv"] if _JOINT in name else [name]
        found = torch.cat([get(names.of(part, shape)) for part in parts])
        if [d for d in found.shape if d > 1] != [d for d in wanted if d > 1]:
            raise ModelError(
                f"{source} is not a voice of a known kind: {name} has the shape "
                f"{tuple(found.shape)}, not {wanted}"
            )
        if not bool(torch.isfinite(found).all()):
            raise ModelError(f"{source} is damaged: {name} holds numbers that are not finite")
        found = found.to(torch.float32).reshape(wanted)
        weights[name] = (arranged(found) if arranged else found).contiguous().clone()
    return weights
