"""The release is the warehouse, byte for byte, however the file system copies."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from warehouse.home.copies import copied, file_sha256

CONTENT = os.urandom(3 << 20)


def in_pieces(source: int, target: int, count: int) -> int:
    return os.write(target, os.read(source, min(count, 1 << 20)))


def not_known(source: int, target: int, count: int) -> int:
    raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))


def breaks_off(source: int, target: int, count: int) -> int:
    if os.lseek(source, 0, os.SEEK_CUR):
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    return in_pieces(source, target, count)


@pytest.mark.parametrize("call", [None, in_pieces, not_known, breaks_off])
def test_the_copy_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Callable[..., int] | None) -> None:
    if call:
        monkeypatch.setattr(os, "copy_file_range", call, raising=False)
    source, target = tmp_path / "warehouse.duckdb", tmp_path / "release.duckdb"
    source.write_bytes(CONTENT)
    target.write_bytes(b"left by a run that was killed" * (1 << 18))
    copied(source, target)
    assert target.read_bytes() == CONTENT
    assert file_sha256(target) == hashlib.sha256(CONTENT).hexdigest()
