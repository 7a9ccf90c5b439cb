"""What people mistype: one table of (mistake, command, what the answer must name), each really run. Nothing ends in a traceback.

Does not belong here: mistakes in contracts and definitions (test_mistakes_in_files.py), what a machine does wrong (test_error_messages.py).
"""

from __future__ import annotations

import errno
import shlex
import socket
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import duckdb
import pytest
from typer.testing import CliRunner

from connectors.archive.archive import Archive
from pipelines.cli import app
from pipelines.listening import ListeningError, refuse_port
from tests.support import asked
from tests.support.homes import new_home
from warehouse.home.home import Home
from warehouse.store.sessions import locked, writing

EXPLAIN = "explain MGT02-1 {} 2026-01"
DELIVER = "deliver {} -t fct_appeal -p 2026-01 -s {} --home new"
PERIOD = "explain MGT02-1 Astana '{}'"
# mistake: (command, exit code, what the answer must name)
MISTAKES: dict[str, tuple[str, int, tuple[str, ...]]] = {
    # settlements
    "a settlement with г.": (EXPLAIN.format("'г. Астана'"), 0, ("710000000",)),
    "a settlement with г., no space": (EXPLAIN.format("г.Астана"), 0, ("710000000",)),
    "a settlement with город": (EXPLAIN.format("'город Шымкент'"), 0, ("790000000",)),
    "a settlement with қаласы": (EXPLAIN.format("'Алматы қаласы'"), 0, ("750000000",)),
    "a settlement with қ.": (EXPLAIN.format("'Астана қ.'"), 0, ("710000000",)),
    "a settlement with city": (EXPLAIN.format("'Astana city'"), 0, ("710000000",)),
    "a settlement in capitals": (EXPLAIN.format("АСТАНА"), 0, ("710000000",)),
    "a former name": (EXPLAIN.format("Нур-Султан"), 0, ("710000000",)),
    "a former name in Latin letters": (EXPLAIN.format("Alma-Ata"), 0, ("750000000",)),
    "Latin letters among Cyrillic ones": (EXPLAIN.format("Acтана"), 0, ("710000000",)),
    "a former name that is a region's too": (EXPLAIN.format("Акмола"), 1, ("710000000 Астана", "110000000 Акмолинская область")),
    "a typing error in Russian": (EXPLAIN.format("Павладар"), 1, ("551010000 Павлодар", "qala settlements")),
    "a typing error in Kazakh": (EXPLAIN.format("Көкшета"), 1, ("111010000 Көкшетау",)),
    "a typing error in English": (EXPLAIN.format("Shimkent"), 1, ("790000000 Shymkent",)),
    "a typing error in a former name": (EXPLAIN.format("Семипалатинс"), 1, ("101010000 Семей (Семипалатинск)",)),
    "a place that is none": (EXPLAIN.format("Лондон"), 1, ("'Лондон' is no settlement", "qala settlements")),
    "no name at all": (EXPLAIN.format("''"), 1, ("qala settlements",)),
    "a code mistyped": (EXPLAIN.format("710000001"), 1, ("710000000 Astana",)),
    "a group mistyped": ("explain MGT02-1 republcan 2026", 1, ("did you mean republican?",)),
    "a name in a delivery": (DELIVER.format("appeals.csv", "'г. Астана'"), 0, ("Astana", "a new home begins")),
    "a typing error in a delivery": (DELIVER.format("appeals.csv", "Астна"), 1, ("710000000 Астана",)),
    "two places in a delivery": (DELIVER.format("appeals.csv", "Жамбыл"), 1, ("311010000 Тараз", "310000000 Жамбылская область")),
    "a typing error in a trial": ("try appeals.csv -t fct_appeal -s Қостана", 1, ("391010000 Қостанай",)),
    "a typing error in refusals": ("refusals -s Карганда", 1, ("351010000 Караганда",)),
    "a region's name by another ending": ("reperform MGT02-1 'Карагандинская обл' 2026", 0, ("region 350000000 2026",)),
    # periods
    "month 13": (PERIOD.format("2026-13"), 1, ("months are numbered 01 to 12",)),
    "month before year": (PERIOD.format("01.2026"), 1, ("did you mean 2026-01?",)),
    "a month's name in Russian": (PERIOD.format("январь 2026"), 1, ("did you mean 2026-01?",)),
    "a month's name in Kazakh": (PERIOD.format("2026 ж. қыркүйек"), 1, ("did you mean 2026-09?",)),
    "a slash for a dash": (PERIOD.format("2026/01"), 1, ("did you mean 2026-01?",)),
    "a day for a month": (PERIOD.format("2026-01-31"), 1, ("did you mean 2026-01?",)),
    "a quarter before its year": (PERIOD.format("Q1 2026"), 1, ("did you mean 2026-Q1?",)),
    "a quarter in Russian": (PERIOD.format("II кв. 2026"), 1, ("did you mean 2026-Q2?",)),
    "quarter 5": (PERIOD.format("2026-Q5"), 1, ("quarters are 1 to 4",)),
    "a half-year as H": (PERIOD.format("2026-H1"), 1, ("did you mean 2026-S1?",)),
    "a run of months by one year": (PERIOD.format("2026-01/03"), 1, ("did you mean 2026-01/2026-03?",)),
    "a run of months with dots": (PERIOD.format("2026-01..2026-03"), 1, ("did you mean 2026-01/2026-03?",)),
    "a run of months, years last": (PERIOD.format("01.2026 - 03.2026"), 1, ("did you mean 2026-01/2026-03?",)),
    "a run of days": (PERIOD.format("2026-01-01..2026-03-31"), 1, ("did you mean 2026-01/2026-03?",)),
    "a run of months by their names": (PERIOD.format("январь–март 2026"), 1, ("did you mean 2026-01/2026-03?",)),
    "a run of quarters": (PERIOD.format("Q1 2026 - Q2 2026"), 1, ("did you mean 2026-Q1/2026-Q2?",)),
    "a period backwards": (PERIOD.format("2026-03/2026-01"), 1, ("ends before it begins; did you mean 2026-01/2026-03?",)),
    "a month to come, explained": (PERIOD.format("2039-01"), 0, ("2039-01 has not ended",)),
    "a period in a run": ("run 2026-13", 1, ("months are numbered 01 to 12",)),
    "a month to come": ("deliver appeals.csv -t fct_appeal -p 2039-01 -s Astana --home new", 0, ("2039-01 has not ended",)),
    # KPIs
    "a KPI in small letters": ("explain mgt02-1 Astana 2026-01", 0, ("MGT02-1",)),
    "a KPI with a Cyrillic letter": ("explain МGТ02-1 Astana 2026-01", 0, ("MGT02-1",)),
    "a KPI without its dash": ("explain MGT021 Astana 2026-01", 0, ("MGT02-1",)),
    "a KPI with a long dash": ("rows MGT02–1 Astana 2026-01 --json", 0, ("MGT02-1",)),
    "a KPI by its name": ("explain 'Доля обращений граждан, закрытых в срок' Astana 2026-01", 0, ("MGT02-1",)),
    "a KPI by a part of its name": ("explain 'appeals closed' Astana 2026-01", 1, ("MGT02-1 (Citizens' appeals closed",)),
    "a KPI that is near others": ("explain MGT02-7 Astana 2026-01", 1, ("did you mean MGT02-1", "all 64")),
    "a KPI that is near others, of rows": ("rows MGT02-7 Astana 2026-01", 1, ("did you mean MGT02-1",)),
    "a KPI that is near others, of a pack": ("evidence MGT02-7 Astana 2026-01", 1, ("did you mean MGT02-1",)),
    "a KPI that is near others, made again": ("reperform MGT02-7", 1, ("did you mean MGT02-1",)),
    "an initiative for a month": ("explain MGT02 Astana 2026-01", 1, ("qala explain MGT02 Astana 2026", "MGT02-1, MGT02-2")),
    "the settlement first": ("explain Astana MGT02-1 2026-01", 1, ("the order is KPI, settlement, period: MGT02-1 Astana 2026-01",)),
    "the period in the middle": ("rows MGT02-1 2026-01 Astana", 1, ("the order is KPI, settlement, period: MGT02-1 Astana 2026-01",)),
    "a place, the settlement first": ("explain Астана place 2026", 1, ("the order is KPI, settlement, period: place Астана 2026",)),
    "a place of a month": ("explain place Astana 2026-01", 1, ("of a year: qala explain PLACE Astana 2026",)),
    "a place of a year without data": ("explain place Astana 2019", 1, ("there is no assessment of 2019; assessed: 2026",)),
    "an assessment of a year without data": ("assess 2025", 1, ("nothing was computed for 2025; there are values of 2026", "qala run 2025")),
    "an assessment of a year to come": ("assess 2031", 1, ("nothing was computed for 2031; there are values of 2026: it has not begun",)),
    "a sequence to come": ("explain MGT02-1 Astana 2026-01 --as-of 99999999", 1, ("the release goes to",)),
    "a target for a KPI that is none": ("try targets.csv -t fct_kpi_target -p 2026 -s Astana", 0, ("'MGT02-l' of row 1 (did you mean MGT02-1, MGT02-2?)",)),
    # tables, systems, sources, catalogues
    "a table mistyped": ("deliver appeals.csv -t fct_apeal -p 2026-01 -s Astana --home new", 1, ("did you mean fct_appeal?",)),
    "a table without fct_": ("try appeals.csv -t appeal", 1, ("did you mean fct_appeal?",)),
    "a table mistyped in reread": ("reread -t fct_apeal", 1, ("did you mean fct_appeal?",)),
    "a table mistyped in refusals": ("refusals -t fct_apeal", 1, ("did you mean fct_appeal?",)),
    "a table mistyped in a new source": ("new source x -t fct_apeal --sample appeals.csv --home new", 1, ("did you mean fct_appeal?", "qala new table")),
    "a table mistyped in a new KPI": ("new kpi MGT02-9 -t fct_apeal --home new", 1, ("did you mean fct_appeal?", "qala new table")),
    "a system that is unknown": (DELIVER.format("appeals.csv", "Astana") + " --system ikomek110", 1, ("no contract of system 'ikomek110'", "ikomek109")),
    "a source that is not there": ("pull akimat", 1, ("there is no source akimat in", "sources")),
    "a source that is not there, reconciled": ("reconcile --source akimat", 1, ("there is no source akimat in",)),
    "a catalogue mistyped": ("catalogue qala-propsal", 1, ("did you mean qala-proposal?",)),
    "a folder of catalogues mistyped": ("diff --catalogues catalogs", 1, ("catalogs is no folder of catalogues",)),
    # homes
    "a home mistyped in run": ("run 2026-01 --home almaty-hom", 1, ("almaty-hom (--home) does not exist", "almaty-home", "qala deliver")),
    "a home mistyped in run without a period": ("run --home almaty-hom", 1, ("almaty-hom (--home) does not exist",)),
    "a home mistyped in status": ("status --home almaty-hom", 1, ("did you mean", "almaty-home")),
    "a home mistyped in check": ("check --home almaty-hom", 1, ("did you mean", "almaty-home")),
    "a home mistyped in upgrade": ("upgrade --home almaty-hom", 1, ("did you mean", "almaty-home")),
    "a home mistyped in ui": ("ui --home almaty-hom", 1, ("did you mean", "almaty-home")),
    "a home mistyped in deliver": (
        "deliver appeals.csv -t fct_appeal -p 2026-01 -s Astana --home almaty-hom2", 0, ("a new home begins", "almaty-home", "--withdraw")),
    "the folder above the home": ("status --home .", 1, ("holds other things and is no home", "almaty-home")),
    "a folder within the home": ("status --home almaty-home/release", 1, ("did you mean", "almaty-home?")),
    "a home that is a file": ("status --home appeals.csv", 1, ("is no folder",)),
    "a run of an empty folder": ("run 2026-01 --home nothing", 1, ("nothing was ever delivered to",)),
    "status of an empty folder": ("status --home nothing", 1, ("nothing has been released in",)),
    "a home that an older qala made": ("assess 2026 --home older", 1, ("was made by an older version of qala", "qala upgrade")),
    "a home that a newer qala made": ("assess 2026 --home newer", 1, ("was made by a newer version of qala", "use that version")),
    # files
    "a file mistyped": (DELIVER.format("apeals.csv", "Astana"), 1, ("there is no file apeals.csv; did you mean appeals.csv?",)),
    "a file of a folder that is not there": (DELIVER.format("outbox/appeals.csv", "Astana"), 1, ("there is no folder outbox",)),
    "a folder for a file": (DELIVER.format("nothing", "Astana"), 1, ("nothing is a folder; name the files in it",)),
    "an empty file": (DELIVER.format("empty.csv", "Astana"), 1, ("the file is empty",)),
    "a sample mistyped": ("new source x -t fct_appeal --sample apeals.csv --home new", 1, ("did you mean appeals.csv?",)),
    "a contract mistyped": ("try appeals.csv --contract no.yaml", 1, ("there is no file no.yaml",)),
    "a key mistyped": ("verify --key no.pem", 1, ("there is no file no.pem", "--key takes")),
    "a backup that is not there": ("restore no-backup --home new2", 1, ("there is no file no-backup",)),
    "a release that is a text": ("report --release appeals.csv", 1, ("appeals.csv cannot be opened: it is no DuckDB database",)),
    "a release of no bytes": ("report --release empty.csv", 1, ("empty.csv cannot be opened: it is empty",)),
    "a release cut short": ("report --release cut.duckdb", 1, ("cut.duckdb cannot be opened", "restore it from a backup")),
    "a release that is not there": ("report --release no.duckdb", 1, ("there is no", "qala run")),
    "a folder that is not there, to write into": ("anchor --to no/heads.txt", 1, ("there is no folder no",)),
    "something else where pages go": ("report --to appeals.csv", 1, ("holds something else", "--to")),
    # commands and options
    "a command mistyped": ("delivr appeals.csv", 2, ("Did you mean 'deliver'?",)),
    "an option mistyped": ("deliver appeals.csv --setlement Astana", 2, ("--settlement",)),
    "an option without its value": ("run 2026-01 --home", 2, ("--home", "requires an argument")),
    "an argument left out": ("explain MGT02-1 Astana", 2, ("period",)),
    "options left out": ("deliver appeals.csv --home new", 1, ("lacks --table", "--period 2026-01", "--settlement Павлодар")),
    "a language that qala does not speak": ("status --lang de", 2, ("no language 'de'", "kk, ru, en")),
    "a port that is none": ("ui --port 70000", 1, ("there is no port 70000",)),
    "a port that is no number": ("ui --port web", 2, ("--port", "integer")),
    "a host that is another machine's": ("ui --host 192.0.2.1", 1, ("192.0.2.1 is no address of this machine",)),
    "a host that is none": ("ui --host no.such.host.invalid", 1, ("no machine is called",)),
    "an incident that is not there": ("incidents --close 999 --by A --reason b", 1, ("there is no incident 999",)),
    "a receipt that is not there": ("deliver --withdraw x --by A --reason b", 1, ("there is no receipt 'x'",)),
    "a key purpose mistyped": ("keys new signature", 1, ("signing",)),
}  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a released home, homes of other versions, and files; commands are typed in it."""
    folder = tmp_path_factory.mktemp("typed")
    home = Home(folder / "almaty-home")
    asked.build(home)
    (folder / "appeals.csv").write_text("appeal_id,status\n1,CLOSED\n", encoding="utf-8")
    (folder / "targets.csv").write_text(
        "document_id,document_version,kpi_code,target_year,document_kind,approved_at,agreed_at,baseline_year,baseline_value,target_value\n"
        "S-1,1,MGT02-l,2026,STRATEGY,2026-02-03,,,,90\n",
        encoding="utf-8",
    )
    (folder / "empty.csv").touch()
    (folder / "nothing").mkdir()
    (folder / "cut.duckdb").write_bytes(home.released_file.read_bytes()[:9000])
    older, newer = Home(folder / "older"), new_home(folder / "newer")
    older.root.mkdir()
    with (
        ZipFile(Path(__file__).parents[1] / "schemas" / "1.zip") as packed,
        duckdb.connect(str(older.warehouse)) as con,
    ):
        con.execute(packed.read("schema.sql").decode())
    with writing(newer) as store, store.transaction():
        store.record([("upgraded", "schema 99", {"number": 99})])
    with duckdb.connect(str(newer.warehouse)) as con:
        con.execute("DELETE FROM registry.setting")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("QALA_HOME", str(home.root))
        yield folder


def typed(command: str) -> tuple[int, str]:
    """Run a command in this process. Returns exit code and what it said."""
    result = CliRunner().invoke(app, shlex.split(command), env={"COLUMNS": "400", "TERM": "dumb"})
    assert result.exception is None or isinstance(result.exception, SystemExit), (command, result.exception)
    return result.exit_code, result.output


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_answered_by_what_is_meant(place: Path, mistake: str) -> None:
    command, code, names = MISTAKES[mistake]
    found, said = typed(command)
    assert found == code, said
    assert [name for name in names if name not in said] == [], said
    assert "Traceback" not in said
    assert "fault of qala" not in said


def test_no_mistake_makes_a_home(place: Path) -> None:
    assert sorted(one.name for one in place.iterdir() if one.name.startswith("almaty-")) == [
        "almaty-hom2",
        "almaty-home",
    ]


def test_a_port_in_use_or_of_the_administrator_is_told_with_a_free_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ListeningError, match=rf"port {port} of 127.0.0.1 is in use.*--port \d+"):
            refuse_port("127.0.0.1", port)

    def forbidden(_family: int, _kind: int, _protocol: int, address: tuple[str, int]) -> None:
        if address[1] < 1024:
            raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("pipelines.listening._bind", forbidden)
    with pytest.raises(ListeningError, match=r"port 80 is the administrator's.*--port 3000"):
        refuse_port("127.0.0.1", 80)


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (errno.ENOSPC, "there is no room left on the disk; make room"),
        (errno.EACCES, "it is not permitted to user"),
        (errno.EROFS, "mount it for writing, or name a home that can be written"),
        (errno.EDQUOT, "the quota of the disk is used up"),
    ],
)
def test_a_disk_that_takes_nothing_is_told(
    place: Path, monkeypatch: pytest.MonkeyPatch, number: int, told: str
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError(number, "refused", str(place / "almaty-home" / "archive"))

    monkeypatch.setattr(Archive, "receive", refused)
    code, said = typed("deliver appeals.csv -t fct_appeal -p 2026-01 -s Astana")
    assert (code, told in said, "nothing was taken in" in said) == (1, True, True), said


def test_a_home_at_work_is_told(place: Path) -> None:
    home = Home(place / "almaty-home")
    with locked(home):
        code, said = typed("content")
    assert (code, "another process" in said) == (1, True), said
    with duckdb.connect(str(home.warehouse), config={"threads": "1"}):
        code, said = typed("content")
    assert (code, "close it there" in said) == (1, True), said


def test_a_home_that_is_nowhere_is_told_by_where_it_was_named(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QALA_HOME", str(place / "almaty"))
    assert "(QALA_HOME) does not exist; did you mean" in typed("status")[1]
    monkeypatch.delenv("QALA_HOME")
    assert "(by default) does not exist; did you mean" in typed("status")[1]
    assert typed("try appeals.csv -t fct_appeal")[0] == 3  # that needs no home


def test_a_language_of_the_environment_that_is_none_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QALA_LANG", "de")
    code, said = typed("settlements")
    assert (code, "QALA_LANG" in said) == (2, True), said
