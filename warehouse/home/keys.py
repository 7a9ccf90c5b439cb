"""Keys of an installation: of pseudonyms, of archived extracts with personal data, and of signatures.

A key is 32 random bytes. It comes from the environment, `QALA_PSEUDONYM_KEY` and so on, or from `<home>/keys/<purpose>.key`, which nobody but
its owner may read: a line for each key, base64, the last one in force, those before it kept for what was made with them. Keys are never
in the warehouse; their ids are, which tell nothing about them. What is done with a key does not belong here.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import hashlib
import hmac
import os
import secrets
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from warehouse.errors import StoreError
from warehouse.home.account import account, shown
from warehouse.home.home import Home

Purpose = Literal["pseudonym", "archive", "signing"]
PURPOSES: tuple[Purpose, ...] = get_args(Purpose)
_LENGTH = 32


class MissingKeyError(StoreError):
    """A key is missing, is none, or may be read by others; the message says what to do."""


@dataclass(frozen=True)
class Key:
    """One key. `id`: 16 hexadecimal digits by which what was made with it names it."""

    purpose: Purpose
    id: str
    secret: bytes = field(repr=False)

    @classmethod
    def of(cls, purpose: Purpose, secret: bytes) -> Key:
        """The same bytes under two purposes are two keys, with ids that cannot be told to belong together."""
        return cls(
            purpose, hmac.new(secret, f"qala key id 1: {purpose}".encode(), hashlib.sha256).hexdigest()[:16], secret
        )

    def derived(self, use: str) -> bytes:
        """32 bytes for one use: what is made for one use cannot be held against what is made for another."""
        return hmac.new(self.secret, f"qala {self.purpose} 1: {use}".encode(), hashlib.sha256).digest()


def variable(purpose: Purpose) -> str:
    """The environment variable of a key."""
    return f"QALA_{purpose.upper()}_KEY"


def file_of(home: Home, purpose: Purpose) -> Path:
    return home.root / "keys" / f"{purpose}.key"


def keys(home: Home, purpose: Purpose) -> list[Key]:
    """Every key of a purpose, the one in force last. Raises MissingKeyError if one cannot be read or others may read it."""
    found = list(_kept(file_of(home, purpose), purpose))
    if given := os.environ.get(variable(purpose)):
        key = Key.of(purpose, _decoded(given, f"the environment variable {variable(purpose)}"))
        found = [k for k in found if k.id != key.id] + [key]
    return found


def current(home: Home, purpose: Purpose) -> Key | None:
    """The key in force, if there is one."""
    return next(reversed(keys(home, purpose)), None)


def needed(home: Home, purpose: Purpose, why: str) -> Key:
    """The key in force. Raises MissingKeyError saying why there must be one and how it is made."""
    key = current(home, purpose)
    if key is None:
        raise MissingKeyError(
            f"{why}, and there is no {purpose} key; make one: qala keys new {purpose}   (or set {variable(purpose)})"
        )
    return key


def by_id(home: Home, purpose: Purpose, key_id: str) -> Key:
    """The key that something was made with. Raises MissingKeyError if it is not here."""
    for key in keys(home, purpose):
        if key.id == key_id:
            return key
    raise MissingKeyError(
        f"the {purpose} key {key_id} is not here; put its line back into {file_of(home, purpose)}, or set {variable(purpose)}"
    )


def make(home: Home, purpose: Purpose) -> Key:
    """A new key, in force from now on; those before it stay in the file, where a line says when and by whom each was made."""
    path = file_of(home, purpose)
    list(_kept(path, purpose))  # what cannot be read is not built upon
    before = path.read_text(encoding="ascii") if path.exists() else ""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.parent.chmod(0o700)
    secret = secrets.token_bytes(_LENGTH)
    note = f"# {dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M} UTC, {shown(account())}, key {Key.of(purpose, secret).id}"
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as handle:
        handle.write(f"{before.rstrip()}\n{note}\n{base64.b64encode(secret).decode()}\n".lstrip())
        handle.flush()
        os.fsync(handle.fileno())
    fresh.replace(path)
    return Key.of(purpose, secret)


def _kept(path: Path, purpose: Purpose) -> Iterator[Key]:
    try:
        with path.open(encoding="ascii") as handle:
            mode = stat.S_IMODE(os.fstat(handle.fileno()).st_mode)
            if mode & 0o077:
                raise MissingKeyError(f"{path} may be read by others (its mode is {mode:04o}); run: chmod 600 {path}")
            lines = handle.read().splitlines()
    except FileNotFoundError:
        return
    except UnicodeDecodeError:
        raise MissingKeyError(f"{path} holds no keys; restore it from a backup") from None
    except PermissionError:
        raise MissingKeyError(
            f"{path} cannot be read by this user; it belongs to who runs qala, with mode 600"
        ) from None
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.startswith("#"):
            yield Key.of(purpose, _decoded(line, f"{path}, line {number},"))


def _decoded(text: str, where: str) -> bytes:
    try:
        found = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        found = b""
    if len(found) != _LENGTH:
        raise MissingKeyError(
            f"{where} is no key: {_LENGTH} bytes in base64, 44 letters; as of: openssl rand -base64 32"
        )
    return found
