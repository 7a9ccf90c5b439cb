"""`qala try` as it is typed: its screen, its exit code, first versions of contracts, a home that is not there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pipelines.cli import app
from tests.support.files import contract_text, crashes

SNAPSHOT = Path(__file__).parents[1] / "snapshots" / "try.txt"
POLICE = contract_text(
    "police",
    "fct_crash",
    """\
      - {name: crash_id, physicalName: № ДТП}
      - {name: occurred_at, physicalName: Дата, logicalType: timestamp, logicalTypeOptions: {format: 'dd.MM.yyyy HH:mm'}}
      # TODO: is Погибло what the table calls deaths_30d?
      - {name: deaths_30d, physicalName: Погибло}
      - {name: injured, physicalName: TODO}
""",
    settings={"delimiter": "';'", "personalHeaders": "[ФИО]", "otherHeaders": "ignore"},
)
EXTRACT = "№ ДТП;Дата;Погибло;ФИО;Цвет\n" + "\n".join(
    f"С-{n};{'не помню' if n % 4 == 3 else f'{n + 1:02}.03.2026 14:00'};{'' if n == 8 else n % 2};Иванов И.И.;красный"
    for n in range(12)
)


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("QALA_HOME", raising=False)
    (tmp_path / "police.odcs.yaml").write_text(POLICE, encoding="utf-8")
    (tmp_path / "дтп.csv").write_text(EXTRACT, encoding="utf-8")
    (tmp_path / "crashes.csv").write_text(crashes(30), encoding="utf-8")
    return tmp_path


def tried(*words: str, code: int = 0) -> Result:
    result = CliRunner().invoke(app, ["try", *words], env={"COLUMNS": "120"})
    assert result.exit_code == code, result.output
    return result


def test_the_screen_of_a_first_version(work: Path) -> None:
    """Nothing is taken in by it yet, and yet it is seen what would come of it."""
    shown = tried("дтп.csv", "--contract", "police.odcs.yaml", "--period", "2026-03", code=3).output
    assert "Иванов" not in shown
    assert shown == SNAPSHOT.read_text(encoding="utf-8"), shown


def test_no_home_is_needed_and_none_is_made(work: Path) -> None:
    before = set(work.rglob("*"))
    shown = tried("crashes.csv", "--table", "fct_crash", "--period", "2026-01", "--settlement", "710000000").output
    assert "30 received, 30 would be accepted, 0 rejected" in shown
    assert "feeds fully: SAF04-1" in shown
    assert "next: qala deliver crashes.csv --table fct_crash --settlement 710000000 --period 2026-01" in shown
    assert set(work.rglob("*")) == before


def test_a_contract_of_the_home_is_found_beside_one_that_is_at_fault(work: Path) -> None:
    folder = work / "home" / "contracts" / "police"
    folder.mkdir(parents=True)
    (folder / "fct_crash.odcs.yaml").write_text(POLICE, encoding="utf-8")
    (folder.parent / "broken.odcs.yaml").write_text("a: [", encoding="utf-8")
    words = ("дтп.csv", "--table", "fct_crash", "--system", "police", "--home", "home", "--json")
    answer = json.loads(tried(*words, code=3).output)
    assert answer["contract"] == "test.police.fct_crash"
    assert (answer["received"], answer["accepted"]) == (12, 8)
    assert [one["line"] for one in answer["undecided"]] == [18, 20]
    assert answer["headers_not_taken"] == ["Цвет"]
    lacking = {code: columns for code, columns in answer["kpis"].items() if columns}
    assert all(columns == ["injured"] for columns in lacking.values())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nothing.csv", "--table", "fct_crash"), "there is no file nothing.csv"),
        (("crashes.csv", "--table", "fct_crush"), "did you mean fct_crash"),
        (
            ("crashes.csv", "--table", "fct_crash", "--system", "nobody"),
            "no contract of system 'nobody' feeds fct_crash",
        ),
        (("crashes.csv", "--table", "fct_crash", "--settlement", "Астна"), "710000000"),
        (("crashes.csv", "--table", "fct_crash", "--period", "2026-13"), "2026-13"),
        (("crashes.csv",), "name the table with --table"),
    ],
)
def test_what_cannot_be_tried_is_told(work: Path, words: tuple[str, ...], said: str) -> None:
    assert said in tried(*words, code=1).output
