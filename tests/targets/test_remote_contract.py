"""Every remote target keeps the contract that the ones in process keep."""

from __future__ import annotations

from collections.abc import Callable

import contract
import pytest
from contract import Subject
from remote_subjects import SUBJECTS


@pytest.mark.parametrize("check", contract.CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("subject", SUBJECTS, ids=str)
def test_every_remote_target_keeps_the_contract(
    subject: Subject, check: Callable[[Subject], None]
) -> None:
    check(subject)
