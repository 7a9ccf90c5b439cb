"""Which version of qala runs. Does not belong here: what version a warehouse file was made by (store/fitting.py)."""

from __future__ import annotations

NAME = "qala-kpi"  # as it is installed


def qala_version() -> str:
    """The version that is installed, or that none is: the code runs from a checkout."""
    return version_of(NAME) or "not installed"


def version_of(package: str) -> str | None:
    """The version of an installed package, without importing it."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return None
