"""A loaded voice: its weights, how it turns text into symbols, and its recommended manner."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from voicebench.engines.models.cache import build_once, cache_folder, known_sha256
from voicebench.engines.models.fetch_progress import Say, reporting_damage, say_nothing
from voicebench.engines.models.tensor_file import TensorFile, save_tensors
from voicebench.engines.tts.vits.utterance import Manner
from voicebench.engines.tts.vits.voice_shape import VitsShape
from voicebench.engines.tts.vits.voice_weights import check_weights
from voicebench.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor

    from voicebench.engines.tts.vits.voice_weights import Weights

FORMAT = 2
"""Part of a converted voice's name in the cache. Raise it when names or layout change."""


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice of any family, in the CPU's memory.

    ``symbols`` yields the symbol ids of a text, one list for each sentence. ``manner`` is what the
    authors of the voice recommend.
    """

    name: str
    family: str
    language: str
    sample_rate: int
    shape: VitsShape
    weights: Weights = field(repr=False, compare=False)
    origin: str | None
    """A digest of the file that the weights came from, if known."""
    symbols: Callable[[str], Iterator[list[int]]]
    manner: Manner
    lead_symbols: int
    """How many silent symbols a text begins with (a beginning mark, a blank)."""


class Converted(NamedTuple):
    """The sizes and weights of a voice's network, and a digest of the file they came from."""

    shape: VitsShape
    weights: Weights
    origin: str


def converted(
    source: Path,
    convert: Callable[[], tuple[VitsShape, dict[str, Tensor]]],
    known: VitsShape | None = None,
    say: Say = say_nothing,
) -> Converted:
    """Return what ``convert`` makes of the file ``source``; made once, then read from the cache.

    The key is the file's content, and the shape if it is ``known`` already, so a changed file is
    converted again. A damaged entry of the cache is reported to ``say`` and made again. Torch is
    imported only to convert. Raises `ModelError` if the cached weights are not those of the voice,
    and what ``convert`` raises.
    """
    import hashlib

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
        report=reporting_damage(say),
    )
    stored = json.loads((folder / "shape.json").read_text(encoding="utf-8"))
    shape, file = VitsShape.from_json(stored), TensorFile(folder / "weights.safetensors")
    weights = {name: file.array(name) for name in file.names}
    check_weights(folder, shape, weights)
    return Converted(shape, weights, origin=folder.name)


def read_json(path: Path, remedy: str) -> dict[str, Any]:
    """Return the JSON object in ``path``. Raises `ModelError`, with ``remedy`` if it is missing."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ModelError(f"{path} is missing", remedy) from None
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"cannot read {path}: {error}", "fetch the voice again") from None
    if not isinstance(stored, dict):
        raise ModelError(f"{path} is not a JSON object", "fetch the voice again")
    return stored
