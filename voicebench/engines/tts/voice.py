"""A voice, loaded: its weights, how it turns text into symbols, and its own manner of speaking."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from voicebench.engines.models.cache import build_once, cache_folder, known_sha256
from voicebench.engines.models.fetch_progress import Say, say_nothing, told
from voicebench.engines.models.tensor_file import TensorFile, save_tensors
from voicebench.engines.tts.vits.utterance import Manner
from voicebench.engines.tts.vits.voice_shape import VitsShape
from voicebench.engines.tts.vits.voice_weights import check_weights

if TYPE_CHECKING:
    from torch import Tensor

    from voicebench.engines.tts.vits.voice_weights import Weights

FORMAT = 2
"""Part of a converted voice's name in the cache: raise it when names or layout change."""


@dataclass(frozen=True, slots=True)
class Voice:
    """What a synthesizer needs to know of a voice, whatever family it is of.

    ``symbols`` yields the symbol ids of a text, one list for each piece that is spoken on its own
    (a sentence). ``manner`` is what the voice's makers recommend.
    """

    name: str
    family: str
    language: str
    sample_rate: int
    shape: VitsShape
    weights: Weights = field(repr=False, compare=False)
    origin: str | None
    """A digest of the file that the weights came from, where that is known."""
    symbols: Callable[[str], Iterator[list[int]]]
    manner: Manner
    speakers: int
    lead_symbols: int
    """How many symbols open a text before the first that sounds (a beginning mark, a blank)."""


class Converted(NamedTuple):
    """What the network of a voice is made of, and a digest of the file that it came from."""

    shape: VitsShape
    weights: Weights
    origin: str


def converted(
    source: Path,
    convert: Callable[[], tuple[VitsShape, dict[str, Tensor]]],
    known: VitsShape | None = None,
    say: Say = say_nothing,
) -> Converted:
    """Return what ``convert`` makes of the file ``source``, made once and cached.

    The cache is keyed by the file's content, and by the shape where that is ``known`` from
    elsewhere; so a changed file is converted anew, and so is what the cache has damaged, which
    ``say`` is told. Torch is imported only to convert. Raises `ModelError` where the weights in the
    cache are not those of the voice, and what ``convert`` raises.
    """
    import hashlib
    import json

    def build(folder: Path) -> None:
        shape, weights = convert()
        save_tensors(weights, folder / "weights.safetensors")
        (folder / "shape.json").write_text(json.dumps(shape.to_json()), encoding="utf-8")

    name = f"{known_sha256(source)[:32]}-{FORMAT}"
    if known is not None:
        name += "-" + hashlib.sha256(json.dumps(known.to_json()).encode()).hexdigest()[:12]
    folder = build_once(
        cache_folder() / "voices" / name,
        build,
        about={"source": source.name, "model": f"the voice of {source.name}"},
        report=told(say),
    )
    stored = json.loads((folder / "shape.json").read_text(encoding="utf-8"))
    shape, file = VitsShape.from_json(stored), TensorFile(folder / "weights.safetensors")
    weights = {name: file.array(name) for name in file.names}
    check_weights(folder, shape, weights)
    return Converted(shape, weights, origin=folder.name)
