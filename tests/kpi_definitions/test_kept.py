"""What is kept between processes (kpi_definitions/kept.py): it is what would be made anew, or it is made anew."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kpi_definitions import kept as keeping
from kpi_definitions.catalogue import Catalogue, sound_part
from kpi_definitions.kept import SETTING, kept
from kpi_definitions.listed import SHIPPED

ROOT = Path(__file__).parents[2]


class Maker:
    """Reads the files of a folder, and counts how often."""

    def __init__(self, folder: Path):
        self.folder, self.times = folder, 0

    def make(self) -> dict[str, str]:
        self.times += 1
        return self.content()

    def content(self) -> dict[str, str]:
        return {path.name: path.read_text() for path in self.folder.iterdir()}

    def ask(self, what: str = "text") -> tuple[dict[str, str], int]:
        """What is given, and how often it has been made by then."""
        return kept(what, self.folder.iterdir(), self.make), self.times


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where things are kept in this test."""
    monkeypatch.setenv(SETTING, str(tmp_path / "kept"))
    return tmp_path / "kept"


@pytest.fixture
def maker(tmp_path: Path, place: Path) -> Maker:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "a.yaml").write_text("one")
    (folder / "b.yaml").write_text("two")
    maker = Maker(folder)
    assert maker.ask() == ({"a.yaml": "one", "b.yaml": "two"}, 1)
    assert maker.ask()[1] == 1, "nothing was kept"
    assert [oct(path.stat().st_mode)[-3:] for path in (place, *place.iterdir())] == ["700", "600"]
    return maker


def same_time(path: Path, text: str) -> None:
    """Write a file, and leave no trace of it but its content."""
    before = path.stat()
    path.write_text(text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


CHANGES: dict[str, Callable[[Path], object]] = {
    "edited": lambda f: (f / "a.yaml").write_text("1"),
    "edited without a trace": lambda f: same_time(f / "a.yaml", "eno"),
    "added": lambda f: (f / "c.yaml").write_text(""),
    "deleted": lambda f: (f / "a.yaml").unlink(),
    "renamed": lambda f: (f / "a.yaml").rename(f / "c.yaml"),
    "parts moved": lambda f: [(f / "a.yaml").write_text("onet"), (f / "b.yaml").write_text("wo")],
}


@pytest.mark.parametrize("change", CHANGES)
def test_another_content_is_made_anew(maker: Maker, change: str) -> None:
    CHANGES[change](maker.folder)
    assert maker.ask() == (maker.content(), 2)
    assert maker.ask() == (maker.content(), 2), "once and no more"


def test_other_code_and_libraries_make_anew(maker: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "made_by", lambda: "by another")
    assert maker.ask()[1] == 2
    assert maker.ask("another")[1] == 3


@pytest.mark.parametrize("place_of_harm", [0, 31, 32, 40, -1])
def test_what_is_damaged_is_made_anew_and_kept_again(maker: Maker, place: Path, place_of_harm: int) -> None:
    (file,) = place.iterdir()
    content = bytearray(file.read_bytes())
    content[place_of_harm] ^= 1
    file.write_bytes(content)
    assert maker.ask()[1] == 2
    file.write_bytes(file.read_bytes()[:place_of_harm])
    assert maker.ask()[1] == 3
    assert maker.ask() == (maker.content(), 3)


def test_nothing_is_read_that_others_may_have_written(maker: Maker, place: Path, tmp_path: Path) -> None:
    (file,) = place.iterdir()
    file.chmod(0o620)
    assert maker.ask()[1] == 2, "a file that its group may write"
    elsewhere = file.replace(tmp_path / "elsewhere")
    file.symlink_to(elsewhere)
    assert maker.ask()[1] == 3, "a link"
    tmp_path.chmod(0o770)
    keeping._sound_folder.cache_clear()
    assert maker.ask()[1] == 4, "a folder that its group may exchange"
    assert maker.ask()[1] == 5
    tmp_path.chmod(0o700)
    keeping._sound_folder.cache_clear()
    assert maker.ask()[1] == 5


def test_nothing_is_kept_of_files_that_change_meanwhile(place: Path, maker: Maker) -> None:
    (maker.folder / "a.yaml").write_text("three")

    def change() -> str:
        (maker.folder / "a.yaml").write_text("four")
        return "made of which?"

    assert kept("text", maker.folder.iterdir(), change) == "made of which?"
    (maker.folder / "a.yaml").write_text("three")
    assert maker.ask()[0]["a.yaml"] == "three"


@pytest.mark.parametrize("given", ["0", "", "not/absolute", "/dev/null/kept", "/proc/kept"])
def test_without_a_folder_everything_is_made(maker: Maker, monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv(SETTING, given)
    assert [maker.ask()[1] for _ in range(2)] == [2, 3]


def test_errors_are_not_kept(maker: Maker) -> None:
    def fail() -> str:
        raise LookupError("not yet")

    for _ in range(2):
        with pytest.raises(LookupError):
            kept("fails", maker.folder.iterdir(), fail)
    assert kept("fails", maker.folder.iterdir(), lambda: "now") == "now"


def test_code_of_what_is_kept_is_in_its_key() -> None:
    """Every module of ours that is imported to make what is kept is among the files whose content decides."""
    code = (
        "import json, sys; from kpi_definitions import kept; from kpi_definitions.listed import listed;"
        "from warehouse.tables.fingerprint import shipped_fingerprint; from warehouse.tables.working_tables import working_tables;"
        "listed(); shipped_fingerprint(); working_tables();"
        "print(json.dumps([[m.__file__ for n, m in sys.modules.items()"
        " if n.split('.')[0] in ('kpi_definitions', 'warehouse', 'connectors')], list(map(str, kept._code()))]))"
    )
    given = {**os.environ, SETTING: "0"}
    said = subprocess.run([sys.executable, "-c", code], env=given, cwd=ROOT, capture_output=True, check=True).stdout  # noqa: S603
    imported, known = map(set, json.loads(said))
    assert len(imported) > 30
    assert imported <= known | {str(ROOT / "warehouse" / "home" / name) for name in ("__init__.py", "home.py")}


def same(one: Catalogue | None, other: Catalogue | None) -> bool:
    return one == other and repr(one) == repr(other) and one is not None and one.texts == other.texts  # type: ignore[union-attr]


def test_definitions_that_were_kept_are_those_that_are_read(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in sorted(path.parent for path in SHIPPED.glob("*/catalogue.yaml")):
        found = []
        for _ in range(2):
            sound_part.__globals__["_sound_part"].cache_clear()
            found.append(sound_part(folder)[0])
        kept_of_it = [path for path in place.iterdir() if path.name.startswith("catalogue-")]
        assert kept_of_it
        monkeypatch.setenv(SETTING, "0")
        sound_part.__globals__["_sound_part"].cache_clear()
        anew = sound_part(folder)[0]
        monkeypatch.setenv(SETTING, str(place))
        assert found[0] is not found[1]
        assert same(found[1], anew)
