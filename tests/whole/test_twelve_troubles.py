"""Twelve troubles are planted in a home, each as it comes about: one pass tells the twelve, the next tells nothing, and a healthy home is left alone.

A pass is made every 30 seconds, so what is told by the first pass after it happened is told within a minute.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import duckdb
import pytest
from typer.testing import CliRunner

from connectors.archive.archive import Archive
from connectors.receiving.inbox import collect
from pipelines.cli import app
from pipelines.notifications.one_pass import tell
from pipelines.notifications.settings import read_notifications
from pipelines.run import prepare
from tests.support.files import Desk, appeal, appeals, crashes, text
from tests.support.listening import Post, Web, mail_server, web_server
from tests.support.settlements import ALMATY, ASTANA
from warehouse.home.home import Home
from warehouse.release.release import publish

cli = CliRunner()
PERSON, NAME = "850101300007", "Иванова Мадина"  # what must not be told
SOURCES = {
    "down": "type: http\nconnection: {address: 'http://127.0.0.1:9', unencrypted: true}\n",
    "locked": "type: http\nconnection: {address: '%s', unencrypted: true, auth: {bearer: {env: QALA_TEST_TOKEN}}}\n",
    "late": "type: folder\nconnection: {folder: '%s', settled_seconds: 0}\n",
}
EXTRACTS = 'extracts: [{table: fct_crash, settlements: ["%s"], first: 2026-01, %s}]\n'


@dg.op
def breaks() -> None:
    raise dg.Failure("there is no room left on the disk; make room")


@dg.job
def breaking() -> None:
    breaks()


@dataclass
class Place:
    """A home, those who are told, and how often a pass was made."""

    desk: Desk
    web: Web
    post: Post
    passes: int = 0

    @property
    def home(self) -> Home:
        return self.desk.home

    def look(self) -> int:
        """One pass, half a minute after the one before; returns how many messages were sent."""
        self.passes += 1
        settings = read_notifications(self.home)
        assert settings is not None
        now = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=30 * self.passes)
        with dg.DagsterInstance.get() as instance:
            passed = tell(self.home, settings, instance, now)
        assert passed.failed == []
        return len(passed.sent)

    def told(self) -> list[dict[str, str]]:
        return [one for _, body in self.web.got for one in body["troubles"]]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """A home that is well: a table with rows, a release, a source that has given all it should."""
    monkeypatch.setenv("DAGSTER_HOME", "")
    monkeypatch.setenv("QALA_HOME", "")
    monkeypatch.setenv("QALA_TEST_TOKEN", "no-longer-valid")
    desk = Desk(tmp_path / "home")
    desk.deliver(appeals(40))
    desk.deliver(crashes(40), "fct_crash")
    with desk.open() as store:
        assert {one.state for one in desk.take(store).outcomes} == {"loaded"}
    publish(desk.home, desk.archive.missing)
    prepare(desk.home)
    with web_server() as web, mail_server() as post:
        (desk.root / "notifications.yaml").write_text(
            f"name: Астана\nwebhooks:\n  duty: {{language: en, url: '{web.url}'}}\nmail:\n"
            f"  people: {{language: kk, host: 127.0.0.1, port: {post.port}, security: none, sender: q@city.kz, to: [duty@city.kz]}}\n",
            encoding="utf-8",
        )
        yield Place(desk, web, post)


def run(place: Place, *words: str, code: int) -> str:
    result = cli.invoke(app, [*words, "--home", str(place.home.root)])
    assert result.exit_code == code, result.output
    return str(result.output)


def refused_and_doubtful(place: Place) -> None:
    """1 an extract without a column it needs; 2 one with a row that is rejected, beyond what the table allows."""
    desk = place.desk
    rows = [appeal(n) for n in range(40)]
    desk.deliver(
        text([{k: v for k, v in row.items() if k != "status"} for row in rows]), scope=ALMATY, period="2026-02"
    )
    bad = [appeal(f"X{n}", due_at=f"{PERSON} {NAME}") for n in range(1)]
    desk.deliver(text([*(appeal(f"Y{n}") for n in range(60)), *bad]), scope="750000000")
    with desk.open() as store:
        states = Counter(one.state for one in desk.take(store).outcomes)
    assert states == {"refused": 1, "loaded": 1}


def sources(place: Place) -> None:
    """3 a source that is down; 4 one that knows the password no more; 5 one that is late."""
    (place.home.root / "exchange").mkdir()
    place.home.sources.mkdir()
    where = {"down": "", "locked": f"http://127.0.0.1:{place.web.port}", "late": str(place.home.root / "exchange")}
    what = {"down": "endpoint: crashes", "locked": "endpoint: crashes", "late": "path: '{period}.csv'"}
    for name, said in SOURCES.items():
        head = said % where[name] if "%s" in said else said
        (place.home.sources / f"{name}.yaml").write_text(head + EXTRACTS % (ASTANA, what[name]))
    run(place, "pull", code=1)


def turned_away(place: Place) -> None:
    """6 a drop for a table that there is not; 7 a correction that is none."""
    inbox = place.home.inbox
    inbox.mkdir()
    (inbox / "x.csv").write_text("a\n1\n")
    declared = {"file": "x.csv", "table": "fct_nothing", "settlement": ASTANA, "period": "2026-01"}
    (inbox / "x.manifest.json").write_text(json.dumps({"deliveries": [declared]}))
    with place.desk.open() as store:
        (drop,) = collect(inbox, place.desk.archive, store.tables, {})
    assert drop.error
    place.home.corrections.mkdir()
    (place.home.corrections / "COR-2026-007.yaml").write_text("id: COR-2026-007\n")


def differs(place: Place) -> None:
    """8 the source says that it has more rows."""
    file = place.home.root / "said.csv"
    file.write_text(f"table,settlement,month,rows,column,sum,filled\nfct_crash,{ASTANA},2026-01,41,,,\n")
    run(place, "reconcile", "--control", str(file), "--system", "standard", "--quarter", "2026-01", code=1)


def tampered(place: Place) -> None:
    """9 a row changed in the warehouse, then published; 10 a byte changed in the archive; 11 a file of the release changed."""
    with duckdb.connect(str(place.home.warehouse)) as con:
        con.execute("UPDATE showcase.fct_crash SET injured = 7 WHERE crash_id = 'C3'")
    publish(place.home, Archive(place.home.archive).missing)
    kept = max(place.home.archive.glob("sha256/*/*"), key=lambda path: path.stat().st_size)
    kept.chmod(0o640)
    content = bytearray(kept.read_bytes())
    content[len(content) // 2] ^= 1
    kept.write_bytes(content)
    exported = place.home.release / "kpi_values.csv"
    exported.chmod(0o640)
    exported.write_bytes(exported.read_bytes() + b"\n")
    run(place, "verify", code=1)


def failed_run(place: Place) -> None:
    """12 a run in Dagster that fails."""
    with dg.DagsterInstance.get() as instance:
        assert not breaking.execute_in_process(instance=instance, raise_on_error=False).success


# what each of them is told as: kind, and words of it in English
EXPECTED = [
    ("refusal", "status"),
    ("incident", "due_at can be read as TIMESTAMP"),
    ("pull", "from source down"),
    ("pull", "from source locked"),
    ("overdue", "from source late: was due on 2026-02-01"),
    ("drop", "fct_nothing"),
    ("document", "decided_by"),
    ("incident", "41"),
    ("verification", "rows of the warehouse were changed"),
    ("verification", "the archive is not what was received"),
    ("verification", "files of the release are not those that were released"),
    ("run", "there is no room left on the disk"),
]


def test_twelve_are_told_none_twice_none_false(place: Place) -> None:
    assert place.look() == 0
    assert place.look() == 0
    plants = (refused_and_doubtful, sources, turned_away, differs, tampered, failed_run)
    for plant in plants:
        plant(place)
    assert place.look() == 2  # one message for each channel
    found = place.told()
    assert len({one["key"] for one in found}) == len(found)
    for kind, words in EXPECTED:
        assert any(one["kind"] == kind and words in one["what"] for one in found), (kind, words)
    unexpected = [one for one in found if not any(one["kind"] == k and w in one["what"] for k, w in EXPECTED)]
    assert unexpected == []
    assert Counter(one["kind"] for one in found) == Counter(kind for kind, _ in EXPECTED)
    assert place.look() == 0
    run(place, "pull", code=1)
    run(place, "verify", code=1)
    assert place.look() == 0
    said = json.dumps([body for _, body in place.web.got], ensure_ascii=False) + place.post.got[0][1].get_content()
    assert PERSON not in said
    assert "Мадина" not in said
    assert "no-longer-valid" not in said
    with duckdb.connect(str(place.home.warehouse), read_only=True) as con:
        entered = con.execute(
            "SELECT detail->>'$.channel' FROM audit.ledger WHERE kind = 'notified' ORDER BY 1"
        ).fetchall()
    assert entered == [("duty",), ("people",)]


def test_what_is_told_one_after_the_other_is_told_once_too(place: Place) -> None:
    assert place.look() == 0
    plants = (refused_and_doubtful, sources, turned_away, differs, failed_run)
    for number, plant in enumerate(plants, 1):
        plant(place)
        assert place.look() == 2
        assert place.look() == 0
        assert len(place.web.got) == number
    assert len({one["key"] for one in place.told()}) == len(place.told()) == 9
