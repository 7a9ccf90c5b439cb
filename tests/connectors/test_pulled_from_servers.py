"""Pulls from real servers over a line that is unplugged at any moment: every extract is delivered whole and once, and the next pull goes on."""

from __future__ import annotations

import csv
import datetime as dt
import io
import os
import random
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from connectors.archive.archive import Archive
from connectors.archive.bundle import opened as opened_bundle
from connectors.sources.connections import read_connection
from connectors.sources.pull import Outcome
from tests.support.cutting_proxy import Line, line_to
from tests.support.fake_source import World
from tests.support.pulling import PLACES, Place, file_of
from tests.support.sources import everything_said, long_ago
from tools.servers import http_api, postgresql, s3, sftp
from warehouse.sql import literal

ROOT = Path(__file__).parents[2]
MONTHS = ("2026-01", "2026-02", "2026-03")
# what there is to fetch: by settlement and month
FILES = {
    (scope, month): file_of(1000 * n + 100 * m, 90, month)
    for n, scope in enumerate(PLACES)
    for m, month in enumerate(MONTHS)
}
PATH = "{settlement}/{year}-{month}/crashes.csv"


@dataclass(frozen=True)
class Fetching:
    """A server with FILES, and the connection to it over the line."""

    port: int
    write: Callable[[Line, Path], Mapping[str, Any]]
    secret: str


@pytest.fixture(scope="module")
def by_sftp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fetching]:
    if said := sftp.unavailable():
        pytest.skip(said)
    server = sftp.up(tmp_path_factory.mktemp("sftp"))
    for (scope, month), content in FILES.items():
        path = server.files / scope / month / "crashes.csv"
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        os.utime(path, (long_ago(),) * 2)

    def write(line: Line, home: Path) -> Mapping[str, Any]:
        known = server.known_hosts.read_text(encoding="ascii").replace(str(server.port), str(line.port))
        (home / "known_hosts").write_text(known, encoding="ascii")
        connection = {
            "host": "127.0.0.1",
            "port": line.port,
            "user": server.user,
            "known_hosts": "known_hosts",
            "private_key": {"file": str(server.folder / "client_key")},
            "folder": str(server.files),
            "timeout_seconds": 10,
        }
        return {"type": "sftp", "connection": connection, "extracts": [_extract(path=PATH)]}

    yield Fetching(server.port, write, (server.folder / "client_key").read_text(encoding="ascii").splitlines()[2])
    sftp.down(server.folder)


@pytest.fixture(scope="module")
def by_s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fetching]:
    folder = tmp_path_factory.mktemp("s3")
    server = s3.up(folder)
    for (scope, month), content in FILES.items():
        server.client().put_object(Bucket=s3.BUCKET, Key=f"{scope}/{month}/crashes.csv", Body=content)
    os.environ |= {"TEST_S3_ACCESS": server.access_key, "TEST_S3_SECRET": server.secret_key}

    def write(line: Line, home: Path) -> Mapping[str, Any]:
        connection = {
            "endpoint": f"127.0.0.1:{line.port}",
            "scheme": "http",
            "bucket": s3.BUCKET,
            "access_key": {"env": "TEST_S3_ACCESS"},
            "secret_key": {"env": "TEST_S3_SECRET"},
            "timeout_seconds": 3,
        }
        return {"type": "s3", "connection": connection, "extracts": [_extract(path=PATH)]}

    yield Fetching(server.port, write, server.secret_key)
    s3.down(folder)


class Monthly(http_api.Api):
    """The API, with the rows of a settlement and a month."""

    def answer(self, path: str, query: dict[str, str]) -> http_api.Answer:
        _, scope, month = path.strip("/").split("/")
        rows = list(csv.DictReader(io.StringIO(FILES[scope, month].decode())))
        # without an address: links are relative
        month_alone = http_api.Api(rows=rows)
        return http_api.STYLES["link"](http_api.Asked(month_alone, path, query, 1))


@pytest.fixture(scope="module")
def by_http() -> Iterator[Fetching]:
    os.environ["TEST_HTTP_TOKEN"] = http_api.TOKEN
    paging = {"style": "link", "size": 40, "size_parameter": "size"}

    def write(line: Line, home: Path) -> Mapping[str, Any]:
        connection = {
            "address": f"http://127.0.0.1:{line.port}",
            "unencrypted": True,
            "auth": {"bearer": {"env": "TEST_HTTP_TOKEN"}},
        }
        extract = _extract(endpoint="link/{settlement}/{year}-{month}", paging=paging)
        return {"type": "http", "connection": connection, "extracts": [extract]}

    with http_api.serving(Monthly()) as api:
        yield Fetching(int(api.address.rpartition(":")[2]), write, http_api.TOKEN)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[postgresql.Server]:
    if said := postgresql.unavailable():
        pytest.skip(said)
    folder = tmp_path_factory.mktemp("postgresql")
    server = postgresql.up(folder)
    rows = [
        (*row.values(), scope)
        for (scope, _), content in FILES.items()
        for row in csv.DictReader(io.StringIO(content.decode()))
    ]
    values = ", ".join(f"({', '.join(map(literal, row))})" for row in rows)
    server.psql(f"""
CREATE TABLE crashes (crash_id text, occurred_at timestamp, district_id text, deaths_30d int, injured numeric, kato text);
INSERT INTO crashes VALUES {values}""")
    os.environ["TEST_DATABASE_PASSWORD"] = server.reader_password
    yield server
    postgresql.remove(folder)


def _of_database(server: postgresql.Server, kind: str, **own: Any) -> Fetching:
    def write(line: Line, home: Path) -> Mapping[str, Any]:
        connection = {
            "host": "127.0.0.1",
            "port": line.port,
            "database": postgresql.DATABASE,
            "user": postgresql.READER,
            "password": {"env": "TEST_DATABASE_PASSWORD"},
            **own,
        }
        query = (
            "SELECT crash_id, occurred_at, district_id, deaths_30d, injured FROM crashes "
            "WHERE kato = {settlement} AND occurred_at >= {period_start} AND occurred_at < {period_after} ORDER BY crash_id"
        )
        return {"type": kind, "connection": connection, "extracts": [_extract(query=query)]}

    return Fetching(server.port, write, server.reader_password)


@pytest.fixture
def by_postgresql(database: postgresql.Server) -> Fetching:
    return _of_database(database, "postgresql", tls="off", statement_seconds=10)


@pytest.fixture
def by_sql(database: postgresql.Server) -> Fetching:
    return _of_database(database, "sql", driver="postgresql+psycopg")


def _extract(**own: Any) -> Mapping[str, Any]:
    return {"table": "fct_crash", "settlements": list(PLACES), "first": "2026-01", **own}


@pytest.fixture(params=["by_http", "by_sftp", "by_s3", "by_postgresql", "by_sql"])
def fetching(request: pytest.FixtureRequest) -> Fetching:
    found: Fetching = request.getfixturevalue(request.param)
    return found


def place(root: Path, fetching: Fetching, line: Line) -> Place:
    made = Place.make(root, World(), "")
    text = yaml.safe_dump(dict(fetching.write(line, made.home.root)), allow_unicode=True)
    (made.home.sources / "office.yaml").write_text(text, encoding="utf-8")
    return made


def delivered(one: Place) -> dict[tuple[str, str], str]:
    """(settlement, month) → SHA-256 of the content of every receipt; each month is there once."""
    receipts = Archive(one.home.archive).pending()
    found = {(receipt.scope, receipt.period): receipt.sha256 for receipt in receipts}
    assert len(found) == len(receipts)
    return found


def let_out(home: Path) -> str:
    """Everything that lies in the home, as text, but for what was fetched."""
    return "".join(
        path.read_text(encoding="utf-8", errors="replace")
        for path in home.rglob("*")
        if path.is_file() and "bytes" not in path.parts
    )


@pytest.mark.slow
def test_every_extract_is_delivered_whole_and_once(tmp_path: Path, fetching: Fetching) -> None:
    chance = random.Random(47)  # noqa: S311
    with line_to(fetching.port) as line, everything_said() as said:
        whole = place(tmp_path / "whole", fetching, line)
        assert {one.outcome for one in whole.pull()} == {Outcome.DELIVERED}
        expected, bytes_of_all = delivered(whole), line.passed
        assert set(expected) == set(FILES)
        for number in range(20):
            cut = place(tmp_path / str(number), fetching, line)
            line.cut_after(chance.randrange(bytes_of_all * 9 // 10))
            told = cut.pull()
            assert {one.outcome for one in told} <= {Outcome.DELIVERED, Outcome.FAILED}
            assert all(one.passing for one in told if one.outcome is Outcome.FAILED)
            assert told[-1].outcome is Outcome.FAILED
            part = delivered(cut)
            assert part.items() <= expected.items()
            assert len(part) < len(expected)
            line.mend()
            cut.pull()
            assert delivered(cut) == expected
            shown = "".join(f"{one.said}{one}" for one in told) + let_out(cut.home.root / "pulls")
            assert fetching.secret not in shown
        assert fetching.secret not in said.getvalue()


@pytest.mark.slow
def test_what_was_fetched_is_loaded(tmp_path: Path, by_http: Fetching) -> None:
    with line_to(by_http.port) as line:
        one = place(tmp_path / "home", by_http, line)
        assert {told.outcome for told in one.pull()} == {Outcome.DELIVERED}
        archive = Archive(one.home.archive)
        with archive.open(archive.pending()[0].sha256) as content:
            (tmp_path / "content").write_bytes(content.read())
        with opened_bundle(tmp_path / "content") as (members, _):
            assert [Path(member.name).name for member in members] == [
                "page-00001.json",
                "page-00002.json",
                "page-00003.json",
            ]
        one.load()
    assert {state for _, _, state in one.states()} == {"loaded"}
    assert len(one.rows()) == 90 * len(FILES)


@pytest.mark.parametrize("kind", ["by_postgresql", "by_sql"])
def test_rows_of_a_database_are_those_of_the_files(tmp_path: Path, kind: str, request: pytest.FixtureRequest) -> None:
    fetching: Fetching = request.getfixturevalue(kind)
    with line_to(fetching.port) as line:
        one = place(tmp_path / "home", fetching, line)
        told = one.pull()
        assert {answer.outcome for answer in told} == {Outcome.DELIVERED}, told
        one.load()
    assert one.rows() == {
        (scope, "standard", row["crash_id"], dt.datetime.fromisoformat(row["occurred_at"]), 0, int(row["injured"])): 1
        for (scope, _), content in FILES.items()
        for row in csv.DictReader(io.StringIO(content.decode()))
    }


def test_every_example_of_the_page_is_a_source(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "connect-a-server.md").read_text(encoding="utf-8")
    kinds = []
    for number, example in enumerate(re.findall(r"^```yaml\n(type: .*?)^```", page, re.MULTILINE | re.DOTALL)):
        path = tmp_path / f"example{number}.yaml"
        path.write_text(example, encoding="utf-8")
        kinds.append(read_connection(path).kind)
    assert {"sftp", "s3", "http"} <= set(kinds)


def outcomes(one: Place) -> list[Outcome]:
    told = one.pull()
    assert not [one.said for one in told if one.outcome is Outcome.FAILED]
    return [one.outcome for one in told]


@pytest.mark.slow
def test_what_changed_since_is_pulled_page_by_page(tmp_path: Path, by_http: Fetching) -> None:
    assert by_http.secret == os.environ["TEST_HTTP_TOKEN"]
    lines = list(csv.DictReader(io.StringIO(FILES[PLACES[0], MONTHS[0]].decode())))
    rows = [line | {"changed": f"2026-01-05T{n // 60:02}:{n % 60:02}:00"} for n, line in enumerate(lines)]
    with http_api.serving(http_api.Api(rows=rows[:60])) as api, line_to(int(api.address.rpartition(":")[2])) as line:
        extract = _extract(
            system="counter",
            endpoint="link",
            parameters={"changed_from": "{since}"},
            changed_by="changed",
            paging={"style": "link", "size": 25, "size_parameter": "size"},
        )
        said = {**by_http.write(line, tmp_path), "extracts": [{**extract, "settlements": [PLACES[0]]}]}
        said["connection"] = {**said["connection"], "address": api.address}
        one = place(tmp_path / "home", Fetching(by_http.port, lambda *_: said, by_http.secret), line)
        contract = one.home.contracts / "counter" / "fct_crash.odcs.yaml"
        others = "customProperties:\n  - {property: otherHeaders, value: ignore}\n"
        contract.write_text(contract.read_text().replace("customProperties:\n", others))
        assert outcomes(one) == [Outcome.DELIVERED]
        one.load()
        assert outcomes(one) == [Outcome.DELIVERED]  # the row of the newest moment comes again
        assert outcomes(one) == [Outcome.UNCHANGED]
        api.rows = rows
        assert outcomes(one) == [Outcome.DELIVERED]
        one.load()
        assert outcomes(one) == [Outcome.DELIVERED]
        one.load()
    assert [path for path, _ in api.seen if "after" not in path][-1].endswith(
        "changed_from=2026-01-05T01%3A29%3A00&size=25"
    )
    assert len(one.rows()) == len(rows)
