"""Who is at work: the user of the operating system, which stands in the ledger beside whatever name a person gives."""

from __future__ import annotations

import os
import platform
from typing import Any

ACCOUNT = "account"  # key of it in a ledger row's detail


def account() -> dict[str, Any]:
    """The user this process belongs to: `user`, `uid` (the real one), `host`, and `sudo_user` where somebody took on another's rights.

    It says whose account it was, no more: who may become that user, or edit the environment, may act under its name.
    """
    uid = os.getuid()
    found: dict[str, Any] = {"user": _name(uid), "uid": uid, "host": platform.node()}
    if sudo := os.environ.get("SUDO_USER"):
        found["sudo_user"] = sudo
    return found


def shown(found: dict[str, Any]) -> str:
    """As people read it: anna@host, or root@host for anna."""
    behind = f" for {found['sudo_user']}" if found.get("sudo_user") else ""
    return f"{found['user']}@{found['host']}{behind}"


def named(given: str) -> str:
    """The name that a person gave, or that of the user at work."""
    found = account()
    return given.strip() or str(found.get("sudo_user") or found["user"])


def _name(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # in a container there may be no entry
        return str(uid)
