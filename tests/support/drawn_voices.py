"""Small voices with random weights, made by the programs whose files voicebench reads.

Piper voices are built and exported by Piper's own training code, MMS voices by transformers. Both
are then run by those programs (onnxruntime, transformers) to have something to compare with.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.gpu.random_models import write_vits_tokenizer
from voicebench.engines.tts.vits.arithmetic import Arithmetic
from voicebench.engines.tts.vits.utterance import Manner, encode, windows

PHONEMES = "_^$ abcdefghijklmnopqrstuvwxyzəɪʊɛˈː.,!?"


class FixedNoise:
    """The noise of one utterance, written down."""

    def __init__(self, durations: NDArray[np.float32], frames: NDArray[np.float32]) -> None:
        self.durations = durations
        self.frames = frames
        self.taken = 0

    def __call__(self, shape: tuple[int, int]) -> NDArray[np.float32]:
        if shape == self.durations.shape:
            return self.durations
        rows, channels = shape
        drawn = self.frames[self.taken : self.taken + rows, :channels]
        self.taken += rows
        assert drawn.shape == shape
        return drawn


def spoken_at_once(
    arithmetic: Arithmetic, symbols: list[int], manner: Manner, noise: FixedNoise
) -> NDArray[np.float32]:
    """Return the samples of ``symbols``, computed in one window."""
    utterance = encode(arithmetic, symbols, manner, noise)
    return np.concatenate(list(windows(arithmetic, utterance, noise, iter([10**9]))))


def randomize(module: nn.Module, seed: int = 0) -> None:
    """Fill ``module`` with random weights that keep signals at a sensible level.

    Freshly made VITS modules are no test: their flows end in zeros and do nothing.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            drawn = torch.randn(parameter.shape, generator=generator)
            if parameter.dim() < 2 or parameter.shape == (2, 1):
                is_gain = name.endswith(("gamma", "norm.weight")) or "norms" in name
                parameter.copy_(0.1 * drawn + (1.0 if is_gain and "beta" not in name else 0.0))
            elif "weight_g" in name or "original0" in name:
                parameter.copy_(drawn.abs() + 0.5)
            else:
                fan_in = max(1, parameter[0].numel())
                parameter.copy_(drawn / fan_in**0.5)


def write_piper_voice(path: Path, *, kind: str = "2", speakers: int = 1, sdp: bool = True) -> Path:
    """Write a small random Piper voice to ``path`` and ``path``.json, and return ``path``."""
    model = _piper_model(kind, speakers, sdp)
    randomize(model)
    model.eval()

    def infer(text: Tensor, lengths: Tensor, scales: Tensor, sid: Tensor | None = None) -> Tensor:
        audio = model.infer(
            text,
            lengths,
            noise_scale=scales[0],
            length_scale=scales[1],
            noise_scale_w=scales[2],
            sid=sid,
        )[0]
        return torch.as_tensor(audio).unsqueeze(1)

    model.forward = infer
    symbols = torch.randint(0, len(PHONEMES), (1, 12))
    arguments = [symbols, torch.tensor([12]), torch.tensor([0.667, 1.0, 0.8])]
    if speakers > 1:
        arguments.append(torch.tensor([0]))
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        model.dec.remove_weight_norm()
        torch.onnx.export(
            model,
            tuple(arguments),
            path,
            opset_version=15,
            input_names=["input", "input_lengths", "scales", "sid"][: len(arguments)],
            output_names=["output"],
            dynamic_axes={"input": {1: "phonemes"}, "output": {2: "time"}},
            dynamo=False,
        )
    settings = {
        "audio": {"sample_rate": 8000},
        "espeak": {"voice": "en-us"},
        "phoneme_type": "espeak",
        "num_symbols": len(PHONEMES) + 3,
        "num_speakers": speakers,
        "phoneme_id_map": {phoneme: [i] for i, phoneme in enumerate(PHONEMES)},
        "inference": {"noise_scale": 0.5, "length_scale": 1.5, "noise_w": 0.6},
    }
    path.with_name(path.name + ".json").write_text(json.dumps(settings), encoding="utf-8")
    return path


def _piper_model(kind: str, speakers: int, sdp: bool) -> Any:
    dilations = {"1": ((1, 3, 5), (1, 2, 4)), "2": ((1, 2), (2, 6))}[kind]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Piper's training code uses what torch calls old
        from piper.train.vits.models import SynthesizerTrn

        return SynthesizerTrn(
            n_vocab=len(PHONEMES) + 3,
            spec_channels=9,
            segment_size=32,
            inter_channels=8,
            hidden_channels=12,
            filter_channels=20,
            n_heads=2,
            n_layers=2,
            kernel_size=3,
            p_dropout=0.1,
            resblock=kind,
            resblock_kernel_sizes=(3, 5),
            resblock_dilation_sizes=dilations,
            upsample_rates=(4, 3),
            upsample_initial_channel=16,
            upsample_kernel_sizes=(8, 7),
            n_speakers=speakers,
            gin_channels=6 if speakers > 1 else 0,
            use_sdp=sdp,
        )


class OnnxVoice:
    """A Piper voice run by onnxruntime, with its two sources of noise made inputs."""

    def __init__(self, path: Path) -> None:
        import onnx
        import onnxruntime

        model = onnx.load(path)
        self._noise_names = []
        for node in list(model.graph.node):
            if node.op_type == "RandomNormalLike":
                name = node.output[0]
                self._noise_names.append(name)
                model.graph.input.append(
                    onnx.helper.make_tensor_value_info(name, 1, [1, None, None])
                )
                model.graph.node.remove(node)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def speak(
        self,
        symbols: list[int],
        scales: tuple[float, float, float],
        durations: NDArray[np.float32],
        frames: NDArray[np.float32],
        speaker: int | None = None,
    ) -> np.ndarray[Any, Any]:
        """Return the samples; ``scales`` are noise scale, length scale and noise w."""
        noises = [durations.T[None], frames.T[None]][-len(self._noise_names) :]
        inputs: dict[str, Any] = dict(zip(self._noise_names, noises, strict=True))
        inputs |= {
            "input": np.array([symbols]),
            "input_lengths": np.array([len(symbols)]),
            "scales": np.array(scales, np.float32),
        }
        if speaker is not None:
            inputs["sid"] = np.array([speaker])
        return np.asarray(self._session.run(None, inputs)[0]).reshape(-1)


def write_mms_voice(folder: Path, *, legacy_names: bool = False, **changes: Any) -> Path:
    """Write a small random ``VitsModel`` and its tokenizer to ``folder``, and return it."""
    from safetensors.torch import load_file, save_file
    from transformers import VitsConfig, VitsModel

    letters = "|abcdefghijklmnopqrstuvwxyz '-"
    settings: dict[str, Any] = {
        "vocab_size": len(letters) + 1,
        "hidden_size": 12,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "ffn_dim": 20,
        "window_size": 3,
        "flow_size": 8,
        "spectrogram_bins": 9,
        "duration_predictor_filter_channels": 10,
        "prior_encoder_num_flows": 3,
        "prior_encoder_num_wavenet_layers": 2,
        "posterior_encoder_num_wavenet_layers": 1,
        "wavenet_kernel_size": 3,
        "wavenet_dilation_rate": 2,
        "upsample_initial_channel": 16,
        "upsample_rates": [4, 2],
        "upsample_kernel_sizes": [8, 4],
        "resblock_kernel_sizes": [3, 5],
        "resblock_dilation_sizes": [[1, 3], [1, 2]],
        "sampling_rate": 8000,
        "speaking_rate": 0.8,
    }
    model = VitsModel(VitsConfig(**(settings | changes)))
    randomize(model)
    model.save_pretrained(folder)
    if legacy_names:
        names = {"parametrizations.weight.original0": "weight_g"}
        names["parametrizations.weight.original1"] = "weight_v"
        tensors = {}
        for name, tensor in load_file(folder / "model.safetensors").items():
            for new, old in names.items():
                name = name.replace(new, old)  # noqa: PLW2901
            tensors[name] = tensor
        save_file(tensors, folder / "model.safetensors")
    write_vits_tokenizer(folder, letters)
    return folder
