"""hibari: a small English voice that speaks by frames, at 24 kHz.

The weights are a student of Kokoro-82M's voice *af_heart* (Apache-2.0; the wheel ``hibari-tts``
0.2.1, used as data). Its model card describes the network; the code here is our own.

    phonemes ─▶ two text encoders ─▶ durations ─▶ prosody (pitch, energy) ─▶ decoder ─▶ spectrum
               └─────────────── once a text chunk ──────────────────────┘  └─ window by window ─┘

Prosody is computed at 40 frames a second. The decoder computes 80 frames a second: for each frame
five rows of 601 numbers, from which `spectrum` makes 300 samples. All arrays are *time first*,
``(time, channels)``. C computes the network where there is a compiled library, else torch; the
spectrum is numpy.
"""
