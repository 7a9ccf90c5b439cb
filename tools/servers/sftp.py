"""OpenSSH's sshd (Debian: apt install openssh-server), which serves a folder by SFTP to the user who started it.

Accounts are the system's own, so a password can be had only by root, in a mount namespace of the server's own with another /etc/shadow:
nothing of the machine is changed.
"""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from tools.clusters.processes import ClusterError, free_ports, running, start, stop, wait_until

HOST = "127.0.0.1"
PASSWORD, PASSPHRASE = "open-the-archive", "of-the-key"
_CONFIGURATION = """\
ListenAddress {host}
Port {port}
HostKey {folder}/host_key
HostKey {folder}/host_key_rsa
PidFile none
AuthorizedKeysFile {folder}/client_key.pub
StrictModes no
UsePAM no
PermitRootLogin yes
PasswordAuthentication {passwords}
KbdInteractiveAuthentication no
Subsystem sftp internal-sftp
"""


@dataclass(frozen=True)
class Server:
    """A server that runs. Keys of the client: `client_key`, and `client_key_locked` with PASSPHRASE, which is the same key."""

    folder: Path
    port: int
    user: str
    password: str | None = field(repr=False)  # none where passwords cannot be had

    @property
    def files(self) -> Path:
        return self.folder / "files"

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"

    def __str__(self) -> str:
        lines = (
            f"host: {HOST}, port: {self.port}, user: {self.user}",
            f"private key: {self.folder / 'client_key'}; the same with passphrase {PASSPHRASE}: client_key_locked",
            f"known hosts: {self.known_hosts}",
            f"password: {self.password or 'none: only root can have one here'}",
            f"files: {self.files}",
        )
        return "\n".join(lines)


def unavailable() -> str:
    """Why there can be no server here; empty if there can."""
    try:
        _binary()
    except ClusterError as error:
        return str(error)
    return ""


def up(folder: Path) -> Server:
    """Start the server of a folder, or the one of before again; it listens."""
    folder = folder.resolve()
    (folder / "files").mkdir(parents=True, exist_ok=True)
    apart = _can_stand_apart()
    known = folder / "port"
    if not known.exists():
        known.write_text(str(free_ports(1)[0]), encoding="ascii")
    port = int(known.read_text(encoding="ascii"))
    _make_keys(folder, port)
    text = _CONFIGURATION.format(host=HOST, port=port, folder=folder, passwords="yes" if apart else "no")
    (folder / "sshd_config").write_text(text, encoding="ascii")
    if running(folder) is None:
        command = [_binary(), "-D", "-e", "-f", str(folder / "sshd_config")]
        start(folder, _apart(folder, command) if apart else command)
    wait_until(lambda: _listens(port), folder, f"sshd at {HOST}:{port}", 10)
    return Server(folder, port, getpass.getuser(), PASSWORD if apart else None)


def down(folder: Path) -> None:
    """Stop the server of a folder; what it serves stays."""
    stop(folder.resolve())


def new_host_key(folder: Path) -> None:
    """Another host key than the one that is known, as after a machine was replaced; it holds from the next start."""
    for name in ("host_key", "host_key_rsa"):
        (folder / name).unlink()
    _make_host_keys(folder)


def _make_keys(folder: Path, port: int) -> None:
    if (folder / "client_key").exists():
        return
    _make_host_keys(folder)
    _keygen("-t", "ed25519", "-N", "", "-f", str(folder / "client_key"))
    shutil.copy(folder / "client_key", folder / "client_key_locked")
    (folder / "client_key_locked").chmod(0o600)
    _keygen("-p", "-P", "", "-N", PASSPHRASE, "-f", str(folder / "client_key_locked"))
    kind, key = (folder / "host_key.pub").read_text(encoding="ascii").split()[:2]
    (folder / "known_hosts").write_text(f"[{HOST}]:{port} {kind} {key}\n", encoding="ascii")


def _make_host_keys(folder: Path) -> None:
    _keygen("-t", "ed25519", "-N", "", "-f", str(folder / "host_key"))
    _keygen("-t", "rsa", "-b", "2048", "-N", "", "-f", str(folder / "host_key_rsa"))


def _keygen(*options: str) -> None:
    subprocess.run(["ssh-keygen", "-q", *options], check=True, capture_output=True)  # noqa: S603, S607


def _binary() -> str:
    found = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        raise ClusterError("there is no sshd on this machine: apt-get install openssh-server")
    return found


def _can_stand_apart() -> bool:
    """Whether this process may give the server mounts of its own."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "openssl"))):
        return False
    return subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True).returncode == 0  # noqa: S607


def _apart(folder: Path, command: list[str]) -> list[str]:
    """The command, in a namespace where the user has PASSWORD and sshd the folder that it wants of /run."""
    hashed = subprocess.run(  # noqa: S603
        ["openssl", "passwd", "-6", PASSWORD],  # noqa: S607
        check=True,
        capture_output=True,
        text=True,
    )
    shadow = folder / "shadow"
    shadow.touch(0o600)
    shadow.write_text(f"{getpass.getuser()}:{hashed.stdout.strip()}:19000:0:99999:7:::\n", encoding="ascii")
    script = 'mount -t tmpfs none /run && mkdir -m 755 /run/sshd && mount --bind "$0" /etc/shadow && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", script, str(shadow), *command]


def _listens(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=1) as one:
            return one.recv(4) == b"SSH-"
    except OSError:
        return False
