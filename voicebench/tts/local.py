"""Text-to-speech in process: a VITS voice that streams.

A text chunk becomes sentences, a sentence becomes symbols, and the network speaks the sentence
window by window (see `voicebench.tts.vits`): the first samples leave long before the rest is
computed, and are the same samples that computing everything at once would give.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from voicebench.errors import ModelError, SettingsError
from voicebench.events import AudioChunk, TtsEvent
from voicebench.tts.voice import Voice

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

Family = Literal["auto", "piper", "mms"]

FIRST_WINDOW_MS = 140.0
LONGEST_WINDOW_MS = 1500.0
GROWTH = 2.0

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(?:/[A-Za-z0-9][\w.-]*)?")
_HUB_FILES = ("config.json", "model.safetensors", "vocab.json", "tokenizer_config.json")


class LocalSynthesizer:
    """Speaks with a VITS voice in this process."""

    def __init__(self, voice: Voice, *, dtype: torch.dtype, seed: int, first_ms: float) -> None:
        self._voice = voice
        self._device = voice.network.text.embedding.device
        self._dtype = dtype
        self._seed = seed
        self._first_ms = first_ms

    def speak(self, text: str) -> Iterator[TtsEvent]:
        """Yield the speech of ``text``, each window as soon as its samples are on the host.

        Nothing for a text with nothing to pronounce. Closing the iterator cancels what is left,
        within one window.
        """
        import torch

        from voicebench.devices import to_host
        from voicebench.tts.noise import SeededNoise

        noise = SeededNoise(self._seed, text)
        network = self._voice.network
        sizes = self._window_sizes()
        for symbols in self._voice.symbols(text):
            with torch.inference_mode():
                ids = torch.tensor(symbols, device=self._device)
                utterance = network.encode(ids, self._voice.manner, noise)
            windows = network.windows(utterance, noise, sizes)
            while True:
                with torch.inference_mode():
                    samples = next(windows, None)
                if samples is None:
                    break
                yield AudioChunk(to_host(samples), self._voice.sample_rate)

    def speak_whole(self, text: str) -> NDArray[np.float32]:
        """Return the speech of ``text`` computed at once (sentence by sentence), untrimmed.

        What streaming is compared with.
        """
        import numpy as np
        import torch

        from voicebench.devices import to_host
        from voicebench.tts.noise import SeededNoise

        noise = SeededNoise(self._seed, text)
        spoken = [np.empty(0, np.float32)]
        with torch.inference_mode():
            for symbols in self._voice.symbols(text):
                ids = torch.tensor(symbols, device=self._device)
                utterance = self._voice.network.encode(ids, self._voice.manner, noise)
                whole = itertools.repeat(utterance.frames * self._voice.network.shape.decoder.hop)
                windows = self._voice.network.windows(utterance, noise, whole)
                spoken += [to_host(window) for window in windows]
        return np.concatenate(spoken)

    def describe(self) -> dict[str, object]:
        """Return what a reader of the results must know of this synthesizer."""
        return {
            "engine": "vits",
            "family": self._voice.family,
            "voice": self._voice.name,
            "language": self._voice.language,
            "sample_rate": self._voice.sample_rate,
            "device": str(self._device),
            "dtype": str(self._dtype).removeprefix("torch."),
            "windows": {"first_ms": self._first_ms, "growth": GROWTH, "most_ms": LONGEST_WINDOW_MS},
        }

    def close(self) -> None:
        """Do nothing: the voice's memory goes with the object."""

    def _window_sizes(self) -> Iterator[int]:
        size = self._first_ms
        while True:
            yield max(1, round(size / 1000 * self._voice.sample_rate))
            size = min(size * GROWTH, LONGEST_WINDOW_MS)


def load_synthesizer(
    voice: str,
    *,
    device: str = "auto",
    dtype: str = "auto",
    threads: int | None = None,
    length_scale: float | None = None,
    noise_scale: float | None = None,
    noise_w: float | None = None,
    speaker_id: int | None = None,
    seed: int = 0,
    first_window: float | None = None,
    family: Family = "auto",
) -> LocalSynthesizer:
    """Load a voice and return the synthesizer that speaks with it.

    ``voice`` is a name of the catalogue, the path of a Piper ``.onnx`` file, or the folder or hub
    id of a transformers ``VitsModel``. ``dtype`` is that of the decoder; what decides over rhythm
    and melody stays in float32. ``threads`` of None leaves torch's threads as they are.
    ``first_window`` is in milliseconds of audio. Scales that are None are the voice's own.

    Raises `ModelError`, `SettingsError` or `DeviceError`.
    """
    from voicebench.devices import check_device, resolve_device, resolve_dtype, set_threads

    check_device(device)
    if threads is not None:
        set_threads(threads)
    on = resolve_device(device)
    opened = open_voice(voice, family)
    if speaker_id is not None and not 0 <= speaker_id < opened.speakers:
        raise SettingsError(
            f"the voice {opened.name} has no speaker {speaker_id}",
            f"it has {opened.speakers}, counted from 0",
        )
    own = opened.manner
    manner = replace(
        own,
        length_scale=own.length_scale if length_scale is None else length_scale,
        noise_scale=own.noise_scale if noise_scale is None else noise_scale,
        noise_w=own.noise_w if noise_w is None else noise_w,
        speaker=own.speaker if speaker_id is None else speaker_id,
    )
    decoder_dtype = resolve_dtype("float32" if dtype == "auto" else dtype, on)
    opened.network.to(on)
    opened.network.decoder.to(decoder_dtype)
    return LocalSynthesizer(
        replace(opened, manner=manner),
        dtype=decoder_dtype,
        seed=seed,
        first_ms=FIRST_WINDOW_MS if first_window is None else first_window,
    )


def open_voice(voice: str, family: Family = "auto") -> Voice:
    """Load the voice called ``voice`` (see `load_synthesizer`) into the CPU's memory."""
    from voicebench.models import catalogue, store
    from voicebench.tts.mms import open_vits_folder
    from voicebench.tts.piper import open_piper

    path = Path(voice).expanduser()
    if any(entry.name == voice for entry in catalogue.CATALOGUE) and not path.exists():
        folder = store.ensure(voice)
        found = next(folder.glob("*.onnx"), None)
        if found is None:
            raise ModelError(f"{voice} is not a voice", "see `voicebench models list`")
        return open_piper(found)
    if family == "piper" or (family == "auto" and voice.endswith(".onnx")):
        return open_piper(path)
    if path.is_dir():
        return open_vits_folder(path)
    if not _HUB_ID.fullmatch(voice):
        raise ModelError(
            f"voice {voice!r} does not exist",
            "name a Piper .onnx file, a folder or hub id of a VitsModel, or one of "
            "`voicebench models list`",
        )
    return open_vits_folder(_hub_folder(voice), name=voice)


def _hub_folder(voice: str) -> Path:
    """Return the snapshot of a hub model in the hub's cache; HF_HUB_OFFLINE is honoured."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(voice, allow_patterns=list(_HUB_FILES)))
    except LocalEntryNotFoundError:
        raise ModelError(
            f"the voice {voice!r} is not in the hub's cache, and the hub cannot be reached",
            "fetch it where there is a network (`hf download`), or name a local folder",
        ) from None
    except HfHubHTTPError as error:
        raise ModelError(
            f"the hub does not hand out the voice {voice!r} ({type(error).__name__})",
            "check the id, log in (`hf auth login`) if it is gated, or name a local folder",
        ) from None
    except Exception as error:  # the client's network library and its errors change by release
        raise ModelError(
            f"fetching the voice {voice!r} broke off ({type(error).__name__}: {error})",
            "check the network and the disk, and try again",
        ) from None
