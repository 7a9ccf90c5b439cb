"""Extracts from OpenSSH's own server: whom we speak with, as whom, and files that are whole or not taken."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from connectors.sources.source import SourceError
from tests.support.cutting_proxy import Line, line_to
from tests.support.sources import NAME, asked, contents, everything_said, long_ago, opened, told
from tools.servers import sftp
from tools.servers.sftp import Server, down, unavailable, up

pytestmark = pytest.mark.skipif(bool(unavailable()), reason=unavailable())
PATH = {"path": "{year}-{month}/*.csv"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("sftp")
    yield up(folder)
    down(folder)


@pytest.fixture
def files(server: Server) -> Iterator[Path]:
    """The folder that the server serves, empty, with one of a month."""
    (server.files / "2026-01").mkdir()
    yield server.files
    shutil.rmtree(server.files)
    server.files.mkdir()


def chance(seed: str | int) -> random.Random:
    return random.Random(seed)  # noqa: S311


def fingerprint(key: Path) -> str:
    """As ssh-keygen tells it."""
    listed = subprocess.run(["ssh-keygen", "-lf", str(key)], check=True, capture_output=True, text=True)  # noqa: S603, S607
    return listed.stdout.split()[1]


def put(path: Path, content: bytes, changed: float | None = None) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (changed or long_ago(),) * 2)
    return content


def connection(server: Server, **other: Any) -> Mapping[str, Any]:
    said = {
        "host": sftp.HOST,
        "port": server.port,
        "user": server.user,
        "known_hosts": server.known_hosts,
        "private_key": {"file": server.folder / "client_key"},
        "folder": str(server.files),
        "timeout_seconds": 10,
    }
    return {name: value for name, value in (said | other).items() if value is not None}


def fails(server: Server, tmp_path: Path, extract: Mapping[str, Any] = PATH, **other: Any) -> SourceError:
    """The error of a pull; nothing of any secret is in it, nor in what was logged."""
    tmp_path.mkdir(exist_ok=True)
    with everything_said() as said, pytest.raises(SourceError) as caught:
        opened("sftp", tmp_path, connection(server, **other)).fetch(asked("sftp", extract), tmp_path / "into")
    let_out = told(caught.value) + said.getvalue()
    secret_lines = (server.folder / "client_key").read_text(encoding="ascii").splitlines()[1:-1]
    for secret in (sftp.PASSWORD, sftp.PASSPHRASE, "wrong-secret", *secret_lines):
        assert secret not in let_out
    assert NAME in str(caught.value)
    return caught.value


def test_files_come_as_they_are_in_order(server: Server, files: Path, tmp_path: Path) -> None:
    first = put(files / "2026-01" / "a.csv", os.urandom(700_001))
    second = put(files / "2026-01" / "b дом.csv", b"id\n1\n")
    put(files / "2026-01" / ".hidden.csv", b"x")
    put(files / "2026-01" / "c.txt", b"x")
    put(files / "2026-02" / "d.csv", b"x")
    put(files / "2026-01" / "deep" / "e.csv", b"x")
    source = opened("sftp", tmp_path, connection(server))
    fetched = source.fetch(asked("sftp", PATH), tmp_path / "into")
    assert contents(fetched) == [first, second]
    assert fetched is not None
    assert [path.name for path in fetched.files] == ["a.csv", "b дом.csv"]
    assert source.fetch(asked("sftp", PATH, month="2026-03"), tmp_path / "none") is None


@pytest.mark.parametrize("size", [0, 1, 255 << 10, (255 << 10) + 1, 5_000_000])
def test_every_size_comes_whole(server: Server, files: Path, tmp_path: Path, size: int) -> None:
    content = put(files / "one.bin", chance(size).randbytes(size))
    source = opened("sftp", tmp_path, connection(server))
    assert contents(source.fetch(asked("sftp", {"path": "one.bin"}), tmp_path / "into")) == [content]


def test_links_and_folders_are_found_by_patterns(server: Server, files: Path, tmp_path: Path) -> None:
    content = put(files / "elsewhere" / "x.csv", b"id\n1\n")
    (files / "2026-01" / "link.csv").symlink_to(files / "elsewhere" / "x.csv")
    (files / "2026-01" / "gone.csv").symlink_to(files / "nowhere")
    source = opened("sftp", tmp_path, connection(server))
    assert contents(source.fetch(asked("sftp", {"path": "2026-*/*.csv"}), tmp_path / "into")) == [content]


def test_who_may_enter(server: Server, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = put(files / "one.csv", b"id\n1\n")
    monkeypatch.setenv("PHRASE", sftp.PASSPHRASE)
    monkeypatch.setenv("PASS", sftp.PASSWORD)
    locked = {"private_key": {"file": server.folder / "client_key_locked"}, "passphrase": {"env": "PHRASE"}}
    ways: list[dict[str, Any]] = [{}, locked]
    if server.password:
        ways.append({"private_key": None, "password": {"env": "PASS"}})
    for number, way in enumerate(ways):
        source = opened("sftp", tmp_path, connection(server, **way))
        assert contents(source.fetch(asked("sftp", {"path": "one.csv"}), tmp_path / str(number))) == [content]
        assert any("may enter" in line for line in source.check())


def another_key(tmp_path: Path, kind: str = "ed25519") -> Path:
    path = tmp_path / f"key-{kind}"
    if not path.exists():
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", str(path)], check=True)  # noqa: S603, S607
    return path


def hashed(server: Server, tmp_path: Path) -> Path:
    path = tmp_path / "hashed"
    shutil.copy(server.known_hosts, path)
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(path)], check=True, capture_output=True)  # noqa: S603, S607
    assert "127.0.0.1" not in path.read_text(encoding="ascii")
    return path


def written(text: str) -> Callable[[Server, Path], Path]:
    """A file of known hosts: {name} is the server's there, {key} its key, {rsa} its other key, {other} somebody's."""

    def make(server: Server, tmp_path: Path) -> Path:
        def public(path: Path) -> str:
            return " ".join(path.read_text(encoding="ascii").split()[:2])

        path = tmp_path / "known"
        parts = {
            "name": f"[{sftp.HOST}]:{server.port}",
            "port": str(server.port),
            "key": public(server.folder / "host_key.pub"),
            "rsa": public(server.folder / "host_key_rsa.pub"),
            "other": public(another_key(tmp_path).with_suffix(".pub")),
        }
        path.write_text(text.format_map(parts), encoding="ascii")
        return path

    return make


@pytest.mark.parametrize(
    "make",
    [
        hashed,
        written("{name} {rsa}\n"),
        written("# both\n\n{name} {other}\n{name} {key} of last year\n"),
        written("other.kz,{name} {key}\n"),
        written("[127.0.0.?]:{port} {key}\n"),
        written("@revoked {name} {other}\n{name}\t{key}\n"),
        written("{name} {key}\nsomebody ssh-ed25519 broken\n{name} ssh-dss AAAA\n"),
    ],
)
def test_a_server_is_known(server: Server, files: Path, tmp_path: Path, make: Callable[[Server, Path], Path]) -> None:
    content = put(files / "one.csv", b"id\n1\n")
    source = opened("sftp", tmp_path, connection(server, known_hosts=make(server, tmp_path)))
    assert contents(source.fetch(asked("sftp", {"path": "one.csv"}), tmp_path / "into")) == [content]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (written(""), "is not known"),
        (written("127.0.0.1 {key}\n"), "is not known"),
        (written("[127.0.0.2]:{port} {key}\n"), "is not known"),
        (written("[127.0.0.*]:{port},!{name} {key}\n"), "is not known"),
        (written("@cert-authority {name} {key}\n"), "is not known"),
        (written("{name} {other}\n"), "somebody is in between"),
        (written("@revoked {name} {key}\n{name} {key}\n"), "is revoked"),
        (written("{name} ssh-ed25519 AAAAbroken\n"), "is damaged"),
        (lambda _, path: path / "missing", "cannot be read"),
    ],
)
def test_a_server_that_is_not_known_is_refused(
    server: Server, files: Path, tmp_path: Path, make: Callable[[Server, Path], Path], says: str
) -> None:
    put(files / "one.csv", b"id\n1\n")
    known = make(server, tmp_path)
    error = fails(server, tmp_path, known_hosts=known)
    assert says in str(error)
    assert error.setting == "connection.known_hosts"
    assert not error.passing
    assert str(known) in str(error)
    if says in ("is not known", "somebody is in between"):
        shown = {fingerprint(path) for path in server.folder.glob("host_key*.pub")}
        assert any(one in str(error) for one in shown)
        assert f"ssh-keyscan -p {server.port} {sftp.HOST}" in error.remedy
    if says == "somebody is in between":
        assert str(error).count("SHA256:") >= 3  # the one shown, the one known, and the one to compare


@pytest.mark.parametrize(
    ("other", "setting", "says"),
    [
        ({"private_key": {"file": "key-ed25519"}}, "connection.private_key", "does not let"),
        ({"user": "nobody-here"}, "connection.private_key", "does not let nobody-here in"),
        ({"private_key": None, "password": {"env": "WRONG"}}, "connection.password", "variable WRONG"),
        ({"private_key": {"file": "locked"}}, "connection.private_key", "locked with a passphrase"),
        (
            {"private_key": {"file": "locked"}, "passphrase": {"env": "WRONG"}},
            "connection.private_key",
            "cannot be opened",
        ),
        ({"passphrase": {"env": "WRONG"}}, "connection.private_key", "has no passphrase"),
        ({"private_key": {"file": "key-ed25519.pub"}}, "connection.private_key", "is no private key"),
        ({"private_key": {"file": "absent"}}, "connection.private_key", "cannot be read"),
        ({"folder": "/nowhere/at/all"}, "connection.folder", "no folder /nowhere/at/all"),
        ({"port": 1}, "connection.host", "nothing answers"),
        ({"host": "no-such-machine.invalid"}, "connection.host", "no machine is named"),
    ],
)
def test_a_wrong_setting_is_named(
    server: Server,
    files: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    other: dict[str, Any],
    setting: str,
    says: str,
) -> None:
    monkeypatch.setenv("WRONG", "wrong-secret")
    another_key(tmp_path).with_suffix(".pub").chmod(0o600)
    shutil.copy(server.folder / "client_key_locked", tmp_path / "locked")
    put(files / "one.csv", b"id\n1\n")
    extract = {"path": "*.csv"}
    if other.get("port") == 1 or "host" in other:
        other |= {"known_hosts": server.known_hosts}
    error = fails(server, tmp_path, extract, **other)
    assert error.setting == setting
    assert says in str(error)


def test_a_file_that_is_being_written_is_not_taken(server: Server, files: Path, tmp_path: Path) -> None:
    path = files / "2026-01" / "a.csv"
    path.write_bytes(b"id\n1\n")
    error = fails(server, tmp_path)
    assert error.passing
    assert "still being written" in str(error)


def test_a_file_that_grows_while_it_is_read_is_not_taken(
    server: Server, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from connectors.sources import sftp as module

    path = files / "2026-01" / "a.csv"
    put(path, b"id\n1\n")
    copy = module._Store.copy

    def grows(self: Any, name: str, size: int, target: Path) -> None:
        copy(self, name, size, target)
        put(path, b"id\n1\n2\n")

    monkeypatch.setattr(module._Store, "copy", grows)
    error = fails(server, tmp_path)
    assert error.passing
    assert "changed while it was read" in str(error)


def test_a_ready_file_says_when(server: Server, files: Path, tmp_path: Path) -> None:
    content = put(files / "2026-01" / "a.csv", b"id\n1\n")
    source = opened("sftp", tmp_path, connection(server))
    question = asked("sftp", PATH | {"ready": "{year}-{month}/_READY"})
    assert source.fetch(question, tmp_path / "first") is None
    put(files / "2026-01" / "_READY", b"")
    assert contents(source.fetch(question, tmp_path / "second")) == [content]


def test_checksums_beside_are_held_against_the_files(server: Server, files: Path, tmp_path: Path) -> None:
    folder = files / "2026-01"
    content = put(folder / "a.csv", b"id\n1\n")
    source = opened("sftp", tmp_path, connection(server))
    with pytest.raises(SourceError, match=r"a.csv.sha256 is not there") as caught:
        source.fetch(asked("sftp", PATH, checksum=".sha256"), tmp_path / "0")
    assert caught.value.passing
    digest = hashlib.sha256(content).hexdigest()
    put(folder / "a.csv.sha256", f"{digest}  a.csv\n".encode())
    fetched = source.fetch(asked("sftp", PATH, checksum=".sha256"), tmp_path / "1")
    assert contents(fetched) == [content]
    assert fetched is not None
    assert fetched.sha256 == digest
    put(folder / "MD5SUMS.csv", f"{hashlib.md5(content).hexdigest()} *a.csv\n".encode())  # noqa: S324
    assert contents(source.fetch(asked("sftp", PATH, checksum="MD5SUMS.csv"), tmp_path / "2")) == [content]
    (folder / "MD5SUMS.csv").unlink()
    put(folder / "a.csv", b"id\n2\n")
    with pytest.raises(SourceError, match="has checksum"):
        source.fetch(asked("sftp", PATH, checksum=".sha256"), tmp_path / "3")


@pytest.fixture(scope="module")
def line(server: Server) -> Iterator[Line]:
    with line_to(server.port) as one:
        yield one


@pytest.mark.slow
def test_a_line_that_goes_dead_is_given_up(server: Server, files: Path, tmp_path: Path, line: Line) -> None:
    put(files / "2026-01" / "a.csv", chance(1).randbytes(600_000))
    known = written("[127.0.0.1]:" + str(line.port) + " {key}\n")(server, tmp_path)
    for number, moment in enumerate((10, 1_000, 3_000, 300_000)):
        line.cut_after(moment)
        line.silent = True
        error = fails(server, tmp_path / str(number), port=line.port, known_hosts=known, timeout_seconds=1)
        assert error.passing, str(error)
    line.mend()
    line.silent = False


@pytest.mark.slow
def test_a_line_that_breaks_at_any_moment_leaves_nothing(
    server: Server, files: Path, tmp_path: Path, line: Line
) -> None:
    expected = [put(files / "2026-01" / f"{name}.csv", chance(name).randbytes(600_000)) for name in ("a", "b")]
    known = written("[127.0.0.1]:" + str(line.port) + " {key}\n")(server, tmp_path)
    source = opened("sftp", tmp_path, connection(server, port=line.port, known_hosts=known))
    line.mend()
    assert contents(source.fetch(asked("sftp", PATH), tmp_path / "whole")) == expected
    moments = chance(23)
    whole = line.passed
    for number in range(20):
        line.cut_after(moments.randrange(whole - 5_000))  # at the very end only the farewell is missing
        with everything_said(), pytest.raises(SourceError) as caught:
            source.fetch(asked("sftp", PATH), tmp_path / f"cut-{number}")
        assert caught.value.passing, str(caught.value)
    line.mend()
    assert contents(source.fetch(asked("sftp", PATH), tmp_path / "after")) == expected
