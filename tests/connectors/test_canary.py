"""Nothing of a person gets out of the archive: people who cannot exist are delivered in every way, and every byte is searched for them."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import logging
import re
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from typer.testing import CliRunner

from connectors.archive.archive import Archive
from connectors.corrections import read_corrections
from connectors.ingest import load_source_contracts
from connectors.personal_data.detection import checked
from connectors.receiving.deliver import DeclaredDelivery, DeliveryError, deliver
from kpi_definitions.documents import DocumentError
from pipelines.cli import app
from pipelines.run import run_months
from tests.support.examples import examples
from tests.support.files import Desk, appeal, contract_text, text
from tests.support.homes import new_home
from tests.support.settlements import ASTANA
from warehouse.home import keys
from warehouse.store.sessions import writing
from warehouse.tables.contracts import load_tables

MONTHS = ["2026-01"]


def iin(serial: int) -> str:
    """Of somebody born in 2099: with a valid check digit, and nobody's."""
    found = (f"9901{1 + serial % 28:02}5{serial:04}{d}" for d in range(10))
    return next((n for n in found if checked(n)), "") or iin(serial + 1000)


@dataclass(frozen=True)
class Person:
    """What may be planted of somebody who cannot exist."""

    number: int

    @property
    def iin(self) -> str:
        return iin(self.number)

    @property
    def phone(self) -> str:
        return f"+7701999{self.number:04}"

    @property
    def mail(self) -> str:
        return f"kanareika{self.number}@testova.example"

    @property
    def name(self) -> str:
        return (
            "Канарейкина",
            "Штиглицова",
            "Зябликова",
            "Овсянкина",
            "Снегирёва",
            "Kanareikina",
            "Shtiglitsova",
            "Zyablikova",
            "Ovsyankina",
        )[self.number % 9]

    def told(self) -> list[str]:
        return [self.iin, self.phone, self.mail, self.name]


class Search:
    """Looks for people in bytes: as they were written, in other encodings, without separators, and by their plain hashes."""

    def __init__(self, people: Iterable[Person]):
        self.words, self.numbers, self.hashes = dict[bytes, str](), dict[bytes, str](), dict[bytes, str]()
        for what in (w for person in people for w in person.told()):
            digits = re.sub("[^0-9]", "", what) if "@" not in what else ""
            if digits:
                self.numbers |= {digits[-10:].encode(): what, digits.encode(): what}
            else:
                self.words |= {
                    form.encode(encoding): what
                    for form in (what, what.upper(), what.casefold())
                    for encoding in ("utf-8", "cp1251")
                }
            for form in {what, digits, what.casefold(), f"8{digits[1:]}"} - {""}:
                self.hashes |= {
                    hashlib.new(a, form.encode()).hexdigest().encode(): f"{a} of {what}"
                    for a in ("md5", "sha1", "sha256")
                }
        self._words = re.compile(b"|".join(map(re.escape, sorted(self.words, key=len, reverse=True))))

    def __call__(self, content: bytes) -> set[str]:
        found = set[str]()
        for layer in (content, content.replace(b"\0", b"")) if b"\0" in content else (content,):
            found |= {self.words[m] for m in self._words.findall(layer)}
            for run in re.findall(rb"[0-9](?:[ ()-]{0,2}[0-9]){9,}", layer):
                found |= self._within(re.sub(rb"[^0-9]", b"", run), self.numbers, (10, 12))
            for run in set(re.findall(rb"[0-9a-f]{32,}", layer)):
                found |= self._within(run, self.hashes, (32, 40, 64))
        return found

    @staticmethod
    def _within(run: bytes, known: dict[bytes, str], sizes: Iterable[int]) -> set[str]:
        return {known[w] for size in sizes for n in range(len(run) - size + 1) if (w := run[n : n + size]) in known}


def layers(path: Path) -> Iterator[tuple[str, bytes]]:
    """The bytes of a file, and what they unpack to."""
    content = path.read_bytes()
    yield "", content
    if content[:4] == b"\x28\xb5\x2f\xfd":
        yield "zst", zstandard.ZstdDecompressor().stream_reader(io.BytesIO(content)).read()
    if content[:2] == b"\x1f\x8b":
        yield "gz", gzip.decompress(content)
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(io.BytesIO(content)) as bundle:
            yield from ((name, bundle.read(name)) for name in bundle.namelist())
    if content[:4] == b"PAR1":
        yield "parquet", json.dumps(pq.read_table(path).to_pylist(), ensure_ascii=False, default=str).encode()
    if path.suffix == ".duckdb":
        with duckdb.connect(str(path), read_only=True) as con:
            con.execute("SET TimeZone = 'UTC'")
            for schema, name in con.execute("SELECT schema_name, table_name FROM duckdb_tables()").fetchall():
                yield name, repr(con.execute(f'SELECT * FROM "{schema}"."{name}"').fetchall()).encode()


def hits(places: Iterable[Path], search: Search) -> list[str]:
    """Where anything is found, as `file (layer): what`."""
    return [
        f"{path} ({layer}): {what}"
        for path in places
        for layer, content in (("name", str(path).encode()), *layers(path))
        for what in sorted(search(content))
    ]


def files(*folders: Path) -> list[Path]:
    return sorted(p for folder in folders for p in folder.rglob("*") if p.is_file())


CASES = """\
      - {name: case_id, physicalName: Номер}
      - name: person_hash
        physicalName: ИИН
        customProperties: [{property: identifier, value: iin}]
      - {name: service_group, physicalName: Услуга}
      - {name: initiation, physicalName: Начало}
      - {name: opened_at, physicalName: Открыто}
"""
APPEALS = "".join(f"      - {{name: {n}}}\n" for n in appeal(1))


class Planted:
    """A home, and extracts with people in every place a person can be in."""

    def __init__(self, root: Path):
        self.home, self.outbox, self.people = new_home(root / "home"), root / "outbox", list[Person]()
        self.outbox.mkdir(parents=True)
        self.home.contracts.mkdir()
        keys.make(self.home, "archive")
        said = {"otherHeaders": "ignore", "personalHeaders": "[ФИО, Телефон]"}
        self._contract("social", contract_text("social", "fct_social_case", CASES, settings=said))
        self._contract("calls", contract_text("calls", "fct_appeal", APPEALS, settings=said))

    def _contract(self, name: str, content: str) -> None:
        (self.home.contracts / f"{name}.odcs.yaml").write_text(content, encoding="utf-8")

    def somebody(self) -> Person:
        self.people.append(Person(len(self.people) + 1))
        return self.people[-1]

    def deliver(
        self, table: str, system: str, content: str | bytes, name: str = "extract.csv", scope: str = ASTANA
    ) -> None:
        folder = self.outbox / str(len(list(self.outbox.iterdir())))
        folder.mkdir()
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
        tables = load_tables()
        deliver(
            Archive(self.home.archive),
            DeclaredDelivery(folder / name, table, scope, "2026-01", system),
            tables,
            load_source_contracts(self.home, tables),
        )

    def cases(self, *rows: tuple[str, ...]) -> str:
        """Social cases as the system hands them over; whole rows stand in for broken ones."""
        return "\n".join(["Номер,ИИН,Услуга,Начало,Открыто,ФИО,Телефон", *(",".join(row) for row in rows)]) + "\n"

    def case(self, number: int) -> tuple[str, ...]:
        one = self.somebody()
        return (f"C{number}", one.iin, "BENEFIT", "PROACTIVE", "2026-01-05 10:00:00", one.name, one.phone)


def plant(home: Planted) -> None:
    a = home.somebody
    # taken and untaken columns, personal ones that break their rule, and rows whose cells have moved
    good = [home.case(n) for n in range(40)]
    wrong = a()
    shifted = [(f"C{90 + n}", p.name, p.iin, p.phone, p.mail, p.name, p.phone) for n, p in enumerate((a(), a()))]
    broken = [
        (
            "C80",
            wrong.iin[:11] + str((int(wrong.iin[11]) + 1) % 10),
            "BENEFIT",
            "PROACTIVE",
            "2026-01-05 10:00:00",
            wrong.name,
            wrong.phone,
        )
    ]
    home.deliver("fct_social_case", "social", home.cases(*good, *shifted, *broken))
    # a line that cannot be split, bytes that are not of the encoding, a quote that does not close
    one, two, three = a(), a(), a()
    unsplit = home.cases(*[home.case(100 + n) for n in range(60)]).encode()
    unsplit += (
        f"C200,{one.name},{one.iin},{one.phone}\n".encode()
        + f"C201,{two.iin},{two.name},".encode()
        + b"\xff\xfe,"
        + f"{two.mail}\n".encode()
    )
    unsplit += f'C202,"{three.name},{three.iin}\n'.encode()
    home.deliver("fct_social_case", "social", unsplit, scope="750000000")
    # what people write where a code or an identifier belongs
    four, five, six = a(), a(), a()
    rows = [appeal(n) | {"ФИО": (p := a()).name, "Телефон": p.phone} for n in range(60)]
    rows[3] |= {"category": f"тел {four.phone}, {four.mail}"}
    rows[4] |= {"category": f"ИИН {four.iin[:6]} {four.iin[6:]}"}
    rows[5] |= {"appeal_id": five.iin}
    rows[6] |= {"status": six.name, "closed_at": six.phone}
    rows[7] |= {"registered_at": f"{six.name} {six.iin}"}
    home.deliver("fct_appeal", "calls", text(rows), name=f"Выгрузка обращений {five.name} {five.iin} {five.phone}.csv")
    # without a header
    seven = a()
    home.deliver("fct_appeal", "calls", f"{seven.name},{seven.iin},{seven.phone},{seven.mail}\n", scope="750000000")
    # members of an archive, beside the extract and as it
    eight, packed = a(), io.BytesIO()
    with zipfile.ZipFile(packed, "w") as bundle:
        bundle.writestr(f"{eight.name}_{eight.iin}.csv", text([appeal(900)]))
        bundle.writestr(f"письмо {eight.name}.txt", f"{eight.name} {eight.phone}")
    home.deliver("fct_appeal", "standard", packed.getvalue(), name=f"{eight.name}.zip", scope="471010000")
    cut_zip = b"PK\x03\x04" + eight.name.encode()
    with pytest.raises(DeliveryError) as refused:
        home.deliver("fct_appeal", "standard", cut_zip, name=f"{eight.iin}.zip", scope="471810000")
    assert eight.name not in str(refused.value)
    # Parquet: numbers of people as texts, and one of no type that can be read
    people = [a() for _ in range(40)]
    stays = pa.table({
        "stay_id": [f"S{n}" for n in range(40)], "guest_hash": [p.iin for p in people[:39]] + [people[39].phone],
        **{c.name: pa.nulls(40, pa.string()) for c in load_tables()["fct_guest_stay"].columns if c.name not in ("stay_id", "guest_hash")},
    })  # fmt: skip
    sink = io.BytesIO()
    pq.write_table(stays, sink)
    home.deliver("fct_guest_stay", "standard", sink.getvalue(), name="stays.parquet")


def refused_correction(home: Planted) -> str:
    """A correction that names a person is a fault, and its message names nobody."""
    one = home.somebody()
    file = home.home.corrections / "TEST-1.yaml"
    file.parent.mkdir()
    file.write_text(
        f"id: TEST-1\ntable: fct_appeal\nsettlement: '{ASTANA}'\nrows:\n  - key: {{appeal_id: '{one.iin}'}}\n"
        f"    expect: {{category: '{one.phone}'}}\n    set: {{category: roads}}\nwhat: '{one.mail}'\nwhy: seen\n"
        "decided_by: the desk\ndecided_on: 2026-02-01\nsource: {status: reported}\n",
        encoding="utf-8",
    )
    with pytest.raises(DocumentError) as error:
        read_corrections(file.parent, load_tables())
    file.unlink()
    return str(error.value)


def test_nobody_gets_out_of_the_archive(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    planted = Planted(tmp_path)
    plant(planted)
    home, said = planted.home, list[str]()
    said.append(refused_correction(planted))
    with caplog.at_level(logging.DEBUG):
        results = run_months(home, MONTHS, said.append)
    assert [r.failures for r in results] == [()]
    cli = CliRunner()
    asked = (
        ("explain", "MGT02-1", "Astana", "2026-01"), ("rows", "MGT02-1", "Astana", "2026-01"), ("incidents",), ("status",), ("verify",),
        ("openlineage", "--to", str(home.root / "lineage.ndjson")),
        ("evidence", "MGT02-1", "Astana", "2026-01", "--to", str(home.root / "evidence")),
    )  # fmt: skip
    for words in asked:
        result = cli.invoke(app, [*words, "--home", str(home.root)], env={"COLUMNS": "200"})
        said += [result.output, str(result.exception or "")]
    with writing(home) as store:
        states = dict(store.con.execute("SELECT state, count(*) FROM audit.delivery GROUP BY 1").fetchall())
        kept = store.con.execute("SELECT count(*) FROM audit.rejected_row").fetchone()
        masked = store.con.execute("SELECT count(*) FROM showcase.fct_appeal WHERE category LIKE '%«…»%'").fetchone()
        pseudonyms = store.con.execute("SELECT count(DISTINCT person_hash) FROM showcase.fct_social_case").fetchone()
    assert states["loaded"] >= 3, states  # all that was planted went the whole way
    assert kept is not None
    assert kept[0] > 8
    assert masked == (2,)
    assert pseudonyms == (100,)
    captured = capfd.readouterr()
    note = tmp_path / "said.txt"
    note.write_text("\n".join([*said, captured.out, captured.err, caplog.text]), encoding="utf-8")
    search = Search(planted.people)
    everything = [p for p in files(home.root) if home.archive not in p.parents]
    assert {"warehouse.duckdb", "qala.duckdb", "kpi_values.parquet", "lineage.ndjson"} <= {p.name for p in everything}
    assert any("dagster" in p.parts for p in everything)
    assert hits([*everything, note], search) == []
    encrypted = [p for p in files(home.archive / "sha256") if p.suffix == ".enc"]
    assert len(encrypted) > 3
    assert hits(encrypted, search) == []
    # the search finds what is there
    archive, opened = Archive(home.archive), tmp_path / "opened"
    opened.mkdir()
    for sha256, _ in archive.contents():
        with archive.open(sha256) as stream:
            (opened / sha256).write_bytes(stream.read())
    inside = hits(files(opened, home.archive / "receipts"), search)
    assert all(
        any(what in hit for hit in inside)
        for person in planted.people[:40]
        for what in (person.iin, person.phone, person.name)
    )
    assert not list(home.scratch.iterdir())


GOOD = ("C{n}", "", "BENEFIT", "PROACTIVE", "2026-01-05 10:00:00", "", "")
NAMES_HIDDEN = (1, 2, 3, 4, 5, 6)  # columns in which a name never passes for what they hold: not the identifier


@pytest.mark.slow
@examples(20, full=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_nobody_gets_out_wherever_people_stand(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    planted = Planted(tmp_path_factory.mktemp("somewhere"))
    lines = []
    for n in range(data.draw(st.integers(1, 12))):
        row = [cell.format(n=n) for cell in GOOD]
        one = planted.somebody()
        for place in data.draw(st.sets(st.integers(0, 6), max_size=4)):
            what = data.draw(st.sampled_from(one.told() if place in NAMES_HIDDEN else one.told()[:3]))
            around = data.draw(
                st.sampled_from(["{}", " {} ", "тел {}", '"{}"', "{};", "{}\udcff" if place in NAMES_HIDDEN else "{}"])
            )
            row[place] = around.format(what)
        cut = data.draw(st.sampled_from([7, 7, 7, 5, 8]))
        lines.append(",".join([*row, one.name][:cut]))
    body = "\n".join(["Номер,ИИН,Услуга,Начало,Открыто,ФИО,Телефон", *lines]) + "\n"
    name = f"{data.draw(st.sampled_from(planted.people[-1].told()))}.csv"
    planted.deliver("fct_social_case", "social", body.encode("utf-8", "surrogateescape"), name=name.replace("/", ""))
    desk = Desk(planted.home.root)
    with desk.open() as store:
        report = desk.take(store)
    said = planted.home.root / "said.txt"
    said.write_text("\n".join(str(o.reason) for o in report.outcomes), encoding="utf-8")
    assert (
        hits([p for p in files(planted.home.root) if planted.home.archive not in p.parents], Search(planted.people))
        == []
    )
