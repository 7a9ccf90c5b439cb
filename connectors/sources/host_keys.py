"""Whether an SSH server is the one it should be: the key it shows, held against a file of known hosts as OpenSSH writes it.

Nothing is ever learned here: an unknown key is refused as a changed one is, with what a person needs to compare. Does not belong here: who
we are to the server (sftp.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from connectors.sources.source import SourceError

if TYPE_CHECKING:
    from paramiko import PKey

SETTING = "connection.known_hosts"
_RSA = ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa")  # names of ways to sign with the one kind of key


@dataclass(frozen=True)
class KnownHost:
    """What a file of known hosts says of one server."""

    source: str
    path: Path
    host: str
    port: int
    keys: Sequence[PKey]
    revoked: Sequence[PKey]

    def ordered(self, kinds: Sequence[str]) -> list[str]:
        """Kinds of key to ask the server for: those it is known by first, else another of its keys would look unknown."""
        known = {key.get_name() for key in self.keys}
        names = known | (set(_RSA) if "ssh-rsa" in known else set())
        return sorted(kinds, key=lambda kind: kind not in names)

    def check(self, shown: PKey) -> None:
        """Raises SourceError unless the file knows this very key."""
        told = f"{shown.get_name()} {shown.fingerprint}"
        if shown in self.revoked:
            raise self._refused(
                f"{self._called} shows the key {told}, which {self.path} says is revoked", "do not connect"
            )
        if shown in self.keys:
            return
        known = ", ".join(f"{key.get_name()} {key.fingerprint}" for key in self.keys)
        ask = (
            f"ask who runs the server for the key's fingerprint by another way and compare it with {shown.fingerprint}"
        )
        scan = f"ssh-keyscan -p {self.port} {self.host} >> {self.path}"
        if not known:
            raise self._refused(
                f"{self._called} is not known: it shows the key {told}, and {self.path} has none of it",
                f"{ask}; only if they are the same, run: {scan}",
            )
        raise self._refused(
            f"{self._called} shows the key {told}, but {self.path} knows it by {known}: its key was changed, or somebody is in between",
            f"{ask}; only if they are the same, run: ssh-keygen -f {self.path} -R '{self._called}' and {scan}",
        )

    @property
    def _called(self) -> str:
        return called(self.host, self.port)

    def _refused(self, said: str, remedy: str) -> SourceError:
        return SourceError(self.source, SETTING, said, remedy)


def called(host: str, port: int) -> str:
    """How files of known hosts write a server."""
    return host.lower() if port == 22 else f"[{host.lower()}]:{port}"


def known_host(source: str, path: Path, host: str, port: int) -> KnownHost:
    """What a file says of a server: plain names, patterns, hashed ones, revoked keys. Raises SourceError if it cannot be read."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "it is no text"
        raise SourceError(
            source,
            SETTING,
            f"{path} cannot be read ({said})",
            f"the server's key must be known before: ssh-keyscan -p {port} {host} > {path}, and compare the fingerprint that "
            f"ssh-keygen -lf {path} shows with what those say who run the server",
        ) from None
    keys: dict[str, list[PKey]] = {"": [], "@revoked": []}
    for number, line in enumerate(lines, 1):
        for marker, key in _key(source, path, number, line, called(host, port)):
            keys.get(marker, []).append(key)  # @cert-authority signs certificates, which are not asked for
    return KnownHost(source, path, host, port, keys[""], keys["@revoked"])


def _key(source: str, path: Path, number: int, line: str, name: str) -> Iterator[tuple[str, PKey]]:
    """(marker, key) of a line that is about a server."""
    import paramiko
    from paramiko.hostkeys import HostKeyEntry, InvalidHostKey

    text = line.strip()
    if not text or text.startswith("#"):
        return
    marker = text.split()[0] if text.startswith("@") else ""
    try:
        entry = HostKeyEntry.from_line(" ".join(text.removeprefix(marker).split()), number)
    except (InvalidHostKey, paramiko.SSHException, ValueError):
        entry = None
    if entry is not None and entry.key is not None and _is_of(entry.hostnames, name):
        yield marker, entry.key
    elif entry is None and _is_of(text.removeprefix(marker).split()[0].split(","), name) and not _other_kind(text):
        raise SourceError(
            source,
            SETTING,
            f"{path}, line {number}: the key of {name} is damaged",
            "write the line as ssh-keyscan shows it",
        )


def _other_kind(text: str) -> bool:
    """A key of a kind that is not spoken here, as that of a security token: not damaged, but not ours."""
    return bool(re.search(r"\s(sk-\S+|ssh-dss|\S+-cert-v01@openssh\.com)\s", text))


def _is_of(patterns: Sequence[str], name: str) -> bool:
    """Whether the first field of a line means a server; a negated pattern that fits overrules all others."""
    from paramiko import HostKeys

    found = False
    for pattern in patterns:
        if pattern.startswith("|1|"):
            try:
                found = found or HostKeys.hash_host(name, pattern) == pattern
            except (ValueError, IndexError, AssertionError):
                continue
        elif re.fullmatch(
            re.sub(r"\\([*?])", r".\1", re.escape(pattern.lstrip("!"))).replace(".?", "."), name, re.IGNORECASE
        ):
            if pattern.startswith("!"):
                return False
            found = True
    return found
