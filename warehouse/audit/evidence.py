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
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from kpi_definitions.compiler import Compiled
from warehouse.audit.evidence_level import level_files, level_script, rules_json, rules_of
from warehouse.audit.evidence_readme import readme
from warehouse.audit.evidence_readme_summed import summed_readme
from warehouse.audit.evidence_rollup import Rollup, rollup_files, rollup_script
from warehouse.audit.evidence_value import ledger_script, value_script
from warehouse.audit.explain import as_json
from warehouse.audit.rows import ContributingRows, FoundValue, contributing_rows, count_rows
from warehouse.home.copies import file_sha256
from warehouse.messages.messages import DEFAULT, told_in
from warehouse.release.exports import FORMATS
from warehouse.sql import literal
from warehouse.store.ledger import ledger_head
from warehouse.store.store import Store

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
    number: FoundValue | Rollup | Mapping[str, Any],
    target: Path,
    contents: Contents | None = None,
    personal: Collection[str] = (),
) -> Pack:
    """Write the evidence pack of a number to `target`, a folder, or a zip archive if the name ends in .zip. Raises EvidenceError.

    `number`: a value, a roll-up, or the answer of `explain_level` for a level and a place. `contents`: opens the files as received,
    which then go into the pack too; `personal`: SHA-256 of those with personal data, which the README names.

    The pack is written whole or not at all; an earlier pack at `target` is replaced.
    """
    if not _replaceable(target):
        raise EvidenceError(f"{target} is there and is not an evidence pack; name another place with --to")
    seq, digest = ledger_head(store.con)
    target.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        folder = work / "new"
        head = f"{seq}:{digest}"
        if isinstance(number, FoundValue):
            _fill(store, number, folder, head, contents, personal)
        elif isinstance(number, Rollup):
            _fill_rollup(store, number, folder, head)
        else:
            _fill_level(store, number, folder, head)
        names = [p.relative_to(folder).as_posix() for p in sorted(folder.rglob("*")) if p.is_file()]
        sums = "".join(f"{file_sha256(folder / name)}  {name}\n" for name in names)
        (folder / SUMS).write_text(sums, encoding="utf-8", newline="\n")
        if target.suffix == ".zip":
            _zip(folder, [*names, SUMS], work / "new.zip").replace(target)
        else:
            _put(folder, target, work / "old")
    finally:
        shutil.rmtree(work)
    return Pack(target, len(names) + 1, head)


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
    store: Store,
    value: FoundValue,
    folder: Path,
    head: str,
    contents: Contents | None,
    personal: Collection[str],
) -> None:
    """Everything of the pack of a value but its checksums."""
    tables = contributing_rows(store, value, every=True)
    _parquets(store, {f"rows/{rows.table}.parquet": rows.sql for rows in tables}, folder)
    definition = _definition(store, value.compiled, value.answer["definition"])
    deliveries = _delivery_manifest(store, value)
    words = readme(
        value.answer,
        head,
        {rows.table: count_rows(store, rows) for rows in tables},
        _classified(store, tables),
        files=contents is not None,
        personal=sorted(personal),
    )
    texts = {
        "value.json": as_json(value.answer),
        "definition.json": as_json(definition),
        "deliveries.json": as_json(deliveries),
        "recompute.sql": _lines(value_script(value, tables, definition, head)),
        "README.md": words,
    }
    _texts(texts, folder)
    if contents is not None:
        _files(deliveries, folder / "files", contents)


def _fill_rollup(store: Store, rollup: Rollup, folder: Path, head: str) -> None:
    """Everything of the pack of a roll-up but its checksums."""
    answer = rollup.answer
    _parquets(store, rollup_files(store, rollup), folder)
    texts = {
        "value.json": as_json(answer),
        "definition.json": as_json(_definition(store, rollup.compiled, answer["definition"])),
        "recompute.sql": _lines(rollup_script(rollup, ledger_script(head))),
        "README.md": summed_readme(answer, head),
    }
    _texts(texts, folder)


def _fill_level(store: Store, answer: Mapping[str, Any], folder: Path, head: str) -> None:
    """Everything of the pack of a level and a place but its checksums."""
    rules = rules_of(store, answer)
    _parquets(store, level_files(answer, rules), folder)
    texts = {
        "level.json": as_json(answer),
        "rules.json": rules_json(rules),
        "recompute.sql": _lines(level_script(answer, rules, ledger_script(head))),
        "README.md": summed_readme(answer, head),
    }
    _texts(texts, folder)


def _lines(lines: Iterable[str]) -> str:
    return "\n".join((*lines, ""))


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
    """The definition as registered at its first use. One that was never used is not registered: of that, what `explain` says."""
    kpi = compiled.kpi
    row = store.con.execute(
        "SELECT definition, definition_hash, registered_seq, catalogue_id, catalogue_version, catalogue_status "
        "FROM registry.kpi WHERE (kpi_code, definition_version) = (?, ?)",
        [kpi.code, kpi.version],
    ).fetchone()
    if row is None:
        catalogue = (words["catalogue"], words["catalogue_version"], words["catalogue_status"])
        row = (kpi.model_dump_json(by_alias=True), compiled.fingerprint, None, *catalogue)
    text, fingerprint, seq, catalogue_id, version, status = row
    return {
        "code": kpi.code,
        "version": kpi.version,
        "fingerprint": fingerprint,
        "registered_seq": seq,
        "catalogue": {"id": catalogue_id, "version": version, "status": status},
        "definition": json.loads(text),
    }


def _delivery_manifest(store: Store, one: FoundValue) -> list[dict[str, Any]]:
    """Every delivery with rows in the value, or that should have had some, with what its checks found."""
    found = []
    for delivery in one.answer["deliveries"]:
        delivery_id = [delivery["delivery_id"]]
        checks = told_in(
            store.select(
                "SELECT rule, severity, dimension, passed, observed, expected, failing_rows FROM audit.check_result "
                "WHERE delivery_id = ? ORDER BY ALL",
                delivery_id,
            ),
            DEFAULT,
        )
        registered = store.con.execute(
            "SELECT registered_seq FROM audit.delivery WHERE delivery_id = ?", delivery_id
        ).fetchone()
        found.append({**delivery, "registered_seq": registered[0] if registered else None, "checks": checks})
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
