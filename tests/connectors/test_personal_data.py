"""Pseudonyms, texts without people, what is kept of rejected rows, and names that may be shown."""

from __future__ import annotations

import hashlib
import hmac
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.mapping.classification import carries_personal
from connectors.mapping.source_contract import SourceContract
from connectors.personal_data import detection as patterns
from connectors.personal_data.detection import MASK, WITHHELD, checked, harmless, scrubbed, shaped
from connectors.personal_data.safe_names import safe_header, safe_name
from kpi_definitions.documents import DocumentError
from tests.support.files import Bench, Desk, appeal, contract_text, query, text
from warehouse.home import keys
from warehouse.home.keys import Key, MissingKeyError
from warehouse.home.scratch import scratch
from warehouse.messages.messages import phrase


def valid(eleven: str) -> str:
    return next(f"{eleven}{d}" for d in range(10) if checked(f"{eleven}{d}"))


IIN, OTHER, BIN = valid("99011550001"), valid("85070470002"), valid("99024000001")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    root = tmp_path_factory.mktemp("personal")
    with Desk(root).open() as store:
        yield Bench(store, root)


def key_of(bench: Bench) -> Key:
    return keys.needed(bench.store.home, "pseudonym", "tests")


def pseudonym(bench: Bench, domain: str, value: str) -> str:
    return hmac.new(key_of(bench).derived(f"domain {domain}"), value.encode(), hashlib.sha256).hexdigest()


def cases(bench: Bench, kind: str) -> SourceContract:
    properties = (
        "      - {name: case_id}\n"
        f"      - {{name: person_hash, physicalName: who, customProperties: [{{property: identifier, value: {kind}}}]}}\n"
        "      - {name: service_group}\n      - {name: initiation}\n      - {name: opened_at}\n"
    )
    return bench.contract(
        contract_text(f"social-{kind}", "fct_social_case", properties, settings={"otherHeaders": "ignore"})
    )


def case(number: int, who: str, **more: str) -> dict[str, str]:
    row = {
        "case_id": f"C{number}",
        "who": who,
        "service_group": "BENEFIT",
        "initiation": "PROACTIVE",
        "opened_at": "2026-01-05 10:00:00",
    }
    return row | more


@pytest.mark.parametrize(
    ("kind", "written", "normal"),
    [
        ("iin", [IIN, f"{IIN[:6]} {IIN[6:]}", f"{IIN[:6]}-{IIN[6:9]}-{IIN[9:]}", f" {IIN}\u00a0"], IIN),
        ("iin", [BIN], BIN),
        (
            "phone",
            ["+7 (701) 999-00-17", "87019990017", "7 701 999 0017", "701 999 00 17", "8-701-999-0017"],
            "+77019990017",
        ),
        ("phone", ["+49 30 901820"], "+4930901820"),
        ("email", ["Nobody@Example.KZ", " nobody@example.kz "], "nobody@example.kz"),
        ("other", ["card 17", " card 17\u00a0"], "card 17"),
        ("other", [hashlib.sha256(IIN.encode()).hexdigest()], hashlib.sha256(IIN.encode()).hexdigest()),
    ],
)
def test_one_person_has_one_pseudonym_however_it_is_written(
    bench: Bench, kind: str, written: list[str], normal: str
) -> None:
    bench.stage(
        text([case(n, who) for n, who in enumerate(written)]), table="fct_social_case", contract=cases(bench, kind)
    )
    assert bench.accepted("person_hash") == [pseudonym(bench, "fct_social_case.person_hash", normal)] * len(written)


@pytest.mark.parametrize(
    ("kind", "written"),
    [("iin", IIN[:-1] + str((int(IIN[-1]) + 1) % 10)), ("iin", IIN[1:]), ("iin", f"{IIN}0"), ("iin", f"N{IIN}"), ("phone", "701 99"),
     ("phone", "unknown"), ("email", "nobody"), ("email", "no body@x")],
)  # fmt: skip
def test_what_is_no_identifier_of_its_kind_is_a_broken_cell_and_the_rule_tells_no_value(
    bench: Bench, kind: str, written: str
) -> None:
    bench.stage(text([case(1, written), case(2, "")]), table="fct_social_case", contract=cases(bench, kind))
    assert bench.accepted("person_hash") == [None, None]  # a gap stays a gap
    assert bench.cells() == [(1, "person_hash", "person_hash.identifier", WITHHELD)]


def test_the_standard_format_and_parquet_get_pseudonyms_too(bench: Bench, tmp_path: Path) -> None:
    columns = bench.table("fct_guest_stay").columns
    row = {c.name: None for c in columns} | {"stay_id": "S1", "guest_hash": hashlib.sha256(IIN.encode()).hexdigest()}
    given_ = {c.name: "2026-01-05 10:00:00" for c in columns if c.sql_type == "TIMESTAMP" and c.required}
    wanted = [c for c in columns if c.required and c.name not in {*given_, "stay_id", "guest_hash"}]
    row |= given_ | {c.name: bench.table("fct_guest_stay").codes.get(c.name, ("1",))[0] for c in wanted}
    file = tmp_path / "stays.parquet"
    pq.write_table(pa.table({n: [v] for n, v in row.items()}, schema=pa.schema([(n, pa.string()) for n in row])), file)
    bench.stage(file.read_bytes(), text([{n: v or "" for n, v in row.items()}]), table="fct_guest_stay")
    expected = pseudonym(bench, "fct_guest_stay.guest_hash", str(row["guest_hash"]))
    assert query(bench.store, "SELECT guest_hash FROM work_staged_row") == [(expected,), (expected,)]


def test_a_number_of_parquet_has_lost_no_zeros_that_the_contract_knows_of(bench: Bench, tmp_path: Path) -> None:
    early = next(
        n
        for n in (
            valid(f"000115500{s:02}") for s in range(40, 60) if any(checked(f"000115500{s:02}{d}") for d in range(10))
        )
    )
    file = tmp_path / "cases.parquet"
    pq.write_table(pa.table({n: [int(early) if n == "who" else v] for n, v in case(1, early).items()}), file)
    bench.stage(file.read_bytes(), table="fct_social_case", contract=cases(bench, "iin"))
    assert bench.accepted("person_hash") == [pseudonym(bench, "fct_social_case.person_hash", early)]


def test_pseudonyms_of_two_columns_do_not_match_and_the_connection_forgets_the_key(bench: Bench) -> None:
    assert pseudonym(bench, "fct_social_case.person_hash", IIN) != pseudonym(bench, "fct_guest_stay.guest_hash", IIN)
    bench.stage(text([case(1, IIN)]), table="fct_social_case", contract=cases(bench, "iin"))
    assert query(bench.store, "SELECT count(*) FROM duckdb_variables()") == [(0,)]


def test_without_a_key_nothing_is_read_and_nothing_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QALA_PSEUDONYM_KEY")
    desk = Desk(tmp_path)
    header = "case_id,person_hash,service_group,initiation,opened_at,decided_at,decision"
    desk.deliver(f"{header}\nC1,{IIN},BENEFIT,PROACTIVE,2026-01-05 10:00:00,,\n", "fct_social_case")
    with desk.open() as store:
        with pytest.raises(MissingKeyError, match=r"person_hash hold personal data.*qala keys new pseudonym"):
            desk.take(store)
        assert query(store, "SELECT state FROM audit.delivery") == [("received",)]
        keys.make(desk.home, "pseudonym")
        assert [o.state for o in desk.take(store).outcomes] == ["loaded"]
        made_by = query(store, "SELECT detail->>'$.pseudonym_key' FROM audit.ledger WHERE kind = 'loaded'")
        current = keys.current(desk.home, "pseudonym")
        assert current is not None
        assert made_by == [(current.id,)]


def test_a_new_key_is_told_until_what_stands_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QALA_PSEUDONYM_KEY")
    desk = Desk(tmp_path)
    header = "case_id,person_hash,service_group,initiation,opened_at,decided_at,decision"
    keys.make(desk.home, "pseudonym")
    with desk.open() as store:
        for month in ("2026-01", "2026-02"):
            desk.deliver(
                f"{header}\nC{month},{IIN},BENEFIT,PROACTIVE,{month}-05 10:00:00,,\n",
                "fct_social_case",
                period=month,
            )
            report = desk.take(store)
            told = [f.observed for f in report.findings if f.rule == "personal.key" and not f.passed]
            assert (month == "2026-02") == bool(told)
            keys.make(desk.home, "pseudonym")
        assert "qala reread --table fct_social_case" in told[0]
        assert query(store, "SELECT count(DISTINCT person_hash) FROM showcase.fct_social_case") == [(2,)]
        from connectors.reread import request_reread

        request_reread(store, store.tables, system=None, table="fct_social_case", period=None)
        assert not [f for f in desk.take(store).findings if f.rule == "personal.key" and not f.passed]
        assert query(store, "SELECT count(DISTINCT person_hash) FROM showcase.fct_social_case") == [(1,)]


# --- texts ---


@pytest.mark.parametrize(
    ("said", "left"),
    [
        (f"ИИН {IIN}, тел. 8 701 999 00 17", f"ИИН {MASK}, тел. {MASK}"),
        (f"{IIN[:6]} {IIN[6:]}", MASK),
        (f"№{IIN}.", f"№{MASK}."),
        (f"{IIN}87019990017", MASK),
        (f"БИН {BIN}", f"БИН {MASK}"),
        ("+7(701)999-00-17", MASK),
        ("пишите nobody@example.kz!", f"пишите {MASK}"),
        ("карта 4400 4301 2345 6789", f"карта {MASK}"),
        ("2026-01-05 10:00:00", "2026-01-05 10:00:00"),
        ("улица Абая 12, кв 5", "улица Абая 12, кв 5"),
        ("710000000-000123", "710000000-000123"),
        ("790000000-12", "790000000-12"),
        ("202600000124", "202600000124"),
        ("APP-2026-100000", "APP-2026-100000"),
    ],
)
def test_what_gives_a_person_away_is_taken_out_of_a_text(said: str, left: str) -> None:
    assert scrubbed(said) == left


_pieces = st.sampled_from([IIN, OTHER, "8 701 999 00 17", "+7(701)9990017", "nobody@example.kz", "4400430123456789", "710000000", "2026-01-05", "Абай",
                           "x", " ", "-", ", ", "\u00a0", "１２", "12", "7", "0017", "\n"])  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(_pieces, max_size=7).map("".join))
def test_what_duckdb_passes_over_holds_nothing(said: str) -> None:
    con = duckdb.connect()
    patterns.register(con)
    found = con.execute(f"SELECT {patterns.scrub('x')}, {patterns.net('x')} FROM (SELECT ? AS x)", [said]).fetchone()
    assert found == (scrubbed(said), scrubbed(said, sure=True))
    assert IIN not in scrubbed(said)
    con.close()


def test_a_shape_has_no_letters_and_an_error_no_cells() -> None:
    assert shaped(f"Иванов 12 кв, {IIN}") == f"xxxxxx 12 xx, {MASK}"
    said = f"Conversion Error: Could not convert string 'O'Brien {IIN}' to INT32 when casting\nsecond line"
    assert harmless(said) == "Conversion Error: Could not convert string … to INT32 when casting"
    assert harmless(f"Type INT64 with value {IIN} can't be cast") == f"Type INT64 with value {MASK} can…"


def test_a_text_column_is_never_taken_with_a_person_in_it_unseen(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    rows = [appeal(n) for n in range(30)]
    rows[1] |= {"category": f"позвонить 8 701 999 00 17 или {OTHER}"}
    rows[2] |= {"appeal_id": IIN}
    desk.deliver(text(rows), table="fct_appeal")
    with desk.open() as store:
        report = desk.take(store)
        (found,) = [f for f in report.findings if f.rule == "personal.found"]
        assert (found.failing_rows, "1 of appeal_id, 1 of category" in found.observed) == (2, True)
        assert query(store, "SELECT category FROM showcase.fct_appeal WHERE category <> 'roads'") == [
            (f"позвонить {MASK} или {MASK}",)
        ]
        (one,) = query(store, "SELECT appeal_id FROM showcase.fct_appeal WHERE appeal_id LIKE 'pseudonym-%'")
        key = keys.needed(desk.home, "pseudonym", "")
        assert one[0].endswith(
            hmac.new(key.derived("domain fct_appeal.appeal_id"), IIN.encode(), hashlib.sha256).hexdigest()[:40]
        )


def test_an_identifier_that_is_a_person_is_rejected_where_there_is_no_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("QALA_PSEUDONYM_KEY")
    desk = Desk(tmp_path)
    desk.deliver(text([*(appeal(n) for n in range(30)), appeal(1) | {"appeal_id": IIN}]), table="fct_appeal")
    with desk.open() as store:
        desk.take(store)
        rows = query(store, "SELECT rule, raw FROM audit.rejected_row")
        assert [rule for rule, _ in rows] == ["personal.identifier"]
        assert IIN not in rows[0][1]


@pytest.mark.parametrize(("said", "left"), [("", None), ("drop", None), ("scrub", f"звонить Ивану {MASK}")])
def test_what_people_write_is_dropped_unless_the_contract_has_it_scrubbed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, said: str, left: str | None
) -> None:
    table = bench.table("fct_appeal")
    columns = tuple(replace(c, free_text=c.name == "category") for c in table.columns)
    monkeypatch.setitem(bench.store.tables, "fct_appeal", replace(table, columns=columns))
    own = f", customProperties: [{{property: freeText, value: {said}}}]" if said else ""
    properties = "".join(f"      - {{name: {n}{own if n == 'category' else ''}}}\n" for n in appeal(1))
    contract = bench.contract(contract_text(f"texts{said}", "fct_appeal", properties))
    bench.stage(text([appeal(1, category="звонить Ивану 8 701 999 00 17"), appeal(2, status="?")]), contract=contract)
    assert bench.accepted("category") == [left]
    assert ("category" in contract.unmapped(bench.table("fct_appeal"))) == (left is None)
    assert carries_personal(bench.table("fct_appeal"), contract)
    if left is None:
        assert f'"category":"{WITHHELD}"' in bench.raw(2)


def test_a_contract_cannot_say_what_means_nothing(bench: Bench) -> None:
    wrong = "      - {name: case_id, customProperties: [{property: identifier, value: passport}, {property: freeText, value: maybe}]}\n"
    with pytest.raises(DocumentError) as error:
        bench.contract(
            contract_text("wrong", "fct_social_case", wrong, settings={"fileNames": "shown", "personalHeaders": "ФИО"})
        )
    for what in ("identifier 'passport'", "freeText 'maybe'", "fileNames 'shown'", "personalHeaders 'ФИО' is no list"):
        assert what in str(error.value)


# --- what is kept of rejected rows ---


def test_of_a_rejected_row_only_what_can_name_nobody_is_kept(bench: Bench) -> None:
    rows = [
        case(1, "990115500018", name="Nobody"),
        case(2, IIN, service_group="Иванов", name="x"),
        case(3, IIN, opened_at=f"Иванов {OTHER}", name="x"),
    ]
    bench.stage(text(rows), table="fct_social_case", contract=cases(bench, "iin"))
    assert bench.cells() == [(1, "person_hash", "person_hash.identifier", WITHHELD)]
    assert bench.broken() == [(2, "service-group-domain"), (3, "opened_at.type")]
    assert (
        bench.raw(2)
        == f'{{"case_id":"x2","who":"{WITHHELD}","service_group":"xxxxxx","initiation":"PROACTIVE","opened_at":"2026-01-05 10:00:00"}}'
    )
    assert f'"opened_at":"xxxxxx {MASK}"' in bench.raw(3)


def test_an_extract_without_personal_data_shows_its_texts(bench: Bench) -> None:
    bench.stage(text([appeal(1, status="Открыт"), appeal(2, closed_at="вчера в 12")]))
    assert '"status":"Открыт"' in bench.raw(1)
    assert '"closed_at":"xxxxx x 12"' in bench.raw(2)


def test_of_a_record_that_cannot_be_split_its_length_is_kept(bench: Bench) -> None:
    bench.stage(text([appeal(1)]) + f"Иванов,{IIN}\n")
    assert bench.raw(2) == f"{WITHHELD} 2 cells, the header has 9; 19 letters"


# --- names ---


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (f"Выгрузка обращений Иванова {IIN} 2026-01.csv", f"Выгрузка обращений {MASK} 2026-01.csv"),
        ("fct_appeal_710000000_2026-01.csv", "fct_appeal_710000000_2026-01.csv"),
        ("Обращения_Усть-Каменогорск_январь.xlsx", "Обращения_Усть-Каменогорск_январь.xlsx"),
        ("Oskemen 20260105_101500.zip", "Oskemen 20260105_101500.zip"),
        ("отчет Алматы 8-701-999-00-17 final(2).csv", f"отчет Алматы {MASK} final(2).csv"),
        ("Smagulov.csv", f"{MASK}.csv"),
        ("паспорт 012345678.csv", f"{MASK}.csv"),
    ],
)
def test_a_files_name_is_shown_by_the_words_it_may_have(name: str, shown: str) -> None:
    assert safe_name(name) == shown


def test_a_contract_may_keep_the_names_of_its_files_but_no_person() -> None:
    assert safe_name(f"Smagulov {IIN}.csv", kept=True) == f"Smagulov {MASK}.csv"


def test_a_name_in_a_header_is_shown_if_somebody_declared_it_or_nearly() -> None:
    declared = ["registered_at", "Дата обращения"]
    assert safe_header(1, "registred_at", declared) == "registred_at"
    assert safe_header(2, "Дата обращений", declared) == "Дата обращений"
    assert phrase(safe_header(3, IIN, declared)) == "column 3 (12 digits)"
    assert phrase(safe_header(4, "Иванов Иван", declared)) == "column 4 (10 letters, 1 other signs)"


def test_the_warehouse_knows_a_file_by_its_safe_name_and_the_receipt_by_its_own(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    receipt = desk.deliver(text([appeal(1)]), name=f"Иванов {IIN}.csv", table="fct_appeal")
    assert receipt.file_name == f"Иванов {IIN}.csv"
    with desk.open() as store:
        desk.take(store)
        assert query(store, "SELECT file_name FROM audit.delivery") == [(f"{MASK}.csv",)]
        assert query(store, "SELECT detail->>'$.file' FROM audit.ledger WHERE kind = 'received'") == [(f"{MASK}.csv",)]


# --- files in clear text ---


def test_what_a_killed_process_left_in_clear_text_is_swept(tmp_path: Path) -> None:
    code = f"from warehouse.home.scratch import scratch\nfrom pathlib import Path\nimport time\nwith scratch(Path({str(tmp_path)!r})) as p:\n" \
           " (p / 'clear').write_text('x'); print('ready', flush=True); time.sleep(60)\n"  # fmt: skip
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", code], stdout=subprocess.PIPE, env={**os.environ}
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    (left,) = (p for p in tmp_path.glob("qala-*") if p.is_dir())
    assert (tmp_path.stat().st_mode & 0o777, left.stat().st_mode & 0o777) == (0o700, 0o700)
    os.utime(left, (0, 0))  # what is young may be about to be held
    with scratch(tmp_path):
        assert left.exists()  # somebody reads it
    process.send_signal(signal.SIGKILL)
    process.wait()
    os.utime(left, (0, 0))
    with scratch(tmp_path) as mine:
        assert list(tmp_path.iterdir()) == [mine]
    assert list(tmp_path.iterdir()) == []
