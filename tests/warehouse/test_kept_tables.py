"""Contracts and facts of definitions that were kept (kpi_definitions/kept.py): of every home, at every time, those that are read anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from kpi_definitions.catalogue import load_catalogues
from kpi_definitions.documents import DocumentError
from kpi_definitions.kept import SETTING
from kpi_definitions.listed import listed, listed_of
from tests.support.home_tables import CODE, TABLE, add_list, add_source, add_table, table_text
from warehouse.home.home import Home
from warehouse.messages import messages
from warehouse.tables import contracts, home_tables
from warehouse.tables.fingerprint import schema_fingerprint, shipped_fingerprint
from warehouse.tables.view_columns import described
from warehouse.tables.working_tables import working_tables


def forget() -> None:
    """Have this process read everything again, or take what is kept."""
    for one in (contracts._shipped, home_tables._together, messages.catalogue, shipped_fingerprint, described, working_tables):  # fmt: skip
        one.cache_clear()


def tables_said(home: Home) -> list[Any]:
    """Everything the tables of a home say, with their documents, in their order; or what is wrong with them."""
    try:
        tables = home_tables.tables_of(home)
    except DocumentError as error:
        return error.faults
    return [(repr(one), one.document, list(one.document.lines.items()), one.codes) for one in tables.values()]


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Callable[[], Any]], Any]]:
    """Asks three times: read and kept, taken from what was kept, read without keeping. Holds that the answers are one."""

    def ask(question: Callable[[], Any]) -> Any:
        found = []
        for place in (tmp_path / "kept", tmp_path / "kept", "0"):
            monkeypatch.setenv(SETTING, str(place))
            forget()
            found.append(question())
        assert found[0] == found[1] == found[2]
        return found[1]

    yield ask
    forget()


def test_tables_of_a_home_at_every_time(home: Home, asked: Callable[[Callable[[], Any]], Any]) -> None:
    said = partial(tables_said, home)
    shipped = asked(said)
    assert len(shipped) > 50
    add_table(home)
    own = asked(said)
    assert len(own) == len(shipped) + 1
    (file,) = home.showcase.iterdir()
    file.write_text(file.read_text().replace("maximum", "maximum").replace("Potholes found", "Holes found"))
    assert asked(said) != own
    file.write_text(table_text().replace("repaired_at >= found_at", "repaired_at >="))
    faults = asked(said)
    assert [fault.path for fault in faults] == [file]
    assert faults[0].line > 1
    file.write_text(table_text())
    file.rename(home.showcase / "fct_other.odcs.yaml")
    assert "another name" in str(asked(said)[0])
    (home.showcase / "fct_other.odcs.yaml").unlink()
    assert asked(said) == shipped


def test_definitions_of_a_home_at_every_time(home: Home, asked: Callable[[Callable[[], Any]], Any]) -> None:
    def said() -> Any:
        found = listed(home.catalogues)
        assert found == listed_of(load_catalogues(home.catalogues))
        return found

    shipped = asked(said)
    add_table(home)
    add_source(home)
    add_list(home)
    assert set(asked(said).codes) - set(shipped.codes) == {CODE}
    for file in home.catalogues.rglob("*.yaml"):
        file.unlink()
    assert asked(said) == shipped


def test_sentences_fingerprint_and_working_tables(asked: Callable[[Callable[[], Any]], Any]) -> None:
    for question in (messages.catalogue, described, working_tables, shipped_fingerprint):
        assert asked(question)
    assert shipped_fingerprint() == schema_fingerprint(contracts.load_tables())
    assert TABLE not in contracts.load_tables()
