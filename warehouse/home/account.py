"""Who is at work: the user of the operating system, which stands in the ledger beside whatever name a person gives."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

_LOGIN = Path("/proc/self/loginuid")
_NOBODY_SIGNED_IN = 2**32 - 1  # a service, or a container
_former: ContextVar[dict[str, Any] | None] = ContextVar("former", default=None)
ACCOUNT = "account"  # key of it in a ledger row's detail


def account() -> dict[str, Any]:
    """The user this process belongs to: `user`, `uid` (the real one), `host`; where somebody took on another's rights, `sudo_user` and `login_user`.

    It says whose account it was, no more: who may become that user acts under its name. `sudo_user` is what the environment says, `login_user`
    is whom the kernel saw sign in (Linux with its audit), which nobody but root can change.
    """
    if (former := _former.get()) is not None:
        return former
    uid = os.getuid()
    found: dict[str, Any] = {"user": _name(uid), "uid": uid, "host": platform.node()}
    if sudo := os.environ.get("SUDO_USER"):
        found["sudo_user"] = sudo
    login = _signed_in()
    if login is not None and login != uid:
        found["login_user"] = _name(login)
    return found


@contextmanager
def done_before(by: Mapping[str, Any] | None) -> Iterator[None]:
    """What is recorded within was decided before, by that account, and is only done again; `again` says by whom. None: nobody wrote it down."""
    token = _former.set({**(by or {"user": "not recorded", "host": "-"}), "again": shown(account())})
    try:
        yield
    finally:
        _former.reset(token)


def shown(found: dict[str, Any]) -> str:
    """As people read it: anna@host, or root@host for anna."""
    person = found.get("login_user") or found.get("sudo_user")
    behind = f" for {person}" if person else ""
    return f"{found['user']}@{found['host']}{behind}"


def named(given: str) -> str:
    """The name that a person gave, or that of the user at work."""
    found = account()
    return given.strip() or str(found.get("login_user") or found.get("sudo_user") or found["user"])


def _signed_in() -> int | None:
    try:
        uid = int(_LOGIN.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    return None if uid == _NOBODY_SIGNED_IN else uid


def _name(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # in a container there may be no entry
        return str(uid)
