"""The sizes of the network, which are the same in every hibari voice."""

from __future__ import annotations

SAMPLE_RATE = 24_000
HOP = 300
"""Samples of one frame: 12.5 ms."""
FFT = 1200
"""Samples of one spectrum: four frames."""
BINS = FFT // 2 + 1

SYMBOLS = 178
TEXT_CHANNELS = 128
PROSODY_CHANNELS = 192
DECODER_CHANNELS = 256
FRAME_CHANNELS = TEXT_CHANNELS + 2
"""What the decoder reads of a frame: the text, the pitch and the energy."""
PARTS = 5
"""Rows of ``BINS`` numbers that the decoder gives for a frame."""

HEADS = 2
TEXT_BLOCKS = 2
TEXT_LAYERS = 4
"""How often the one transformer layer of the decoder's text encoder is applied."""
PROSODY_LAYERS = 6
"""The same for the prosody's text encoder."""
PROSODY_DILATIONS = (1, 2, 4, 8, 1, 2)
DECODER_BLOCKS = 8
KERNEL = 7
"""Frames that a convolution of the decoder sees at once."""
DECODER_REACH = (KERNEL // 2) * (DECODER_BLOCKS + 1)
"""How many frames to either side change a frame of the decoder: 27."""

NORM_EPS = 1e-5
