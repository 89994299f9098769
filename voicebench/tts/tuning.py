"""What is fitted to the machine when a voice is loaded: arithmetic, pace, recorded windows."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from voicebench.errors import SettingsError
from voicebench.native.library import NoLibrary, native_digest, processor, tried_library
from voicebench.tts.memory import recall, remember
from voicebench.tts.pace import Pace, measured_pace
from voicebench.tts.vits.network import Arithmetic, TorchArithmetic

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from voicebench.tts.vits.carry import Carry
    from voicebench.tts.vits.replay import Replays
    from voicebench.tts.voice import Voice

LEAST_SNR_DB = 35.0
"""A shorter number format must stay this far above its error, or float32 is taken."""

REPLAYED_FRAMES = (16, 32, 48)
"""Sizes of window that are recorded on a GPU."""

_PROBE_SYMBOLS = 40
_PROBE_FRAMES = 60


def choose_arithmetic(
    voice: Voice, device: torch.device, *, dtype: str = "auto", kernels: str = "auto"
) -> Arithmetic:
    """Return what computes ``voice`` on ``device``: C compiled for this processor, or torch.

    ``dtype`` is the decoder's number format. ``auto`` takes a shorter one only where the processor
    multiplies it directly and the audio keeps `LEAST_SNR_DB` above the error. Raises
    `SettingsError` where ``kernels`` are asked for that are not to be had here.
    """
    may_be_native = device.type == "cpu" and dtype in ("auto", "float32", "bfloat16")
    if kernels != "torch" and may_be_native:
        try:
            return _native(voice, dtype)
        except NoLibrary as error:
            refusal = str(error)
    else:
        refusal = f"they compute float32 and bfloat16 on a CPU, and not {dtype} on {device}"
    if kernels == "native":
        raise SettingsError(
            f"the native kernels cannot speak here ({refusal})", "set tts.kernels to auto"
        )
    voice.network.decoder.to(choose_dtype(dtype, voice, device))
    voice.network.prepare()
    return TorchArithmetic(voice.network)


def _native(voice: Voice, dtype: str) -> Arithmetic:
    """Return ``voice`` in C. Raises `NoLibrary` where that cannot be."""
    import torch

    from voicebench.tts.vits.native_trial import vits_works
    from voicebench.tts.vits.native_voice import NativeArithmetic, multiplies_bfloats

    library = tried_library("vits", vits_works)
    if dtype == "bfloat16" and not multiplies_bfloats(library):
        raise NoLibrary("this processor has no tiles to multiply bfloat16 with")

    def built(*, bfloats: bool) -> Arithmetic:
        with torch.inference_mode():
            return NativeArithmetic(
                library,
                voice.network,
                speaker=voice.network.speaker(voice.manner),
                bfloats=bfloats,
                threads=torch.get_num_threads(),
            )

    if dtype == "auto" and multiplies_bfloats(library):
        short = built(bfloats=True)
        if arithmetic_snr_db(voice, short) >= LEAST_SNR_DB:
            return short
    return built(bfloats=dtype == "bfloat16")


def arithmetic_snr_db(voice: Voice, arithmetic: Arithmetic) -> float:
    """Return how far, in dB, the audio of ``arithmetic`` is above its error against float32.

    Measured on a babble of frames, once for the weights of a voice; remembered.
    """
    import torch

    key = _digest(_weights_digest(voice), arithmetic.kernels, arithmetic.dtype, native_digest())
    known = recall("errors", key)
    if known is not None and "snr_db" in known:
        return known["snr_db"]
    with torch.inference_mode():
        frames = _probe(voice)
        exact, rough = (
            one.stream(_speaker(voice)).window(frames, last=True).double()
            for one in (TorchArithmetic(voice.network), arithmetic)
        )
    snr_db = float(10 * torch.log10(exact.square().sum() / (exact - rough).square().sum()))
    remember("errors", key, {"snr_db": snr_db})
    return snr_db


def choose_dtype(name: str, voice: Voice, device: torch.device) -> torch.dtype:
    """Return the number format of torch's decoder called ``name``; ``auto`` is fast and exact.

    ``auto`` takes bfloat16 on processors that multiply it directly, if it keeps `LEAST_SNR_DB`;
    everywhere else float32 (a GPU computes a window faster than it starts its kernels).
    """
    import torch

    from voicebench.devices import cpu_has_bfloat16, resolve_dtype

    if name != "auto":
        return resolve_dtype(name, device)
    may_shorten = device.type == "cpu" and cpu_has_bfloat16()
    if may_shorten and decoder_snr_db(voice, torch.bfloat16) >= LEAST_SNR_DB:
        return torch.bfloat16
    return torch.float32


def decoder_snr_db(voice: Voice, dtype: torch.dtype) -> float:
    """Return how far, in dB, the audio is above its error with torch's decoder in ``dtype``.

    The decoder is left in float32.
    """
    import torch

    with torch.inference_mode():
        rows = voice.network.flow(_probe(voice), _speaker(voice), _whole())
        exact = voice.network.decoder(rows, _speaker(voice), _whole()).double()
        voice.network.decoder.to(dtype)
        rough = voice.network.decoder(rows, _speaker(voice), _whole()).double()
        voice.network.decoder.to(torch.float32)
    return float(10 * torch.log10(exact.square().sum() / (exact - rough).square().sum()))


def _whole() -> Carry:
    """Return the carry of an utterance that is one window."""
    from voicebench.tts.vits.carry import Carry

    carry = Carry()
    carry.begin(last=True)
    return carry


def voice_pace(voice: Voice) -> Pace:
    """Return how fast ``voice`` speaks here, and warm it up on the way."""
    import torch

    from voicebench.devices import to_host

    network = voice.network
    frames = _probe(voice)
    stream = network.arithmetic.stream(_speaker(voice))

    def speak_frames(count: int) -> None:
        with torch.inference_mode():
            to_host(stream.window(frames[:count], last=False))

    speak_frames(_PROBE_FRAMES)
    device = network.text.embedding.device
    hardware = torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
    arithmetic = network.arithmetic
    described = (network.shape, arithmetic.kernels, arithmetic.dtype, native_digest(), device)
    key = _digest(*described, hardware, torch.get_num_threads(), torch.__version__)
    return measured_pace(key, speak_frames)


def record_replays(voice: Voice) -> Replays | None:
    """Return recorded windows where the device has them and they give the same samples."""
    import torch

    if voice.network.text.embedding.device.type != "cuda":
        return None
    from voicebench.tts.vits.replay import Replays, record_cuda_graph

    arithmetic = TorchArithmetic(voice.network)

    def compute(rows: Tensor, carry: Carry) -> Tensor:
        return arithmetic.decode(rows, _speaker(voice), carry)

    try:
        replays = Replays(compute, REPLAYED_FRAMES, record_cuda_graph)
        return replays if replays_agree(voice, replays) else None
    except RuntimeError:  # a driver or a torch that cannot record: speak without
        torch.cuda.synchronize()
        return None


def replays_agree(voice: Voice, replays: Replays, tolerance: float = 1e-3) -> bool:
    """Return whether each recorded window gives the samples of an unrecorded one."""
    import torch

    frames, speaker = _probe(voice), _speaker(voice)
    with torch.inference_mode():
        for size in replays.sizes:
            plain, recorded = (TorchArithmetic(voice.network).stream(speaker) for _ in range(2))
            for stream in (plain, recorded):
                stream.window(frames, last=False)
            for _ in range(2):
                expected = plain.window(frames[:size], last=False)
                found = replays(frames[:size], recorded.carry)
                if found.shape != expected.shape or (found - expected).abs().max() > tolerance:
                    return False
    return True


def _probe(voice: Voice) -> Tensor:
    """Return frames (at least `_PROBE_FRAMES`, channels) of babble: random symbols, encoded."""
    import torch

    from voicebench.tts.noise import SeededNoise

    network, noise = voice.network, SeededNoise(0, "probe")
    generator = torch.Generator().manual_seed(0)
    count = network.shape.text.symbols
    symbols = torch.randint(0, count, (_PROBE_SYMBOLS,), generator=generator)
    manner = replace(voice.manner, length_scale=1.0)  # a user's may be anything
    with torch.inference_mode():
        device = network.text.embedding.device
        utterance = network.encode(symbols.to(device), manner, noise)
        frames = network.frames(utterance, 0, min(utterance.frames, 4 * _PROBE_FRAMES), noise)
    return frames.repeat(-(-_PROBE_FRAMES // frames.shape[0]), 1)


def _speaker(voice: Voice) -> Tensor | None:
    return voice.network.speaker(voice.manner)


def _weights_digest(voice: Voice) -> str:
    """Return a digest of the file of the weights, or of the numbers that decide over the error."""
    if voice.network.origin is not None:
        return voice.network.origin
    digest = hashlib.sha256()
    for part in (voice.network.flow, voice.network.decoder):
        for weight in part.parameters():
            digest.update(weight.detach().contiguous().numpy().data)
    return digest.hexdigest()


def _digest(*parts: object) -> str:
    return hashlib.sha256(" ".join(map(str, parts)).encode()).hexdigest()[:32]
