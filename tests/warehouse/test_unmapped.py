"""What a source does not deliver is not zero: KPIs over columns that the delivering contract does not map."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from connectors.mapping.read_contracts import parse_source
from connectors.mapping.source_contract import SourceContract
from kpi_definitions.catalogue import load_catalogues
from kpi_definitions.documents import read
from pipelines.methods.kpis_by_source import kpis_by_source
from tests.support.rows import LATER, Extract, compute_one, deliver, only
from tests.support.settlements import ALMATY, ASTANA
from warehouse.home.home import Home
from warehouse.kpi_values.compute import compute
from warehouse.loading import deliveries as door
from warehouse.store.store import Store
from warehouse.tables.contracts import load_tables

CATALOGUE = only(load_catalogues(), "MGT02-1", "MGT02-2", "INF03-1", "INF03-2")
AT = dt.datetime
CONTRACT = Path(__file__).parents[2] / "examples" / "calgary-permits" / "calgary_permits.odcs.yaml"


def appeals(count: int, month: int = 1, **more: Any) -> list[dict[str, Any]]:
    day = AT(2026, month, 10)
    return [
        {
            "due_at": day,
            "registered_at": day,
            "closed_at": None,
            "status": "OPEN",
            "first_answer_at": day,
            "is_emergency": False,
            **more,
        }
        for _ in range(count)
    ]


def deliver_without(
    store: Store, monkeypatch: pytest.MonkeyPatch, unmapped: str | None, table: str, *extracts: Extract
) -> list[int]:
    """As `deliver`, by a contract that does not map these columns."""
    with monkeypatch.context() as patch:
        patch.setattr("tests.support.rows.Outcome", lambda *given: replace(door.Outcome(*given), unmapped=unmapped))
        return deliver(store, table, *extracts)


def state(store: Store, code: str, period: str, kato: str = ASTANA) -> tuple[Any, ...]:
    (row,) = store.con.execute(
        "SELECT obs_status, value, numerator, denominator, text_en FROM kpi.value LEFT JOIN registry.message ON message = reason "
        "WHERE (kpi_code, period_id, kato) = (?, ?, ?) AND valid_to_seq IS NULL",
        [code, period, kato],
    ).fetchall()
    return tuple(row)


@pytest.mark.usefixtures("made_again")
def test_a_kpi_over_a_column_that_is_not_mapped_is_not_calculable(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver_without(
        store, monkeypatch, "channel,closed_at", "fct_appeal", Extract(appeals(40), "2026-01", system="half")
    )
    deliver(store, "fct_appeal", Extract(appeals(40), "2026-01", ALMATY))
    compute(store, CATALOGUE, ["2026-01"], codes=["MGT02-1", "MGT02-2"], today=LATER)
    assert state(store, "MGT02-1", "2026-01") == (
        "L",
        None,
        None,
        None,
        "system half does not deliver fct_appeal.closed_at",
    )
    assert state(store, "MGT02-2", "2026-01")[0] == "A"  # does not read it
    assert state(store, "MGT02-1", "2026-01", ALMATY)[:2] == ("A", 0)


@pytest.mark.usefixtures("made_again")
def test_the_time_itself_may_be_what_is_not_mapped(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    deliver_without(store, monkeypatch, "closed_at,due_at", "fct_appeal", Extract(appeals(40, due_at=None), "2026-01"))
    compute_one(store, CATALOGUE, "MGT02-1", "2026-01")
    assert state(store, "MGT02-1", "2026-01")[::4] == (
        "L",
        "system test does not deliver fct_appeal.closed_at, fct_appeal.due_at",
    )


@pytest.mark.usefixtures("made_again")
def test_rows_of_another_month_bring_the_gap_with_them(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    deliver_without(store, monkeypatch, "closed_at", "fct_appeal", Extract(appeals(40, 2), "2026-01"))
    deliver(store, "fct_appeal", Extract(appeals(40, 2), "2026-02"))
    deliver(store, "fct_appeal", Extract(appeals(40, 3), "2026-03"))
    compute(store, CATALOGUE, ["2026-02", "2026-03"], codes=["MGT02-1"], today=LATER)
    assert [state(store, "MGT02-1", p)[0] for p in ("2026-02", "2026-03")] == ["L", "A"]


@pytest.mark.usefixtures("made_again")
def test_of_several_systems_one_is_enough_and_a_mended_contract_heals(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(store, "fct_appeal", Extract(appeals(40), "2026-01", system="whole"))
    deliver_without(store, monkeypatch, "closed_at", "fct_appeal", Extract(appeals(2), "2026-01", system="half"))
    compute_one(store, CATALOGUE, "MGT02-1", "2026-01")
    assert state(store, "MGT02-1", "2026-01")[0] == "L"
    deliver(store, "fct_appeal", Extract(appeals(2), "2026-01", system="half"))  # by a contract that maps it
    compute_one(store, CATALOGUE, "MGT02-1", "2026-01")
    assert state(store, "MGT02-1", "2026-01")[:4] == ("A", 0, 0, 42)


def contract(tmp_path: Path, more: str = "") -> SourceContract:
    path = tmp_path / "permits.odcs.yaml"
    path.write_text(CONTRACT.read_text(encoding="utf-8") + more, encoding="utf-8")
    return parse_source(read(path), load_tables())


def test_what_a_contract_does_not_map_is_known_before_any_row(tmp_path: Path) -> None:
    table = load_tables()["fct_building_permit"]
    assert contract(tmp_path).unmapped(table) == ("channel",)
    mapped = "      - name: channel\n        transformLogic: {}\n        transformSourceObjects: []\n"
    assert contract(tmp_path, mapped.format("CAST(NULL AS VARCHAR)")).unmapped(table) == ("channel",)
    assert contract(tmp_path, mapped.format("\"'ONLINE'\"")).unmapped(table) == ()


def test_check_tells_what_each_contract_feeds(home: Home) -> None:
    home.contracts.mkdir(parents=True)
    (home.contracts / CONTRACT.name).write_bytes(CONTRACT.read_bytes())
    lines = list(kpis_by_source(home))
    assert "calgary-permits, fct_building_permit: feeds INF03-2; cannot feed INF03-1: channel not mapped" in lines
    assert "ikomek109, fct_appeal: feeds MGT02-1, MGT02-2" in lines
