"""Whether qala runs from a checkout or as an installed wheel: some commands write what belongs into a checkout, and have no place to elsewhere."""

from __future__ import annotations

from pathlib import Path

from warehouse.errors import StoreError

_ROOT = Path(__file__).parents[1]
CHECKOUT = _ROOT if (_ROOT / "pyproject.toml").is_file() else None


def needed(what: str) -> None:
    """Raises StoreError saying that there is no checkout, if there is none."""
    if CHECKOUT is None:
        raise StoreError(f"{what}, and this is an installed qala ({_ROOT}): run it in a checkout")
