"""The devices that engines compute on."""

from __future__ import annotations

import pytest


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> str:
    """Return each kind of device, as torch names it; a test skips the ones that are not here."""
    return available(request.param)


def available(device: str) -> str:
    """Return ``device``, or skip the test if this machine has none."""
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("there is no CUDA device")
    return device
