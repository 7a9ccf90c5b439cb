"""Country, comparison, data quality, systems and audit pages: figures as the release has them, and honest pages of an empty one."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from kpi_definitions.catalogue import load_catalogues
from tests.support import released
from tests.support.homes import new_home
from tests.support.rows import LATER, Extract, changed, deliver, only
from tests.support.settlements import ALMATY, ASTANA, SHYMKENT
from warehouse.home.home import Home
from warehouse.kpi_values.assessment import assess
from warehouse.kpi_values.compute import compute
from warehouse.messages.messages import catalogue
from warehouse.release.release import publish
from warehouse.report import site
from warehouse.report.pages import audit, compare, country, quality, systems
from warehouse.report.wording import number
from warehouse.store.sessions import reading, writing

KINDS = (country, compare, quality, systems, audit)
SOURCES = Path(site.__file__).parent
OPEN, SECRET = "MGT03-2", "MGT02-1"
# applications in time of a hundred: settlement → year → how many
IN_TIME = {ASTANA: {2024: 51, 2025: 72}, ALMATY: {2024: 83, 2025: 64}, SHYMKENT: {2025: 80}}
# settlement → plan of the open KPI for 2025: met, near (by not more than a tenth), missed
PLANS = {ASTANA: 70, ALMATY: 67, SHYMKENT: 99.99}
ROWS = 100


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Three settlements of one group over two years: an open and a restricted KPI, targets, a register of systems, a refusal."""
    home, given = new_home(tmp_path_factory.mktemp("overview") / "home"), load_catalogues()
    kpis = changed(only(given, OPEN, SECRET), given.latest(SECRET).model_copy(update={"sensitivity": "restricted"}))
    months = [f"{year}-{month:02}" for year in (2024, 2025) for month in range(1, 13)]
    with writing(home) as store:
        for month in months:
            deliver(store, "fct_service_application", *(Extract(_applications(k, month), month, k) for k in IN_TIME))
            deliver(
                store,
                "fct_appeal",
                *(Extract(_appeals(month), month, k) for k in IN_TIME if int(month[:4]) in IN_TIME[k]),
            )
        deliver(store, "fct_appeal", Extract([], "2025-05", ALMATY, refused="the header lacks registered_at"))
        deliver(
            store,
            "fct_kpi_target",
            *(Extract([_target(OPEN, plan), _target(SECRET, 5)], "2025", k) for k, plan in PLANS.items()),
        )
        deliver(store, "dim_information_system", Extract(_register(), "2025-Q4"))
        compute(store, kpis, months, today=LATER)
        assess(store, kpis.lists[0], 2024)
        assess(store, kpis.lists[0], 2025)
    publish(home, lambda _: ())
    return home


def _applications(kato: str, month: str) -> list[dict[str, Any]]:
    year, number_ = map(int, month.split("-"))
    if number_ != 3 or year not in IN_TIME[kato]:
        return []
    due, late = (dt.datetime.combine(dt.date(year, 3, day), dt.time(12)) for day in (10, 20))
    return [
        {"channel": "ONLINE", "status": "COMPLETED", "due_at": due, "completed_at": due if n < IN_TIME[kato][year] else late}
        for n in range(ROWS)
    ]  # fmt: skip


def _appeals(month: str) -> list[dict[str, Any]]:
    when = dt.datetime.fromisoformat(f"{month}-10T12:00:00")
    return [{"registered_at": when, "due_at": when, "closed_at": when, "status": "CLOSED"} for _ in range(30)]


def _target(code: str, plan: float) -> dict[str, Any]:
    return {"kpi_code": code, "target_year": 2025, "document_kind": "STRATEGY", "document_id": f"S-{code}", "document_version": 1,
            "approved_at": dt.date(2025, 1, 1), "baseline_year": 2024, "baseline_value": Decimal(1), "target_value": Decimal(str(plan))}  # fmt: skip


def _register() -> list[dict[str, Any]]:
    old = dt.date(2020, 1, 1)
    common = {"mio_code": "MIO-1", "commissioned_at": old}
    return [
        {**common, "name": "Own <system> & more", "origin": "OWN", "integrated_at": old, "sdu_integrated_at": old},
        {**common, "name": "Of the portal", "origin": "PORTAL", "portal_solution_id": "GA-7", "sdu_integrated_at": old},
        {**common, "name": "Taken off", "origin": "OWN", "retired_at": dt.date(2024, 1, 1)},
    ]


@pytest.fixture(scope="module")
def folder(home: Home, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(home, tmp_path_factory.mktemp("site"))


def written(home: Home, place: Path, languages: Sequence[str] = ("kk", "ru", "en")) -> Path:
    """The report with the pages of this module alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(site, "KINDS", tuple(kind.pages for kind in KINDS))
        return site.write_report(home.released_file, place / "report", languages).folder


class _Tables(HTMLParser):
    """Rows of cells' texts, by the id of the heading above them."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, list[list[str]]] = {}
        self.heading, self.inside = "", False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in {"h2", "h3"}:
            self.heading = dict(attrs).get("id") or self.heading
        elif tag == "tr":
            self.found.setdefault(self.heading, []).append([])
        elif tag in {"td", "th"}:
            self.found[self.heading][-1].append("")
            self.inside = True

    def handle_endtag(self, tag: str) -> None:
        self.inside = self.inside and tag not in {"td", "th"}

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.found[self.heading][-1][-1] = " ".join(f"{self.found[self.heading][-1][-1]} {data}".split())


def tables(page: Path) -> dict[str, list[list[str]]]:
    parser = _Tables()
    parser.feed(page.read_text(encoding="utf-8"))
    return parser.found


def asked(home: Home, sql: str) -> list[tuple[Any, ...]]:
    with reading(home) as store:
        return store.con.execute(sql).fetchall()


@pytest.mark.parametrize("language", ["kk", "ru", "en"])
def test_places_and_levels_are_those_of_the_scorecard(home: Home, folder: Path, language: str) -> None:
    query = (
        f"SELECT rank, settlement_{language}, level, level_low, level_high, coverage_percent FROM scorecard "
        "WHERE year = 2025 AND rank IS NOT NULL ORDER BY rank"
    )
    shown = tables(folder / language / "index.html")["group-republican"][1:]
    wanted = asked(home, query)
    assert len(wanted) == len(IN_TIME)
    for row, (rank, name, *figures) in zip(shown, wanted, strict=True):
        level, low, high, coverage = (number(language, one, places=1) for one in figures)
        bounds = catalogue()["report.between"][language].format(low=low, high=high)
        assert [*row[:4], row[6]] == [str(rank), name, level, bounds, coverage]


def test_a_level_is_set_beside_that_of_the_year_before(home: Home, folder: Path) -> None:
    found = dict(
        asked(home, "SELECT a.settlement_en, round(a.level - b.level, 1) FROM scorecard a LEFT JOIN scorecard b ON b.kato = a.kato "
              "AND b.year = 2024 AND b.rank IS NOT NULL WHERE a.year = 2025 AND a.rank IS NOT NULL")
    )  # fmt: skip
    shown = {row[1]: row[7] for row in tables(folder / "en" / "index.html")["group-republican"][1:]}
    assert found["Shymkent"] is None
    assert shown["Shymkent"] == "—"
    for name in ("Astana", "Almaty"):
        sign = "+" if found[name] > 0 else ""
        assert shown[name].startswith(sign + number("en", found[name], places=1))


def test_settlements_that_deliver_nothing_are_counted_and_named(home: Home, folder: Path) -> None:
    page = (folder / "en" / "index.html").read_text(encoding="utf-8")
    (missing,) = asked(
        home, "SELECT count(*) FROM registry.settlement WHERE kato NOT IN (SELECT scope FROM deliveries)"
    )[0]
    assert missing == 87
    assert f'<dt>No data at all</dt><dd><span class="big">{missing}</span>' in page
    named = [
        row for row in tables(folder / "en" / "index.html")["regions"] if row[0].startswith("No system delivers data")
    ]
    assert len(re.findall(r"settlement/\d{9}\.html", page.partition('id="regions"')[2])) == 90
    assert sum(len(row[0].split(": ")[1].split(", ")) for row in named) == missing


def test_targets_are_judged_by_their_facts_and_restricted_ones_left_out(folder: Path) -> None:
    rows = tables(folder / "en" / "index.html")["plan"]
    assert rows[0][2:] == ["Targets", "met", "near", "missed", "not decided by the bounds", "no fact"]
    assert rows[-1][1:] == ["3", "1", "1", "1", "0", "0"]
    assert [row[2:] for row in rows[1:-1]] == [rows[-1][1:]]


def test_the_years_are_compared_only_where_both_have_a_value(folder: Path) -> None:
    rows = tables(folder / "en" / "index.html")["before"]
    assert rows[0][1:] == ["better", "worse", "within the bounds", "series break"]
    assert rows[-1][1:] == ["1", "1", "0", "0"]


def test_what_is_missing_is_counted_as_the_release_says_it(home: Home, folder: Path) -> None:
    query = (
        "SELECT obs_status, count(*), count(*) FILTER (WHERE kato IN (SELECT scope FROM deliveries WHERE state = 'loaded')) FROM missing_values "
        "WHERE year = 2025 AND obs_status IN ('L', 'O') GROUP BY ALL"
    )
    wanted = {status: (cells, delivering) for status, cells, delivering in asked(home, query)}
    found: dict[str, tuple[int, int]] = {}
    for row in tables(folder / "en" / "index.html")["missing"][1:]:
        status = row[0][-2]
        cells, delivering = (int(row[n].replace(",", "")) for n in (3, 2))
        found[status] = (found.get(status, (0, 0))[0] + cells, found.get(status, (0, 0))[1] + delivering)
    assert found == wanted


def test_the_data_of_comparisons_are_public_year_values_and_no_others(home: Home, folder: Path) -> None:
    text = (folder / "data" / "compare.js").read_text(encoding="utf-8")
    data = json.loads(text.removeprefix("qala.compare(").removesuffix(");\n"))["values"]
    found = {
        (code, kato, int(year)): (row[0], row[1] if len(row) > 1 else "A", *(row[2:] or (row[0], row[0])))
        for year, of in data.items()
        for code, values in of.items()
        for kato, row in values.items()
    }
    rows = asked(
        home,
        "SELECT kpi_code, kato, year, value, obs_status, value_low, value_high FROM public_year_values WHERE value IS NOT NULL",
    )
    assert found == {(code, kato, year): tuple(rest) for code, kato, year, *rest in rows}
    assert {code for code, *_ in found} == {OPEN}
    assert (
        SECRET
        not in (folder / "en" / "compare.html")
        .read_text(encoding="utf-8")
        .partition("<form")[2]
        .partition("</form>")[0]
    )


def test_the_script_has_every_word_it_says() -> None:
    script = (SOURCES / "static" / "compare.js").read_text(encoding="utf-8")
    used = set(re.findall(r"\bwords\.(\w+)", script)) | set(re.findall(r'\bsaid\("(\w+)"', script))
    assert used == {*compare._WORDS, "kpi", "settlement", "between", "states"}
    assert sum((SOURCES / "static" / file).stat().st_size for file in ("report.js", "compare.js")) < 20_000
    assert not re.search(r"\b(fetch|XMLHttpRequest|import|export|eval|innerHTML)\b", script)


def test_refusals_and_incidents_are_told_with_what_to_do(home: Home, folder: Path) -> None:
    rows = tables(folder / "en" / "quality.html")
    ((refused,),) = asked(home, "SELECT delivery_id FROM deliveries WHERE state = 'refused'")
    (row,) = rows["refusals"][1:]
    assert row[0].startswith(str(refused))
    assert row[3] == "the header lacks registered_at"
    assert f"table fct_appeal, territory {ALMATY}, period 2025-05" in row[4]


def test_what_is_overdue_is_what_contracts_agree_on_and_nobody_sent(home: Home, folder: Path) -> None:
    with reading(home) as store:
        (when,) = store.con.execute("SELECT recorded_at FROM audit.ledger WHERE kind = 'released'").fetchall()[-1]
        today = when.astimezone(dt.timezone(dt.timedelta(hours=5))).date()
        contracts = store.tables
        came = store.con.execute(
            "SELECT table_name, scope, min(period_start), list((period_start, period_end)) FROM audit.delivery "
            "WHERE state = 'loaded' GROUP BY ALL"
        ).fetchall()
        periods = store.con.execute("SELECT grain, period_start, period_end FROM registry.period").fetchall()
    wanted: dict[str, int] = {}
    for name, _, begun, delivered in came:
        table = contracts[name]
        for grain, start, end in periods:
            due = end + dt.timedelta(days=table.latency_days or 0)
            agreed = table.agreed_from is None or end > table.agreed_from
            if (
                grain == table.frequency
                and start >= begun
                and agreed
                and due < today
                and not any(s <= start and end <= e for s, e in delivered)
            ):
                wanted[name] = wanted.get(name, 0) + 1
    shown = {
        row[0].split()[-1]: int(row[3].replace(",", ""))
        for row in tables(folder / "en" / "quality.html").get("overdue", [])[1:]
        if len(row) == 6
    }
    assert shown == wanted


def test_systems_are_counted_as_the_newest_register_has_them(home: Home, folder: Path) -> None:
    page = (folder / "en" / "systems.html").read_text(encoding="utf-8")
    assert [int(one) for one in re.findall(r'<span class="big">(\d+)</span>', page)] == [2, 1, 1, 2]
    rows = asked(home, "SELECT requirement_en, sum(systems), sum(compliant) FROM compliance GROUP BY ALL")
    shown = {
        row[2]: (int(row[3]), int(row[4]))
        for row in tables(folder / "en" / "systems.html")["compliance-head"][1:]
        if len(row) == 6
    }
    assert shown == {requirement: (systems_, compliant) for requirement, systems_, compliant in rows}
    assert "Own &lt;system&gt; &amp; more" in page
    assert "Taken off" not in page


def test_the_audit_page_names_the_files_as_they_are(home: Home, folder: Path) -> None:
    page = (folder / "en" / "audit.html").read_text(encoding="utf-8")
    lines = re.findall(r"^([0-9a-f]{64})  (\S+)$", page, re.MULTILINE)
    assert {name for _, name in lines} >= {"qala.duckdb", "kpi_values.csv", "scorecard.csv", "ANCHOR.txt"}
    for digest, name in lines:
        assert hashlib.sha256((home.release / name).read_bytes()).hexdigest() == digest
    assert (home.release / "ANCHOR.txt").read_text().strip() in page
    assert catalogue()["overview.audit_unsigned"]["en"] in page


def test_a_manifest_that_is_another_or_gone_is_told(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    released.build(home, signed=True)
    unlike, none = (catalogue()[f"overview.audit_manifest_{one}"]["en"] for one in ("differs", "none"))
    page = written(home, tmp_path / "one", ("en",)) / "en" / "audit.html"
    assert unlike not in page.read_text(encoding="utf-8")
    assert catalogue()["overview.audit_signed"]["en"] in page.read_text(encoding="utf-8")
    assert "MGT02-1" in page.read_text(encoding="utf-8").partition('id="restated"')[2].partition("</section>")[0]
    released.renew(home, seq=1)
    assert unlike in (written(home, tmp_path / "two", ("en",)) / "en" / "audit.html").read_text(encoding="utf-8")
    (home.release / "release.json").unlink()
    page = written(home, tmp_path / "three", ("en",)) / "en" / "audit.html"
    assert none in page.read_text(encoding="utf-8")
    assert hashlib.sha256(home.released_file.read_bytes()).hexdigest() in page.read_text(encoding="utf-8")


def test_rejected_rows_are_counted_and_never_shown(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    released.build(home)
    raws = [json.loads(raw) for (raw,) in asked(home, "SELECT raw FROM audit.rejected_row")]
    folder = written(home, tmp_path / "site", ("en",))
    assert raws
    texts = [path.read_text(encoding="utf-8") for path in _files(folder)]
    for row in raws:
        for text in (str(value) for value in (row.values() if isinstance(row, dict) else row) if len(str(value)) > 3):
            assert not any(f">{text}<" in one or f'"{text}"' in one for one in texts), text
    shown = tables(folder / "en" / "quality.html")["rejected"][1:]
    wanted = asked(
        home,
        "SELECT rule, count(*) FILTER (WHERE column_name IS NULL), count(column_name) FROM audit.rejected_row GROUP BY rule",
    )
    rules = {rule: (rows, cells) for rule, rows, cells in wanted}
    found: dict[str, tuple[int, int]] = {}
    for row in shown:
        rows, cells = found.get(row[1], (0, 0))
        found[row[1]] = (rows + int(row[3]), cells + int(row[4]))
    assert found == rules


def test_an_empty_release_gives_pages_that_say_so(tmp_path: Path) -> None:
    home = new_home(tmp_path / "home")
    publish(home, lambda _: ())
    folder = written(home, tmp_path / "site")
    for language in ("kk", "ru", "en"):
        said = {
            code: catalogue()[code][language]
            for code in ("overview.nothing_loaded", "overview.no_assessment", "overview.systems_none")
        }
        pages = {path.stem: path.read_text(encoding="utf-8") for path in (folder / language).glob("*.html")}
        assert set(pages) == {"index", "compare", "quality", "systems", "audit"}
        assert said["overview.nothing_loaded"] in pages["index"]
        assert said["overview.no_assessment"] in pages["index"]
        assert said["overview.nothing_loaded"] in pages["quality"]
        assert said["overview.systems_none"] in pages["systems"]
        assert not any(re.search(r">\s*(None|nan|NaT)\s*<", page) for page in pages.values())
    assert (
        json.loads((folder / "data" / "compare.js").read_text().removeprefix("qala.compare(").removesuffix(");\n"))[
            "values"
        ]
        == {}
    )


def test_every_message_of_these_pages_is_said_somewhere() -> None:
    sources = [path.read_text(encoding="utf-8") for path in _files(SOURCES) if path.suffix in {".py", ".j2"}]
    stems = {
        "overview.targets_",
        "overview.kind_",
        "overview.document_",
        "overview.incident_",
        "overview.list_",
        "overview.calendar_",
    }
    words = {f"overview.compare_{word}" for word in compare._WORDS}
    moved = {f"overview.{kind}" for kind in ("better", "worse", "within", "broken")}
    for code in (one for one in catalogue() if one.startswith("overview.")):
        used = any(f'"{code}"' in text for text in sources) or any(code.startswith(stem) for stem in stems)
        assert used or code in words | moved, code


def _files(folder: Path) -> Iterator[Path]:
    return (
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix in {".html", ".js", ".json", ".py", ".j2"}
    )
