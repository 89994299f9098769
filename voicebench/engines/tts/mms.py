"""transformers' VITS voices (``VitsModel``; the MMS-TTS voices of more than 1,100 languages).

Such a voice is a folder, local or from a hub: ``config.json``, ``model.safetensors`` and the files
of its tokenizer. It takes characters, not phonemes. Its weights go into the same network as those
of Piper voices; transformers is not needed to speak.

The names of settings and weights are those that ``VitsModel.save_pretrained`` writes. A file may
store a weight as direction and length (weight norm, Salimans and Kingma 2016), under one of two
pairs of names. They are multiplied here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voicebench.engines.models.fetch_progress import Say, say_nothing
from voicebench.engines.tts.characters import REMEDY, read_characters
from voicebench.engines.tts.vits.utterance import Manner
from voicebench.engines.tts.vits.voice_shape import (
    DecoderShape,
    DurationShape,
    FlowShape,
    TextShape,
    VitsShape,
)
from voicebench.engines.tts.voice import Voice, converted, read_json
from voicebench.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor


def open_vits_folder(folder: Path, name: str | None = None, say: Say = say_nothing) -> Voice:
    """Load the voice in ``folder``. Raises `ModelError` if it is not a whole VITS voice."""
    config = read_json(folder / "config.json", REMEDY)
    if config.get("model_type") != "vits":
        raise ModelError(
            f"{folder} has a model of the type {config.get('model_type')!r}, not a VITS voice",
            REMEDY,
        )
    characters = read_characters(folder)
    try:
        shape = vits_shape(config)
        manner = Manner(
            noise_scale=float(config.get("noise_scale", 0.667)),
            length_scale=1.0 / float(config.get("speaking_rate", 1.0)),
            noise_w=float(config.get("noise_scale_duration", 0.8)),
            speaker=0 if shape.speakers > 1 else None,
        )
        sample_rate = int(config.get("sampling_rate", 16_000))
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise ModelError(
            f"{folder / 'config.json'} is not that of a VITS voice "
            f"({type(error).__name__}: {error})",
            REMEDY,
        ) from None
    weights_file = folder / "model.safetensors"
    if not weights_file.is_file():
        raise ModelError(f"{folder} has no model.safetensors", REMEDY)

    def convert() -> tuple[VitsShape, dict[str, Tensor]]:
        from voicebench.engines.tts.naming import FileNames, collect

        # The last flow that was trained speaks first. The first duration flow is not used to speak.
        splines = range(shape.durations.flows + 1, 1, -1)
        names = FileNames("mms", splines, couplings=range(shape.flow.couplings)[::-1])
        return shape, collect(weights_file, shape, names, _read_weights(weights_file))

    made = converted(weights_file, convert, shape, say)
    if (most := max(characters.ids.values())) >= shape.text.symbols:
        raise ModelError(
            f"{folder / 'vocab.json'} has the symbol {most}, but the voice has only "
            f"{shape.text.symbols} symbols",
            "take all files of the same voice",
        )
    return Voice(
        name=name or folder.resolve().name,
        family="mms",
        language=characters.language,
        sample_rate=sample_rate,
        shape=made.shape,
        weights=made.weights,
        origin=made.origin,
        symbols=characters.symbols,
        manner=manner,
        lead_symbols=1 if characters.blanks else 0,
    )


def vits_shape(config: Mapping[str, Any]) -> VitsShape:
    """Return the sizes in ``config.json``; a missing one has VitsConfig's default."""

    def size(name: str, default: int) -> int:
        value = int(config.get(name, default))
        if not 0 <= value <= 1 << 20:
            raise ValueError(f"{name} is {value}")
        return value

    def row(name: str, default: tuple[int, ...]) -> tuple[int, ...]:
        values = tuple(int(value) for value in config.get(name, default))
        if not values or min(values) < 1:
            raise ValueError(f"{name} is {values}")
        return values

    if config.get("hidden_act", "relu") != "relu":
        raise ValueError(f"hidden_act is {config['hidden_act']!r}, and only 'relu' is known")
    stochastic = bool(config.get("use_stochastic_duration_prediction", True))
    hidden = size("hidden_size", 192)
    speakers = size("num_speakers", 1)
    return VitsShape(
        text=TextShape(
            symbols=size("vocab_size", 38),
            channels=hidden,
            feed_channels=size("ffn_dim", 768),
            layers=size("num_hidden_layers", 6),
            heads=size("num_attention_heads", 2),
            kernel=size("ffn_kernel_size", 3),
            reach=size("window_size", 4),
        ),
        durations=DurationShape(
            stochastic=stochastic,
            channels=hidden if stochastic else size("duration_predictor_filter_channels", 256),
            kernel=size("duration_predictor_kernel_size", 3),
            layers=size("depth_separable_num_layers", 3),
            flows=size("duration_predictor_num_flows", 4) - 1 if stochastic else 0,
            bins=size("duration_predictor_flow_bins", 10),
            bound=float(config.get("duration_predictor_tail_bound", 5.0)),
        ),
        flow=FlowShape(
            channels=size("flow_size", 192),
            couplings=size("prior_encoder_num_flows", 4),
            hidden=hidden,
            layers=size("prior_encoder_num_wavenet_layers", 4),
            kernel=size("wavenet_kernel_size", 5),
            dilation_rate=size("wavenet_dilation_rate", 1),
        ),
        decoder=DecoderShape(
            channels=size("upsample_initial_channel", 512),
            first_kernel=7,
            last_kernel=7,
            rates=row("upsample_rates", (8, 8, 2, 2)),
            kernels=row("upsample_kernel_sizes", (16, 16, 4, 4)),
            block_kernels=row("resblock_kernel_sizes", (3, 7, 11)),
            block_dilations=tuple(
                tuple(int(d) for d in dilations)
                for dilations in config.get("resblock_dilation_sizes", ((1, 3, 5),) * 3)
            ),
            block_kind=1,
            slope=float(config.get("leaky_relu_slope", 0.1)),
        ),
        speakers=speakers,
        speaker_channels=size("speaker_embedding_size", 0) if speakers > 1 else 0,
        norm_eps=float(config.get("layer_norm_eps", 1e-5)),
    )


def _read_weights(path: Path) -> Callable[[str], Tensor]:
    """Return a function from names to the tensors in a safetensors file, with weight norm applied.

    The tensors are float32. Raises `ModelError`.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from voicebench.engines.models.formats import require_format

    require_format(path, "safetensors")
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise ModelError(
            f"{path} cannot be read ({error})", "fetch it again: it may be cut off"
        ) from None

    def get(name: str) -> Tensor:
        if name in tensors:
            return tensors[name].float()
        stem = name.removesuffix(".weight")
        normed = f"{stem}.parametrizations.weight.original"
        for length, direction in (
            (f"{stem}.weight_g", f"{stem}.weight_v"),
            (f"{normed}0", f"{normed}1"),
        ):
            if name.endswith(".weight") and {length, direction} <= tensors.keys():
                g, v = tensors[length].float(), tensors[direction].float()
                axes = [axis for axis in range(v.dim()) if g.shape[axis] == 1]
                folded: Tensor = v * (g / v.norm(dim=axes, keepdim=True))
                return folded
        raise ModelError(f"{path} is not a VitsModel: it has no {name}", REMEDY)

    return get
