"""Exports made from those of the former release, as far as their rows are the same: written anew are the KPIs of which a row differs.

An export with a row per cell is ordered by KPI, so a KPI is one piece of it. Of each the index has rows, a hash over them as the view gives
them, and bytes; the ledger has the SHA-256 of the index and of each export. What does not fit these is written whole.
Does not belong here: which exports there are (exports.py).
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from warehouse.home.copies import copied, file_sha256
from warehouse.release.exports import EXPORTS, export, write
from warehouse.sql import literal, quoted
from warehouse.store.store import Store

INDEX = "parts.json"
_MERGED = 4  # KPIs of a Parquet file; to make more of them anew costs as much as all
_PARTED = ("kpi_values.csv", "kpi_values.parquet", "kpi_rollups.csv")


class _Part(NamedTuple):
    """One KPI of an export."""

    rows: int
    hash: str
    bytes: int = 0  # of a CSV file


_Parts = Mapping[str, _Part]  # by KPI


class PartedExports:
    """Writes the exports of one release. `former`: what the ledger says of the release before, {} if there is none."""

    def __init__(self, store: Store, former: Mapping[str, Any]):
        self._con, self._home = store.con, store.home
        self._home.reused.mkdir(exist_ok=True)
        self._sha256: Mapping[str, str] = former.get("exports", {})
        self._former = _read_index(self._home.reused / INDEX, former.get("parts"))
        self._index: dict[str, Any] = {}
        self._rows: dict[str, dict[str, _Part]] = {}

    def write(self, name: str, path: Path) -> str | None:
        """Write one of EXPORTS to a path where nothing is. Returns its SHA-256 if that had to be found out."""
        if name not in _PARTED:
            export(self._con, name, path)
            return None
        made_by, parts = self._made_by(name), self._parts(name)
        before = self._former.get(name, {})
        former = {code: _Part(*one) for code, one in before["parts"].items()} if before.get("by") == made_by else {}
        changed = {
            code for code in {*parts, *former} if parts.get(code) != former.get(code, _Part(0, ""))._replace(bytes=0)
        }
        made = None
        if former and 2 * sum(parts[code].rows for code in changed & {*parts}) <= sum(
            one.rows for one in parts.values()
        ):
            made = self._from_former(name, path, parts, former, changed)
        digest, sized = made or (None, None)
        if made is None:
            path.unlink(missing_ok=True)
            export(self._con, name, path)
            sized = _sized(path, parts) if name.endswith(".csv") else parts
        if sized:
            self._index[name] = {"by": made_by, "parts": sized}
        return digest

    def keep_index(self) -> str:
        """Keep the index of what was written for the next release. Returns its SHA-256."""
        text = json.dumps(self._index, sort_keys=True).encode()
        fresh = self._home.reused / f".{INDEX}.new"
        fresh.write_bytes(text)
        fresh.replace(self._home.reused / INDEX)
        return hashlib.sha256(text).hexdigest()

    def _from_former(
        self, name: str, path: Path, parts: _Parts, former: _Parts, changed: Collection[str]
    ) -> tuple[str, _Parts] | None:
        """SHA-256 and parts of an export that was made from the former one; None if that is not the file that was released."""
        before, wanted = self._home.release / name, self._sha256.get(name)
        if wanted is None or not before.is_file() or before.is_symlink():
            return None
        if name.endswith(".csv") and changed:
            return self._spliced(name, path, parts, former, changed)
        if len(changed) > _MERGED or file_sha256(before) != wanted:
            return None
        if not changed:
            try:
                os.link(before, path)
            except OSError:  # a file system without links
                copied(before, path)
            return wanted, former
        self._merged(name, path, before, changed)
        return file_sha256(path), parts

    def _merged(self, name: str, path: Path, before: Path, changed: Collection[str]) -> None:
        """Rows of changed KPIs from the tables, of those between them from the former Parquet file: in order, so that none is sorted."""
        query, _, order = EXPORTS[name].partition(" ORDER BY ")
        rows, after = list[str](), ""
        for code in map(literal, sorted(changed)):
            rows.append(f"SELECT * FROM read_parquet({literal(str(before))}) WHERE kpi_code < {code}{after}")
            rows.append(f"(SELECT * FROM ({query}) WHERE kpi_code = {code} ORDER BY {order})")
            after = f" AND kpi_code > {code}"
        rows.append(f"SELECT * FROM read_parquet({literal(str(before))}) WHERE true{after}")
        write(self._con, " UNION ALL ".join(rows), path, Path(name).suffix)

    def _spliced(
        self, name: str, path: Path, parts: _Parts, former: _Parts, changed: Collection[str]
    ) -> tuple[str, _Parts] | None:
        """As `_from_former`, of a CSV file: pieces of changed KPIs from the tables, of the others from the former file."""
        query, _, order = EXPORTS[name].partition(" ORDER BY ")
        anew = self._home.reused / f"changed-{name}"
        write(self._con, f"SELECT * FROM ({query}) WHERE {_among(changed)} ORDER BY {order}", anew, Path(name).suffix)
        sized = _sized(anew, {code: parts[code] for code in changed if code in parts})
        if sized is None:
            return None
        was, now = hashlib.sha256(), hashlib.sha256()
        with (self._home.release / name).open("rb") as old, anew.open("rb") as new, path.open("wb") as made:
            was.update(old.readline())
            pieces = [new.readline()]
            for code in sorted({*parts, *former}):
                if code in former:
                    piece = old.read(former[code].bytes)
                    was.update(piece)
                    if code not in changed:
                        pieces.append(piece)
                if code in sized:
                    pieces.append(new.read(sized[code].bytes))
                for piece in pieces:
                    now.update(piece)
                    made.write(piece)
                pieces.clear()
            was.update(old.read())
        anew.unlink()
        if was.hexdigest() != self._sha256.get(name):
            return None
        return now.hexdigest(), {code: sized.get(code) or former[code] for code in parts}

    def _made_by(self, name: str) -> str:
        """SHA-256 of all that makes one text or another of equal rows."""
        said = [EXPORTS[name], self._con.execute(f"DESCRIBE {EXPORTS[name]}").fetchall(), duckdb.__version__]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()

    def _parts(self, name: str) -> dict[str, _Part]:
        """The KPIs of an export, by all columns of the view it reads."""
        relation = EXPORTS[name].partition(" ORDER BY ")[0].partition("FROM ")[2]
        if relation not in self._rows:
            described = self._con.execute(f"DESCRIBE FROM {relation}").fetchall()
            # equal doubles may be written otherwise: 0.0 and -0.0
            doubles = "".join(f", r.{quoted(c)}::VARCHAR" for c, kind, *_ in described if kind in ("DOUBLE", "FLOAT"))
            found = self._con.execute(
                f"SELECT kpi_code, count(*), sum(hash(r{doubles})::HUGEINT)::VARCHAR FROM (FROM {relation}) AS r GROUP BY kpi_code"
            )
            self._rows[relation] = {code: _Part(rows, digest) for code, rows, digest in found.fetchall()}
        return self._rows[relation]


def _among(codes: Iterable[str]) -> str:
    return f"list_contains([{', '.join(map(literal, sorted(codes)))}]::VARCHAR[], kpi_code)"


def _read_index(path: Path, sha256: str | None) -> dict[str, Any]:
    """The index of the former release; {} if it is not the one that the ledger knows."""
    try:
        text = path.read_bytes()
    except OSError:
        return {}
    found: dict[str, Any] = json.loads(text) if hashlib.sha256(text).hexdigest() == sha256 else {}
    return found


def _sized(path: Path, parts: _Parts) -> dict[str, _Part] | None:
    """The parts with the bytes each takes in a CSV file; None if its lines do not tell: a code in quotes, a text of several lines."""
    sized = {}
    with path.open("rb") as handle, mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as text:
        start, codes = text.find(b"\n") + 1, sorted(parts)
        for code, following in zip(codes, [*codes[1:], None][: len(codes)], strict=True):
            stop = len(text) if following is None else text.find(f"\n{following},".encode(), start) + 1
            piece = text[start:stop]
            if not piece.startswith(f"{code},".encode()) or piece.count(b"\n") != parts[code].rows:
                return None
            sized[code] = parts[code]._replace(bytes=len(piece))
            start = stop
    return sized
