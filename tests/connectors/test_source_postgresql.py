"""PostgreSQL as a source, against a real server: bytes that lose nothing, and every fault in words without the secret."""

from __future__ import annotations

import csv
import logging
import random
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from connectors.sources import postgresql as module
from connectors.sources.postgresql import Extract, PostgresqlSource, open_source
from connectors.sources.postgresql_session import Session
from connectors.sources.postgresql_settings import Settings
from connectors.sources.secrets import Secrets
from connectors.sources.settings import Regulation
from connectors.sources.source import Asked, Fetched, SourceError
from tests.support.cutting_proxy import line_to
from tools.servers import postgresql
from warehouse.periods import parse_period
from warehouse.sql import literal

pytestmark = pytest.mark.skipif(bool(postgresql.unavailable()), reason=postgresql.unavailable())
WORD = "read-me-only"
ASTANA = "710000000"
ROWS = [  # text, note, amount
    ("A1", "", "0.10"),
    ("A2", None, "12345678901234567890.000000001"),
    ("A3", 'quoted "twice", and a comma', "-0.00"),
    ("A4", "two\nlines", None),
    ("A5", "NULL", "NaN"),
    ("A6", "\\.", "1E+3"),
    ("A7", "Қала  \u00a0 ", "7"),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[postgresql.Server]:
    folder = tmp_path_factory.mktemp("postgresql")
    found = postgresql.up(folder)
    texts = ", ".join(
        f"({', '.join(map(literal, row))}, timestamptz '2026-01-0{n} 12:00:00.123456+05')"
        for n, row in enumerate(ROWS, 1)
    )
    found.psql(f"""
CREATE TABLE appeals (appeal_id text, note text, amount numeric, changed_at timestamptz);
INSERT INTO appeals VALUES {texts};
CREATE TABLE many AS SELECT i AS id, repeat('x', 90) AS filling FROM generate_series(1, 40000) AS i;
CREATE TABLE closed (id int); REVOKE ALL ON closed FROM reader;
CREATE TABLE guarded (id int, place text); INSERT INTO guarded VALUES (1, 'here'), (2, 'there');
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY; CREATE POLICY here ON guarded FOR SELECT USING (place = 'here');
""")
    yield found
    postgresql.remove(folder)


@pytest.fixture(autouse=True)
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QALA_TEST_DB", WORD)


def source(server: postgresql.Server, **said: Any) -> PostgresqlSource:
    known = {
        "host": "127.0.0.1",
        "port": server.port,
        "database": "akimat",
        "user": "reader",
        "password": {"env": "QALA_TEST_DB"},
        "tls": "off",
    }
    return open_source("archive-of-109", Settings.model_validate(known | said), Secrets("archive-of-109", Path()))


def asked(since: str | None = None, /, *, period: str = "2026-01", **said: Any) -> Asked:
    known = {"table": "fct_appeal", "settlements": [ASTANA], "first": "2026-01"}
    return Asked(Extract.model_validate(known | said), Regulation(), ASTANA, parse_period(period), since)


def fetched(found: Fetched | None) -> tuple[list[str], list[list[str]]]:
    assert found is not None
    (file,) = found.files
    with file.open(encoding="utf-8", newline="") as handle:
        header, *rows = csv.reader(handle)
    assert found.rows == len(rows)
    return header, rows


def test_text_of_every_value_is_exact(server: postgresql.Server, tmp_path: Path) -> None:
    found = source(server).fetch(asked(query="SELECT * FROM appeals ORDER BY appeal_id"), tmp_path)
    header, rows = fetched(found)
    assert header == ["appeal_id", "note", "amount", "changed_at"]
    exact = {"1E+3": "1000", "-0.00": "0.00"}
    assert [(a, b, c) for a, b, c, _ in rows] == [(a, b or "", exact.get(c, c) if c else "") for a, b, c in ROWS]
    assert rows[0][3] == "2026-01-01 07:00:00.123456+00"
    assert found is not None
    lines = found.files[0].read_bytes().splitlines()
    assert lines[1].startswith(b'A1,"",')  # an empty text
    assert lines[2].startswith(b"A2,,")  # no text
    assert b"A5,NULL,NaN" in lines[6] or b"A5,NULL,NaN" in b"".join(lines)


def test_moments_in_the_time_zone_that_is_declared(server: postgresql.Server, tmp_path: Path) -> None:
    _, rows = fetched(
        source(server, time_zone="Asia/Almaty").fetch(asked(query="SELECT changed_at FROM appeals LIMIT 1"), tmp_path)
    )
    assert rows == [["2026-01-01 12:00:00.123456+05"]]


def test_of_a_table_by_its_columns_and_the_days_of_the_period(server: postgresql.Server, tmp_path: Path) -> None:
    one: dict[str, Any] = {"source_table": "public.appeals", "columns": ["appeal_id"], "period_by": "changed_at"}
    assert len(fetched(source(server).fetch(asked(**one), tmp_path))[1]) == len(ROWS)
    (tmp_path / "february").mkdir()
    _, rows = fetched(source(server).fetch(asked(period="2026-02", **one), tmp_path / "february"))
    assert rows == []


def test_placeholders_are_literals_whatever_they_hold(server: postgresql.Server, tmp_path: Path) -> None:
    places: dict[str, Any] = {"settlements": {ASTANA: "O'Brien\\'; DROP TABLE appeals; --"}}
    query = "SELECT {place} AS place, {settlement} AS kato, {year} AS year, {month} AS month, {period_end} AS last"
    _, rows = fetched(source(server).fetch(asked(query=query, **places), tmp_path))
    assert rows == [[places["settlements"][ASTANA], ASTANA, "2026", "1", "2026-01-31"]]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("DELETE FROM appeals", "DELETE"),
        ("WITH gone AS (DELETE FROM appeals RETURNING *) SELECT * FROM gone", "DELETE"),
        ("SELECT * INTO copied FROM appeals", "INTO"),
        ("SELECT * FROM appeals FOR UPDATE", "LOCK"),
        ("SELECT 1; SELECT 2", "one statement"),
        ("SELECT * FROM appeals WHERE note = '{settlement}'", "in quotes"),
        ("SELECT {settelment}", "no placeholder"),
        ("SELECT (1", "cannot be read"),
        ("COPY appeals TO PROGRAM 'cat'", "COPY"),
        ("SELECT * FROM appeals WHERE changed_at > {since}", "changed_by"),
    ],
)
def test_a_query_that_is_more_than_one_question_is_refused(query: str, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        asked(query=query)


def test_what_gets_past_the_parser_still_cannot_write(server: postgresql.Server, tmp_path: Path) -> None:
    server.psql("CREATE FUNCTION sly() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'DELETE FROM appeals RETURNING 1'")
    with pytest.raises(SourceError, match="read-only"):
        source(server).fetch(asked(query="SELECT sly() AS x"), tmp_path)
    assert server.psql("SELECT count(*) FROM appeals").strip() == str(len(ROWS))


# --- the change attribute ---


def test_only_what_changed_since_is_asked_for(server: postgresql.Server, tmp_path: Path) -> None:
    one = {"query": "SELECT appeal_id, changed_at FROM appeals", "changed_by": "changed_at"}
    first = source(server).fetch(asked(**one), tmp_path)
    assert first is not None
    assert (first.rows, first.until) == (7, "2026-01-07 07:00:00.123456+00")
    for name, said, rows in (("same", {}, 1), ("wide", {"overlap": "1 day"}, 2), ("all", {"overlap": "30 days"}, 7)):
        (tmp_path / name).mkdir()
        again = source(server).fetch(asked(first.until, **one, **said), tmp_path / name)
        assert again is not None
        assert (again.rows, again.until) == (rows, first.until)
    nothing = {"query": "SELECT appeal_id, changed_at FROM appeals WHERE appeal_id > 'B'", "changed_by": "changed_at"}
    (tmp_path / "none").mkdir()
    assert source(server).fetch(asked(first.until, **nothing), tmp_path / "none") is None


def test_a_change_in_the_future_hides_none_that_come_before_it(server: postgresql.Server, tmp_path: Path) -> None:
    query = "SELECT * FROM (VALUES (1, now()), (2, timestamptz '2999-01-01'), (3, 'infinity'), (4, NULL)) AS t(id, changed_at)"
    one = {"query": query, "changed_by": "changed_at"}
    first = source(server).fetch(asked(**one), tmp_path)
    assert first is not None
    assert first.until is not None
    assert first.until < "2999"
    (tmp_path / "again").mkdir()
    again = source(server).fetch(asked(first.until, **one), tmp_path / "again")
    assert again is not None
    assert again.rows == 4  # and one without a value comes every time


def test_since_in_the_query_itself(server: postgresql.Server, tmp_path: Path) -> None:
    one = {
        "query": "SELECT i AS id FROM generate_series(1, 100) AS i WHERE i > {since}",
        "changed_by": "id",
        "begin": "0",
        "overlap": "10",
    }
    first = source(server).fetch(asked(**one), tmp_path)
    assert first is not None
    assert (first.rows, first.until) == (100, "100")
    (tmp_path / "again").mkdir()
    again = source(server).fetch(asked("50", **one), tmp_path / "again")
    assert again is not None
    assert again.rows == 60


@pytest.mark.parametrize(
    ("said", "setting"),
    [
        ({"changed_by": "nowhere"}, "changed_by"),
        ({"changed_by": "note"}, "changed_by"),
        ({"changed_by": "changed_at", "overlap": "10"}, "overlap"),
    ],
)
def test_a_change_attribute_that_cannot_be_one(
    server: postgresql.Server, tmp_path: Path, said: dict[str, str], setting: str
) -> None:
    with pytest.raises(SourceError) as error:
        source(server).fetch(asked("2026-01-01 00:00:00+00", query="SELECT * FROM appeals", **said), tmp_path)
    assert setting in error.value.setting


def test_extract_sees_one_moment(server: postgresql.Server, tmp_path: Path) -> None:
    """What is committed while an extract is copied is neither in it nor in what its change attribute says."""
    server.psql("DROP TABLE IF EXISTS moving; CREATE TABLE moving AS SELECT i AS id FROM generate_series(1, 1000) AS i")
    one = asked(query="SELECT id FROM moving", changed_by="id")
    found = source(server)
    before = module._until

    def later(*given: Any) -> str | None:
        server.psql("INSERT INTO moving VALUES (5000)")
        return before(*given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_until", later)
        first = found.fetch(one, tmp_path)
    assert first is not None
    assert (first.rows, first.until) == (1000, "1000")


# --- what goes wrong ---


def told(error: SourceError) -> str:
    """Everything an error shows: words, repr, traceback with the values of variables, those of the test aside."""
    while error.__traceback__ is not None and error.__traceback__.tb_frame.f_code.co_filename == __file__:
        error.__traceback__ = error.__traceback__.tb_next
    lines = traceback.TracebackException.from_exception(error, capture_locals=True).format()
    return "\n".join([str(error), repr(error), *lines])


FAULTS: list[tuple[dict[str, Any], str, str, str]] = [  # settings, query, setting named, remedy
    ({"password": {"env": "QALA_WRONG_DB"}}, "SELECT 1", "connection.password", "password"),
    ({"user": "nobody-here"}, "SELECT 1", "connection.password", "password"),
    ({"database": "postgres"}, "SELECT 1", "connection.user", "pg_hba"),
    ({"port": 1}, "SELECT 1", "connection.port", "firewall"),
    ({"tls": "verify-full"}, "SELECT 1", "connection.tls", "certificate"),
    ({"statement_seconds": 1}, "SELECT pg_sleep(5)", "connection.statement_seconds", "shorter period"),
    ({}, "SELECT * FROM nowhere", "extract.query", "schema"),
    ({}, "SELECT nothing FROM appeals", "extract.query", "columns"),
    ({}, "SELECT * FROM closed", "extract.query", "GRANT SELECT"),
    ({}, "SELECT 1 / 0 AS x", "extract.query", "psql"),
    ({}, "SELECT * FROM guarded", "extract.query", "GRANT"),
    ({}, "SELECT 1 / (i - 30000) AS x FROM generate_series(1, 40000) AS i", "extract.query", "psql"),  # after many rows
]


@pytest.mark.parametrize(("said", "query", "setting", "remedy"), FAULTS)
def test_a_fault_names_source_setting_and_remedy_and_no_secret(
    server: postgresql.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
    said: dict[str, Any], query: str, setting: str, remedy: str,
) -> None:  # fmt: skip
    monkeypatch.setenv("QALA_WRONG_DB", "another-word-entirely")
    caplog.set_level(logging.DEBUG)
    logging.getLogger("psycopg").setLevel(logging.DEBUG)
    with pytest.raises(SourceError) as error:
        source(server, **said).fetch(asked(query=query), tmp_path)
    assert error.value.source == "archive-of-109"
    assert setting in error.value.setting
    assert remedy in error.value.remedy
    assert WORD not in told(error.value) + caplog.text
    assert "another-word-entirely" not in told(error.value) + caplog.text


def test_a_database_that_is_not_there(server: postgresql.Server, tmp_path: Path) -> None:
    server.psql("SELECT 1")
    with pytest.raises(SourceError) as error:
        source(server, database="nowhere").fetch(asked(query="SELECT 1 AS x"), tmp_path)
    assert error.value.setting in ("connection.database", "connection.user")


def test_certificate_of_its_host(server: postgresql.Server, tmp_path: Path) -> None:
    known = tmp_path / "server.crt"
    known.write_bytes(server.certificate.read_bytes())
    found = source(server, host="localhost", tls="verify-full", certificate=str(known))
    assert any("encrypted (TLS" in text for text in found.check())
    with pytest.raises(SourceError) as error:  # the certificate names localhost
        source(server, tls="verify-full", certificate=str(known)).check()
    assert error.value.setting == "connection.tls"


@pytest.mark.parametrize("host", ["db.akimat.kz", "8.8.8.8", "::"])
def test_in_the_clear_only_near(host: str) -> None:
    with pytest.raises(ValidationError, match="tls is off"):
        Settings.model_validate({"host": host, "database": "x", "user": "x", "password": {"env": "X"}, "tls": "off"})


def test_policies_that_hide_rows_are_known(server: postgresql.Server, tmp_path: Path) -> None:
    _, rows = fetched(source(server, row_security=True).fetch(asked(query="SELECT * FROM guarded"), tmp_path))
    assert rows == [["1", "here"]]


def test_check_tells_who_may_write(server: postgresql.Server, monkeypatch: pytest.MonkeyPatch) -> None:
    assert source(server).check()[-1] == "user reader may only read"
    server.psql("GRANT INSERT ON appeals TO reader")
    assert "writes into public.appeals" in source(server).check()[-1]
    server.psql("REVOKE INSERT ON appeals FROM reader")
    monkeypatch.setenv("QALA_TEST_DB", "own-it-all")
    assert "may write" in source(server, user="owner").check()[-1]


def test_unplugged_at_random_moments_nothing_counts(server: postgresql.Server, tmp_path: Path) -> None:
    one, chance = asked(query="SELECT * FROM many ORDER BY id"), random.Random(469)  # noqa: S311
    (tmp_path / "whole").mkdir()
    whole = source(server).fetch(one, tmp_path / "whole")
    assert whole is not None
    size = whole.files[0].stat().st_size
    for number in range(20):
        folder = tmp_path / str(number)
        folder.mkdir()
        with line_to(server.port) as line:
            line.cut_after(chance.randrange(size))
            with pytest.raises(SourceError) as error:
                source(server, port=line.port).fetch(one, folder)
        assert error.value.passing, error.value
        assert not list(folder.iterdir())
    (tmp_path / "after").mkdir()
    after = source(server).fetch(one, tmp_path / "after")
    assert after is not None
    assert after.files[0].read_bytes() == whole.files[0].read_bytes()


def test_a_silent_network_is_not_waited_for(
    server: postgresql.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.sources.postgresql_session._GRACE", 0)
    one = asked(query="SELECT * FROM many")
    with line_to(server.port) as line:
        line.silent = True
        line.cut_after(500_000)
        with pytest.raises(SourceError) as error:
            source(server, port=line.port, statement_seconds=1).fetch(one, tmp_path)
    assert error.value.passing


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_server_restarted_in_the_middle(server: postgresql.Server, tmp_path: Path, mode: str) -> None:
    found, stopped = source(server), list[str]()

    def wait(session: Session, before: Any = Session._wait) -> None:
        if not stopped and (tmp_path / "fct_appeal-2026-01-01.csv").exists():
            stopped.append(mode)
            server.stop(mode)
        before(session)

    slow = "SELECT i, pg_sleep(0.2) FROM generate_series(1, 100) AS i"
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Session, "_wait", wait)
            with pytest.raises(SourceError) as error:
                found.fetch(asked(query=slow), tmp_path)
    finally:
        server.start()
    assert stopped
    assert error.value.passing
    assert not list(tmp_path.iterdir())
    assert found.fetch(asked(query="SELECT count(*) FROM many"), tmp_path) is not None
