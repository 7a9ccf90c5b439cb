"""`qala engine` on chdb, which is ClickHouse's own engine: what it says, brings in step, counts again; and what it says of engines that are not there."""

from __future__ import annotations

import json
import pickle
import re
import shutil
import socket
from pathlib import Path
from typing import Any

import duckdb
import pytest
from typer.testing import CliRunner

from connectors.archive.archive import Archive
from pipelines.cli import app
from tests.support import runs
from tests.support.homes import new_home
from tests.support.recipe_pages import blocks
from tests.support.rows import Extract, deliver
from tests.support.settlements import ALMATY, ASTANA
from warehouse.engines.clickhouse_connections import RefusedError, embedded
from warehouse.engines.settings import ENGINE, PASSWORD, READER_PASSWORD, chosen_engine
from warehouse.home.home import Home
from warehouse.store.sessions import locked, writing

CHDB = "engine: chdb\n"


def qala(home: Home, *words: str) -> tuple[int, str]:
    """A command in this process. Returns exit code and what it said."""
    result = CliRunner().invoke(app, [*words, "--home", str(home.root)])
    assert "fault of qala" not in result.output, result.output
    return result.exit_code, result.output


def told(home: Home) -> dict[str, Any]:
    code, said = qala(home, "engine", "--json")
    assert code == 0, said
    answer: dict[str, Any] = json.loads(said)
    return answer


def crashes(count: int, first: int = 1, month: str = "2025-03") -> list[dict[str, Any]]:
    return [
        {"crash_id": f"C{n}", "occurred_at": f"{month}-05 10:00:00", "deaths_30d": n % 2}
        for n in range(first, first + count)
    ]


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home with rows of two months, measured by chdb, in step with nothing yet."""
    monkeypatch.delenv(ENGINE, raising=False)
    home = new_home(tmp_path / "home")
    with writing(home) as store:
        deliver(store, "fct_crash", Extract(crashes(40), "2025-03", ASTANA))
        deliver(store, "fct_crash", Extract(crashes(30, 100, "2025-04"), "2025-04", ALMATY))
    home.engine_settings.write_text(CHDB)
    return home


def spoil(home: Home, sql: str) -> None:
    """What somebody does to the engine behind qala's back."""
    con = embedded(home.engine / "chdb", "default", {"mutations_sync": 2})
    try:
        con.tell(sql)
    finally:
        con.close()


def test_without_another_engine_it_says_so_in_a_line_and_has_nothing_to_load(home: Home) -> None:
    for words in (("engine",), ("engine", "load"), ("engine", "verify"), ("engine", "check")):
        code, said = qala(home, *words)
        assert code == 0
        assert "the warehouse measures itself" in said
        assert "engine.yaml" in said
        assert len(said.splitlines()) == 1
    assert told(home)["engine"] == "duckdb"
    assert not home.engine.exists()


def test_it_is_brought_in_step_and_says_what_it_holds(loaded: Home) -> None:
    before = told(loaded)
    assert (before["engine"], before["in_step"], before["tables"]) == ("chdb", False, [])
    assert before["settings"]["join_use_nulls"] == "0"
    assert before["chosen_by"] == str(loaded.engine_settings)
    code, said = qala(loaded, "engine", "load")
    assert code == 0, said
    assert "70 rows in 2 loads; 2 taken, 0 dropped" in said
    after = told(loaded)
    assert after["in_step"]
    (crash,) = (one for one in after["tables"] if one["loads"])
    assert (crash["table"], crash["rows"], crash["held"], crash["first"], crash["last"]) == (
        "fct_crash",
        70,
        70,
        "2025-03",
        "2025-04",
    )
    assert crash["bytes"] > 0
    code, said = qala(loaded, "engine")
    assert code == 0
    assert "in step" in said
    assert "yes" in said
    code, said = qala(loaded, "engine", "check")
    assert (code, said.startswith(f"ready: chdb {after['version']}")) == (0, True)


def test_what_is_loaded_later_puts_it_out_of_step_and_one_month_is_handed_over_again(loaded: Home) -> None:
    qala(loaded, "engine", "load")
    with writing(loaded) as store:
        deliver(store, "fct_crash", Extract(crashes(41), "2025-03", ASTANA))
    behind = told(loaded)
    assert not behind["in_step"]
    assert behind["behind"] == ["1 deliveries were loaded since"]
    code, said = qala(loaded, "engine")
    assert code == 0
    assert "next: qala engine load" in said
    code, said = qala(loaded, "engine", "load")
    assert code == 0
    assert "1 taken, 1 dropped" in said
    assert told(loaded)["in_step"]


def test_while_a_run_writes_it_is_held_against_the_release(loaded: Home) -> None:
    qala(loaded, "engine", "load")
    loaded.release.mkdir()
    shutil.copy(loaded.warehouse, loaded.released_file)
    with locked(loaded):
        answer = told(loaded)
        code, said = qala(loaded, "engine")
    assert (answer["compared_with"], answer["in_step"]) == ("release", True)
    assert code == 0
    assert "a run is writing" in said


SPOILT = {
    "ALTER TABLE fct_crash DELETE WHERE crash_id = 'C7'": "the engine has 39 rows, 40 were handed over",
    "ALTER TABLE fct_crash UPDATE deaths_30d = 2 WHERE crash_id = 'C7'": "the engine has other rows, 40 with content",
    "INSERT INTO fct_crash SELECT * FROM fct_crash WHERE crash_id = 'C100'": "the engine has 31 rows, 30 were handed over",
    "ALTER TABLE fct_crash DELETE WHERE 1": "the engine has 0 rows, 40 were handed over",
}


def test_what_was_changed_there_is_found_and_mended(loaded: Home) -> None:
    qala(loaded, "engine", "load")
    for sql, said in SPOILT.items():
        spoil(loaded, sql)
        code, output = qala(loaded, "engine", "verify")
        assert code == 1, sql
        assert said in output
        assert "mend them: qala engine load" in output
        assert qala(loaded, "engine", "load")[0] == 0
    code, output = qala(loaded, "engine", "verify", "--json")
    assert (code, json.loads(output)) == (
        0,
        {"engine": "chdb", "seq": told(loaded)["seq"], "rows": 70, "differences": []},
    )


def test_rows_that_were_changed_in_the_release_are_told_apart(loaded: Home) -> None:
    qala(loaded, "engine", "load")
    loaded.release.mkdir()
    shutil.copy(loaded.warehouse, loaded.released_file)
    con = duckdb.connect(str(loaded.released_file))
    con.execute("UPDATE showcase.fct_crash SET deaths_30d = 9 WHERE crash_id = 'C7'")
    con.close()
    code, output = qala(loaded, "engine", "verify")
    assert code == 1
    assert "the release has other rows, 40 with content" in output
    assert "the engine has" not in output


def test_what_it_holds_of_another_warehouse_is_noticed(loaded: Home, tmp_path: Path) -> None:
    qala(loaded, "engine", "load")
    other = new_home(tmp_path / "other")
    with writing(other) as store:
        for n in range(3):
            deliver(store, "fct_crash", Extract(crashes(5 + n), "2025-03", ALMATY))
    shutil.copy(other.warehouse, loaded.warehouse)
    assert "of another warehouse" in " ".join(told(loaded)["behind"])
    assert qala(loaded, "engine", "load")[0] == 0
    assert told(loaded)["in_step"]
    assert qala(loaded, "engine", "verify")[0] == 0


def test_an_engine_that_does_not_answer_is_named_by_every_command(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"  # nobody listens
        sections = f"clickhouse:\n  address: {address}\n  database: qala\n  user: qala\n  reader: qala_reader\n"
        home.engine_settings.write_text(f"engine: clickhouse\n{sections}")
        monkeypatch.delenv(PASSWORD, raising=False)
        code, said = qala(home, "engine", "check")
        assert code == 1
        assert f"{PASSWORD} is not set" in said
        monkeypatch.setenv(PASSWORD, "hunter2")
        monkeypatch.setenv(READER_PASSWORD, "hunter3")
        for words in (("engine",), ("engine", "check"), ("engine", "load")):
            code, said = qala(home, *words)
            assert code == 1, said
            assert said.startswith("error: ")
            assert address in said
            assert "does not answer" in said
            assert "hunter" not in said
        code, said = qala(home, "engine", "verify")
        assert (code, "write it: qala engine load" in said) == (1, True)


def test_a_run_refuses_settings_at_fault_before_anything_is_taken_in(home: Home, tmp_path: Path) -> None:
    runs.receive(Archive(home.archive), tmp_path / "outbox", runs.accidents(1, 2))
    for text, said in (("engine: sparc\n", "did you mean spark?"), ("engine: spark\n", "has no section")):
        home.engine_settings.write_text(text)
        code, output = qala(home, "run")
        assert (code, said in output) == (1, True), output
    home.engine_settings.unlink()
    with writing(home) as store:
        assert store.con.execute("SELECT count(*) FROM audit.delivery").fetchone() == (0,)


def test_what_the_operators_page_has_written_is_understood(tmp_path: Path) -> None:
    said: dict[str, list[str]] = {"yaml": [], "sql": []}
    for block in blocks(Path(__file__).parents[2] / "docs" / "when-one-machine-is-not-enough.md"):
        said.setdefault(block.kind, []).append(block.text)
    for text in said["yaml"]:
        (tmp_path / "engine.yaml").write_text(text)
        assert chosen_engine(Home(tmp_path)).by
    assert len(said["yaml"]) == 2
    con = embedded(tmp_path / "chdb", "default", {})
    try:
        statements = [one for text in said["sql"] for one in re.sub("--.*", "", text).split(";") if one.strip()]
        assert len(statements) == 6
        for one in statements:
            con.ask(f"EXPLAIN AST {one}")
    finally:
        con.close()


def test_what_an_engine_refuses_survives_the_way_out_of_the_worker() -> None:
    error = RefusedError("http://127.0.0.1:8123", "Code: 60. DB::Exception: Table qala.x does not exist")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert (type(again), str(again), again.code) == (RefusedError, str(error), 60)
