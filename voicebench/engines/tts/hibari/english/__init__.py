"""English text to phonemes, without espeak-ng: words written out, tagged, looked up.

The phonemes are those of Kokoro-82M (one character a phoneme, ``ˈ`` and ``ˌ`` before a stressed
vowel). Lexicon, tagger and the network for unknown words are data of the wheel ``hibari-tts``
0.2.1, which took the lexicon and its conventions from misaki 0.9.4 (Apache-2.0).
"""
