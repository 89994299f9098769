"""voicebench measures how fast a voice assistant starts to speak."""

__version__ = "0.1.0"
