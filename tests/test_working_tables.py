"""Working tables are declared: their makers, their readers, and their columns as DuckDB has them; SQL files hold one statement each."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb

from warehouse.tables.working_tables import PREFIX, working_tables

ROOT = Path(__file__).parents[1]
PACKAGES = ("pipelines", "connectors", "kpi_definitions", "warehouse")
# SQL inside an evidence pack: an auditor runs it in plain DuckDB, not a step of ours in the warehouse's session, so its names are for
# the auditor. Statements in `sql/pack_*.sql`, and what these modules make of them
PACK_MODULES = {f"warehouse/audit/{name}.py" for name in ("evidence_value", "evidence_rollup", "evidence_level")}
_NAME = re.compile(rf"\b{PREFIX}[a-z0-9_]*[a-z0-9]\b")
_MADE = re.compile(r"CREATE (?:OR REPLACE )?TEMP(?:ORARY)? (?:TABLE|VIEW) (?:IF NOT EXISTS )?([a-z_{][^\s(]*)")


# in-memory connections of their own, without a warehouse and without later steps: a sample looked at, recipes tried
OWN_CONNECTIONS = {"connectors/inference/sample.py", "connectors/simulator/recipe_checks.py"}


def sources() -> dict[str, str]:
    """Path from the root → text of every module, with the SQL files beside it that it names."""
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            files = (path.parent / "sql").glob("*.sql") if (path.parent / "sql").is_dir() else ()
            named = [f for f in files if "statement(" in text and f'"{f.stem}"' in text]
            found[str(path.relative_to(ROOT))] = "\n".join([text, *(f.read_text(encoding="utf-8") for f in named)])
    return found


def used_in(text: str) -> set[str]:
    """Declared names that occur in a text: of a family (`work_scan_<n>`) the name without its number, of a statement
    (`work_x__from_where`) that of its table."""
    known = working_tables()
    names = {name.partition("__")[0] for name in _NAME.findall(text)}
    return {name if name in known else re.sub(r"_[0-9]+$", "", name) for name in names}


def test_every_temporary_table_is_a_declared_working_table() -> None:
    wrong = []
    for path, text in sources().items():
        for name in _MADE.findall(text):
            plain = re.sub(r"_?\{[^}]*\}.*$", "", name)  # a family: its number, or its name, is put in
            in_pack = path in PACK_MODULES and not plain.startswith(PREFIX)
            if plain and plain not in working_tables() and not in_pack and path not in OWN_CONNECTIONS:
                wrong.append(f"{path} makes {name}")
    assert not wrong


def test_makers_and_readers_are_those_declared() -> None:
    texts = sources()
    wrong = []
    for one in working_tables().values():
        users = {path for path, text in texts.items() if one.name in used_in(text)}
        declared = {one.made_by, *one.read_by}
        if users != declared:
            wrong.append(
                f"{one.name}: used and not declared {sorted(users - declared)}, declared and not used {sorted(declared - users)}"
            )
    assert not wrong


def test_no_working_table_is_used_undeclared() -> None:
    wrong = [
        f"{path} uses {name}"
        for path, text in sources().items()
        for name in sorted(used_in(text) - set(working_tables()))
        if name != "work_tables"
    ]
    assert not wrong


def test_sql_files_hold_one_statement_named_after_its_table_and_say_their_grain() -> None:
    files = [path for package in PACKAGES for path in (ROOT / package).rglob("sql/*.sql")]
    con = duckdb.connect()
    for path in files:
        text = path.read_text(encoding="utf-8")
        text = re.sub(r"(JOIN|FROM) \(\$\{\w+\}\)", r"\1 (SELECT 1)", text)  # a part that is a relation
        text = re.sub(r"\$\{\w+\}", "part", text)
        assert text.startswith("-- "), f"{path}: the first comment says grain and meaning"
        assert len(con.extract_statements(text)) == 1, path
        made = re.search(rf"(?:TABLE|VIEW|INTO|UPDATE|FROM)\s+(?:TEMP )?((?:{PREFIX}|[a-z_]+\.)[a-z0-9_.]+)", text)
        if made and made[1].startswith(PREFIX):
            assert path.stem.startswith(made[1]), f"{path} makes {made[1]}"
