"""`qala try` says of a file what a delivery of it comes to: the same rows accepted, the same rejected by the same rules, the same decision."""

from __future__ import annotations

import gzip
import random
from collections import Counter
from pathlib import Path

import pytest

from connectors.mapping.read_contracts import parse_source
from connectors.mapping.source_contract import SourceContract, standard
from connectors.trial import Trial, try_file
from kpi_definitions.documents import read
from tests.support.files import APPEAL_COLUMNS, Desk, appeal, contract_text, crash, crashes, query, text
from warehouse.home.keys import make
from warehouse.messages.messages import code_of, rendered
from warehouse.store.store import Store
from warehouse.tables.contracts import load_tables
from warehouse.tables.settlements import settlements

TABLES = load_tables()
POLICE = contract_text(
    "police",
    "fct_crash",
    """\
      - {name: crash_id, physicalName: № ДТП}
      - {name: occurred_at, physicalName: Дата, logicalType: timestamp, logicalTypeOptions: {format: 'dd.MM.yyyy HH:mm'}}
      - {name: district_id, physicalName: Район}
      - {name: deaths_30d, physicalName: Погибло}
      - {name: injured, physicalName: Ранено}
""",
    settings={"encoding": "cp1251", "delimiter": "';'", "personalHeaders": "[ФИО]", "otherHeaders": "ignore"},
)
CELLS = (
    "", "oops", "-3", "12", "1.5", "2026-02-31 10:00:00", "2027-01-01 00:00:00", "2026-01-31 23:59:59", "НЕТ", "x" * 400, "85010130000",
    "0", "true", "н/д", 'a"b', "a,b", "a;b", "line\nbreak", " 7 ", "2026-01-05", "05.01.2026 10:00", "CLOSED", "closed", "740101300001",
)  # fmt: skip


def broken_file(chance: random.Random, kind: str) -> bytes:
    """A file of a kind, with some cells, lines or bytes spoilt."""
    share = chance.choice([0, 0.02, 0.08, 0.5])
    make_row = appeal if kind == "fct_appeal" else crash
    rows = [make_row(n if chance.random() < 0.97 else 1) for n in range(chance.randint(0, 80))]
    for row in rows:
        for column in row:
            if chance.random() < share:
                row[column] = chance.choice(CELLS)
    columns = list(APPEAL_COLUMNS if kind == "fct_appeal" else crash(1))
    if chance.random() < 0.1:
        columns.remove(chance.choice(columns))
    content = text(rows, columns)
    if chance.random() < 0.2:
        lines = content.splitlines(keepends=True)
        lines.insert(
            chance.randint(1, len(lines)),
            chance.choice(["a,b\n", 'x,"never closed,1\n', "\n", ",,,,\n", "1,2,3,4,5,6,7,8,9,10,11\n"]),
        )
        content = "".join(lines)
    data = content.encode()
    if chance.random() < 0.15:
        place = chance.randint(0, len(data))
        data = data[:place] + chance.choice([b"\xff", b"\0", b"\r\n"]) + data[place:]
    return gzip.compress(data) if chance.random() < 0.1 else data


def police_file(chance: random.Random) -> bytes:
    """The same of a system with a contract of its own."""
    lines = ["№ ДТП;Дата;Район;Погибло;Ранено;ФИО;Цвет"]
    share = chance.choice([0, 0.05, 0.4])
    for n in range(chance.randint(0, 60)):
        cells = [f"С-{n}", f"{1 + n % 28:02}.01.2026 1{n % 10}:00", "Есиль", "0", "1", "Иванов И.И.", "красный"]
        lines.append(";".join(chance.choice(CELLS[:14]) if chance.random() < share else cell for cell in cells))
    return "\n".join(lines).encode("cp1251")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path)
    make(desk.home, "pseudonym")
    desk.add_contract(POLICE)
    return desk


def rejected(trial: Trial) -> Counter[str]:
    return Counter({b.rule: b.rows for b in trial.broken if b.rows})


def emptied(trial: Trial) -> Counter[str]:
    return Counter({b.rule: b.cells for b in trial.broken if b.cells})


def told_of(store: Store, delivery: int) -> tuple[str, tuple[int, ...], Counter[str], Counter[str], str | None]:
    """State, counts, rejected rows and emptied cells by rule, and the code of the reason of a delivery in a real home."""
    ((state, received, accepted, reason),) = store.con.execute(
        "SELECT state, received_rows, accepted_rows, reason FROM audit.delivery WHERE delivery_id = ?", [delivery]
    ).fetchall()
    kept = query(store, "SELECT rule, column_name IS NULL FROM audit.rejected_row WHERE delivery_id = ?", [delivery])
    rows, cells = (Counter(rule for rule, whole in kept if whole is want) for want in (True, False))
    return state, (received, accepted), rows, cells, code_of(reason)


@pytest.mark.parametrize(("seed", "many"), [(11, 14), pytest.param(12, 80, marks=pytest.mark.slow)])
def test_a_trial_says_what_a_delivery_comes_to(desk: Desk, tmp_path: Path, seed: int, many: int) -> None:
    """Over many generated files, good and bad, of two tables and a system with a contract of its own."""
    chance = random.Random(seed)  # noqa: S311
    files: list[tuple[str, str, str, bytes]] = []
    for scope in list(settlements())[:many]:
        kind = chance.choice(["fct_appeal", "fct_crash", "police"])
        data = police_file(chance) if kind == "police" else broken_file(chance, kind)
        files.append((scope, "fct_crash" if kind == "police" else kind, kind if kind == "police" else "standard", data))
    for number, (scope, table, system, data) in enumerate(files):
        desk.deliver(data, table, system=system, scope=scope, name=f"n{number}.csv")
    seen = Counter[str]()
    with desk.open() as store:
        desk.take(store)
        police = parse_source(read(desk.home.contracts / "source.odcs.yaml"), store.tables)
        for number, (scope, table, system, data) in enumerate(files, 1):
            file = tmp_path / f"tried{number}"
            file.write_bytes(data)
            contract = police if system == "police" else standard(TABLES[table])
            trial = try_file(file, TABLES[table], contract, TABLES, scope=scope, period="2026-01")
            state, counts, rows, cells, reason = told_of(store, number)
            seen[state, reason] += 1  # type: ignore[index]
            assert trial.would_load == (state == "loaded"), (number, state, reason, trial)
            if trial.problem:
                assert code_of(trial.problem) == reason
                continue
            assert (trial.received, trial.accepted) == (counts if state == "loaded" else (counts[0], trial.accepted))
            assert rejected(trial) == rows
            assert emptied(trial) == cells
    assert len(seen) >= 3, seen  # loaded, refused by rules and by header


def crash_trial(
    tmp_path: Path, content: str | bytes, contract: SourceContract | None = None, **declared: object
) -> Trial:
    file = tmp_path / "crashes.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return try_file(file, TABLES["fct_crash"], contract or standard(TABLES["fct_crash"]), TABLES, **declared)  # type: ignore[arg-type]


@pytest.fixture
def police(tmp_path: Path) -> SourceContract:
    path = tmp_path / "police.odcs.yaml"
    path.write_text(POLICE, encoding="utf-8")
    return parse_source(read(path), TABLES)


def test_first_rows_and_what_each_column_is_made_of(tmp_path: Path, police: SourceContract) -> None:
    data = (
        "№ ДТП;Дата;Район;Погибло;Ранено;ФИО\nС-1;05.03.2026 14:00;;0;1;Иванов\nС-2;06.03.2026 14:00;Есиль;1;;Ахметов\n"
    )
    trial = crash_trial(tmp_path, data.encode("cp1251"), police)
    columns = {one.name: one for one in trial.columns}
    assert columns["occurred_at"].headers == ("Дата",)
    assert columns["occurred_at"].values == ("2026-03-05 14:00:00", "2026-03-06 14:00:00")
    assert (columns["district_id"].values, columns["district_id"].gaps) == ((None, "Есиль"), 1)
    assert trial.would_load
    assert [str(day) for day in trial.days or ()] == ["2026-03-05", "2026-03-06"]
    assert "Иванов" not in repr((trial.columns, trial.broken, trial.notes))


def test_what_was_not_declared_is_not_judged_and_said_so(tmp_path: Path) -> None:
    content = crashes(5) + crashes(5, 10, occurred_at="2026-05-01 10:00:00").partition("\n")[2]
    assert rejected(crash_trial(tmp_path, content)) == {}
    assert "on-time" in crash_trial(tmp_path, content).unjudged
    assert rejected(crash_trial(tmp_path, content, period="2026-01")) == {"days": 5}


def test_a_header_that_is_not_the_contracts_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    content = crashes(5).replace("injured", "injuried").replace("district_id,", "colour,")
    trial = crash_trial(tmp_path, content)
    assert code_of(trial.problem) == "refusal.header"
    assert dict(trial.missing) == {"district_id": "", "injured": "injuried"}
    assert [str(h) for h in trial.not_taken] == ["colour", "injuried"]
    assert {one.name: one.values[0] for one in trial.columns}["crash_id"] == "C1"
    assert not trial.would_load


def test_words_that_cannot_be_read_are_shown_to_who_holds_the_file(tmp_path: Path, police: SourceContract) -> None:
    """The gate keeps their shape alone, as the extract has data of persons; names that no column takes are shown to nobody."""
    rows = [f"С-{n};{'не помню' if n < 3 else '05.03.2026 14:00'};Есиль;0;1;Иванов" for n in range(9)]
    trial = crash_trial(tmp_path, "\n".join(["№ ДТП;Дата;Район;Погибло;Ранено;ФИО", *rows]).encode("cp1251"), police)
    (broken,) = trial.broken
    assert (broken.rule, broken.values) == ("occurred_at.type", (("не помню", 3, 1),))
    assert "Иванов" not in repr(trial.broken)


@pytest.mark.parametrize(("rows", "seen"), [(4, 4), (10, None), (99, None)])
def test_no_more_records_than_asked_for(tmp_path: Path, rows: int, seen: int | None) -> None:
    trial = crash_trial(tmp_path, crashes(10), rows=rows)
    assert (trial.received, trial.first_only) == (min(rows, 10), seen)


def test_a_file_that_is_no_table_is_refused_in_the_words_of_a_delivery(tmp_path: Path) -> None:
    for content, code in ((b"", "refusal.empty_file"), (b"%PDF-1.7 ...", "refusal.a_document")):
        trial = crash_trial(tmp_path, content)
        assert code_of(trial.problem) == code
        assert rendered(trial.problem, "ru")
        assert not trial.would_load


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    file = tmp_path / "crashes.csv"
    file.write_text(crashes(5))
    before = {p: p.stat() for p in tmp_path.rglob("*")}
    assert try_file(file, TABLES["fct_crash"], standard(TABLES["fct_crash"]), TABLES).accepted == 5
    assert set(tmp_path.rglob("*")) == set(before)
    assert file.read_text() == crashes(5)
