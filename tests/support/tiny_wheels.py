"""Small real wheels that carry a file, as the catalogue's do, made on the spot."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass
from pathlib import Path

from voicebench.engines.models.catalogue import Entry, Member, Wheel

MODEL_FILE = b"\x08\x08\x12\x04test" + bytes(range(256)) * 40
CARD_FILE = b"License: CC0\n"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass
class Index:
    """A folder of wheels, from which pip is told to take everything."""

    folder: Path

    def add(
        self,
        name: str = "tiny-voice",
        files: dict[str, bytes] | None = None,
        wanted: tuple[str, ...] = ("tiny_voice/tiny.onnx", "tiny_voice/MODEL_CARD"),
        kind: str = "voice",
        convert: str | None = None,
    ) -> Entry:
        """Make a wheel and return the catalogue's entry for it."""
        files = files or {
            "tiny_voice/__init__.py": b"raise SystemExit('a data package was run')\n",
            "tiny_voice/tiny.onnx": MODEL_FILE,
            "tiny_voice/MODEL_CARD": CARD_FILE,
        }
        stem = name.replace("-", "_")
        path = self.folder / f"{stem}-1.0.0-py3-none-any.whl"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
            for member, data in files.items():
                wheel.writestr(member, data)
            wheel.writestr(
                f"{stem}-1.0.0.dist-info/METADATA",
                f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0.0\n"
                "Requires-Dist: a-package-that-nobody-has\n",
            )
            wheel.writestr(
                f"{stem}-1.0.0.dist-info/WHEEL",
                "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            )
            wheel.writestr(f"{stem}-1.0.0.dist-info/RECORD", "")
        data = path.read_bytes()
        return Entry(
            name=name,
            kind="llm" if kind == "llm" else "voice",
            about="a model of a few bytes",
            wheel=Wheel(name, "1.0.0", len(data), sha256(data)),
            members=tuple(
                Member(member, len(files.get(member, b"")), sha256(files.get(member, b"")))
                for member in wanted
            ),
            convert=convert,
            needs=1,
            ready_size=1,
            licence="CC0",
            licence_note="a note",
            source="a test",
            card="a card",
        )
