"""Raw samples, and how to tell text from them.

Raw PCM has no signature. A server that answers 200 with an error page, and labels it ``audio/pcm``
or not at all, would be heard as noise, and its turn would count as a success. Text has no control
characters and is valid UTF-8. Speech as 16-bit or float samples breaks one of the two within a few
bytes.
"""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

import numpy as np

from voicebench.audio.encodings import SAMPLE_BYTES, PcmEncoding, decode_pcm
from voicebench.audio.pcm import mix_down
from voicebench.remote.failure import RemoteError, message_in, sound_error

if TYPE_CHECKING:
    from numpy.typing import NDArray

TEXT_BYTES = 64
"""This many bytes that all read as text are text."""
_LEAST_TEXT_BYTES = 4
"""A body that ends earlier than `TEXT_BYTES` is text from this length on."""
_PAGES = (b"<!do", b"<htm", b"<?xm")
"""How a page begins, in any encoding."""
_NOT_IN_TEXT = bytes({*range(32), 127} - {*b"\t\n\r"})


class PcmStream:
    """Raw samples: whole frames are returned as they arrive, mixed down to mono."""

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
        """End the stream. Raises `RemoteError` where a sample is cut."""
        if self._rest:
            raise sound_error("the sound ends in the middle of a sample")
        return np.zeros(0, dtype=np.float32)


def is_sound(head: bytes, *, ended: bool) -> bool | None:
    """Tell whether a body that begins with ``head`` can be samples; None: too few bytes to say.

    ``ended`` says that no further byte follows. Raises `RemoteError` for text, and quotes it.
    """
    is_text = head[:4].lower() in _PAGES
    if not is_text and not _may_be_text(head[:TEXT_BYTES]):
        return True
    if is_text or len(head) >= (_LEAST_TEXT_BYTES if ended else TEXT_BYTES):
        raise RemoteError(
            f"sends text instead of sound: {message_in(head.decode('utf-8', 'replace'))}",
            "check the URL's path, and what the server logs",
            fault="protocol",
        )
    return True if ended else None


def _may_be_text(head: bytes) -> bool:
    """Tell whether ``head`` can be the beginning of a text, cut within a letter at most."""
    if len(head.translate(None, _NOT_IN_TEXT)) < len(head):
        return False
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True
