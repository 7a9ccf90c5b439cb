"""Deliveries that did not come by the day their contract agrees on: told once each, of feeds that no source fetches."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from connectors.archive.archive import Archive
from pipelines.notifications.one_pass import tell
from pipelines.notifications.settings import read_notifications
from tests.support.homes import new_home
from tests.support.listening import Web, web_server
from tests.support.rows import Extract, deliver
from tests.support.settlements import ALMATY, ASTANA
from warehouse.home.home import Home
from warehouse.release.release import publish
from warehouse.store.sessions import writing

# fct_appeal: monthly, three days after the month's end, from 2026-01 on
FIRST = dt.datetime(2026, 6, 1, 6, 0, tzinfo=dt.UTC)
Pass = Callable[..., list[tuple[str, str]]]


@pytest.fixture
def web() -> Iterator[Web]:
    with web_server() as server:
        yield server


@pytest.fixture
def home(tmp_path: Path, web: Web) -> Home:
    home = new_home(tmp_path / "home")
    (home.root / "notifications.yaml").write_text(f"webhooks: {{duty: {{language: en, url: '{web.url}'}}}}\n")
    return home


@pytest.fixture
def passed(home: Home, web: Web) -> Pass:
    """Make a pass on a day; returns what it told: key and where."""

    def on(day: str) -> list[tuple[str, str]]:
        settings, before = read_notifications(home), len(web.got)
        assert settings is not None
        tell(home, settings, None, dt.datetime.fromisoformat(f"{day}T06:00+00:00"))
        return sorted((one["key"], one["where"]) for _, body in web.got[before:] for one in body["troubles"])

    return on


def loaded(home: Home, *extracts: Extract) -> None:
    with writing(home) as store:
        deliver(store, "fct_appeal", *extracts)
    publish(home, lambda _: ())


def appeals(month: str, scope: str = ASTANA, refused: str | None = None) -> Extract:
    return Extract([] if refused else [{"appeal_id": f"{month}-{scope}"}], month, scope, refused=refused)


def key(month: str, scope: str = ASTANA) -> str:
    return f"overdue/fct_appeal/test/{scope}/{month}"


def test_a_month_that_did_not_come_is_told_once_when_its_day_is_over(home: Home, passed: Pass) -> None:
    loaded(home, appeals("2026-05"), appeals("2026-05", ALMATY))
    assert [passed(f"2026-{day}") for day in ("06-10", "06-30", "07-03")] == [[], [], []]
    assert passed("2026-07-05") == [(key("2026-06"), "Astana"), (key("2026-06", ALMATY), "Almaty")]
    assert [passed(f"2026-{day}") for day in ("07-05", "07-20", "08-10")] == [[], [], []]
    loaded(home, appeals("2026-06"))
    # what is told of Almaty goes on; of Astana a month that came ends one gap, and the next begins another
    assert passed("2026-08-11") == [(key("2026-07"), "Astana")]
    loaded(home, appeals("2026-07"))
    assert passed("2026-08-12") == []


def test_what_waits_for_a_run_has_come(home: Home, passed: Pass, tmp_path: Path) -> None:
    loaded(home, appeals("2026-05"))
    assert passed("2026-07-01") == []
    (tmp_path / "appeals.csv").write_text("appeal_id\n1\n")
    Archive(home.archive).receive(
        tmp_path / "appeals.csv", table="fct_appeal", system="test", scope=ASTANA, period="2026-06"
    )
    assert passed("2026-07-10") == []
    assert passed("2026-08-10") == [(key("2026-07"), "Astana")]


def test_what_was_refused_is_told_as_that(home: Home, passed: Pass) -> None:
    loaded(home, appeals("2026-05"))
    loaded(home, appeals("2026-06", refused="the header lacks registered_at"))
    keys = [name for name, _ in passed("2026-07-10")]
    assert len(keys) == 1
    assert not keys[0].startswith("overdue")


def test_nothing_is_expected_of_who_never_delivered_nor_of_what_ended_long_ago(home: Home, passed: Pass) -> None:
    loaded(home, appeals("2026-01"))
    assert passed("2026-07-01") == []


def test_an_extract_of_a_source_is_told_by_its_source_alone(home: Home, passed: Pass) -> None:
    loaded(home, appeals("2026-05"))
    home.sources.mkdir()
    (home.sources / "post.yaml").write_text(
        f"type: folder\nconnection: {{folder: {home.root}}}\nregulation: {{frequency: yearly, delay_days: 366}}\n"
        f'extracts: [{{table: fct_appeal, system: test, settlements: ["{ASTANA}"], first: 2026-05, path: "{{period}}.csv"}}]\n'
    )
    assert not [name for name, _ in passed("2026-07-10") if name.startswith("overdue")]
