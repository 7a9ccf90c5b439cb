"""What a source's file may say, what its placeholders stand for, what is due by its regulation, and checksum files."""

from __future__ import annotations

import datetime as dt
import hashlib
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.mapping.read_contracts import SHIPPED, load_sources
from connectors.sources import checksums
from connectors.sources.connection_checks import connection_faults
from connectors.sources.connections import load_connections
from connectors.sources.regulation import due_on, ended_periods, in_a_row, since_of, standing, wanted
from connectors.sources.settings import Extract, Regulation
from connectors.sources.source import Asked, SourceError
from tests.support.settlements import ASTANA
from warehouse.home.home import Home
from warehouse.loading.pulls import PulledDelivery
from warehouse.periods import parse_period
from warehouse.tables.contracts import load_tables

GOOD = """\
type: folder
connection:
  folder: /srv/exchange
regulation: {frequency: monthly, delay_days: 3}
extracts:
  - table: fct_appeal
    system: ikomek109
    settlements: {"710000000": astana}
    first: 2026-01
    path: "{year}/{month}/appeals_{place}.csv"
"""
WORD = "hunter22secret"


def _said(root: Path, text: str, name: str = "office.yaml") -> list[str]:
    """All that is wrong with a file, by itself and in its home."""
    home = Home(root)
    home.sources.mkdir(exist_ok=True)
    (home.sources / name).write_text(text)
    found, faults = load_connections(home)
    tables = load_tables()
    contracts = load_sources(tables, [SHIPPED])
    faults += [fault for one in found.values() for fault in connection_faults(one, tables, contracts)]
    return [f"{fault.line}: {fault.message} — {fault.remedy}" for fault in faults]


def test_a_whole_file_is_read(tmp_path: Path) -> None:
    assert _said(tmp_path, GOOD) == []
    (connected,) = load_connections(Home(tmp_path))[0].values()
    (extract,) = connected.extracts
    assert (connected.kind, connected.regulation(extract).delay_days, dict(extract.places)) == (
        "folder",
        3,
        {ASTANA: "astana"},
    )


@pytest.mark.parametrize(
    ("before", "after", "line", "said"),
    [
        ("type: folder", "type: foldr", 1, "did you mean folder?"),
        ("type: folder", f"type: {WORD}", 1, "there are folder"),
        ("type: folder\n", "", 1, "does not say its type"),
        ("folder: /srv/exchange", "folder: exchange", 3, "connection.folder: is not the whole path"),
        ("folder: /srv/exchange", f"folder: /srv\n  password: {WORD}", 4, "connection.password: no such secret is known here"),
        ("folder: /srv/exchange", f"folder: /srv\n  adress: {WORD}", 4, "unknown key connection.adress"),
        ("folder: /srv/exchange", "file: /srv", 3, "unknown key connection.file"),
        ("folder: /srv/exchange", f"folder: sftp://u:{WORD}@host/x", 3, "the address has a password in it"),
        ("folder: /srv/exchange", f"folder: *{WORD}", 3, "not valid YAML"),
        ("delay_days: 3", "delay_days: soon", 4, "regulation.delay_days"),
        ("delay_days: 3", "rows: {least: 5, most: 4}", 4, "most is fewer than least"),
        ("frequency: monthly", "frequency: hourly", 4, "regulation.frequency"),
        ("table: fct_appeal", "table: fct_appeals", 6, "there is no table 'fct_appeals'"),
        ("system: ikomek109", "system: ikomek", 7, "no contract of system ikomek feeds fct_appeal"),
        ('{"710000000": astana}', "[710000000]", 8, "write it in quotes"),
        ('{"710000000": astana}', '["710000009"]', 8, "is no settlement, region or KZ"),
        ('{"710000000": astana}', "[]", 8, "settlements"),
        ("first: 2026-01", "first: 2026-13", 9, "is no period"),
        ("first: 2026-01", "first: 2026-02\n    period: quarter", 9, "no quarter from 2000 on begins with it"),
        ("first: 2026-01", "first: 2026-01\n    changed_by: at", 10, "files are taken whole"),
        ("{month}", "{mon}", 10, "there is no placeholder {mon}"),
        ("{month}", "{since}", 10, "{since} cannot stand here"),
        ("{month}", "{month:%d}", 10, "{month:%d} is not known"),
        ("{month}", "{month", 10, "brace that is not closed"),
        ("{year}/", "../", 10, "must be a path below the folder"),
        ("{year}/", "/", 10, "must be a path below the folder"),
        ("extracts:", f"extract: {WORD}\nextracts:", 5, "did you mean extracts?"),
    ],
)  # fmt: skip
def test_a_fault_is_told_with_its_line_and_no_value_is_repeated(
    tmp_path: Path, before: str, after: str, line: int, said: str
) -> None:
    assert before in GOOD
    told = _said(tmp_path, GOOD.replace(before, after, 1))
    assert any(text.startswith(f"{line}: ") and said in text for text in told), told
    assert WORD not in "".join(told)


def test_an_extract_is_named_once(tmp_path: Path) -> None:
    twice = GOOD + GOOD.partition("extracts:\n")[2]
    assert ["is named by another extract too" in text for text in _said(tmp_path, twice)] == [True]


@pytest.mark.parametrize("name", ["Office.yaml", "a b.yaml", "office.yml", "1.yaml"])
def test_a_file_is_named_as_its_source(tmp_path: Path, name: str) -> None:
    assert "is no name of a source" in _said(tmp_path, GOOD, name)[0]


# --- placeholders ---


def _asked(period: str, since: str | None = None) -> Asked:
    extract = Extract(table="t", settlements={ASTANA: "astana"}, first="2026-01")
    return Asked(extract, Regulation(), ASTANA, parse_period(period), since)


def test_placeholders_stand_for_what_is_asked() -> None:
    text = "{year}|{month}|{month:1}|{quarter}|{period}|{settlement}|{place}|{period_start}|{period_end}|{period_after:%d.%m.%y}|{{x}}|{since}"
    assert _asked("2026-02", "7").fill(text) == (
        "2026|02|2|1|2026-02|710000000|astana|2026-02-01|2026-02-28|01.03.26|{x}|7"
    )
    assert _asked("2026-Q4").fill("{quarter} {month} {period_end}") == "4 10 2026-12-31"


# --- what is due ---


def _pulled(period: str, state: str = "loaded", since: str | None = None, until: str | None = None) -> PulledDelivery:
    when = f"2026-04-01T00:00:00.{int(hashlib.sha256(f'{period}{since}{until}'.encode()).hexdigest()[:4], 16):06}+00:00"
    return PulledDelivery(when, "office", "t", "standard", ASTANA, period, "x", when, since, until, state)


def _extract(**more: object) -> Extract:
    return Extract.model_validate({"table": "t", "settlements": [ASTANA], "first": "2026-01", **more})


@pytest.mark.parametrize(
    ("period", "first", "today", "expected"),
    [
        ("month", "2026-01", "2026-03-31", ["2026-01", "2026-02"]),
        ("month", "2026-01", "2026-04-01", ["2026-01", "2026-02", "2026-03"]),
        ("quarter", "2026-Q1", "2026-07-01", ["2026-Q1", "2026-Q2"]),
        ("year", "2024", "2026-01-01", ["2024", "2025"]),
        ("year", "2026", "2026-12-31", []),
    ],
)
def test_periods_are_asked_for_when_they_have_ended(period: str, first: str, today: str, expected: list[str]) -> None:
    found = ended_periods(_extract(period=period, first=first), dt.date.fromisoformat(today))
    assert [one.id for one in found] == expected


@given(
    st.lists(
        st.tuples(st.integers(1, 6), st.sampled_from(["loaded", "received", "refused", "withdrawn", "duplicate"]))
    ),
    st.integers(0, 4),
)
def test_what_was_not_taken_is_asked_for_and_the_newest_again(before: list[tuple[int, str]], look_back: int) -> None:
    pulled = [_pulled(f"2026-{month:02}", state) for month, state in before]
    taken = {f"2026-{month:02}" for month, state in before if state not in ("refused", "withdrawn")}
    months = [f"2026-{month:02}" for month in range(1, 7)]
    found = [one.id for one in wanted(_extract(look_back=look_back), pulled, dt.date(2026, 7, 1))]
    again = [month for month in months if month in taken][-look_back:] if look_back else []
    assert found == [month for month in months if month not in taken or month in again]


@pytest.mark.parametrize(
    ("before", "since", "period"),
    [
        ([], None, "2026-01/2026-04"),
        ([("2026-01/2026-03", "loaded", None, "a")], "a", "2026-03/2026-04"),
        ([("2026-01/2026-03", "refused", None, "a")], None, "2026-01/2026-04"),
        ([("2026-01/2026-03", "loaded", None, "a"), ("2026-03", "refused", "a", "b"), ("2026-04", "loaded", "b", "c")], "a", "2026-03/2026-04"),
        ([("2026-01/2026-03", "received", None, "a"), ("2026-04", "received", "a", "b")], "b", "2026-04"),
        ([("2026-01/2026-03", "withdrawn", None, "a"), ("2026-04", "loaded", "a", "b")], None, "2026-01/2026-04"),
        ([("2026-01/2026-03", "loaded", None, "a"), ("2026-04", "loaded", "a", "a")], "a", "2026-04"),
    ],
)  # fmt: skip
def test_the_next_pull_begins_where_the_row_of_deliveries_ends(
    before: list[tuple[str, str, str | None, str]], since: str | None, period: str
) -> None:
    extract, pulled = _extract(changed_by="at"), [_pulled(p, state, a, b) for p, state, a, b in before]
    assert since_of(extract, pulled) == since
    assert [one.id for one in wanted(extract, pulled, dt.date(2026, 4, 20))] == [period]


@given(st.lists(st.tuples(st.sampled_from([None, *"abc"]), st.sampled_from([*"abc"]))))
def test_a_row_of_deliveries_ends_whatever_they_say(steps: list[tuple[str | None, str]]) -> None:
    found = list(in_a_row([_pulled("2026-01", since=since, until=until) for since, until in steps]))
    assert len(found) <= 4
    assert all(a.until == b.since for a, b in pairwise(found))


@pytest.mark.parametrize(
    ("frequency", "period", "due"),
    [
        ("monthly", "2026-02", "2026-03-01"),
        ("daily", "2026-02", "2026-03-01"),
        ("quarterly", "2026-02", "2026-04-01"),
        ("quarterly", "2026-03", "2026-04-01"),
        ("yearly", "2026-02", "2027-01-01"),
    ],
)
def test_an_extract_is_due_when_its_source_gives_it(frequency: str, period: str, due: str) -> None:
    assert due_on(parse_period(period), Regulation.model_validate({"frequency": frequency})) == dt.date.fromisoformat(
        due
    )


def test_overdue_begins_after_the_permitted_delay() -> None:
    extract, regulation, before = _extract(), Regulation(delay_days=5), [_pulled("2026-01"), _pulled("2026-02")]
    for day, late in ((1, 0), (6, 0), (7, 1), (10, 4)):
        today = dt.date(2026, 4, day)
        found = standing(extract, regulation, before, None, today)
        assert (found.newest, str(found.due), found.days_late(today)) == ("2026-02", "2026-04-01", late)


def test_what_changed_is_due_by_when_it_was_asked_for_last() -> None:
    extract, regulation = _extract(changed_by="at"), Regulation(frequency="weekly", delay_days=1)
    looked = "2026-04-10T05:00:00+00:00"
    found = standing(extract, regulation, [_pulled("2026-04", until="a")], looked, dt.date(2026, 4, 20))
    assert (str(found.due), found.days_late(dt.date(2026, 4, 20))) == ("2026-04-17", 2)


# --- checksum files ---

CONTENT = b"a;b\n1;2\n"
HEX = hashlib.sha256(CONTENT).hexdigest()


@pytest.mark.parametrize(
    "said",
    [
        HEX,
        HEX.upper() + "\r\n",
        f"{HEX}  data.csv\n",
        f"{HEX} *data.csv\n",
        f"\ufeff{HEX}  ./out/data.csv",
        f"SHA256 (data.csv) = {HEX}",
        f"# made by x\n{'0' * 64}  other.csv\n{HEX}  data.csv\n",
        f"{hashlib.md5(CONTENT).hexdigest()}  data.csv",  # noqa: S324
        f"{hashlib.sha512(CONTENT).hexdigest()}  data.csv",
    ],
)
def test_a_checksum_file_in_any_of_its_forms_is_held_against_the_file(tmp_path: Path, said: str) -> None:
    file = tmp_path / "data.csv"
    file.write_bytes(CONTENT)
    found = checksums.compared("office", {"2026/data.csv": file}, {"2026/data.csv": said.encode()})
    assert found in (HEX, None)
    file.write_bytes(CONTENT[:-1])
    with pytest.raises(SourceError, match=r"2026/data.csv has checksum .* its checksum file says") as raised:
        checksums.compared("office", {"2026/data.csv": file}, {"2026/data.csv": said.encode()})
    assert raised.value.passing


@pytest.mark.parametrize(
    "said",
    [
        "",
        "nothing",
        f"{HEX}  other.csv",
        f"{HEX}  data.csv\n{'0' * 64}  data.csv",
        HEX[:-1],
        f"{HEX}\n{'0' * 64}",
        "\xff\xfe",
    ],
)
def test_a_checksum_file_that_does_not_say_one_checksum_is_refused(tmp_path: Path, said: str) -> None:
    file = tmp_path / "data.csv"
    file.write_bytes(CONTENT)
    with pytest.raises(SourceError, match="does not say one checksum of data"):
        checksums.compared("office", {"data.csv": file}, {"data.csv": said.encode("latin-1", "ignore")})
