"""Bytes of a peer become samples: containers, codecs and raw PCM."""
