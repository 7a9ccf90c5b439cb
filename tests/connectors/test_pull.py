"""Pulling a source: what is due becomes deliveries, once; what fails leaves nothing and stops no more than it must; no output has a secret."""

from __future__ import annotations

import datetime as dt
import io
import signal
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.archive.archive import Archive
from connectors.receiving import deliver as receiving
from connectors.sources.connections import load_connections
from connectors.sources.notes import PullBusyError, one_at_a_time, read_notes
from connectors.sources.pull import Known, Outcome, Told, check_source, pulled_before
from connectors.sources.regulation import in_a_row
from connectors.sources.source import SourceError
from tests.support import fake_source
from tests.support.crashes import spawn
from tests.support.examples import examples
from tests.support.fake_source import WORD, World, failures
from tests.support.files import crashes
from tests.support.pulling import CHANGED, PLACES, SOURCE, Place, file_of
from tests.support.settlements import ALMATY, ASTANA
from warehouse import moments

MONTHS = ("2026-01", "2026-02", "2026-03")
HEADER = crashes(1).splitlines(keepends=True)[0]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(HEADER)
    fake_source.register(monkeypatch, world)
    return world


@pytest.fixture(autouse=True)
def _not_looked_at(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the fault of bytes showed only when all of them are read: `nonsense` is received, and refused by the run."""
    if "looked" not in request.fixturenames:
        monkeypatch.setattr(receiving, "look", lambda *_: None)


@pytest.fixture
def looked() -> None:
    """Files are looked at when they are received, as ever."""


@pytest.fixture
def place(tmp_path: Path, world: World) -> Place:
    return Place.make(tmp_path / "home", world)


def full(world: World) -> None:
    """The source has every month of both settlements."""
    for n, scope in enumerate(PLACES):
        for m, month in enumerate(MONTHS):
            world.files[scope, month] = (file_of(1000 * n + 100 * m, 5, month),)


def outcomes(told: list[Told]) -> list[tuple[str, str, str]]:
    return [(one.scope, one.period, str(one.outcome)) for one in told]


def _row(changed_at: str, number: int, **changes: str) -> tuple[str, str]:
    """A row that changed at a time."""
    return changed_at, crashes(1, number, **changes).splitlines(keepends=True)[1]


# --- periods ---


def test_every_period_that_ended_is_asked_for_and_delivered_once(place: Place, world: World) -> None:
    full(world)
    told = place.pull()
    assert outcomes(told) == [(scope, month, "delivered") for scope in PLACES for month in MONTHS]
    receipts = Archive(place.home.archive).pending()
    assert [(r.scope, r.period, r.pulled and r.pulled["source"]) for r in receipts] == [
        (scope, month, "office") for scope in PLACES for month in MONTHS
    ]
    place.load()
    assert len(place.rows()) == 30
    # the newest is asked for again, and the same bytes are no delivery, whether or not they were loaded
    assert outcomes(place.pull()) == [(scope, "2026-03", "unchanged") for scope in PLACES]
    assert Archive(place.home.archive).pending() == []
    assert all(note.outcome == "unchanged" for note in read_notes(place.home, "office").values())


def test_what_waits_counts_as_taken(place: Place, world: World) -> None:
    full(world)
    place.pull()
    assert outcomes(place.pull()) == [(scope, "2026-03", "unchanged") for scope in PLACES]
    assert len(Archive(place.home.archive).pending()) == 6


def test_a_source_that_corrects_itself_is_delivered_again(place: Place, world: World) -> None:
    full(world)
    place.pull()
    place.load()
    world.files[ASTANA, "2026-03"] = (file_of(200, 3, "2026-03", deaths_30d="1"),)
    assert outcomes(place.pull()) == [(ASTANA, "2026-03", "delivered"), (ALMATY, "2026-03", "unchanged")]
    place.load()
    assert len(place.rows()) == 28
    assert sum(row[4] == 1 for row in place.rows()) == 3


def test_the_ledger_says_where_a_delivery_was_pulled(place: Place, world: World) -> None:
    full(world)
    told = place.pull()
    place.load()
    known = place.released
    assert [one.receipt_id for one in known.deliveries] == [one.receipt.receipt_id for one in told if one.receipt]
    assert {(one.source, one.state, one.rows, one.contract_version) for one in known.deliveries} == {
        ("office", "loaded", 5, "1.0.0")
    }
    assert pulled_before(place.home, known) == list(known.deliveries)
    assert [replace(one, state="received") for one in pulled_before(place.home, Known())] == [
        replace(one, contract_version=None, rows=None, state="received") for one in known.deliveries
    ]


def test_what_is_not_there_yet_is_told_and_overdue_after_the_permitted_delay(place: Place, world: World) -> None:
    full(world)
    for scope in PLACES:
        del world.files[scope, "2026-03"]
    told = [one for one in place.pull() if one.period == "2026-03"]
    assert [str(one.outcome) for one in told] == ["not there yet"] * 2
    assert all(one.well for one in told)
    place.today = dt.date(2026, 4, 9)
    told = [one for one in place.pull() if one.period == "2026-03"]
    assert [(one.well, one.said) for one in told] == [(False, "it was due on 2026-04-01, and is overdue by 3 days")] * 2


def test_several_files_are_one_delivery_with_their_bytes(place: Place, world: World) -> None:
    parts = (file_of(1, 2), file_of(3, 2))
    world.files[ASTANA, "2026-01"] = parts
    place.pull()
    (receipt,) = Archive(place.home.archive).pending()
    with (
        Archive(place.home.archive).open(receipt.sha256) as stream,
        zipfile.ZipFile(io.BytesIO(stream.read())) as bundle,
    ):
        assert tuple(bundle.read(name) for name in bundle.namelist()[1:]) == parts
    assert place.pull()[0].outcome is Outcome.UNCHANGED
    place.load()
    assert len(place.rows()) == 4


# --- refusals ---


def test_refused_bytes_are_not_pulled_again_until_they_or_their_contract_change(place: Place, world: World) -> None:
    world.files[ASTANA, "2026-01"] = (b"PK\x03\x04nonsense\n",)
    place.pull()
    place.load()
    assert place.states() == [(ASTANA, "2026-01", "refused")]
    for _ in range(2):
        (told,) = [one for one in place.pull() if one.scope == ASTANA and one.period == "2026-01"]
        assert (told.outcome, told.well) == (Outcome.REFUSED, False)
        assert "version 1.0.0 of standard.fct_crash refused them" in told.said
    assert Archive(place.home.archive).pending() == []
    assert [one.receipt is not None for one in place.pull(again=True) if one.period == "2026-01"] == [True, False]
    place.load()
    world.files[ASTANA, "2026-01"] = (file_of(1, 5),)
    assert place.pull()[0].outcome is Outcome.DELIVERED
    place.load()
    assert len(place.rows()) == 5


@pytest.mark.usefixtures("looked")
def test_what_cannot_be_read_is_refused_at_the_door_each_time(place: Place, world: World) -> None:
    full(world)
    world.files[ASTANA, "2026-02"] = (b"PK\x03\x04nonsense\n",)
    for times in range(2):
        told = [one for one in place.pull() if not one.well]
        assert [(one.period, one.outcome, one.lost) for one in told] == [("2026-02", Outcome.FAILED, False)]
        assert "zip" in told[0].said
        assert len(Archive(place.home.archive).pending()) == 5, times
    place.load()
    assert len(place.rows()) == 25


def test_what_was_taken_back_is_not_pulled_again(place: Place, world: World) -> None:
    world.files[ASTANA, "2026-01"] = (file_of(1, 5),)
    (receipt,) = [one.receipt for one in place.pull() if one.receipt]
    Archive(place.home.archive).withdraw(receipt.receipt_id, "A. Person", "wrong")
    for _ in range(2):  # before and after the ledger has it
        assert place.pull()[0].outcome is Outcome.REFUSED
        place.load()
    assert place.rows() == {}


@pytest.mark.parametrize(("rows", "well"), [(5, True), (3, False), (9, False)])
def test_expected_rows_are_held_against_what_the_source_says(
    tmp_path: Path, world: World, rows: int, *, well: bool
) -> None:
    place = Place.make(tmp_path / "home", world, SOURCE + "regulation: {rows: {least: 4, most: 8}}\n")
    world.files[ASTANA, "2026-01"], world.told_rows = (file_of(1, rows),), rows
    told = place.pull()[0]
    assert (told.outcome is Outcome.DELIVERED) == well
    assert well or f"has {rows} rows, expected were at least 4 and at most 8" in told.said
    assert len(Archive(place.home.archive).pending()) == well


# --- failures ---


def test_a_failure_in_the_middle_leaves_nothing_and_stops_no_more_than_it_must(place: Place, world: World) -> None:
    full(world)
    world.failure = lambda what: (
        SourceError("office", "extracts.path", "cut", "x") if what == f"{ASTANA} 2026-02" else None
    )
    told = place.pull()
    assert [one.outcome is Outcome.FAILED for one in told] == [False, True, False, False, False, False]
    assert len(Archive(place.home.archive).pending()) == 5
    world.failure = lambda _: None
    assert outcomes(place.pull())[0] == (ASTANA, "2026-02", "delivered")
    assert not [*place.home.scratch.iterdir()]


def test_a_source_that_cannot_be_asked_is_asked_once(place: Place, world: World) -> None:
    world.failure = lambda _: SourceError("office", "connection.address", "refused", "x", passing=True)
    (told,) = place.pull()
    assert (told.outcome, told.passing, told.lost) == (Outcome.FAILED, True, True)
    assert len(world.asked) == 1


def test_one_process_pulls_a_source_at_a_time(place: Place, world: World) -> None:
    full(world)
    with one_at_a_time(place.home, "office"), pytest.raises(PullBusyError, match="office"):
        place.pull()
    assert len(place.pull()) == 6


def _everything_written(root: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file())


@pytest.mark.parametrize("number", range(len(failures(""))))
def test_no_failure_shows_the_secret_in_any_output(
    place: Place, world: World, capfd: pytest.CaptureFixture[str], number: int
) -> None:
    full(world)
    error = failures("office")[number]
    world.failure = lambda what: error if what in ("connect", f"{ASTANA} 2026-02") else None
    told = place.pull()
    with pytest.raises(SourceError) as raised:
        check_source(place.home, load_connections(place.home)[0]["office"])
    assert raised.value.__context__ is None
    shown = "".join([*(one.said for one in told), str(raised.value), repr(raised.value), *capfd.readouterr()])
    assert told[0].outcome is Outcome.FAILED
    written = _everything_written(place.home.root)
    for form in (WORD, repr(WORD)[1:-1], repr(WORD.encode())[2:-1], quote(WORD, safe="")):
        assert form not in shown
        assert form.encode() not in written


def test_a_secret_that_is_not_set_names_source_setting_and_remedy(
    place: Place, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    full(world)
    monkeypatch.delenv(fake_source.VARIABLE)
    for one in place.pull():
        assert f"source office: variable {fake_source.VARIABLE} is not set or empty (connection.password)" in one.said
        assert not one.well


# --- what changed since ---


@pytest.fixture
def changing(tmp_path: Path, world: World) -> Place:
    text = SOURCE.partition("  - table")[0] + CHANGED
    return Place.make(tmp_path / "home", world, text)


def test_only_what_changed_is_asked_for_from_the_last_delivery_on(changing: Place, world: World) -> None:
    world.rows[ASTANA] = [_row("2026-04-01T10", n) for n in range(4)]
    (first,) = changing.pull()
    assert (first.outcome, first.period, first.receipt and first.receipt.pulled) != ()
    assert first.receipt is not None
    assert (first.period, first.receipt.declared_rows) == ("2026-01/2026-04", 4)
    assert changing.pull()[0].outcome is Outcome.UNCHANGED
    world.rows[ASTANA].append(_row("2026-04-02T10", 2, deaths_30d="1"))
    (second,) = changing.pull()
    assert [asked.since for asked in world.asked] == [None, "2026-04-01T10", "2026-04-01T10"]
    assert (second.period, second.receipt and second.receipt.declared_rows) == ("2026-04", 1)
    changing.load()
    assert len(changing.rows()) == 4
    assert sum(row[4] == 1 for row in changing.rows()) == 1
    chain = [(one.since, one.until) for one in in_a_row(changing.released.deliveries)]
    assert chain == [(None, "2026-04-01T10"), ("2026-04-01T10", "2026-04-02T10")]


def test_what_was_refused_is_asked_for_again_with_all_that_came_after_it(changing: Place, world: World) -> None:
    world.rows[ASTANA] = [_row("2026-04-01T10", n) for n in range(4)]
    changing.pull()
    header, world.header = world.header, "nonsense\n"
    world.rows[ASTANA].append(_row("2026-04-02T10", 7))
    changing.pull()
    world.header = header
    world.rows[ASTANA].append(_row("2026-04-03T10", 8))
    changing.pull()  # while the one before waits, and counts as taken
    changing.load()
    assert [state for *_, state in changing.states()] == ["loaded", "refused", "loaded"]
    (told,) = changing.pull()
    assert (world.asked[-1].since, told.outcome) == ("2026-04-01T10", Outcome.DELIVERED)
    changing.load()
    assert sorted(str(row[2]) for row in changing.rows()) == ["C0", "C1", "C2", "C3", "C7", "C8"]
    assert changing.pull()[0].outcome is Outcome.UNCHANGED


# --- kills ---


class _Killed(BaseException):
    pass


def _killed_at(number: int) -> Callable[[str], None]:
    left = number

    def look(_: str) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise _Killed

    return look


@given(st.data())
@examples(1, 40)
def test_whatever_order_the_warehouse_is_that_of_a_clean_run(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Pulls, failures, kills at any moment, refusals, withdrawals and corrections: nothing is lost, nothing there twice."""
    world, clean_world = World(HEADER), World(HEADER)
    slices = [(scope, month) for scope in PLACES for month in MONTHS]
    text = SOURCE.replace("    first", "    look_back: 12\n    first") + CHANGED
    with pytest.MonkeyPatch.context() as patch:
        fake_source.register(patch, world)
        place = Place.make(tmp_path_factory.mktemp("pulled"), world, text)
        changed = 0
        for _ in range(data.draw(st.integers(3, 9), "steps")):
            step = data.draw(
                st.sampled_from(["publish", "spoil", "change", "pull", "pull", "fail", "kill", "load", "withdraw"])
            )
            one = data.draw(st.sampled_from(slices), "slice")
            if step == "publish":
                seed = data.draw(st.integers(0, 3), "version")
                world.files[one] = (file_of(1000 * slices.index(one), 3 + seed, one[1], deaths_30d=str(seed % 2)),)
            elif step == "spoil":
                world.files[one] = (b"nonsense\n",)
            elif step == "change":
                changed += 1
                row = _row(f"2026-04-01T{changed:04}", 90_000 + data.draw(st.integers(0, 3)), injured=str(changed))
                world.rows.setdefault(ASTANA, []).append(row)
            elif step == "load":
                place.load()
            elif step == "withdraw":
                for receipt in Archive(place.home.archive).pending()[:1]:
                    Archive(place.home.archive).withdraw(receipt.receipt_id, "A. Person", "wrong")
            else:
                _pull_so(data, place, step, one)
        world.failure = lambda _: None
        for scope, month in slices:
            if world.files.get((scope, month), (b"nonsense\n",))[0] == b"nonsense\n":
                world.files[scope, month] = (file_of(1000 * slices.index((scope, month)), 2, month),)
        for _ in range(2):
            assert {one.outcome for one in place.pull(again=True)} <= {Outcome.DELIVERED, Outcome.UNCHANGED}
            place.load()
        assert {one.outcome for one in place.pull()} == {Outcome.UNCHANGED}
        numbers = [one.receipt_id for one in place.released.deliveries]
        assert len(numbers) == len(set(numbers))

        clean_world.files, clean_world.rows = world.files, world.rows
        fake_source.register(patch, clean_world)
        clean = Place.make(tmp_path_factory.mktemp("clean"), clean_world, text)
        clean.pull()
        clean.load()
        assert place.rows() == clean.rows()


def _pull_so(data: st.DataObject, place: Place, step: str, one: tuple[str, str]) -> None:
    """A pull that fails for a slice or altogether, is killed at a moment, or goes well."""
    world = place.world
    error = data.draw(st.sampled_from(failures("office")), "error") if step == "fail" else None
    where = data.draw(st.sampled_from(["connect", " ".join(one), ASTANA]), "where")
    world.failure = lambda what: error if what == where else None
    if step != "kill":
        place.pull()
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(moments, "look", _killed_at(data.draw(st.integers(0, 40), "moment")))
        with suppress(_Killed):
            place.pull()


# moments of a pull of a folder, in the order in which it comes to them
KILLED_AT = (
    "pull.fetched", "archive.begun", "archive.written", "archive.synced", "archive.kept", "receipt.numbered",
    "file.written", "file.synced", "file.renamed", "pull.entered", "pull.noted",
)  # fmt: skip
PULL = "from pipelines.cli import app; app()"


def _folder_home(root: Path) -> Path:
    """A home with a folder as source, in which one month lies."""
    (root / "home" / "sources").mkdir(parents=True)
    (root / "exchange").mkdir()
    (root / "exchange" / "2026-01.csv").write_bytes(file_of(1, 5))
    (root / "home" / "sources" / "office.yaml").write_text(
        f"type: folder\nconnection: {{folder: {root / 'exchange'}, settled_seconds: 0}}\nregulation: {{delay_days: 300}}\n"
        f'extracts: [{{table: fct_crash, settlements: ["{ASTANA}"], first: 2026-01, path: "{{period}}.csv"}}]\n'
    )
    return root / "home"


def _killed_and_pulled_again(root: Path, moment: str) -> None:
    home = _folder_home(root)
    child = spawn("-c", PULL, "pull", "--home", str(home), QALA_TEST_KILL=moment)
    _, wrong = child.communicate()
    assert child.returncode == -signal.SIGKILL, f"{moment} was not come to: {wrong}"
    waiting = [receipt.receipt_id for receipt in Archive(home / "archive").pending()]
    assert len(waiting) == (KILLED_AT.index(moment) >= KILLED_AT.index("file.renamed"))
    said, wrong = spawn("-c", PULL, "pull", "--home", str(home)).communicate()
    (receipt,) = Archive(home / "archive").pending()
    assert receipt.receipt_id in (waiting or [receipt.receipt_id])
    assert ("unchanged" if waiting else "delivered") in said, wrong
    with Archive(home / "archive").open(receipt.sha256) as stream:
        assert stream.read() == file_of(1, 5)


@pytest.mark.parametrize("moment", ["receipt.numbered"])
def test_a_process_killed_while_it_pulls_is_gone_on_with(tmp_path: Path, moment: str) -> None:
    _killed_and_pulled_again(tmp_path, moment)


@pytest.mark.slow
@pytest.mark.parametrize("moment", KILLED_AT)
def test_a_process_killed_at_every_moment_of_a_pull_is_gone_on_with(tmp_path: Path, moment: str) -> None:
    _killed_and_pulled_again(tmp_path, moment)
