"""Bundles: several files of one delivery as one content, the same files as the same bytes, and what was bundled comes out again."""

import hashlib
import json
import os
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.archive import bundle as bundles
from connectors.archive.bundle import LISTING, BundleError, bundle, is_bundle, opened


def written(folder: Path, contents: list[tuple[str, bytes]]) -> list[tuple[str, Path]]:
    files = []
    for number, (name, content) in enumerate(contents):
        (path := folder / f"{number}").write_bytes(content)
        files.append((name, path))
    return files


@given(
    st.lists(
        st.tuples(st.text(min_size=1, max_size=40).filter(lambda n: "\0" not in n), st.binary(max_size=200)),
        min_size=1,
        max_size=5,
    )
)
def test_what_goes_in_comes_out_and_the_same_files_are_the_same_bytes(
    tmp_path_factory: pytest.TempPathFactory, contents: list[tuple[str, bytes]]
) -> None:
    folder = tmp_path_factory.mktemp("bundle")
    files = written(folder, contents)
    first = bundle(files, folder / "a.zip", {"source": "сервер", "asked": {"period": "2026-03"}}).read_bytes()
    for _, path in files:
        os.utime(path, (1, 1))
        path.chmod(0o600)
    again = bundle(files, folder / "b.zip", {"asked": {"period": "2026-03"}, "source": "сервер"}).read_bytes()
    assert first == again
    assert is_bundle(first[:64])
    with opened(folder / "a.zip") as (members, packed):
        assert [(one.name, packed.read(one.member)) for one in members] == contents
        assert [(one.bytes, one.sha256) for one in members] == [
            (len(c), hashlib.sha256(c).hexdigest()) for _, c in contents
        ]


def test_another_order_or_another_about_is_another_content(tmp_path: Path) -> None:
    files = written(tmp_path, [("a.csv", b"1"), ("b.csv", b"2")])
    contents = [
        bundle(order, tmp_path / "x.zip", about).read_bytes()
        for order, about in ((files, {}), (files[::-1], {}), (files, {"page": 2}))
    ]
    assert len(set(contents)) == 3


def test_a_zip_is_no_bundle_because_it_has_its_listing_somewhere(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as into:
        into.writestr("a.csv", "a")
        into.writestr(LISTING, "{}")
    assert not is_bundle((tmp_path / "a.zip").read_bytes()[:64])


@pytest.mark.parametrize(
    ("listing", "more"),
    [
        ("{", []),
        ('{"bundle": 1}', []),
        ('{"bundle": 1, "files": [{"name": "a"}]}', []),
        ('{"bundle": 1, "files": []}', ["a.csv"]),
        ('{"bundle": 2, "files": []}', []),
        ("[" * 5_000, []),
    ],
)
def test_what_only_calls_itself_a_bundle_is_said_to_be_none(tmp_path: Path, listing: str, more: list[str]) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as into:
        into.writestr(LISTING, listing)
        for name in more:
            into.writestr(name, "x")
    with pytest.raises(BundleError), opened(tmp_path / "a.zip"):
        pass


def test_a_file_that_changes_while_it_is_bundled_leaves_no_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = written(tmp_path, [("a.csv", b"before")])
    made = bundles._member

    def changed(number: int, name: str, path: Path) -> bundles.Member:
        found = made(number, name, path)
        path.write_bytes(b"later")
        return found

    monkeypatch.setattr(bundles, "_member", changed)
    with pytest.raises(BundleError, match=r"a\.csv changed while"):
        bundle(files, tmp_path / "a.zip", {})
    assert not (tmp_path / "a.zip").exists()


def test_the_listing_can_be_read_by_a_person(tmp_path: Path) -> None:
    bundle(written(tmp_path, [("март/обращения.csv", b"1")]), tmp_path / "a.zip", {"source": "s"})
    with zipfile.ZipFile(tmp_path / "a.zip") as packed:
        assert packed.namelist() == [LISTING, "00001-обращения.csv"]
        said = json.loads(packed.read(LISTING))
    assert said["about"] == {"source": "s"}
    assert said["files"][0]["name"] == "март/обращения.csv"
