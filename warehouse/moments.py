"""Moments of a run that have a name, so that a test can end a process at just one of them, or have it fail there.

`at(name)` does nothing but for tests: a process that was started with QALA_TEST_KILL=NAME or NAME:N kills itself, as `kill -9` does,
when it comes to that moment (for the N-th time). A moment lies before or after something that a crash could tear: a write, an fsync,
a rename, a commit. What is done at a moment does not belong here.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

KILL = "QALA_TEST_KILL"
# in the order in which an extract comes to them; tests/whole/test_moments.py holds that each is come to, and that there is no other
NAMES = (
    "archive.begun", "archive.written", "archive.synced", "archive.kept",
    "receipt.numbered", "file.written", "file.synced", "file.renamed",
    "inbox.manifest-moved", "inbox.files-moved", "inbox.numbered", "inbox.entered-one", "inbox.entered", "inbox.done",
    "inbox.refusing", "inbox.refused", "withdrawal.noted", "withdrawal.committing", "withdrawal.committed",
    "pull.fetched", "pull.entered", "pull.noted",
    "schema.committing", "schema.committed", "register.committing", "register.committed",
    "load.committing", "load.committed", "receipt.settling", "receipt.settled",
    "catalogue.committing", "catalogue.committed", "compute.values", "compute.roll-ups", "compute.committing", "compute.committed",
    "assess.committing", "assess.committed",
    "release.committing", "release.committed", "release.checkpointed", "release.copied", "release.exported", "release.manifest",
    "release.retired", "release.renamed", "release.done", "ledger.recorded", "run.begun", "run.done",
)  # fmt: skip


def _deadly(wanted: str) -> Callable[[str], None]:
    """Kills this process at a moment, when it is come to for the N-th time."""
    name, _, number = wanted.partition(":")
    left = int(number or 1)

    def look(moment: str) -> None:
        nonlocal left
        if moment == name:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return look


def armed() -> Callable[[str], None] | None:
    """What the environment wants done at moments."""
    return _deadly(os.environ[KILL]) if os.environ.get(KILL) else None


# what is called at each moment: a test may put its own in this place
look = armed()


def at(moment: str) -> None:
    """This process has come to a moment."""
    if look is not None:
        look(moment)
