"""What is fitted to the machine when a voice is loaded: arithmetic, pace, recorded windows."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from voicebench.engines.models.cache import recall, remember
from voicebench.engines.native.library import NoLibrary, native_digest, processor, tried_library
from voicebench.engines.tts.pace import Pace, measured_pace
from voicebench.engines.tts.vits.native_voice import NativeArithmetic, multiplies_bfloats
from voicebench.engines.tts.vits.utterance import encode, frames, seeded_noise
from voicebench.engines.tts.vits.voice_trial import snr_db, vits_works
from voicebench.errors import SettingsError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voicebench.engines.tts.vits.arithmetic import Arithmetic
    from voicebench.engines.tts.vits.torch_voice import TorchArithmetic
    from voicebench.engines.tts.voice import Voice

LEAST_SNR_DB = 35.0
"""A shorter number format must stay this far above its error, or float32 is taken."""

REPLAYED_FRAMES = (16, 32, 48)
"""Sizes of window that are recorded on a GPU."""

_PROBE_SYMBOLS = 40
_PROBE_FRAMES = 60


def choose_arithmetic(
    voice: Voice,
    device: str,
    *,
    dtype: str = "auto",
    kernels: str = "auto",
    refused: list[NoLibrary] | None = None,
) -> Arithmetic:
    """Return what computes ``voice`` on ``device``: C compiled for this processor, or torch.

    Where it is torch for want of C, ``refused`` gets the reason.

    It speaks as the speaker of the voice's manner. ``device`` is named as torch names it, and
    ``dtype`` is the decoder's number format. ``auto`` takes a shorter one only where the processor
    multiplies it directly and the audio keeps `LEAST_SNR_DB` above the error. Torch is imported
    only where it computes, or where that error is not known yet. Raises `SettingsError` where
    ``kernels`` are asked for that are not to be had here.
    """
    may_be_native = device == "cpu" and dtype in ("auto", "float32", "bfloat16")
    if kernels != "torch" and may_be_native:
        try:
            return _native(voice, dtype)
        except NoLibrary as error:
            refusal = str(error)
            if refused is not None:
                refused.append(error)
    else:
        refusal = f"they compute float32 and bfloat16 on a CPU, and not {dtype} on {device}"
    if kernels == "native":
        raise SettingsError(
            f"the native kernels cannot speak here ({refusal})", "set tts.kernels to auto"
        )
    return _in_torch(voice, device, dtype)


def _native(voice: Voice, dtype: str) -> NativeArithmetic:
    """Return ``voice`` in C. Raises `NoLibrary` where that cannot be."""
    from voicebench.machine.devices import threads

    library = tried_library("vits", vits_works)
    if dtype == "bfloat16" and not multiplies_bfloats(library):
        raise NoLibrary("this processor has no tiles to multiply bfloat16 with")

    def built(*, bfloats: bool) -> NativeArithmetic:
        return NativeArithmetic(
            library,
            voice.shape,
            voice.weights,
            speaker=voice.manner.speaker,
            bfloats=bfloats,
            threads=threads(),
        )

    if dtype == "auto" and multiplies_bfloats(library):
        short = built(bfloats=True)
        if arithmetic_snr_db(voice, short) >= LEAST_SNR_DB:
            return short
    return built(bfloats=dtype == "bfloat16")


def _in_torch(voice: Voice, device: str, dtype: str) -> TorchArithmetic:
    """Return ``voice`` in torch, its decoder in the number format called ``dtype``.

    ``auto`` takes bfloat16 on processors that multiply it directly, if it keeps `LEAST_SNR_DB`;
    everywhere else float32 (a GPU computes a window faster than it starts its kernels).
    """
    from voicebench.machine.devices import cpu_has_bfloat16, resolve_dtype

    if dtype != "auto":
        return torch_arithmetic(voice, device, resolve_dtype(dtype, device))
    if device == "cpu" and cpu_has_bfloat16():
        short = torch_arithmetic(voice, device, "bfloat16")
        if arithmetic_snr_db(voice, short) >= LEAST_SNR_DB:
            return short
    return torch_arithmetic(voice, device)


def torch_arithmetic(voice: Voice, device: str = "cpu", dtype: str = "float32") -> TorchArithmetic:
    """Return ``voice`` in torch on ``device``, its decoder in ``dtype`` (as torch names both)."""
    from voicebench.engines.tts.vits.network import network_of
    from voicebench.engines.tts.vits.torch_voice import TorchArithmetic

    network = network_of(voice.shape, voice.weights)
    return TorchArithmetic(network, speaker=voice.manner.speaker, device=device, dtype=dtype)


def arithmetic_snr_db(voice: Voice, arithmetic: Arithmetic) -> float:
    """Return how far, in dB, the audio of ``arithmetic`` is above its error against float32.

    Measured on a babble of frames, against torch, once for the weights of a voice; remembered.
    """
    key = _digest(_weights_digest(voice), arithmetic.kernels, arithmetic.dtype, native_digest())
    known = recall("errors", key)
    if known is not None and "snr_db" in known:
        return known["snr_db"]
    rows = _probe(voice, arithmetic)
    exact, rough = (
        one.stream().window(rows, last=True) for one in (torch_arithmetic(voice), arithmetic)
    )
    measured = snr_db(exact, rough)
    remember("errors", key, {"snr_db": measured})
    return measured


def voice_pace(voice: Voice, arithmetic: Arithmetic) -> Pace:
    """Return how fast ``arithmetic`` speaks ``voice`` here, and warm it up on the way."""
    from voicebench.machine.devices import threads

    rows = _probe(voice, arithmetic)
    stream = arithmetic.stream()

    def speak_frames(count: int) -> None:
        stream.window(rows[:count], last=False)

    speak_frames(_PROBE_FRAMES)
    described = (voice.shape, arithmetic.kernels, arithmetic.dtype, arithmetic.device, threads())
    return measured_pace(_digest(*described, *_computed_by(arithmetic)), speak_frames)


def _computed_by(arithmetic: Arithmetic) -> tuple[str, ...]:
    """Return what hardware and what code computes."""
    if arithmetic.kernels == "native":
        return processor(), native_digest()
    import torch

    on_cuda = arithmetic.device.startswith("cuda")
    hardware = torch.cuda.get_device_name(arithmetic.device) if on_cuda else processor()
    return hardware, str(torch.__version__)


def record_replays(voice: Voice, arithmetic: Arithmetic) -> None:
    """Have windows recorded and replayed where the device can, and it gives the same samples."""
    if not arithmetic.device.startswith("cuda"):
        return
    from voicebench.engines.tts.vits.replay_trial import replay_on_cuda
    from voicebench.engines.tts.vits.torch_voice import TorchArithmetic

    assert isinstance(arithmetic, TorchArithmetic)  # nothing else computes on CUDA
    replay_on_cuda(arithmetic, _probe(voice, arithmetic), REPLAYED_FRAMES)


def _probe(voice: Voice, arithmetic: Arithmetic) -> NDArray[np.float32]:
    """Return frames (at least `_PROBE_FRAMES`, channels) of babble: random symbols, encoded."""
    noise = seeded_noise(0, "probe")
    symbols = np.random.default_rng(0).integers(voice.shape.text.symbols, size=_PROBE_SYMBOLS)
    manner = replace(voice.manner, length_scale=1.0)  # a user's may be anything
    utterance = encode(arithmetic, symbols.tolist(), manner, noise)
    rows = frames(utterance, 0, min(utterance.frames, 4 * _PROBE_FRAMES), noise)
    return np.tile(rows, (-(-_PROBE_FRAMES // rows.shape[0]), 1))


def _weights_digest(voice: Voice) -> str:
    """Return a digest of the file of the weights, or of the numbers that decide over the error."""
    if voice.origin is not None:
        return voice.origin
    digest = hashlib.sha256()
    for name, weight in sorted(voice.weights.items()):
        if name.startswith(("flow.", "decoder.")):
            digest.update(np.ascontiguousarray(weight).data)
    return digest.hexdigest()


def _digest(*parts: object) -> str:
    return hashlib.sha256(" ".join(map(str, parts)).encode()).hexdigest()[:32]
