"""What qala says of files that are wrong, of incidents and of a number, in Kazakh, Russian and English."""

from __future__ import annotations

import io
import json
import os
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from connectors.mapping.contract_checks import KNOWN
from kpi_definitions.catalogue import load_catalogues
from pipelines.cli import app
from tests.support.files import Desk, appeal, appeals, text
from tests.support.rows import LATER, only
from tests.support.settlements import ALMATY, ASTANA
from warehouse.home.home import Home
from warehouse.kpi_values.compute import compute
from warehouse.messages.messages import LANGUAGES, catalogue, messages_of, rendered
from warehouse.release.release import publish
from warehouse.store.sessions import reading
from warehouse.store.store import Store
from warehouse.tables.contracts import load_tables

cli = CliRunner()
WORD = re.compile(r"[A-Za-z]{3,}")
# Latin letters that a Russian or a Kazakh reads as they are: names of formats, tables, options and commands
NAMES = re.compile(
    r"qala [a-z]+( --table)?|--[a-z]+|[a-z]+[._/][a-z_./]*|utf-16-[bl]e|UTF-8|CSV|Parquet|zip|zstd|KZ-1048|CP866|SHA-256|FILE|OBS_STATUS|SDU|UTC|SQL|SDMX"
    r"|XLSX|XLSB|XLS|ODS|JSON|XML|DOCTYPE|Excel|HTML|PDF|mended|transformLogic|\.csv|[A-Z]{3}\d\d-\d"
    rf"|\b({'|'.join(KNOWN)}|ignore)\b"  # what is written in a contract
)


def archive_of(**members: str) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as bundle:
        for name, content in members.items():
            bundle.writestr(name.replace("_", "."), content)
    return target.getvalue()


def deliver_what_goes_wrong(desk: Desk) -> None:
    """Files as they come: good ones, and one of each common fault."""
    rows = [appeal(n) for n in range(40)]
    desk.deliver(appeals(40), scope=ALMATY, name="good.csv")
    desk.deliver(appeals(40), scope=ALMATY, name="again.csv")
    without = [{k: v for k, v in row.items() if k != "status"} | {"foreign": "x"} for row in rows]
    desk.deliver(text(without), name="header.csv")
    desk.deliver("", period="2025-02", name="empty.csv")
    desk.deliver(text(rows).encode("utf-16"), period="2025-03", name="utf16.csv")
    desk.deliver(text(rows, delimiter=";"), period="2025-04", name="other.csv")
    desk.deliver(b"PK\x03\x04 no archive", period="2025-05", name="broken.zip")
    desk.deliver(archive_of(notes_md="nothing"), period="2025-06", name="notes.zip")
    desk.deliver(archive_of(a_csv="x,y\n1,2\n", b_csv="z\n1\n"), period="2025-07", name="others.zip")
    desk.deliver(b"PAR1 no parquet", period="2025-08", name="broken.parquet")
    desk.deliver(appeals(40), system="newcomer", period="2025-09", name="newcomer.csv")
    desk.deliver(appeals(40), period="2025-10", rows=41, name="manifest.csv")
    desk.deliver(appeals(40, registered_at="x"), period="2025-11", name="dates.csv")
    gaps = [appeal(n, due_at="") for n in range(20)] + [appeal(n) for n in range(20, 60)]
    desk.deliver(text([*gaps, appeal("a77"), appeal("A77")]), scope=ASTANA, name="rows.csv")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    desk = Desk(tmp_path_factory.mktemp("languages") / "home")
    deliver_what_goes_wrong(desk)
    with desk.open() as store:
        desk.take(store)
        compute(store, only(load_catalogues(), "MGT02-1"), ["2026-01"], codes=["MGT02-1"], today=LATER)
    publish(desk.home, lambda _: [])
    return desk.home


@pytest.fixture(scope="module")
def store(home: Home) -> Iterator[Store]:
    with reading(home) as opened:
        yield opened


def given(part: Any) -> Iterator[str]:
    """The texts that a message names: files, columns, codes."""
    if isinstance(part, str):
        yield part
    elif isinstance(part, Mapping):
        for name, value in part.items():
            if name != "code":
                yield from given(value)
    elif isinstance(part, list):
        for one in part:
            yield from given(one)


def english_in(told: str, recorded: str = "") -> list[str]:
    """English words of a sentence that are no names of a file, a column, a table, an option or a command."""
    for one in sorted(given(messages_of(recorded) or []), key=len, reverse=True):
        told = told.replace(one, "")
    return WORD.findall(NAMES.sub("", told))


def recorded_messages(store: Store, column: str) -> list[str]:
    found = store.con.execute(
        f"SELECT DISTINCT {column.partition('.')[2]} FROM audit.{column.partition('.')[0]} ORDER BY 1"
    )
    return [text for (text,) in found.fetchall() if text is not None]


@pytest.mark.parametrize("language", ["ru", "kk"])
def test_no_english_word_stands_in_another_language(language: str) -> None:
    found = {code: english_in(re.sub(r"\{[^}]*\}", "", said[language])) for code, said in catalogue().items()}
    assert {
        code: words
        for code, words in found.items()
        if words and code.split(".")[0] in ("rule", "finding", "refusal", "delivery")
    } == {}


def test_every_fault_of_a_file_has_a_code_of_its_own(store: Store) -> None:
    reasons = dict(
        store.con.execute("SELECT file_name, reason FROM audit.delivery WHERE reason IS NOT NULL").fetchall()
    )
    codes = {file: (messages_of(reason) or [{"code": "plain text"}])[0]["code"] for file, reason in reasons.items()}
    assert codes == {
        "again.csv": "delivery.same_bytes",
        "header.csv": "refusal.header",
        "empty.csv": "refusal.empty_file",
        "utf16.csv": "refusal.marked_otherwise",
        "other.csv": "refusal.header",
        "broken.zip": "refusal.zip_unreadable",
        "notes.zip": "refusal.archive_without_extract",
        "others.zip": "refusal.no_member_fits",
        "broken.parquet": "refusal.parquet_unreadable",
        "newcomer.csv": "refusal.no_source_contract",
        "manifest.csv": "refusal.rule",
        "dates.csv": "refusal.rule",
    }


@pytest.mark.parametrize(
    "column",
    ["delivery.reason", "check_result.observed", "check_result.expected", "incident.observed", "incident.expected"],
)
def test_what_is_recorded_is_told_in_three_languages(store: Store, column: str) -> None:
    found = recorded_messages(store, column)
    assert found
    for one in found:
        assert messages_of(one), one
        told = {language: str(rendered(one, language)) for language in LANGUAGES}
        assert len(set(told.values())) == 3 or "=" in told["en"] or not WORD.search(told["en"]), told
        assert not english_in(told["ru"], one), told["ru"]
        assert not english_in(told["kk"], one), told["kk"]


def test_sentences_of_refusals_and_incidents_stand_in_the_release(store: Store) -> None:
    for view, column in (("refusals", "reason"), ("incidents", "observed"), ("incidents", "expected")):
        rows = store.con.execute(f"SELECT {column}_en, {column}_ru, {column}_kk FROM {view}").fetchall()
        assert rows
        assert not [row for row in rows if any(said.startswith(("{", "[")) for said in row)]


def test_every_rule_of_every_table_has_three_languages() -> None:
    for table in load_tables().values():
        for rule in table.all_rules:
            english, russian, kazakh = (rule.description(language) for language in ("en", "ru", "kk"))
            if rule.id.endswith(".range"):  # a column and signs
                continue
            assert len({english, russian, kazakh}) == 3, (table.name, rule.id, english)
            assert re.search("[а-яё]", russian), (table.name, rule.id)
            assert re.search("[а-яәғқңөұүһі]", kazakh), (table.name, rule.id)
        assert table.description_kk, table.name
        assert table.description_kk != table.description_ru


def shown(home: Home, *words: str, language: str, code: int = 0) -> str:
    result = cli.invoke(app, [*words, "--lang", language, "--home", str(home.root)], env={"COLUMNS": "200"})
    assert result.exit_code == code, result.output
    return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", "ВРЕМЯ", result.output)


@pytest.mark.parametrize("language", ["ru", "kk"])
def test_the_screen_of_a_number_is_as_it_was_looked_at(home: Home, language: str) -> None:
    golden = Path(__file__).parents[1] / "snapshots" / f"explain.{language}.txt"
    told = shown(home, "explain", "MGT02-1", "Astana", "2026-01", language=language)
    told = re.sub(r"[0-9a-f]{64}", "…", told)
    if os.environ.get("QALA_UPDATE_SNAPSHOTS"):
        golden.write_text(told.rstrip() + "\n", encoding="utf-8")
    assert told.rstrip() == golden.read_text(encoding="utf-8").rstrip()


@pytest.mark.parametrize(
    "words",
    [
        ("explain", "MGT02-1", "KZ", "2026-01"),
        ("rows", "MGT02-1", "Astana", "2026-01"),
        ("incidents", "--all"),
        ("status",),
    ],
)
@pytest.mark.parametrize("language", ["ru", "kk"])
def test_screens_have_no_english_word(home: Home, store: Store, words: tuple[str, ...], language: str) -> None:
    told = shown(home, *words, language=language)
    known = {*store.tables, *(c.name for t in store.tables.values() for c in t.columns), str(home.root), "CLOSED"}
    known |= {rule for (rule,) in store.con.execute("SELECT DISTINCT rule FROM audit.check_result").fetchall()}
    known |= {part for one in recorded_messages(store, "incident.observed") for part in given(messages_of(one))}
    for one in sorted(known, key=len, reverse=True):
        told = told.replace(one, "")
    assert not english_in(told), told


@pytest.mark.parametrize("language", LANGUAGES)
def test_plain_data_have_sentences_beside_codes(home: Home, language: str) -> None:
    answer = json.loads(shown(home, "explain", "MGT02-1", "Astana", "2026-01", "--json", language=language))
    failed = [check for delivery in answer["deliveries"] for check in delivery["checks"]["failed"]]
    assert failed
    assert all(check["observed_code"].startswith(("finding.", "refusal.")) for check in failed)
    assert all(not check["observed"].startswith("{") for check in failed)
    assert answer["settlement"]["name_kk"] == "Астана"
    found = json.loads(shown(home, "incidents", "--json", language=language))
    assert found
    assert all(one["observed_code"] and one["expected_code"] for one in found)


@pytest.mark.parametrize("language", ["de", "KK", "ru_RU", "../ru", "' OR 1=1 --", "қазақша"])
def test_a_language_that_qala_does_not_speak_is_refused_with_the_list(home: Home, language: str) -> None:
    for more, spoken in ((["--lang", language], ""), ([], language)):
        result = cli.invoke(
            app, ["status", *more, "--home", str(home.root)], env={"QALA_LANG": spoken, "COLUMNS": "200"}
        )
        assert result.exit_code == 2
        assert "kk, ru, en" in " ".join(result.output.split())


def test_the_language_of_the_environment_is_that_of_the_reader(home: Home) -> None:
    result = cli.invoke(app, ["status", "--home", str(home.root)], env={"QALA_LANG": "kk", "COLUMNS": "120"})
    assert "жеткізілімдер" in result.output
    assert "deliveries" not in result.output


def test_plain_text_of_former_versions_is_told_as_it_is() -> None:
    former = "same bytes as delivery 3"
    assert {rendered(former, language) for language in LANGUAGES} == {former}
