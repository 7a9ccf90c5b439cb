"""Evidence packs: one number with its rows, definition, deliveries and the whole ledger, to be checked without qala.

A pack is a folder or a zip archive that DuckDB and sha256sum are enough for. It holds what the release knows and no clock of its own,
so two who make it from the same release get the same bytes. The files as received come from the archive, handed in by the command.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from kpi_definitions.compiler import Compiled
from kpi_definitions.model import Kind
from warehouse.audit import evidence_rollup
from warehouse.audit.evidence_readme import readme
from warehouse.audit.evidence_rollup import Rollup
from warehouse.audit.explain import as_json
from warehouse.audit.rows import ContributingRows, FoundValue, contributing_rows, count_rows
from warehouse.home.copies import file_sha256
from warehouse.release.release import FORMATS
from warehouse.sql import literal
from warehouse.store.ledger import ledger_head
from warehouse.store.store import Store
from warehouse.tables.obs_status import WITH_VALUE
from warehouse.tables.value_formula import VALUE

SUMS = "SHA256SUMS"
Contents = Callable[[str], AbstractContextManager[BinaryIO]]  # SHA-256 → the bytes as received


class EvidenceError(RuntimeError):
    """A pack cannot be made; the message says why and what to do."""


@dataclass(frozen=True)
class Pack:
    """A pack that was written."""

    path: Path
    files: int
    head: str  # SEQUENCE:HASH of the ledger in it


def write_pack(
    store: Store,
    one: FoundValue | Rollup | Mapping[str, Any],
    target: Path,
    contents: Contents | None = None,
    personal: Collection[str] = (),
) -> Pack:
    """Write the pack of a number to `target`, a folder, or a zip archive if its name ends so; with `contents` the files as received too,
    of which the README names those with personal data: `personal`, their SHA-256.

    A mapping is what `standing` answers: a level and a place.

    It is there whole or not at all; an earlier pack in its place is replaced. Raises EvidenceError.
    """
    if not _replaceable(target):
        raise EvidenceError(f"{target} is there and is not an evidence pack; name another place with --to")
    seq, digest = ledger_head(store.con)
    target.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        folder = work / "new"
        if isinstance(one, FoundValue):
            _fill(store, one, folder, f"{seq}:{digest}", contents, personal)
        else:
            _fill_sum(store, one, folder, f"{seq}:{digest}")
        names = [p.relative_to(folder).as_posix() for p in sorted(folder.rglob("*")) if p.is_file()]
        sums = "".join(f"{file_sha256(folder / name)}  {name}\n" for name in names)
        (folder / SUMS).write_text(sums, encoding="utf-8", newline="\n")
        if target.suffix == ".zip":
            _zip(folder, [*names, SUMS], work / "new.zip").replace(target)
        else:
            _put(folder, target, work / "old")
    finally:
        shutil.rmtree(work)
    return Pack(target, len(names) + 1, f"{seq}:{digest}")


def _replaceable(target: Path) -> bool:
    """Nothing is there, an empty folder, or a pack and nothing else."""
    if target.suffix == ".zip":
        if not target.exists():
            return True
        if not target.is_file() or not zipfile.is_zipfile(target):
            return False
        with zipfile.ZipFile(target) as bundle:
            held = set(bundle.namelist())
            sums = bundle.read(SUMS).decode() if SUMS in held else ""
    else:
        if not target.exists():
            return True
        if not target.is_dir():
            return False
        held = {p.relative_to(target).as_posix() for p in target.rglob("*") if not p.is_dir()}
        sums = (target / SUMS).read_text(encoding="utf-8") if SUMS in held else ""
    return held <= {SUMS, *(line[66:] for line in sums.splitlines())} if "recompute.sql" in held else not held


def _put(folder: Path, target: Path, aside: Path) -> None:
    """Move a folder to its place; what was there goes aside, and back if that fails."""
    there = target.exists()
    if there:
        target.rename(aside)
    try:
        folder.rename(target)
    except OSError:
        if there:
            aside.rename(target)
        raise


def _zip(folder: Path, names: list[str], target: Path) -> Path:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name in names:
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))  # no clock: the same bytes each time
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o640 << 16
            with (folder / name).open("rb") as source, bundle.open(entry, "w") as sink:
                shutil.copyfileobj(source, sink)
    return target


def _fill(
    store: Store, one: FoundValue, folder: Path, head: str, contents: Contents | None, personal: Collection[str]
) -> None:
    """Everything of a pack but its checksums."""
    tables = contributing_rows(store, one, every=True)
    _parquets(store, {f"rows/{rows.table}.parquet": rows.sql for rows in tables}, folder)
    definition, deliveries = _definition(store, one.compiled, one.answer["definition"]), _deliveries(store, one)
    texts = {
        "value.json": as_json(one.answer),
        "definition.json": as_json(definition),
        "deliveries.json": as_json(deliveries),
        "recompute.sql": "\n".join((*_script(one, tables, definition, head), "")),
        "README.md": readme(
            one.answer, head, {r.table: count_rows(store, r) for r in tables}, _classified(store, tables), files=contents is not None,
            personal=sorted(personal),
        ),
    }  # fmt: skip
    _texts(texts, folder)
    if contents is not None:
        _files(deliveries, folder / "files", contents)


def _fill_sum(store: Store, one: Rollup | Mapping[str, Any], folder: Path, head: str) -> None:
    """Everything of the pack of a roll-up, or of a level and a place, but its checksums."""
    chain = ledger_script(head)
    if isinstance(one, Rollup):
        answer, tables = one.answer, evidence_rollup.rollup_tables(store, one)
        texts = {"value.json": as_json(answer), "definition.json": as_json(_definition(store, one.compiled, answer["definition"])),
                 "recompute.sql": "\n".join((*evidence_rollup.rollup_script(one, chain), ""))}  # fmt: skip
    else:
        answer, rules = one, evidence_rollup.rules_of(store, one)
        tables = evidence_rollup.standing_tables(answer, rules)
        texts = {"standing.json": as_json(answer), "rules.json": evidence_rollup.as_text(rules),
                 "recompute.sql": "\n".join((*evidence_rollup.standing_script(answer, rules, chain), ""))}  # fmt: skip
    _parquets(store, tables, folder)
    _texts(texts | {"README.md": evidence_rollup.sums_readme(answer, head)}, folder)


def _parquets(store: Store, tables: Mapping[str, str], folder: Path) -> None:
    """Files of the pack with the queries they hold, and the ledger."""
    threads = store.con.execute("SELECT current_setting('threads')").fetchone()
    store.con.execute("SET threads = 1")  # with more, row groups may be cut at other places each time
    try:
        for name, sql in {**tables, "ledger.parquet": "SELECT * FROM audit.ledger ORDER BY seq"}.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            store.con.execute(f"COPY ({sql}) TO {literal(folder / name)} ({FORMATS['.parquet']})")
    finally:
        store.con.execute(f"SET threads = {threads[0] if threads else 1}")


def _texts(texts: Mapping[str, str], folder: Path) -> None:
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")


def _files(deliveries: list[dict[str, Any]], folder: Path, contents: Contents) -> None:
    """The bytes as received, each content once, held against the hash they are kept under."""
    folder.mkdir()
    names = {d["sha256"]: d["file_name"] for d in reversed(deliveries)}
    for sha256, file_name in names.items():
        plain = re.sub(r"[^\w.-]", "_", file_name)  # a name that sha256sum need not quote
        target = folder / f"{sha256}_{plain}"
        with contents(sha256) as source, target.open("wb") as sink:
            shutil.copyfileobj(source, sink)
        if file_sha256(target) != sha256:
            raise EvidenceError(f"the archive holds other bytes than {file_name} had ({sha256}); see: qala verify")


def _definition(store: Store, compiled: Compiled, words: Mapping[str, Any]) -> dict[str, Any]:
    """The definition as it was registered at its first use; one never used has no ledger row yet: of that, what `explain` says."""
    kpi = compiled.kpi
    row = store.con.execute(
        "SELECT definition, definition_hash, registered_seq, catalogue_id, catalogue_version, catalogue_status FROM registry.kpi "
        "WHERE (code, version) = (?, ?)", [kpi.code, kpi.version]
    ).fetchone()  # fmt: skip
    text, fingerprint, seq, catalogue_id, version, status = row or (
        kpi.model_dump_json(by_alias=True), compiled.fingerprint, None, words["catalogue"], words["catalogue_version"], words["catalogue_status"]
    )  # fmt: skip
    return {
        "code": kpi.code, "version": kpi.version, "fingerprint": fingerprint, "registered_seq": seq,
        "catalogue": {"id": catalogue_id, "version": version, "status": status}, "definition": json.loads(text),
    }  # fmt: skip


def _deliveries(store: Store, one: FoundValue) -> list[dict[str, Any]]:
    """The manifest: every delivery behind the number, or that should have been, with all that its checks found."""
    found = []
    for given in one.answer["deliveries"]:
        cursor = store.con.execute(
            "SELECT rule, severity, dimension, passed, observed, expected, failing_rows FROM audit.check_result WHERE delivery_id = ? ORDER BY ALL",
            [given["delivery_id"]],
        )
        names = [d[0] for d in cursor.description or ()]
        checks = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        registered = store.con.execute(
            "SELECT registered_seq FROM audit.delivery WHERE delivery_id = ?", [given["delivery_id"]]
        ).fetchone()
        found.append({**given, "registered_seq": registered[0] if registered else None, "checks": checks})
    return found


def _classified(store: Store, tables: list[ContributingRows]) -> dict[str, list[str]]:
    """Classification of the contract → columns in the pack that carry it, as table.column; open ones are left out."""
    found: dict[str, list[str]] = {}
    for rows in tables:
        by_name = {c.name: c.classification for c in store.tables[rows.table].columns}
        for column in (*rows.key, *rows.reads):
            if by_name.get(column, "open") != "open":
                found.setdefault(by_name[column], []).append(f"{rows.table}.{column}")
    return found


# Canonical JSON of a ledger row as json.dumps(ensure_ascii=False, separators=(",", ":")) writes it: only quotes, backslashes and
# control characters are escaped. DuckDB's own to_json writes the hexadecimal digits of control characters as capitals.
_LEDGER = r"""
CREATE OR REPLACE TEMP MACRO json_text(s) AS '"' || CASE
    WHEN regexp_matches(s, '[\x00-\x1f]') THEN array_to_string([CASE unicode(c)
        WHEN 34 THEN '\"' WHEN 92 THEN '\\' WHEN 8 THEN '\b' WHEN 9 THEN '\t' WHEN 10 THEN '\n' WHEN 12 THEN '\f' WHEN 13 THEN '\r'
        ELSE CASE WHEN unicode(c) < 32 THEN printf('\u%04x', unicode(c)) ELSE c END END FOR c IN string_split(s, '')], '')
    ELSE replace(replace(s, '\', '\\'), '"', '\"') END || '"';
CREATE OR REPLACE TEMP TABLE chain AS
SELECT seq, hash, seq = row_number() OVER (ORDER BY seq) AND prev_hash = lag(hash, 1, repeat('0', 64)) OVER (ORDER BY seq)
    AND hash = sha256('[' || seq || ',' || epoch_us(recorded_at) || ',' || json_text(kind) || ',' || json_text(subject) || ','
        || coalesce(json_text(run_id), 'null') || ',' || json_text(detail) || ',' || json_text(prev_hash) || ']') AS holds
FROM read_parquet('ledger.parquet');
CREATE OR REPLACE TEMP TABLE ledger AS
SELECT count(*) AS rows, min(seq) FILTER (WHERE holds IS NOT TRUE) AS first_broken_row, max(seq) || ':' || arg_max(hash, seq) AS head,
       {head} AS head_of_this_pack, coalesce(bool_and(holds IS TRUE) AND head = head_of_this_pack, false) AS ledger_intact FROM chain;
SELECT * FROM ledger;"""


def ledger_script(head: str) -> str:
    """SQL that checks the chain of `ledger.parquet`, up to the head of the pack."""
    return _LEDGER.strip().replace("{head}", literal(head))


def _script(one: FoundValue, tables: list[ContributingRows], definition: Mapping[str, Any], head: str) -> Iterator[str]:
    """Statements of recompute.sql: plain DuckDB over the files beside it; the last one gives one row."""
    answer, compiled = one.answer, one.compiled
    kpi = compiled.kpi
    place = f"{kpi.code} of {answer['settlement']['name_en']} for {answer['period']['id']}"
    yield f"-- {place}, computed again from the rows beside this file."
    yield '-- In this folder: duckdb -c ".read recompute.sql"   (DuckDB 1.3 or later; README.md says more)'
    yield "SET TimeZone = 'UTC';\nCREATE SCHEMA IF NOT EXISTS showcase;"
    for rows in tables:
        yield f"CREATE OR REPLACE VIEW showcase.{rows.table} AS FROM read_parquet('rows/{rows.table}.parquet');"
    yield "\n-- 1. The ledger: each row is hashed with the one before it."
    yield ledger_script(head)
    yield "\n-- 2. What came in: deliveries and definition as their ledger rows have them."
    columns = "delivery_id: 'BIGINT', receipt_id: 'VARCHAR', sha256: 'VARCHAR', table_name: 'VARCHAR', registered_seq: 'BIGINT'"
    registered = definition["registered_seq"]
    yield f"""CREATE OR REPLACE TEMP TABLE inputs AS
SELECT 'delivery ' || d.delivery_id AS what, d.sha256 AS fingerprint, l.seq AS ledger_row,
       coalesce(CASE WHEN l.kind = 'received' AND json_valid(l.detail) THEN
           ((l.detail->>'$.sha256') = d.sha256 AND (l.detail->>'$.table') = d.table_name) END, false) AS in_ledger
FROM read_json('deliveries.json', columns = {{{columns}}}) d
LEFT JOIN read_parquet('ledger.parquet') l ON l.seq = d.registered_seq AND l.subject = d.receipt_id"""
    if registered is not None:
        yield """UNION ALL SELECT 'definition ' || f.code || '@' || f.version, f.fingerprint, l.seq,
       coalesce(CASE WHEN l.kind = 'definition' AND l.subject = f.code || '@' || f.version AND json_valid(l.detail) THEN
           (l.detail->>'$.hash') = f.fingerprint END, false)
FROM read_json('definition.json', columns = {code: 'VARCHAR', version: 'BIGINT', fingerprint: 'VARCHAR', registered_seq: 'BIGINT'}) f
LEFT JOIN read_parquet('ledger.parquet') l ON l.seq = f.registered_seq"""
    yield ";\nSELECT * FROM inputs ORDER BY what;"
    yield f"\n-- 3. The number, by the SQL of {kpi.code} version {kpi.version} (fingerprint {compiled.fingerprint})."
    parts = {}
    for index, scan in enumerate(compiled.scans, 1):
        parts[scan] = f"part_{index}"
        yield f"CREATE OR REPLACE TEMP TABLE part_{index} AS\n{scan.sql(f'showcase.{scan.table}', one.cell, any_window=True)};"
    n, d, s = (f"(SELECT {output.column} FROM {parts[output.scan]})" for output in compiled.outputs)
    single = kpi.kind is Kind.QUANTILE
    expected = {
        "value": f"CAST({literal(answer['value'])} AS DOUBLE)",
        "numerator": f"CAST({literal(answer['numerator'])} AS DECIMAL(38,6))",
        "denominator": f"CAST({literal(answer['denominator'])} AS DECIMAL(38,6))",
        "sample": f"CAST({literal(answer['sample_size'] or 0)} AS BIGINT)",
    }
    recorded = ", ".join(f"{sql} AS {name}" for name, sql in expected.items())
    shown = VALUE
    if answer["published"] and answer["obs_status"] not in WITH_VALUE:
        yield f"-- Its state is {answer['state']!r}: no value is published. Numerator, denominator and sample are compared."
        shown = "NULL"
    exact = "NULL AS numerator, NULL AS denominator" if single else "top AS numerator, bottom AS denominator"
    yield f"""CREATE OR REPLACE TEMP TABLE recorded AS SELECT {recorded};
CREATE OR REPLACE TEMP TABLE computed AS
SELECT CAST({shown} AS DOUBLE) AS value, {exact}, s AS sample
FROM (SELECT top, bottom, CAST(top AS DOUBLE) AS n, CAST(bottom AS DOUBLE) AS d, s, {kpi.scale} AS scale, '{kpi.kind}' AS kind
      FROM (SELECT {n} AS top, {d} AS bottom, coalesce({s}, 0) AS s));
-- Nothing counted is the same as nothing there: an empty numerator or denominator stands for 0.
SELECT 'value ' || coalesce(r.value::VARCHAR, 'none') || ', ' || coalesce(r.numerator, 0) || ' / ' || coalesce(r.denominator, 0)
           || ', sample ' || r.sample AS expected,
       'value ' || coalesce(c.value::VARCHAR, 'none') || ', ' || coalesce(c.numerator, 0)::DECIMAL(38,6) || ' / '
           || coalesce(c.denominator, 0)::DECIMAL(38,6) || ', sample ' || c.sample AS computed,
       r.value IS NOT DISTINCT FROM c.value AND coalesce(r.numerator, 0) = coalesce(c.numerator, 0)
           AND coalesce(r.denominator, 0) = coalesce(c.denominator, 0) AND r.sample = c.sample AS equal,
       ledger_intact, (SELECT coalesce(bool_and(in_ledger), true) FROM inputs) AS inputs_in_ledger
FROM recorded r, computed c, ledger;"""
