"""The report: what it is made of, what never reaches it, how it comes into its place."""

from __future__ import annotations

import datetime as dt
import json
import re
import shutil
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from kpi_definitions.catalogue import load_catalogues
from tests.support.homes import new_home
from tests.support.rows import LATER, Extract, changed, deliver, only
from tests.support.settlements import ALMATY, ASTANA
from warehouse.errors import StoreError
from warehouse.home.home import Home
from warehouse.kpi_values.assessment import assess
from warehouse.kpi_values.compute import compute
from warehouse.messages.messages import LANGUAGES, catalogue
from warehouse.release.release import publish
from warehouse.report.site import MARK, is_of, write_report
from warehouse.report.wording import number
from warehouse.store.sessions import reading, writing

DAY = dt.datetime.combine(dt.date(2025, 3, 10), dt.time(12))
LONG_AFTER = DAY + dt.timedelta(days=10)
MONTHS = [f"2025-{month:02}" for month in range(1, 13)]
# of 1,613 appeals 1,401 in time: a restricted KPI; their median answer took 3.7 days: suppressed. Of 617 applications 443 in time: open
RESTRICTED, HIDDEN_OF, OPEN, OPEN_OF = 1401, 1613, 443, 617


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """One settlement with a restricted, a suppressed and an open KPI, their targets, and an assessed year."""
    home = new_home(tmp_path_factory.mktemp("report") / "home")
    given = load_catalogues()
    secret = given.latest("MGT02-1").model_copy(update={"sensitivity": "restricted"})
    small = given.latest("MGT02-2").model_copy(update={"minimum_cell": 100_000})
    kpis = changed(only(given, "MGT02-1", "MGT02-2", "MGT03-2"), secret, small)
    appeals = [
        {
            "registered_at": DAY,
            "due_at": DAY,
            "first_answer_at": DAY + dt.timedelta(days=3, hours=17),
            "status": "CLOSED",
            "closed_at": DAY if n < RESTRICTED else LONG_AFTER,
        }
        for n in range(HIDDEN_OF)
    ]
    applications = [
        {"channel": "ONLINE", "status": "COMPLETED", "due_at": DAY, "completed_at": DAY if n < OPEN else LONG_AFTER}
        for n in range(OPEN_OF)
    ]
    targets = [
        {
            "kpi_code": code,
            "target_year": 2025,
            "document_kind": "STRATEGY",
            "document_id": f"S-{code}",
            "document_version": 1,
            "approved_at": dt.date(2025, 1, 1),
            "baseline_year": 2024,
            "baseline_value": Decimal("71.903"),
            "target_value": Decimal("97.531"),
        }
        for code in kpis.codes
    ]
    with writing(home) as store:
        for month in MONTHS:
            deliver(store, "fct_appeal", Extract(appeals if month == "2025-03" else [], month))
            deliver(store, "fct_service_application", Extract(applications if month == "2025-03" else [], month))
        deliver(store, "fct_kpi_target", Extract(targets, "2025"))
        compute(store, kpis, MONTHS, today=LATER)
        assess(store, kpis.lists[0], 2025)
    publish(home, lambda _: ())
    return home


@pytest.fixture(scope="module")
def folder(home: Home, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(home.released_file, tmp_path_factory.mktemp("site") / "report").folder


def texts(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield str(path.relative_to(folder)), path.read_text(encoding="utf-8")


def written(value: float) -> str:
    """A pattern of a number as any page or data file may write it: with all of its digits or the first ones, point or comma, parted thousands."""
    whole, _, rest = f"{value:f}".partition(".")
    parted = "[,\u202f ]?".join(re.split(r"(?<=\d)(?=(?:\d{3})+$)", whole))
    decimals = f"[.,]{rest[0]}\\d*" if rest.strip("0") else r"(?:[.,]0+)?"
    return rf"(?<![\w.:-]){parted}{decimals}(?![\w-])"


def where(folder: Path, value: float) -> list[str]:
    return [name for name, text in texts(folder) if re.search(written(value), text)]


def test_restricted_and_suppressed_values_reach_no_file(home: Home, folder: Path) -> None:
    of_march = "WHERE period_id = '2025-03' AND kato = ? ORDER BY 1"
    with reading(home) as store:
        states = dict(
            store.con.execute(f"SELECT kpi_code, obs_status FROM public_values {of_march}", [ASTANA]).fetchall()
        )
        published = store.con.execute(
            f"SELECT kpi_code, value, numerator, denominator, sample_size FROM kpi.value {of_march}", [ASTANA]
        ).fetchall()
    assert states == {"MGT02-1": "Q", "MGT02-2": "Q", "MGT03-2": "A"}
    assert published[0][1:] == (pytest.approx(100 * RESTRICTED / HIDDEN_OF), RESTRICTED, HIDDEN_OF, HIDDEN_OF)
    for secret in (RESTRICTED, HIDDEN_OF, HIDDEN_OF - RESTRICTED, 100 * RESTRICTED / HIDDEN_OF, 71.903):
        assert where(folder, secret) == [], secret
    # the same search finds what is open, so that it would have found the others
    assert {"data/710000000.js", "trail/710000000.html"} <= set(where(folder, OPEN)) & set(where(folder, OPEN_OF))
    assert f"ru/settlement/{ASTANA}.html" in where(folder, 100 * OPEN / OPEN_OF)
    assert "kk/kpi/MGT03-2.html" in where(folder, 100 * OPEN / OPEN_OF)


def test_hidden_values_say_that_they_are_and_lead_to_their_files_all_the_same(folder: Path) -> None:
    said = (folder / "data" / f"{ASTANA}.js").read_text(encoding="utf-8")
    data = json.loads(said.removeprefix("qala.take(").removesuffix(");\n"))
    named = data["cell"]
    for code, shown in (("MGT02-1", False), ("MGT02-2", False), ("MGT03-2", True)):
        row = data["values"][code]["2025-03"]
        told = dict(zip(named, row, strict=False))
        assert (told["obs_status"] == "Q") is not shown
        assert all((told[part] is not None) is shown for part in ("value", "value_low", "denominator", "sample_size"))
        used = dict(zip(row[len(named) :: 2], row[len(named) + 1 :: 2], strict=True))
        assert used
        for number_, rows in used.items():
            delivery = dict(zip(data["delivery"], data["deliveries"][str(number_)], strict=True))
            assert len(delivery["sha256"]) == 64
            assert (rows is not None, delivery["accepted_rows"] is not None) == (shown, shown)


def test_a_level_from_which_a_restricted_value_follows_is_not_shown(home: Home, folder: Path) -> None:
    query = "SELECT level FROM kpi.assessment_score WHERE kato = ? AND (node_kind, node) = ('sphere', 'MGT')"
    with reading(home) as store:
        (level,) = store.con.execute(query, [ASTANA]).fetchall()[0]
    page = (folder / "en" / "settlement" / f"{ASTANA}.html").read_text(encoding="utf-8")
    sphere = page.partition('id="MGT"')[2].partition("</section>")[0]
    assert "not shown, as a restricted KPI could be worked out from it" in sphere
    assert not re.search(written(round(level, 1)), sphere)


def test_every_page_says_what_it_is_made_from_and_that_the_list_is_a_proposal(home: Home, folder: Path) -> None:
    with reading(home) as store:
        seq, head = store.con.execute("SELECT seq, hash FROM audit.ledger ORDER BY seq DESC LIMIT 1").fetchall()[0]
    pages = [(name, text) for name, text in texts(folder) if name.endswith(".html") and name != "index.html"]
    assert len(pages) > 3 * 90
    for name, text in pages:
        assert f"{seq}:{head}" in text, name
        if not name.startswith("trail/"):
            assert catalogue()["report.proposal"][name[:2]].partition("{")[0] in text, name
        assert not re.search(r'(?:src|href)="(?:https?:|//|/)', text), name
    mark = json.loads((folder / MARK).read_text())
    assert (mark["release"], mark["ledger_head"]) == (seq, head)


def test_every_link_leads_somewhere(folder: Path) -> None:
    """To a file of the report, and to a place in it that there is."""
    later = {"index.html", "compare.html", "quality.html", "systems.html", "audit.html"}  # kinds of pages of their own
    pages = {name: text for name, text in texts(folder) if name.endswith(".html")}
    places = {name: set(re.findall(r'\bid="([^"]+)"', text)) for name, text in pages.items()}
    for name, text in pages.items():
        for link in set(re.findall(r'\bhref="([^"]+)"', text)):
            target, _, place = link.partition("#")
            path = (folder / name).parent / target if target else folder / name
            file = str(path.resolve().relative_to(folder.resolve()))
            if Path(file).name in later and not path.exists():
                continue
            assert path.exists(), (name, link)
            assert not place or place in places[file], (name, link)


def test_a_settlement_without_data_says_so(folder: Path) -> None:
    page = (folder / "en" / "settlement" / f"{ALMATY}.html").read_text(encoding="utf-8")
    assert "No extract of this settlement has been delivered" in page
    assert not (folder / "data" / f"{ALMATY}.js").exists()


def test_a_report_takes_the_place_of_the_one_before_and_of_nothing_else(home: Home, tmp_path: Path) -> None:
    folder = tmp_path / "report"
    write_report(home.released_file, folder, ("en",))
    (folder / "en" / "old.html").write_text("of a former release")
    assert is_of(folder, home.released_file)
    site = write_report(home.released_file, folder, ("en",))
    assert not (folder / "en" / "old.html").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["report"]
    assert site.bytes == sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    other = tmp_path / "mine"
    other.mkdir()
    (other / "letter.txt").write_text("mine")
    with pytest.raises(StoreError, match="holds something else than a report"):
        write_report(home.released_file, other)
    assert (other / "letter.txt").read_text() == "mine"


def test_a_page_that_fails_leaves_the_former_report(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "report"
    write_report(home.released_file, folder, ("en",))
    before = dict(texts(folder))

    def broken(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("warehouse.report.site._write_words", broken)
    with pytest.raises(OSError, match="no space"):
        write_report(home.released_file, folder, ("en",))
    assert dict(texts(folder)) == before
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_what_is_no_release_is_refused(home: Home, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no"):
        write_report(tmp_path / "none.duckdb", tmp_path / "report")
    with pytest.raises(StoreError, match="is no release: its ledger does not end in one"):
        write_report(home.warehouse, tmp_path / "report")
    text = tmp_path / "text.duckdb"
    text.write_text("no database")
    with pytest.raises(StoreError, match="cannot be opened"):
        write_report(text, tmp_path / "report")
    assert not (tmp_path / "report").exists()


def test_a_release_with_another_view_than_ours_is_refused(home: Home, tmp_path: Path) -> None:
    import duckdb

    file = tmp_path / "changed.duckdb"
    shutil.copy(home.released_file, file)
    file.chmod(0o644)
    with duckdb.connect(str(file)) as con:
        con.execute("CREATE OR REPLACE VIEW main.latest_values AS SELECT 1 AS value")
    with pytest.raises(StoreError, match="another view latest_values than ours"):
        write_report(file, tmp_path / "report")


def test_the_report_speaks_every_language_of_every_message() -> None:
    for code, templates in catalogue().items():
        if code.startswith("report."):
            assert set(templates) == set(LANGUAGES), code
            assert len({tuple(sorted(re.findall(r"\{(\w+)\}", text))) for text in templates.values()}) == 1, code


@pytest.mark.parametrize(
    ("value", "unit", "en", "ru"),
    [
        (None, "PT", "—", "—"),
        (80.732759, "PT", "80.7", "80,7"),
        (1234567.8, "NUM", "1,234,568", "1\u202f234\u202f568"),
        (-0.04, "PT", "0.0", "0,0"),
        (-12.34, "PT", "\u221212.3", "\u221212,3"),
        (9.0, "DAY", "9", "9"),
        (1.2, "DAY", "1.20", "1,20"),
        (Decimal("208.000000"), "DAY", "208", "208"),
        (0.054202, "NUM", "0.054", "0,054"),
        (0.0, "NUM", "0", "0"),
    ],
)
def test_numbers_are_written_as_the_language_does(value: float | None, unit: str, en: str, ru: str) -> None:
    assert number("en", value, unit) == en
    assert number("ru", value, unit) == number("kk", value, unit) == ru


def test_the_script_is_small_and_classic() -> None:
    script = (Path(__file__).parents[2] / "warehouse" / "report" / "static" / "report.js").read_text(encoding="utf-8")
    assert len(script.encode()) < 20_000
    assert not re.search(
        r"\b(?:import|export|fetch|XMLHttpRequest|localStorage|sessionStorage|innerHTML|eval)\b", script
    )
