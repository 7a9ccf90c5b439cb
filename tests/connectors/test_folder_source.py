"""A folder of another system as a source: whole files by their names, no links, nothing that is still being written."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from connectors.sources import folder as kind
from connectors.sources.folder import FolderSource
from connectors.sources.settings import Regulation
from connectors.sources.source import Asked, Fetched, SourceError
from tests.support.settlements import ASTANA
from warehouse.periods import parse_period


@pytest.fixture
def there(tmp_path: Path) -> Path:
    """The folder of the other system."""
    (tmp_path / "exchange" / "2026-01").mkdir(parents=True)
    return tmp_path / "exchange"


def put(path: Path, content: str = "a\n", age: float = 3600) -> Path:
    """A file that was written some seconds ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    os.utime(path, (path.stat().st_atime, path.stat().st_mtime - age))
    return path


def fetch(there: Path, path: str = "{period}/*.csv", checksum: str | None = None, **more: str) -> Fetched | None:
    target = Path(tempfile.mkdtemp(dir=there.parent))
    said = {"table": "t", "settlements": [ASTANA], "first": "2026-01", "path": path, **more}
    asked = Asked(kind.Extract.model_validate(said), Regulation(checksum=checksum), ASTANA, parse_period("2026-01"))
    return FolderSource("office", kind.Settings(folder=there)).fetch(asked, target)


def names(fetched: Fetched | None) -> list[str]:
    assert fetched is not None
    return [path.name for path in fetched.files]


def test_files_of_a_period_come_in_the_order_of_their_names(there: Path) -> None:
    for name in ("b.csv", "a.csv", "c.txt", ".hidden.csv"):
        put(there / "2026-01" / name, name)
    put(there / "2026-02" / "d.csv")
    found = fetch(there)
    assert names(found) == ["a.csv", "b.csv"]
    assert found is not None
    assert [path.read_text() for path in found.files] == ["a.csv", "b.csv"]
    assert names(fetch(there, "2026-0?/d.csv")) == ["d.csv"]


def test_files_of_one_name_in_two_folders_are_two(there: Path) -> None:
    for name in ("x", "y"):
        put(there / "2026-01" / name / "a.csv", name)
    found = fetch(there, "{period}/*/a.csv")
    assert found is not None
    assert [path.read_text() for path in found.files] == ["x", "y"]


def test_nothing_is_there_yet(there: Path) -> None:
    assert fetch(there) is None
    assert fetch(there, "2027/*.csv") is None
    put(there / "2026-01" / "a.csv")
    assert fetch(there, ready="{period}/ready") is None
    put(there / "2026-01" / "ready", "")
    assert names(fetch(there, ready="{period}/ready")) == ["a.csv"]


def test_a_file_that_is_still_being_written_waits(there: Path) -> None:
    put(there / "2026-01" / "a.csv", age=0)
    with pytest.raises(SourceError, match="still being written") as raised:
        fetch(there)
    assert raised.value.passing


def test_a_file_that_grows_while_it_is_read_waits(there: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = put(there / "2026-01" / "a.csv")
    genuine = os.fstat

    def fstat(descriptor: int) -> os.stat_result:
        found = genuine(descriptor)
        with file.open("a") as more:
            more.write("b\n")
        os.utime(file, ns=(found.st_atime_ns, found.st_mtime_ns))
        return found

    monkeypatch.setattr(os, "fstat", fstat)
    with pytest.raises(SourceError, match="still being written"):
        fetch(there)


def _link(there: Path) -> None:
    (there / "2026-01" / "a.csv").symlink_to(put(there.parent / "secret.csv"))


def _hard_link(there: Path) -> None:
    (there / "2026-01" / "a.csv").hardlink_to(put(there.parent / "secret.csv"))


def _linked_folder(there: Path) -> None:
    put(there.parent / "other" / "a.csv")
    (there / "2026-01").rmdir()
    (there / "2026-01").symlink_to(there.parent / "other")


@pytest.mark.parametrize("made", [_link, _hard_link, _linked_folder])
def test_links_are_not_followed(there: Path, made: Callable[[Path], None]) -> None:
    made(there)
    with pytest.raises(SourceError, match="is a link: links are not followed"):
        fetch(there)


def test_a_pipe_is_no_file(there: Path) -> None:
    os.mkfifo(there / "2026-01" / "a.csv")
    assert fetch(there) is None


def test_checksum_files_are_compared_and_not_taken(there: Path) -> None:
    for name in ("a.csv", "b.csv"):
        put(there / "2026-01" / name, name)
        digest = hashlib.sha256(name.encode()).hexdigest()
        put(there / "2026-01" / f"{name}.sha256", f"{digest}  {name}\n")
    assert names(fetch(there, "{period}/*", ".sha256")) == ["a.csv", "b.csv"]
    put(there / "2026-01" / "b.csv", "other")
    with pytest.raises(SourceError, match="its checksum file says"):
        fetch(there, "{period}/b.csv", ".sha256")
    (there / "2026-01" / "b.csv.sha256").unlink()
    with pytest.raises(SourceError, match=r"b.csv.sha256 cannot be read"):
        fetch(there, "{period}/b.csv", ".sha256")


def test_a_folder_that_is_not_there_names_setting_and_remedy(tmp_path: Path) -> None:
    source = FolderSource("office", kind.Settings(folder=tmp_path / "gone"))
    with pytest.raises(SourceError, match=r"gone cannot be read .*connection.folder.*is it mounted") as raised:
        source.check()
    assert raised.value.passing
