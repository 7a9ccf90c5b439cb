"""The release is the warehouse, byte for byte, however the file system copies, and whatever of it was taken over from former releases."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from io import BufferedReader
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kpi_definitions.catalogue import load_catalogues
from tests.support.homes import new_home
from tests.support.released import overwrite
from tests.support.rows import LATER, Extract, deliver, only
from tests.support.settlements import ALMATY, ASTANA
from warehouse.audit.verify import verify
from warehouse.home.copies import copied, file_sha256
from warehouse.home.home import Home
from warehouse.kpi_values.compute import compute
from warehouse.periods import parse_period
from warehouse.release import released_copy
from warehouse.release.exports import EXPORTS, export
from warehouse.release.parts import PartedExports
from warehouse.release.release import publish
from warehouse.sql import literal
from warehouse.store.sessions import writing
from warehouse.store.succession import MANIFEST

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


TORN = CONTENT[: 1 << 20] + bytes(300_000) + CONTENT[(1 << 20) + 300_000 :]


@pytest.mark.parametrize("there", [b"", CONTENT, CONTENT[:-70_000], CONTENT + b"more", TORN])
def test_the_release_before_last_becomes_the_next_whatever_a_killed_run_left_of_it(
    tmp_path: Path, there: bytes
) -> None:
    home, target = of_bytes(tmp_path), tmp_path / "release/.qala.duckdb.new"
    before_last = home.reused / "qala.duckdb"
    before_last.write_bytes(there)
    inode = before_last.stat().st_ino
    assert released_copy.make(home, target) == hashlib.sha256(CONTENT).hexdigest()
    assert (target.read_bytes(), target.stat().st_ino) == (CONTENT, inode)


@pytest.mark.parametrize("held", ["by a reader", "by another name"])
def test_what_somebody_has_of_the_release_before_last_stays_as_it_was(tmp_path: Path, held: str) -> None:
    home, target = of_bytes(tmp_path), tmp_path / "release/.qala.duckdb.new"
    before_last = home.reused / "qala.duckdb"
    before_last.write_bytes(b"an earlier release")
    kept = tmp_path / "kept"
    if held == "by another name":
        os.link(before_last, kept)
        released_copy.make(home, target)
        assert kept.read_bytes() == b"an earlier release"
    else:
        with before_last.open("rb") as reader:
            released_copy.make(home, target)
            assert reader.read() == b"an earlier release"
    assert target.read_bytes() == CONTENT


def of_bytes(root: Path) -> Home:
    """A home whose warehouse is bytes."""
    home = Home(root)
    home.reused.mkdir()
    home.release.mkdir()
    home.warehouse.write_bytes(CONTENT)
    return home


# ---- what is taken over from the former release

KPIS = ("HCS03-2", "MGT02-1", "TRL01-2")
PARTED = ("kpi_values.csv", "kpi_values.parquet", "kpi_rollups.csv")
few = settings(max_examples=2, deadline=None, derandomize=True, database=None,
               suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])  # fmt: skip
deliveries = st.tuples(
    st.just("deliver"), st.sampled_from(["2025-01", "2025-02", "2026-01"]), st.sampled_from([ASTANA, ALMATY]), st.integers(0, 9)
)  # fmt: skip
happens = deliveries | st.tuples(st.sampled_from(["nothing", "lost", "edited", "opened", "renamed"]))


@pytest.mark.slow
@given(steps=st.lists(happens, min_size=4, max_size=12))
@settings(few, max_examples=20)
def test_a_release_made_of_the_former_one_equals_one_made_whole(tmp_path: Path, steps: list[Any]) -> None:
    against_whole(tmp_path, steps)


def test_a_release_made_of_the_former_one_equals_one_made_whole_in_short(tmp_path: Path) -> None:
    taken_over = against_whole(
        tmp_path,
        [("deliver", "2025-01", ASTANA, 3), ("deliver", "2026-01", ALMATY, 4), ("deliver", "2025-01", ASTANA, 5), ("nothing",),
         ("edited",), ("opened",), ("renamed",), ("deliver", "2025-01", ASTANA, 0)])  # fmt: skip
    assert taken_over["_spliced"] >= 4  # or the test holds nothing
    assert taken_over["_merged"] >= 2
    assert taken_over["link"] >= 3
    assert taken_over["_made_equal"] >= 2


def against_whole(folder: Path, steps: Sequence[tuple[Any, ...]]) -> Counter[str]:
    """Publish after each step, and hold everything published against the tables. Returns how often each way of taking over was gone."""
    home, catalogue, taken_over = (
        new_home(Path(tempfile.mkdtemp(dir=folder))),
        only(load_catalogues(), *KPIS),
        Counter[str](),
    )
    opened: list[tuple[BufferedReader, str]] = []
    with pytest.MonkeyPatch.context() as patch, ExitStack() as readers:
        for module, name in (
            (PartedExports, "_spliced"), (PartedExports, "_merged"), (os, "link"), (released_copy, "_made_equal")
        ):  # fmt: skip
            patch.setattr(module, name, counted(taken_over, name, getattr(module, name)))
        for what, *about in steps:
            with writing(home) as store:
                if what == "deliver":
                    period, kato, count = about
                    rows = [{"appeal_id": f"{kato} {period} {n}", "status": "CLOSED", "due_at": parse_period(period).start,
                             "closed_at": parse_period(period).start, "registered_at": parse_period(period).start} for n in range(count)]  # fmt: skip
                    deliver(store, "fct_appeal", Extract(rows, period, kato))
                    compute(store, catalogue, [period], today=LATER)
                elif what == "renamed":
                    store.con.execute(
                        "UPDATE registry.settlement SET name_en = name_en || '?' WHERE kato = ?", [ALMATY]
                    )
            if what == "lost":
                shutil.rmtree(home.reused, ignore_errors=True)
            elif what == "edited" and home.released_file.exists():
                for name in PARTED:
                    overwrite(home.release / name, (home.release / name).read_bytes().replace(b"Astana", b"Almaty", 1))
            elif what == "opened" and home.released_file.exists():
                reader = readers.enter_context(home.released_file.open("rb"))
                opened.append((reader, file_sha256(home.released_file)))
            hold_against_whole(home, folder, publish(home, lambda _: []).seq)
        assert all(hashlib.file_digest(reader, "sha256").hexdigest() == was for reader, was in opened)
    assert not [d for d in verify(home).differences if d.subject != "registries"]  # a name that a step changed
    return taken_over


def counted(calls: Counter[str], name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*given: Any) -> Any:
        found = function(*given)
        calls[name] += found is not None or name == "link" or name == "_merged"
        return found

    return call


def hold_against_whole(home: Home, folder: Path, seq: int) -> None:
    """Exports as the tables give them, the file as the warehouse was when it was copied, hashes as they are."""
    with duckdb.connect(str(home.released_file), read_only=True) as con:
        con.execute("SET TimeZone = 'UTC'")
        for name in EXPORTS:
            whole = folder / name
            export(con, name, whole)
            if name.endswith(".csv"):
                assert (home.release / name).read_bytes() == whole.read_bytes(), name
            else:
                ours, theirs = (f"read_parquet({literal(str(path))})" for path in (home.release / name, whole))
                assert (
                    con.execute(f"DESCRIBE FROM {ours}").fetchall() == con.execute(f"DESCRIBE FROM {theirs}").fetchall()
                )
                assert con.execute(f"FROM {ours}").fetchall() == con.execute(f"FROM {theirs}").fetchall()
        assert con.execute("SELECT max(seq) FROM audit.ledger").fetchall() == [(seq,)]
    manifest = json.loads((home.release / MANIFEST).read_text())
    assert manifest["sha256"] == {name: file_sha256(home.release / name) for name in manifest["sha256"]}
    assert not list(home.release.glob(".*"))
