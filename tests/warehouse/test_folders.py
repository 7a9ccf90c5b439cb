"""A folder that is written whole: the new one or the former one, never a part, never none."""

from __future__ import annotations

from pathlib import Path

import pytest

from warehouse.home.folders import written_whole


def write(folder: Path, text: str) -> None:
    with written_whole(folder) as fresh:
        (fresh / "page").write_text(text, encoding="utf-8")


def write_twice(folder: Path) -> None:
    """Fails when a part has been written."""
    with written_whole(folder) as fresh:
        (fresh / "page").mkdir()
        (fresh / "page").mkdir()


def test_the_new_folder_takes_the_place_of_the_former(tmp_path: Path) -> None:
    folder = tmp_path / "some" / "report"
    write(folder, "first")
    (folder / "left over").touch()
    with (folder / "page").open(encoding="utf-8") as reader:
        write(folder, "second")
        assert reader.read() == "first"
    assert [path.name for path in folder.iterdir()] == ["page"]
    assert (folder / "page").read_text(encoding="utf-8") == "second"
    assert list(folder.parent.iterdir()) == [folder]


def test_after_an_error_the_folder_is_as_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "report"
    write(folder, "first")
    with pytest.raises(FileExistsError):
        write_twice(folder)
    assert (folder / "page").read_text(encoding="utf-8") == "first"
    assert list(tmp_path.iterdir()) == [folder]


def test_a_folder_that_cannot_be_put_in_place_leaves_the_former(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "report"
    write(folder, "first")
    rename = Path.rename

    def refusing(self: Path, target: Path) -> Path:
        if self.name.endswith(".new"):
            raise OSError("no space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refusing)
    with pytest.raises(OSError, match="no space"):
        write(folder, "second")
    assert (folder / "page").read_text(encoding="utf-8") == "first"
    assert list(tmp_path.iterdir()) == [folder]
