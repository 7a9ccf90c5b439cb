"""Installations to start a test from: an empty warehouse is made once for all workers and copied.

To make one takes a second of processor time (some 150 tables with their comments, and the registries), a copy a twentieth of it.
Does not belong here: tests of how a warehouse comes into being; they take a bare `Home`.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from filelock import FileLock

from warehouse.home.home import Home
from warehouse.store.sessions import writing

_folder: list[Path] = []


def share_template(factory: pytest.TempPathFactory) -> None:
    """Tell where the template is kept: in a folder that all workers of this session see."""
    base = factory.getbasetemp()
    _folder[:] = [base.parent if "PYTEST_XDIST_WORKER" in os.environ else base]


def shared_folder() -> Path:
    """The folder that all workers of this session see."""
    return _folder[0]


def new_home(root: Path) -> Home:
    """An installation with an empty warehouse, as the first `writing` would leave it."""
    home, template = Home(root), Home(_folder[0] / "template")
    with FileLock(_folder[0] / "template.lock"):
        if not template.root.exists():
            making = Home(_folder[0] / "making")
            shutil.rmtree(making.root, ignore_errors=True)
            with writing(making):
                pass
            making.root.rename(template.root)
    root.mkdir(parents=True, exist_ok=True)
    shutil.copy(template.warehouse, home.warehouse)
    return home
