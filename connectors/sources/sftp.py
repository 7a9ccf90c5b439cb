"""An SFTP server: whom we are sure to speak with, as whom, and the files it has.

No agent is asked and no key of whoever runs qala is looked for: what is used is what the settings name. Does not belong here: which keys of
servers are known (host_keys.py), reading a file's bytes fast (sftp_download.py), what makes files one extract (remote_files.py).
"""

from __future__ import annotations

import errno
import logging
import socket
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from connectors.sources import folder
from connectors.sources.host_keys import known_host
from connectors.sources.remote_files import SETTING, WILD, Facts, fetch_files, step_fits
from connectors.sources.secrets import Reference, Secret, Secrets
from connectors.sources.settings import Strict, refused
from connectors.sources.source import Asked, Fetched, SourceError

if TYPE_CHECKING:
    from paramiko import PKey, SFTPClient, Transport

_CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes192-ctr", "aes256-ctr")
_OURS = (errno.ENOSPC, errno.EDQUOT)  # of the disk here, not of the line


def _host(text: str) -> str:
    if not text or any(sign in text for sign in "@/: \t"):
        raise refused("is no name or address of a machine", "write host: sftp.akimat.kz, and port: and user: apart")
    return text


class Settings(Strict):
    """An SFTP server."""

    host: Annotated[str, AfterValidator(_host)] = Field(description="Name or address of the server")
    port: int = Field(default=22, ge=1, le=65_535, strict=True, description="Its port")
    user: str = Field(min_length=1, description="The account there")
    known_hosts: Path = Field(description="File with the server's key, as OpenSSH writes it; from the home's folder on")
    password: Reference | None = Field(default=None, description="Where the account's password is; or private_key")
    private_key: Reference | None = Field(default=None, description="Where the account's private key is: {file: PATH}")
    passphrase: Reference | None = Field(
        default=None, description="Where the private key's passphrase is, if it has one"
    )
    folder: str = Field(default=".", min_length=1, description="The folder there; left out: the account's own")
    settled_seconds: int = Field(
        default=60, ge=0, le=86_400, strict=True, description="A file that changed since is still being written"
    )
    timeout_seconds: int = Field(
        default=30, ge=1, le=3_600, strict=True, description="The server is given up when it says nothing for so long"
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.password is None) == (self.private_key is None):
            raise refused(
                "must say password or private_key, one of them",
                "write private_key: {file: PATH}, or password: {env: NAME}",
            )
        if self.passphrase is not None and self.private_key is None:
            raise refused("names a passphrase without private_key", "write private_key: {file: PATH}, or take it out")
        return self


class Extract(folder.Extract):
    """Files of a period, by their names; the path begins below the connection's folder."""


def open_source(name: str, settings: Settings, secrets: Secrets) -> SftpSource:
    """Reads the secrets. Raises SourceError: one is not there, or is no private key."""
    password, passphrase, key = (
        None if reference is None else secrets.read(reference, f"connection.{setting}")
        for setting, reference in (
            ("password", settings.password),
            ("passphrase", settings.passphrase),
            ("private_key", settings.private_key),
        )
    )
    return SftpSource(name, settings, secrets, password, None if key is None else _private_key(name, key, passphrase))


class SftpSource:
    """See connectors/sources/source.py."""

    def __init__(self, name: str, settings: Settings, secrets: Secrets, password: Secret | None, key: PKey | None):
        self.name, self.settings = name, settings
        self._secrets, self._password, self._key = secrets, password, key

    def fetch(self, asked: Asked, folder: Path) -> Fetched | None:
        with self._connected() as store:
            return fetch_files(self.name, store, asked, folder, self.settings.settled_seconds)

    def check(self) -> Sequence[str]:
        said = self.settings
        with self._connected() as store:
            key = store.transport.get_remote_server_key()
            entries = store.entries(said.folder)
            return (
                f"{said.host}:{said.port} shows the key that is known, {key.get_name()} {key.fingerprint}",
                f"{said.user} may enter; folder {said.folder} has {len(entries)} entries",
            )

    @contextmanager
    def _connected(self) -> Iterator[_Store]:
        """A connection to the server that is known, as the account. Whatever goes wrong inside becomes a SourceError."""
        import paramiko

        logging.getLogger("paramiko").addHandler(logging.NullHandler())  # what it says is in the errors
        said = self.settings
        known = known_host(self.name, self._secrets.root / said.known_hosts, said.host, said.port)
        transport = None
        try:
            line = socket.create_connection((said.host, said.port), said.timeout_seconds)
            transport = paramiko.Transport(line)
            transport.banner_timeout = transport.handshake_timeout = transport.auth_timeout = said.timeout_seconds
            options = transport.get_security_options()
            options.ciphers = _CIPHERS
            options.key_types = known.ordered(options.key_types)
            transport.start_client(timeout=said.timeout_seconds)
            known.check(transport.get_remote_server_key())
            self._enter(transport)
            client = paramiko.SFTPClient.from_transport(transport)
            assert client is not None
            channel = client.get_channel()
            assert channel is not None
            channel.settimeout(said.timeout_seconds)
            yield _Store(self.name, said, transport, client)
        except (EOFError, paramiko.SSHException, OSError) as error:
            if isinstance(error, OSError) and (error.filename is not None or error.errno in _OURS):
                raise
            raise self._broken(error) from None
        finally:
            if transport is not None:
                transport.close()

    def _enter(self, transport: Transport) -> None:
        """Say who we are. Raises SourceError if the server does not let us in."""
        import paramiko

        setting = "connection.private_key" if self._key is not None else "connection.password"
        try:
            if self._key is not None:
                transport.auth_publickey(self.settings.user, self._key)
            else:
                assert self._password is not None
                transport.auth_password(self.settings.user, self._password.reveal())
        except paramiko.BadAuthenticationType as error:
            raise SourceError(
                self.name,
                setting,
                f"the server takes no {setting.rpartition('.')[2]}",
                f"it takes {', '.join(error.allowed_types)}",
            ) from None
        except paramiko.AuthenticationException as error:
            if "timeout" in str(error).lower():
                raise TimeoutError(str(error)) from None
            held = self._password.told if self._password is not None else "the private key"
            raise SourceError(
                self.name,
                setting,
                f"{self.settings.host}:{self.settings.port} does not let {self.settings.user} in with {held}",
                "is connection.user the account, and is the secret still the one the server knows? ask who runs it",
            ) from None

    def _broken(self, error: Exception) -> SourceError:
        said = self.settings
        where = f"{said.host}:{said.port}"
        if isinstance(error, socket.gaierror):
            return SourceError(
                self.name,
                "connection.host",
                f"no machine is named {said.host}",
                "mend the name; is this machine on the network?",
                passing=True,
            )
        if isinstance(error, TimeoutError):
            told = f"{where} said nothing for {said.timeout_seconds} seconds"
        elif isinstance(error, ConnectionRefusedError):
            told = f"nothing answers at {where}"
        else:
            told = f"the connection to {where} broke: {self._secrets.scrub(str(error)) or type(error).__name__}"
        return SourceError(
            self.name,
            "connection.host",
            told,
            "nothing was taken; it is asked again. If it stays so: are host and port right?",
            passing=True,
        )


class _Store:
    """See remote_files.py."""

    def __init__(self, source: str, settings: Settings, transport: Transport, client: SFTPClient):
        self.transport = transport
        self._source, self._settings, self._client = source, settings, client

    def found(self, pattern: str) -> Iterator[str]:
        yield from self._below("", pattern.split("/"))

    def facts(self, name: str) -> Facts | None:
        try:
            told = self._client.stat(self._path(name))
        except FileNotFoundError:
            return None
        if told.st_size is None or not stat.S_ISREG(told.st_mode or stat.S_IFREG):
            raise self._refused(name, "the server says that it is no file, or not how large it is")
        return Facts(told.st_size, told.st_mtime or 0)

    def copy(self, name: str, size: int, target: Path) -> None:
        from connectors.sources.sftp_download import NotSftpError, download

        with target.open("xb") as copy:
            try:
                download(self.transport, self._path(name), size, copy, self._settings.timeout_seconds)
            except (FileNotFoundError, PermissionError, NotSftpError) as error:
                raise self._refused(name, str(error.strerror)) from None

    def entries(self, path: str) -> list[tuple[str, int]]:
        """(name, mode) of what is in a folder; a link is what it leads to. Empty if there is no such folder."""
        try:
            return [
                (told.filename, self._mode(f"{path}/{told.filename}", told.st_mode))
                for told in self._client.listdir_attr(path)
            ]
        except FileNotFoundError:
            if path == self._settings.folder:
                raise SourceError(
                    self._source,
                    "connection.folder",
                    f"there is no folder {path}",
                    "name the one that the account sees",
                ) from None
            return []
        except PermissionError:
            raise self._refused(path, "the account may not read this folder") from None

    def _mode(self, path: str, mode: int | None) -> int:
        try:
            return self._client.stat(path).st_mode or 0 if mode is None or stat.S_ISLNK(mode) else mode
        except OSError:  # a link that leads nowhere
            return 0

    def _below(self, before: str, steps: Sequence[str]) -> Iterator[str]:
        step, *rest = steps
        if not WILD & {*step} and rest:  # a folder that need not be looked for
            yield from self._below(f"{before}{step}/", rest)
            return
        for name, mode in self.entries(self._path(before.rstrip("/"))):
            if step_fits(step, name) and stat.S_IFMT(mode) == (stat.S_IFDIR if rest else stat.S_IFREG):
                if rest:
                    yield from self._below(f"{before}{name}/", rest)
                else:
                    yield f"{before}{name}"

    def _path(self, name: str) -> str:
        return f"{self._settings.folder.rstrip('/')}/{name}" if name else self._settings.folder

    def _refused(self, name: str, why: str) -> SourceError:
        return SourceError(
            self._source, SETTING, f"{name} cannot be read ({why})", "may the account read it? ask who runs the server"
        )


def _private_key(source: str, secret: Secret, passphrase: Secret | None) -> PKey:
    key = _loaded(secret, passphrase)
    if isinstance(key, tuple):
        raise SourceError(source, "connection.private_key", f"{secret.told} {key[0]}", key[1])
    return key


def _loaded(secret: Secret, passphrase: Secret | None) -> PKey | tuple[str, str]:
    """The key; else what is wrong and the remedy. Nothing is raised where the secret is at hand: a traceback may show it."""
    import paramiko
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_ssh_private_key

    text = f"{secret.reveal()}\n"
    phrase = None if passphrase is None else passphrase.reveal()
    load = load_ssh_private_key if "OPENSSH PRIVATE KEY" in text else load_pem_private_key
    kinds: dict[type, type[PKey]] = {
        ed25519.Ed25519PrivateKey: paramiko.Ed25519Key,
        rsa.RSAPrivateKey: paramiko.RSAKey,
        ec.EllipticCurvePrivateKey: paramiko.ECDSAKey,
    }
    try:
        found = load(text.encode(), None if phrase is None else phrase.encode())
        for theirs, ours in kinds.items():
            if isinstance(found, theirs):
                return ours.from_private_key(StringIO(text), phrase)
    except TypeError:
        if passphrase is None:
            return "is locked with a passphrase", "name where that is: connection.passphrase: {env: NAME}"
        return "has no passphrase, but one is named", "take connection.passphrase out"
    except (ValueError, paramiko.SSHException):
        if passphrase is None:
            return "is no private key", "name the file that ssh-keygen wrote, not the one that ends in .pub"
        return "cannot be opened with the passphrase", "is connection.passphrase the one of this key?"
    return "is a key of a kind that is not spoken", "have one of Ed25519: ssh-keygen -t ed25519"
