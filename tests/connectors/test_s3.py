"""Extracts from a store that speaks S3 and asks who is there: moto's server, in a process of its own."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from connectors.sources.s3 import Settings
from connectors.sources.source import SourceError
from tests.support.cutting_proxy import Line, line_to
from tests.support.sources import NAME, asked, contents, everything_said, opened, told
from tools.servers import s3
from tools.servers.s3 import Server, down, unavailable, up

pytestmark = pytest.mark.skipif(bool(unavailable()), reason=unavailable())
PATH = {"path": "akimat/{year}-{month}/*.csv"}
WRONG = "wr0ng/secret+key"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("s3")
    yield up(folder)
    down(folder)


@pytest.fixture(scope="module")
def line(server: Server) -> Iterator[Line]:
    with line_to(server.port) as one:
        yield one


@pytest.fixture
def put(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, bytes], bytes]]:
    """Puts an object into the bucket, which is empty again afterwards. The keys are in the environment."""
    monkeypatch.setenv("ACCESS", server.access_key)
    monkeypatch.setenv("SECRET", server.secret_key)
    monkeypatch.setenv("WRONG", WRONG)
    client = server.client()

    def one(key: str, content: bytes) -> bytes:
        client.put_object(Bucket=s3.BUCKET, Key=key, Body=content)
        return content

    yield one
    for listed in client.list_objects_v2(Bucket=s3.BUCKET).get("Contents", []):
        client.delete_object(Bucket=s3.BUCKET, Key=listed["Key"])


def connection(server: Server, **other: Any) -> Mapping[str, Any]:
    said = {
        "endpoint": server.endpoint,
        "scheme": "http",
        "bucket": s3.BUCKET,
        "access_key": {"env": "ACCESS"},
        "secret_key": {"env": "SECRET"},
        "timeout_seconds": 3,
    }
    return said | other


def test_objects_come_as_they_are_in_order(server: Server, put: Callable[[str, bytes], bytes], tmp_path: Path) -> None:
    second = put("akimat/2026-01/b дом+1.csv", b"id\n2\n")
    first = put("akimat/2026-01/a.csv", os.urandom(5_000_001))
    for other in ("akimat/2026-01/deep/c.csv", "akimat/2026-02/d.csv", "akimat/2026-01/e.txt", "akimat/2026-01/.f.csv"):
        put(other, b"x")
    source = opened("s3", tmp_path, connection(server))
    assert contents(source.fetch(asked("s3", PATH), tmp_path / "into")) == [first, second]
    assert source.fetch(asked("s3", PATH, month="2026-03"), tmp_path / "none") is None
    assert source.fetch(asked("s3", {"path": "akimat/2026-02/d.csv"}), tmp_path / "one") is not None
    assert any("can be listed" in told for told in source.check())


def test_an_empty_object_is_one(server: Server, put: Callable[[str, bytes], bytes], tmp_path: Path) -> None:
    put("akimat/2026-01/a.csv", b"")
    assert contents(opened("s3", tmp_path, connection(server)).fetch(asked("s3", PATH), tmp_path / "into")) == [b""]


def test_an_object_that_is_replaced_while_it_is_read_is_not_taken(
    server: Server, put: Callable[[str, bytes], bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from connectors.sources import s3 as module

    put("akimat/2026-01/a.csv", b"id\n1\n")
    copy = module._Store.copy

    def replaced(self: Any, name: str, size: int, target: Path) -> None:
        copy(self, name, size, target)
        put("akimat/2026-01/a.csv", b"id\n2\n")

    monkeypatch.setattr(module._Store, "copy", replaced)
    with pytest.raises(SourceError, match="changed while it was read") as caught:
        opened("s3", tmp_path, connection(server)).fetch(asked("s3", PATH), tmp_path / "into")
    assert caught.value.passing


@pytest.mark.parametrize(
    ("other", "setting", "says"),
    [
        ({"bucket": "nobodys-bucket"}, "connection.bucket", "there is no bucket nobodys-bucket"),
        ({"access_key": {"env": "WRONG"}}, "connection.access_key", "knows no such access key"),
        ({"secret_key": {"env": "WRONG"}}, "connection.secret_key", "not the one of the access key"),
        ({"scheme": "https"}, "connection.scheme", "does not speak TLS"),
        ({"endpoint": "127.0.0.1:1"}, "connection.endpoint", "did not answer"),
    ],
)
def test_a_wrong_setting_is_named(
    server: Server,
    put: Callable[[str, bytes], bytes],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    other: Mapping[str, Any],
    setting: str,
    says: str,
) -> None:
    put("akimat/2026-01/a.csv", b"id\n1\n")
    source = opened("s3", tmp_path, connection(server, **other))
    with everything_said() as said:
        for ask in (lambda: source.fetch(asked("s3", PATH), tmp_path / "into"), source.check):
            with pytest.raises(SourceError, match=says) as caught:
                ask()
            assert caught.value.setting == setting
            assert NAME in str(caught.value)
            let_out = told(caught.value) + said.getvalue() + "".join(capfd.readouterr())
            assert WRONG not in let_out
            assert server.secret_key not in let_out


def test_only_the_keys_named_are_used(
    server: Server, put: Callable[[str, bytes], bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put("akimat/2026-01/a.csv", b"id\n1\n")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.secret_key)
    source = opened("s3", tmp_path, connection(server, secret_key={"env": "WRONG"}))
    with pytest.raises(SourceError, match=r"connection\.secret_key"):
        source.fetch(asked("s3", PATH), tmp_path / "into")
    with pytest.raises(ValidationError):
        Settings.model_validate({"bucket": "extracts"})


@pytest.mark.slow
def test_a_line_that_breaks_at_any_moment_leaves_nothing(
    server: Server, put: Callable[[str, bytes], bytes], tmp_path: Path, line: Line
) -> None:
    chance = random.Random(23)  # noqa: S311
    expected = [put(f"akimat/2026-01/{name}.csv", chance.randbytes(600_000)) for name in ("a", "b")]
    source = opened("s3", tmp_path, connection(server, endpoint=f"127.0.0.1:{line.port}"))
    line.mend()
    assert contents(source.fetch(asked("s3", PATH), tmp_path / "whole")) == expected
    whole = line.passed
    for number in range(20):
        line.cut_after(chance.randrange(whole - 2))
        with everything_said(), pytest.raises(SourceError) as caught:
            source.fetch(asked("s3", PATH), tmp_path / f"cut-{number}")
        assert caught.value.passing, str(caught.value)
    line.mend()
    assert contents(source.fetch(asked("s3", PATH), tmp_path / "after")) == expected
