"""Text-to-speech in this process: a voice is loaded, fitted to the machine, and speaks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from voicebench.engines.models.fetch_progress import Say, say_nothing
from voicebench.engines.tts.pace import WindowPlan
from voicebench.errors import SettingsError

if TYPE_CHECKING:
    from voicebench.engines.tts.finding import Family
    from voicebench.engines.tts.local_synthesizer import LocalSynthesizer


def load_synthesizer(
    voice: str,
    *,
    device: str = "auto",
    dtype: str = "auto",
    kernels: str = "auto",
    threads: int | None = None,
    length_scale: float | None = None,
    noise_scale: float | None = None,
    noise_w: float | None = None,
    speaker_id: int | None = None,
    seed: int = 0,
    first_window: float | None = None,
    trim_silence: bool = True,
    family: Family = "auto",
    say: Say = say_nothing,
) -> LocalSynthesizer:
    """Load a voice and return the synthesizer that speaks with it.

    ``voice`` is a name of the catalogue, the path of a Piper ``.onnx`` file, or the folder or hub
    id of a transformers ``VitsModel``. ``dtype`` is the number format of the decoder; the layers
    for rhythm and melody stay in float32. ``kernels`` is ``native``, ``torch`` or ``auto``.
    ``first_window`` is in milliseconds of audio; None derives it from the speed measured here.
    ``threads``, scales and ``speaker_id`` of None stay as they are or as the voice has them.
    Damage found in the cache is reported to ``say``.

    Raises `ModelError`, `SettingsError` or `DeviceError`.
    """
    from voicebench.engines.native.library import NoLibrary
    from voicebench.engines.tts.finding import hibari_folder, open_voice
    from voicebench.engines.tts.fitting import choose_arithmetic, record_replays, voice_pace
    from voicebench.engines.tts.hibari.hibari_synthesizer import fitted_synthesizer
    from voicebench.engines.tts.hibari.hibari_voice import open_hibari
    from voicebench.engines.tts.vits.vits_synthesizer import VitsSynthesizer
    from voicebench.machine.devices import resolve_device, set_threads, unused_gpu

    on = resolve_device(device)
    if threads is not None:
        set_threads(threads)
    no_gpu = unused_gpu(device, on)
    folder = hibari_folder(voice, say)
    if folder is not None:
        unused = {"noise_scale": noise_scale, "noise_w": noise_w, "speaker_id": speaker_id}
        for name, value in unused.items():
            if value is not None:
                raise SettingsError(
                    f"the voice {voice} has no {name}", f"remove tts.{name} from the settings"
                )
        return fitted_synthesizer(
            open_hibari(folder, voice, say),
            device=on,
            dtype=dtype,
            kernels=kernels,
            speed=1 / (length_scale or 1.0),
            seed=seed,
            first_window=first_window,
            trim_silence=trim_silence,
            slower=no_gpu,
        )
    opened = open_voice(voice, family, say)
    if speaker_id is not None and not 0 <= speaker_id < opened.shape.speakers:
        raise SettingsError(
            f"the voice {opened.name} has no speaker {speaker_id}",
            f"it has {opened.shape.speakers}, counted from 0",
        )
    chosen = {
        "length_scale": length_scale,
        "noise_scale": noise_scale,
        "noise_w": noise_w,
        "speaker": speaker_id,
    }
    given: dict[str, Any] = {name: value for name, value in chosen.items() if value is not None}
    opened = replace(opened, manner=replace(opened.manner, **given))
    refused: list[NoLibrary] = []
    arithmetic = choose_arithmetic(opened, on, dtype=dtype, kernels=kernels, refused=refused)
    slower = no_gpu or (refused[0].slower if refused else None)
    pace = voice_pace(opened, arithmetic)
    record_replays(opened, arithmetic)
    frame_ms = opened.shape.decoder.hop / opened.sample_rate * 1000
    plan = WindowPlan.fitted(pace, frame_ms, opened.sample_rate, first_window)
    return VitsSynthesizer(
        opened, arithmetic, plan, seed=seed, trim_silence=trim_silence, slower=slower
    )
