"""Raw samples: nothing in them says that they are sound, so what cannot be sound is looked for.

A server that answers 200 with an error page, and calls it ``audio/pcm`` or nothing at all, would
otherwise be heard as noise, and its turn would count as a success. Text has no control characters
and keeps the rules of UTF-8; 16-bit or float samples of speech break one of both within a few
bytes.
"""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

import numpy as np

from voicebench.audio.encodings import SAMPLE_BYTES, PcmEncoding, decode_pcm
from voicebench.audio.pcm import mix_down
from voicebench.remote.failure import RemoteError, message_in

if TYPE_CHECKING:
    from numpy.typing import NDArray

TEXT_BYTES = 64
"""So many bytes that all read as text are text, and so is a shorter body that ends so."""
_LEAST_TEXT = 4
_PAGES = (b"<!do", b"<htm", b"<?xm")
"""How a page begins, whatever its encoding."""
_NO_TEXT = bytes({*range(32), 127} - {*b"\t\n\r"})


class PcmStream:
    """Raw samples: whole frames are given back as they come, mixed down to mono."""

    def __init__(self, encoding: PcmEncoding, sample_rate: int, channels: int) -> None:
        self.sample_rate = sample_rate
        self._encoding = encoding
        self._channels = channels
        self._frame_bytes = SAMPLE_BYTES[encoding] * channels
        self._rest = b""

    def feed(self, data: bytes) -> NDArray[np.float32]:
        """Take the next bytes and return the samples that are whole by now."""
        data = self._rest + data
        whole = len(data) - len(data) % self._frame_bytes
        self._rest = data[whole:]
        return mix_down(decode_pcm(data[:whole], self._encoding).reshape(-1, self._channels))

    def finish(self) -> NDArray[np.float32]:
        """Say that no byte follows. Raises `RemoteError` where a sample is cut."""
        if self._rest:
            raise RemoteError("the sound ends in the middle of a sample", fault="audio")
        return np.zeros(0, dtype=np.float32)


class PcmUnlessText:
    """Raw samples that are believed once they cannot be text.

    Bytes are held back only while all of them could be: with sound, the read that brings the first
    samples ends the doubt as well, and nothing is late.
    """

    def __init__(self, pcm: PcmStream) -> None:
        self.sample_rate = pcm.sample_rate
        self._pcm = pcm
        self._head = b""
        self._believed = False

    def feed(self, data: bytes) -> NDArray[np.float32]:
        """Take the next bytes and return the samples. Raises `RemoteError` where they are text."""
        if self._believed:
            return self._pcm.feed(data)
        self._head += data
        if self._head[:4].lower() in _PAGES:
            raise _text_instead(self._head)
        if _may_be_text(self._head[:TEXT_BYTES]):
            if len(self._head) >= TEXT_BYTES:
                raise _text_instead(self._head)
            return np.zeros(0, dtype=np.float32)
        return self._believe()

    def finish(self) -> NDArray[np.float32]:
        """Say that no byte follows. Raises `RemoteError` for text, or where a sample is cut."""
        if len(self._head) >= _LEAST_TEXT:
            raise _text_instead(self._head)
        return np.concatenate([self._believe(), self._pcm.finish()])

    def _believe(self) -> NDArray[np.float32]:
        self._believed = True
        head, self._head = self._head, b""
        return self._pcm.feed(head)


def _may_be_text(head: bytes) -> bool:
    """Whether ``head`` is the beginning of a text, maybe cut within a letter."""
    if len(head.translate(None, _NO_TEXT)) < len(head):
        return False
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True


def _text_instead(head: bytes) -> RemoteError:
    return RemoteError(
        f"sends text instead of sound: {message_in(head.decode('utf-8', 'replace'))}",
        "check the URL's path, and what the server logs",
        fault="protocol",
    )
