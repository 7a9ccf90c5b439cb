"""`qala metrics`: what is told equals what the warehouse holds, is what the reference describes, and is told whatever stands in the way."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner

from pipelines.cli import app
from pipelines.metrics import described
from pipelines.metrics.collecting import Collector, text
from pipelines.metrics.described import OTHERS, metrics
from pipelines.metrics.endpoint import Endpoint
from pipelines.metrics.of_home import ArchiveSize
from tests.support import released
from warehouse.home import last_done
from warehouse.home.home import Home
from warehouse.report.pages.quality import overdue_feeds
from warehouse.report.release_data import ReleaseData
from warehouse.store.sessions import reading, writing

Found = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def parsed(exposition: str) -> Found:
    """(name, labels) → value of what a scrape gives; held against what is described."""
    found: Found = {}
    for family in text_string_to_metric_families(exposition):
        for sample in family.samples:
            metric = metrics()[sample.name]
            assert (family.type, family.documentation) == (metric.kind, metric.help)
            assert sorted(sample.labels) == sorted(metric.labels)
            place = sample.name, tuple(sorted(sample.labels.items()))
            assert place not in found
            found[place] = sample.value
    return found


def total(found: Found, name: str, **labels: str) -> float:
    return sum(value for (one, own), value in found.items() if one == name and labels.items() <= dict(own).items())


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Released; two receipts wait, one is no receipt; it was verified."""
    made = Home(tmp_path_factory.mktemp("metrics") / "home")
    released.build(made)
    pending = made.archive / "receipts" / "pending"
    pending.mkdir(exist_ok=True)
    (pending / "20260101T000000.000000-abc.json").write_text("no receipt")
    for month in ("2026-02", "2026-03"):
        done = CliRunner().invoke(app, [
            "deliver", str(made.root / "appeals.csv"), "-t", "fct_appeal", "-p", month, "-s", "710000000", "--home", str(made.root),
        ])  # fmt: skip
        assert done.exit_code == 0, done.output
    return made


def test_numbers_are_those_of_the_release(home: Home) -> None:
    found = parsed(text(home))
    assert {v for (name, _), v in found.items() if name == "qala_collector_success"} == {1.0}
    with reading(home) as store:

        def one(sql: str) -> Any:
            return store.con.execute(sql).fetchall()[0][0]

        for name, column in (("delivered", "received"), ("accepted", "accepted"), ("rejected", "rejected")):
            assert total(found, f"qala_{name}_rows_total") == one(f"SELECT sum({column}_rows) FROM audit.delivery") > 0
        assert total(found, "qala_deliveries_total", table="fct_appeal", state="loaded") == one(
            "SELECT count(*) FROM audit.delivery WHERE state = 'loaded'"
        )
        assert total(found, "qala_feeds_overdue") == len(overdue_feeds(ReleaseData(store, home.released_file))) > 0
        assert total(found, "qala_ledger_entries_total") == one("SELECT max(seq) FROM audit.ledger")
        assert total(found, "qala_incidents_opened_total") == one("SELECT count(*) FROM audit.incident") > 0
        assert total(found, "qala_incidents_open") == one(
            "SELECT count(*) FROM audit.incident WHERE closed_seq IS NULL"
        )
        assert total(found, "qala_kpi_cells") == one("SELECT count(*) FROM kpi.value WHERE valid_to_seq IS NULL")
        assert total(found, "qala_release_sequence") == one("SELECT max(seq) FROM audit.ledger WHERE kind = 'released'")
    assert (
        total(found, "qala_receipts_waiting", table="fct_appeal") == total(found, "qala_receipts_waiting_months") == 2
    )
    assert total(found, "qala_receipts_unreadable") == 1
    files = [path for path in (home.archive / "sha256").rglob("*") if path.is_file()]
    assert total(found, "qala_archive_files") == len(files)
    assert total(found, "qala_archive_bytes") == sum(path.stat().st_size for path in files)


def test_a_scrape_waits_for_no_run(home: Home) -> None:
    with writing(home):
        assert total(parsed(text(home)), "qala_release_present") == 1


def test_without_a_release_it_is_said_and_the_rest_is_told(tmp_path: Path) -> None:
    found = parsed(text(Home(tmp_path)))
    assert total(found, "qala_release_present") == 0
    assert {v for (name, _), v in found.items() if name == "qala_collector_success"} == {1.0}
    assert total(found, "qala_disk_free_bytes") > 0
    assert list(tmp_path.iterdir()) == []  # who measures makes nothing


def test_what_cannot_be_measured_is_said_and_what_was_known_stands(home: Home, tmp_path: Path) -> None:
    collector = Collector(home)
    before = parsed_of(collector)
    kept = home.released_file.read_bytes()
    home.released_file.chmod(0o640)
    try:
        home.released_file.write_bytes(b"no warehouse")
        collector.refresh()
        after = parsed_of(collector)
    finally:
        home.released_file.write_bytes(kept)
    assert total(before, "qala_collector_success", collector="release") == 1
    assert total(after, "qala_collector_success", collector="release") == 0
    assert total(after, "qala_kpi_cells") == total(before, "qala_kpi_cells") > 0
    collector.refresh()
    assert total(parsed_of(collector), "qala_collector_success", collector="release") == 1


def parsed_of(collector: Collector) -> Found:
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry()
    registry.register(collector)
    return parsed(generate_latest(registry).decode())


def test_a_release_is_asked_once(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipelines.metrics import of_release

    asked = Counter[str]()
    measured = of_release.measured

    def counting(one: Home) -> Iterator[described.Sample]:
        asked["times"] += 1
        return measured(one)

    monkeypatch.setattr(of_release, "measured", counting)
    collector = Collector(home)
    for _ in range(3):
        collector.refresh()
    assert asked["times"] == 1


def test_verifying_and_keeping_are_told(home: Home, tmp_path: Path) -> None:
    assert last_done.noted(home, "verified") == {}
    assert CliRunner().invoke(app, ["verify", "--home", str(home.root)]).exit_code == 0
    assert CliRunner().invoke(app, ["backup", str(tmp_path / "kept"), "--home", str(home.root)]).exit_code == 0
    found = parsed(text(home))
    assert total(found, "qala_verify_differences") == 0
    assert total(found, "qala_verify_sequence") == total(found, "qala_ledger_entries_total")
    assert total(found, "qala_backup_bytes") > 0
    assert total(found, "qala_backup_timestamp_seconds") >= total(found, "qala_verify_timestamp_seconds") > 0
    (home.root / "last" / "verified.json").write_text("{")
    assert ("qala_verify_differences", ()) not in parsed(text(home))


def test_a_folder_of_the_archive_is_listed_again_when_it_changed(tmp_path: Path) -> None:
    size, folder = ArchiveSize(), tmp_path / "ab"
    assert size.measured(tmp_path / "none") == (0, 0)
    folder.mkdir()
    for number in range(1, 4):
        (folder / f"{number}.zst").write_bytes(b"x" * number)
        assert size.measured(tmp_path) == (number, number * (number + 1) // 2)


@given(st.dictionaries(st.text(max_size=3), st.integers(0, 9), max_size=2 * described.MOST))
def test_a_label_has_few_values_and_loses_nothing(counts: dict[str, int]) -> None:
    labels = described.bounded(counts.items())
    assert set(labels) == set(counts)
    assert len({*labels.values()}) <= described.MOST + 1
    kept = [counts[name] for name, label in labels.items() if label == name]
    assert min(kept, default=0) >= max((counts[n] for n, label in labels.items() if label == OTHERS), default=0)


def test_names_are_as_prometheus_wants_them() -> None:
    for name, metric in metrics().items():
        assert name.startswith("qala_")
        assert name.endswith("_total") is (metric.kind == "counter")
        assert not any(unit in name for unit in ("_days", "_hours", "_minutes", "_mib", "_gb", "_ms", "_percent"))
        assert not {"delivery", "delivery_id", "settlement", "kato", "kpi", "kpi_code", "period"} & {*metric.labels}
        assert metric.help
        assert not metric.help.endswith(".")


@pytest.fixture(scope="module")
def endpoint(home: Home) -> Iterator[str]:
    served = Endpoint(home, "127.0.0.1", 0)
    threading.Thread(target=served.serve, daemon=True).start()
    yield f"http://127.0.0.1:{served.port}"
    served.close()


def test_the_endpoint_is_scraped(endpoint: str) -> None:
    with urllib.request.urlopen(f"{endpoint}/metrics") as answer:  # noqa: S310
        assert answer.headers["Content-Type"].startswith("text/plain")
        assert total(parsed(answer.read().decode()), "qala_release_present") == 1
    wanted = urllib.request.Request(  # noqa: S310
        f"{endpoint}/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"}
    )
    with urllib.request.urlopen(wanted) as answer:  # noqa: S310
        assert answer.read().decode().endswith("# EOF\n")
    with urllib.request.urlopen(f"{endpoint}/healthz") as answer:  # noqa: S310
        assert answer.read() == b"ok\n"


@pytest.mark.parametrize(
    ("path", "data", "code"), [("/etc/passwd", None, 404), ("/metrics/../x", None, 404), ("/metrics", b"x", 405)]
)
def test_there_is_nothing_else(endpoint: str, path: str, data: bytes | None, code: int) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{endpoint}{path}", data)  # noqa: S310
    assert refused.value.code == code


def test_the_command_prints_them_and_says_what_is_wrong(home: Home, endpoint: str) -> None:
    done = CliRunner().invoke(app, ["metrics", "--home", str(home.root)])
    assert done.exit_code == 0, done.output
    assert total(parsed(done.stdout), "qala_release_present") == 1
    port = endpoint.rpartition(":")[2]
    taken = CliRunner().invoke(app, ["metrics", "--serve", "--port", port, "--home", str(home.root)])
    assert taken.exit_code == 1
    assert "--port" in taken.output
    nowhere = CliRunner().invoke(app, ["metrics", "--home", str(home.root / "nowhere")])
    assert nowhere.exit_code == 1
    assert "does not exist" in nowhere.output
