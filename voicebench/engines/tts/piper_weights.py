"""The sizes of a Piper voice's network, read from its graph.

They follow from the weights' shapes and the operations' strides and dilations. So the same code
reads voices of any quality (x_low, low, medium, high) and any number of speakers.
"""

from __future__ import annotations

from typing import Literal

from voicebench.engines.tts.naming import FileNames
from voicebench.engines.tts.piper_graph import PiperGraph
from voicebench.engines.tts.vits.voice_shape import (
    DecoderShape,
    DurationShape,
    FlowShape,
    TextShape,
    VitsShape,
)


def piper_shape(graph: PiperGraph) -> VitsShape:
    """Return the sizes of the voice's network."""
    embedding = graph.operand("enc_p.emb", "Gather")
    speakers = speaker_channels = 0
    if graph.has("dec.cond"):
        speakers, speaker_channels = graph.operand("emb_g", "Gather").shape
    near = graph.stored("enc_p.encoder.attn_layers.0.emb_rel_k")
    feed = graph.convolution("enc_p.encoder.ffn_layers.0.conv_1").weight
    return VitsShape(
        text=TextShape(
            symbols=embedding.shape[0],
            channels=embedding.shape[1],
            feed_channels=feed.shape[0],
            layers=len(graph.numbers("enc_p.encoder.attn_layers.#.conv_q")),
            heads=embedding.shape[1] // near.shape[2],
            kernel=feed.shape[2],
            reach=(near.shape[1] - 1) // 2,
        ),
        durations=_duration_shape(graph),
        flow=_flow_shape(graph),
        decoder=_decoder_shape(graph),
        speakers=speakers or 1,
        speaker_channels=speaker_channels,
    )


def _duration_shape(graph: PiperGraph) -> DurationShape:
    flows = graph.numbers("dp.flows.#.pre")
    if not flows:
        first = graph.convolution("dp.conv_1").weight
        return DurationShape(stochastic=False, channels=first.shape[0], kernel=first.shape[2])
    knots = graph.convolution(f"dp.flows.{flows[0]}.proj").weight
    return DurationShape(
        stochastic=True,
        channels=graph.convolution("dp.pre").weight.shape[0],
        kernel=graph.convolution("dp.convs.convs_sep.0").weight.shape[2],
        layers=len(graph.numbers("dp.convs.convs_sep.#")),
        flows=len(flows),
        bins=(knots.shape[0] + 1) // 3,
    )


def _flow_shape(graph: PiperGraph) -> FlowShape:
    couplings = graph.numbers("flow.flows.#.pre")
    if not couplings:
        raise graph.foreign("no flow")
    scope = f"flow.flows.{couplings[0]}"
    pre = graph.convolution(f"{scope}.pre").weight
    layers = len(graph.numbers(f"{scope}.enc.in_layers.#"))
    gate = graph.convolution(f"{scope}.enc.in_layers.{min(1, layers - 1)}")
    return FlowShape(
        channels=2 * pre.shape[1],
        couplings=len(couplings),
        hidden=pre.shape[0],
        layers=layers,
        kernel=gate.weight.shape[2],
        dilation_rate=gate.dilation,
    )


def _decoder_shape(graph: PiperGraph) -> DecoderShape:
    ups = [graph.convolution(f"dec.ups.{i}") for i in graph.numbers("dec.ups.#")]
    kind: Literal[1, 2] = 1 if graph.has("dec.resblocks.0.convs1.0") else 2
    name = "convs1" if kind == 1 else "convs"
    blocks = len(graph.numbers(f"dec.resblocks.#.{name}.0"))
    if not ups or blocks % len(ups):
        raise graph.foreign(f"{blocks} residual blocks for {len(ups)} upsampling stages")
    kernels, dilations = [], []
    for block in range(blocks // len(ups)):
        scope = f"dec.resblocks.{block}.{name}"
        rows = [graph.convolution(f"{scope}.{i}") for i in graph.numbers(f"{scope}.#")]
        kernels.append(rows[0].weight.shape[2])
        dilations.append(tuple(row.dilation for row in rows))
    return DecoderShape(
        channels=ups[0].weight.shape[0],
        first_kernel=graph.convolution("dec.conv_pre").weight.shape[2],
        last_kernel=graph.convolution("dec.conv_post").weight.shape[2],
        rates=tuple(up.stride for up in ups),
        kernels=tuple(up.weight.shape[2] for up in ups),
        block_kernels=tuple(kernels),
        block_dilations=tuple(dilations),
        block_kind=kind,
        slope=round(graph.slope("dec"), 6),
    )


def piper_names(graph: PiperGraph) -> FileNames:
    """Return how the graph names the weights; its last flow speaks first."""
    return FileNames(
        "piper",
        splines=graph.numbers("dp.flows.#.pre")[::-1],
        couplings=graph.numbers("flow.flows.#.pre")[::-1],
    )
