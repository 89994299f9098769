"""A voice, loaded: its network, how it turns text into symbols, and its own manner of speaking."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from voicebench.models.cache import build_once, cache_folder, known_sha256
from voicebench.tts.vits.network import Manner, Vits
from voicebench.tts.vits.shape import VitsShape

if TYPE_CHECKING:
    from torch import Tensor

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
    network: Vits
    symbols: Callable[[str], Iterator[list[int]]]
    manner: Manner
    speakers: int
    lead_symbols: int
    """How many symbols open a text before the first that sounds (a beginning mark, a blank)."""


def converted(
    source: Path,
    convert: Callable[[], tuple[VitsShape, dict[str, Tensor]]],
    known: VitsShape | None = None,
) -> Vits:
    """Return the network that ``convert`` makes of the file ``source``, made once and cached.

    The cache is keyed by the file's content, and by the shape where that is ``known`` from
    elsewhere; so a changed file is converted anew.
    """
    import hashlib
    import json

    import torch
    from safetensors.torch import load_file, save_file

    def build(folder: Path) -> None:
        shape, weights = convert()
        save_file(weights, folder / "weights.safetensors")
        (folder / "shape.json").write_text(json.dumps(shape.to_json()), encoding="utf-8")

    name = f"{known_sha256(source)[:32]}-{FORMAT}"
    if known is not None:
        name += "-" + hashlib.sha256(json.dumps(known.to_json()).encode()).hexdigest()[:12]
    folder = build_once(cache_folder() / "voices" / name, build, about={"source": source.name})
    stored = json.loads((folder / "shape.json").read_text(encoding="utf-8"))
    with torch.device("meta"):
        network = Vits(VitsShape.from_json(stored))
    network.load_state_dict(load_file(folder / "weights.safetensors"), assign=True)
    network.origin = folder.name
    return network.eval().requires_grad_(False)
