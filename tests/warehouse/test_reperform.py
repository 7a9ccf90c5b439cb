"""Published numbers made again from the rows, definitions and decisions of their own time. Many more are made again after the tests
of compute.py, rollup.py and the register: see `made_again` in conftest.py."""

from __future__ import annotations

import datetime as dt
import random
import shutil
from pathlib import Path

import duckdb
import pytest

from kpi_definitions.catalogue import load_catalogues
from tests.support.homes import new_home
from tests.support.rows import LATER, Extract, changed, deliver, only
from tests.support.settlements import ALMATY, ASTANA
from warehouse.audit.explain import UnknownError, explain
from warehouse.audit.reperform import Result, reperform
from warehouse.home.account import account
from warehouse.home.home import Home
from warehouse.kpi_values.assessment import assess
from warehouse.kpi_values.compute import compute
from warehouse.store.ledger import ledger_head
from warehouse.store.sessions import opened, writing
from warehouse.store.store import Store

CODES = ("MGT02-1", "SAF02-2", "HCS03-1", "SAF04-1")  # a share, and others by their own kinds and tables
CATALOGUE = only(load_catalogues(), *CODES)
STRICTER = CATALOGUE.latest("MGT02-1").model_copy(
    update={"version": 2, "valid_from": dt.date(2026, 3, 1), "change_note": "Emergencies are another matter.",
            "rows": CATALOGUE.latest("MGT02-1").rows.model_copy(update={"filter": "NOT is_emergency"})}
)  # fmt: skip
ENDED = CATALOGUE.latest("MGT02-1").model_copy(update={"valid_to": dt.date(2026, 3, 1)})
RENEWED = changed(CATALOGUE, ENDED, STRICTER)


def appeals(month: int, count: int, late: int = 0) -> list[dict[str, object]]:
    day = dt.datetime.fromisoformat(f"2026-0{month}-05T08:00")
    return [
        {"appeal_id": f"A{month}-{n}", "registered_at": day, "due_at": day + dt.timedelta(days=9), "status": "CLOSED",
         "closed_at": day + dt.timedelta(days=12 if n < late else 3), "is_emergency": n % 2 == 0} for n in range(count)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Published, restated by a correction, refused, closed after the late-data window, computed by a new definition, assessed twice."""
    home = new_home(tmp_path_factory.mktemp("reperform"))
    with writing(home) as store:
        for month in (1, 2, 3):
            deliver(
                store,
                "fct_appeal",
                Extract(appeals(month, 40, month), f"2026-0{month}"),
                Extract(appeals(month, 9), f"2026-0{month}", ALMATY),
            )
        deliver(store, "fct_appeal", Extract([], "2026-04", refused="made up"))
        compute(store, CATALOGUE, ["2026-01", "2026-02"], today=dt.date(2026, 2, 3))  # February is provisional
        assess(store, CATALOGUE.lists[0], 2026)
        compute(store, CATALOGUE, ["2026-02"], today=LATER)
        deliver(store, "fct_appeal", Extract(appeals(1, 38, 30), "2026-01"))  # January, corrected
        compute(store, CATALOGUE, ["2026-02"], today=LATER)
        assess(store, CATALOGUE.lists[0], 2026, freeze=True)
        compute(store, RENEWED, ["2026-03", "2026-04"], today=LATER)
        deliver(store, "fct_appeal", Extract(appeals(3, 40, 20), "2026-03"))
        compute(store, RENEWED, ["2026-04"], today=LATER)
        assess(store, RENEWED.lists[0], 2026)
        store.con.execute("CHECKPOINT")
    return home


@pytest.fixture
def store(original: Home, tmp_path: Path):  # type: ignore[no-untyped-def]
    shutil.copytree(original.root, tmp_path / "home")
    with opened(Home(tmp_path / "home")) as store:
        yield store


def made(result: Result) -> dict[str, int]:
    assert result.differences == []
    return {kind: count for kind, count in result.made.items() if count}


def test_everything_comes_out_equal_restated_or_not(store: Store) -> None:
    current, every = made(reperform(store)), made(reperform(store, earlier=True))
    counts = store.con.execute(
        "SELECT count(*) FILTER (WHERE valid_to_seq IS NULL), count(*) FROM kpi.value"
    ).fetchone()
    assert counts is not None
    assert (current["values"], every["values"]) == counts
    assert every["values"] > current["values"]
    assert every["roll-ups"] > current["roll-ups"] > 0
    assert current["assessment figures"] == every["assessment figures"] > 0  # a draft and a frozen one
    versions = store.con.execute(
        "SELECT DISTINCT definition_version FROM kpi.value WHERE kpi_code = 'MGT02-1' ORDER BY 1"
    ).fetchall()
    assert versions == [(1,), (2,)]


def test_one_cell_with_its_former_values(store: Store) -> None:
    found = store.con.execute(
        "SELECT count(*) FROM kpi.value WHERE (kpi_code, kato, period_id) = ('MGT02-1', ?, '2026-01')", [ASTANA]
    ).fetchall()[0][0]
    assert found == 3  # provisional, calculated, corrected
    assert made(reperform(store, "MGT02-1", ("settlement", ASTANA), "2026-01", earlier=True)) == {"values": 3}
    assert made(reperform(store, "MGT02-1", ("settlement", ASTANA), "2026-01")) == {"values": 1}
    assert made(reperform(store, "MGT02-1", ("country", "KZ"), "2026-01")) == {"roll-ups": 1}
    assert reperform(store, "MGT02-1", ("settlement", ASTANA), "1999-01").made["values"] == 0


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_and_the_order_of_rows_change_no_digit(store: Store, threads: int) -> None:
    """Rows lie in another order than they were loaded in."""
    rng = random.Random(469)  # noqa: S311
    for place in ("showcase.fct_appeal", "history.fct_appeal", "kpi.value", "audit.delivery"):
        store.con.complete()
        rows = store.con.sql(f"SELECT * FROM {place}").to_arrow_table()
        order = list(range(rows.num_rows))
        rng.shuffle(order)
        shuffled = rows.take(order)
        store.con.register("shuffled", shuffled)
        store.con.execute(f"DELETE FROM {place}; INSERT INTO {place} SELECT * FROM shuffled")
        store.con.unregister("shuffled")
    store.con.execute(f"SET threads = {threads}")
    assert made(reperform(store, earlier=True))["values"] > 0


SHOWN = {
    "a row that counts": ("UPDATE showcase.fct_appeal SET closed_at = due_at + INTERVAL 1 DAY WHERE appeal_id = 'A2-7'", "value"),
    "a row that counted once": ("UPDATE history.fct_appeal SET closed_at = due_at + INTERVAL 1 DAY WHERE appeal_id = 'A1-39'", "value"),
    "when a row ceased to hold": ("UPDATE history.fct_appeal SET valid_to_seq = 1", "value"),
    "a value": ("UPDATE kpi.value SET value = 12 WHERE kpi_code = 'MGT02-1' AND value IS NOT NULL", "value"),
    "a reason": ("UPDATE kpi.value SET reason = 'so be it' WHERE reason LIKE '%reason.refused%'", "value"),
    "a delivery's state": ("UPDATE audit.delivery SET state = 'loaded' WHERE state = 'refused'", "value"),
    "the definition": ("UPDATE registry.kpi SET definition = replace(definition, 'closed_at <= due_at', 'closed_at < due_at'), "
                       "definition_hash = 'x'", "value"),
    "a definition taken out": ("DELETE FROM registry.kpi WHERE kpi_code = 'MGT02-1'", "value"),
    "a roll-up": ("UPDATE kpi.rollup SET numerator = numerator + 1 WHERE area = 'KZ' AND numerator IS NOT NULL", "roll-up"),
    "the group of a settlement": (f"UPDATE registry.settlement SET item7_group = 'district' WHERE kato = '{ASTANA}'", "roll-up"),
    "a score": ("UPDATE kpi.assessment_item SET score = 100 WHERE score IS NOT NULL", "assessment"),
    "a level": ("UPDATE kpi.assessment_score SET level = level + 1", "assessment"),
    "a place": ("UPDATE kpi.assessment_rank SET rank = 1, rank_best = 1 WHERE rank IS NULL", "assessment"),
    "the rules of an assessment": ("UPDATE kpi.assessment SET rules = replace(rules, '\"goal\":', '\"goal\":1')", "assessment"),
}  # fmt: skip


@pytest.mark.parametrize("what", SHOWN)
def test_what_was_changed_comes_out_differently(store: Store, what: str) -> None:
    statement, kind = SHOWN[what]
    assert store.con.execute(statement).fetchall()[0][0] > 0, "the attack must hit something"
    result = reperform(store, earlier=True)
    assert any(d.what.startswith(kind) for d in result.differences), result.differences[:3]
    assert any(result.differing.values())


def test_explain_as_of_a_sequence_is_what_was_published_then(store: Store) -> None:
    _, old, new = store.con.execute(
        "SELECT value, valid_from_seq FROM kpi.value WHERE (kpi_code, kato, period_id) = ('MGT02-1', ?, '2026-01') ORDER BY 2", [ASTANA]
    ).fetchall()  # fmt: skip
    assert old[0] != new[0]

    def asked(seq: int | None, where: str = ASTANA) -> dict[str, object]:
        return explain(store, RENEWED, "MGT02-1", where, "2026-01", seq)

    assert asked(None)["value"] == asked(new[1])["value"] == new[0]
    then = asked(new[1] - 1)
    assert then["value"] == asked(old[1])["value"] == old[0]
    assert [e["state"] for e in then["earlier"]] == ["provisional"]  # type: ignore[attr-defined]
    assert [e["state"] for e in asked(None)["earlier"]] == ["calculated", "provisional"]  # type: ignore[attr-defined]
    assert sum(d["rows_in_this_number"] for d in then["deliveries"]) == then["sample_size"]  # type: ignore[attr-defined]
    assert len(asked(old[1])["deliveries"]) < len(asked(None)["deliveries"])  # type: ignore[arg-type]
    assert asked(old[1] - 1)["state"] == "provisional"
    assert asked(1)["published"] is False
    assert asked(new[1] - 1, "KZ")["value"] != asked(None, "KZ")["value"]
    for seq in (0, store.last_seq + 1):
        with pytest.raises(UnknownError, match="the release goes to"):
            asked(seq)


def test_nothing_is_written(original: Home, tmp_path: Path) -> None:
    file = tmp_path / "warehouse.duckdb"
    shutil.copyfile(original.warehouse, file)
    file.chmod(0o444)
    before = file.read_bytes()
    with duckdb.connect(str(file), read_only=True) as con:
        con.execute("SET TimeZone = 'UTC'")
        assert made(reperform(Store(con, Home(tmp_path)), earlier=True))["values"] > 0
    assert file.read_bytes() == before


def test_a_number_is_told_as_published_and_as_made_again_by_whom_and_when(store: Store) -> None:
    result = reperform(store, "MGT02-1", ("settlement", ASTANA), "2026-01")
    (one,) = result.numbers
    assert (one.where, one.equal) == (f"MGT02-1 {ASTANA} 2026-01", True)
    assert one.published == one.again
    assert "sample 38" in one.again
    assert result.by.startswith(account()["user"])
    assert dt.datetime.fromisoformat(result.at) <= dt.datetime.now(dt.UTC)
    assert result.head == f"{store.last_seq}:{ledger_head(store.con)[1]}"
    level = reperform(store, "LEVEL", ("settlement", ASTANA), "2026")
    assert [n.equal for n in level.numbers] == [True] * len(level.numbers)
    assert level.numbers
    assert "level" in level.numbers[0].again
