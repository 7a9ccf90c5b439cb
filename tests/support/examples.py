"""How many examples a property is tried with: few in `make test`, always the same; many in `make test-all`, others each night."""

from __future__ import annotations

import os
from typing import Any

from hypothesis import settings

FULL = "QALA_TEST_EXAMPLES"  # set to `full` by make test-all


def examples(few: int, full: int, **more: Any) -> settings:
    """Settings for a property whose examples take tenths of a second each."""
    if os.environ.get(FULL) == "full":
        return settings(max_examples=full, deadline=None, **more)
    return settings(max_examples=few, deadline=None, derandomize=True, database=None, **more)
