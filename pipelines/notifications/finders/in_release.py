"""Whether the release can be read, and whether somebody touched it after it was made. Cheap: files are hashed only if one is younger than the manifest.

Does not belong here: everything that `qala verify` establishes (warehouse/audit/verify.py); what it found last is in in_notes.py.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.notifications.finders.in_notes import touched
from pipelines.notifications.finders.look import Look, signature
from pipelines.notifications.trouble import Found, Kind, Trouble, command, quoted
from warehouse.audit.verify_release import file_differences, manifest_of
from warehouse.errors import BusyError, StoreError
from warehouse.store.differences import Difference
from warehouse.store.sessions import locked, reading
from warehouse.store.succession import MANIFEST

_SLACK = 2 * 10**9  # ns by which the manifest, which is written last, may seem older than a file


def in_release(look: Look) -> Found:
    """What is wrong with the released files. None while a run may be publishing."""
    home = look.home
    if not home.release.is_dir():
        return {}
    sign = signature([home.release, *home.release.iterdir()])
    if look.seen.get("release") == sign:
        return None
    try:
        with locked(home, 0):
            differences = _differences(look)
            # a file at fault would tell the same thing twice
            unreadable = "" if differences else _refused(look)
    except (BusyError, FileNotFoundError):
        return None
    look.seen["release"] = sign
    if unreadable:
        said = {"code": "notification.unreadable", "reason": quoted(unreadable)}
        trouble = Trouble(Kind.RELEASE, said, "", command(home, "verify"), look.now.isoformat())
        return {"release/unreadable": lambda: trouble}
    return touched(home, differences, look.now.isoformat())


def _differences(look: Look) -> Sequence[Difference]:
    """Files that are not those of the manifest, where a file or the folder is younger than it."""
    try:
        manifest, found = manifest_of(look.home)
    except StoreError:  # there is no manifest: nothing was released, or reading says what is wrong
        return ()
    release = look.home.release
    made = (release / MANIFEST).stat().st_mtime_ns
    if manifest is not None and any(p.lstat().st_mtime_ns > made + _SLACK for p in (release, *release.iterdir())):
        found = list(file_differences(look.home, manifest))
    return found


def _refused(look: Look) -> str:
    """Why the release cannot be read; nothing if it can, or if a contract of the home hides it, which is told."""
    if not look.home.released_file.exists():
        return f"{look.home.released_file} is gone" if (look.home.release / MANIFEST).exists() else ""
    try:
        with reading(look.home):
            return ""
    except BusyError:
        return ""
    except StoreError as error:
        return "" if "contracts of the home's own tables" in str(error) else str(error)
