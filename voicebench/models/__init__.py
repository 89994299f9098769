"""The models that voicebench fetches by itself, and where they are kept."""
