"""Whether a release is still what was recorded and derived. Reads, never mends.

What it establishes is numbered (ESTABLISHED in differences.py, and in the output of `qala verify`):

1. the release's folder holds the files its manifest names, and no other (published.py);
2. the manifest is what the ledger says was released;
3. the manifest is signed by a key that is kept elsewhere, if it is given (warehouse/release/signing.py);
4. the ledger is a chain: each row is hashed with the one before it, so a row that was changed, taken out or put in breaks it;
5. it contains what was anchored outside: who rewrites the whole chain, or drops its last rows, is found by that and by nothing else;
6. schema, views and comments are what the code makes, and nothing else is there (derived.py);
7. exports are what the tables give by the code's views;
8. deliveries are what was entered;
9. every row is sealed: each transaction seals the rows it wrote (warehouse/store/seals.py), and the seals stand in the ledger;
10. definitions, registries and settings are what was entered;
11. values follow from their parts and can be walked back to deliveries;
12. archive and receipts are what the ledger knows (connectors/accounted.py, asked by the command line);
13. the warehouse beside the release goes on from it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO

import duckdb
from pydantic import ValidationError

from kpi_definitions.compiler import fingerprint
from kpi_definitions.model import Kpi
from warehouse.audit import derived, published
from warehouse.audit.differences import ESTABLISHED, SHOWN, Difference, Kind, Verified
from warehouse.home.copies import file_sha256
from warehouse.kpi_values.compute import VALUE
from warehouse.release.anchors import Anchor
from warehouse.release.release import lineage_gaps
from warehouse.store.former_ledger import anchored_before, rebuilt_entry
from warehouse.store.seals import (
    CATALOGUE,
    REGISTRIES,
    SEAL_COLUMNS,
    all_sealed,
    hash_of_seals,
    of_registry,
    recomputed,
)
from warehouse.store.store import NOTHING, BusyError, Home, Store, StoreError, ledger_hash, ledger_head, looking
from warehouse.store.succession import MANIFEST

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

_SUBJECTS = {
    "deliveries received": "deliveries",
    "deliveries decided": "deliveries",
    "values restated": "values",
    "roll-ups restated": "roll-ups",
}


def verify(
    home: Home,
    anchors: Sequence[Anchor] = (),
    public: Ed25519PublicKey | None = None,
    archive: Callable[[Store, Store | None], Iterable[tuple[str, str]]] | None = None,
    kept: Callable[[str], AbstractContextManager[BinaryIO]] | None = None,
) -> Verified:
    """Everything in ESTABLISHED. `archive` tells (kind, what differs) of archive and receipts, from the release and, if it can be read, the warehouse;
    `kept` opens archived bytes by their SHA-256: a ledger that was made anew keeps the one before it there.

    Raises StoreError if nothing was released. A file that a planted log or planted functions make unsafe to ask is not asked further.
    """
    manifest, found = published.manifest_of(home)
    unchecked = {} if public else {3: "no public key was given (--key)"}
    if not anchors:
        unchecked[5] = "no anchor was given (--head); only the manifest's own head was looked at"
    if manifest is None:
        return Verified(tuple(found), dict.fromkeys(ESTABLISHED, "the manifest cannot be read"), None)
    found += published.release_files(home, manifest)
    if public:
        found += published.signature(home, manifest, public)
    later = range(2, len(ESTABLISHED) + 1)
    if any(d.kind is Kind.LOG_PLANTED for d in found):
        why = "the released file was not opened: the log beside it would be applied"
        return Verified(tuple(found), {n: why for n in later if n != 3} | unchecked, None)
    try:
        con = duckdb.connect(str(home.released_file), read_only=True)
    except duckdb.Error as error:
        why = f"the released file cannot be opened ({str(error).splitlines()[0]})"
        return Verified(
            (*found, Difference("release", why, Kind.FILE_CHANGED)), {n: why for n in later if n != 3} | unchecked, None
        )
    try:
        store = Store(con, home)
        if planted := derived.functions(con):
            why = "not asked: functions planted in the file may answer in place of DuckDB's own"
            return Verified((*found, *planted), {n: why for n in later if n not in (3, 6)} | unchecked, None)
        con.execute("SET TimeZone = 'UTC'")
        found += _asked(2, published.against_ledger(store, manifest))
        found += _asked(5, published.anchored(store, manifest, anchors, public, _former(store, kept)))
        if rebuilt := rebuilt_entry(store.con):
            seq, digest = rebuilt["head"]
            unchecked.setdefault(
                5,
                f"the warehouse was made anew: its ledger follows {seq}:{digest}, which the archive keeps, and heads before are of that",
            )
        found += recorded(store)
        if _another_version(store):
            said = f"the release was made by {manifest.get('qala', 'another version of qala')}, DuckDB {manifest.get('duckdb', '?')}: {_OTHER}"
            found.append(Difference("schema", said, Kind.VERSION))
            unchecked |= dict.fromkeys((6, 7), "made by another version")
        else:
            found += _asked(6, derived.schema_differences(store))
            found += _asked(7, derived.export_differences(store))
        found += _asked(12, _beside(store, archive, unchecked))
        head = None
        with suppress(duckdb.Error):
            head = ledger_head(con)
        return Verified(tuple(found), unchecked, head)
    finally:
        con.close()


def _former(store: Store, kept: Callable[[str], AbstractContextManager[BinaryIO]] | None) -> published.Former | None:
    return partial(anchored_before, store.con, kept) if kept else None


_OTHER = "schema, views and exports follow from its code, not from this one's; verify it with that version"


def recorded(store: Store) -> list[Difference]:
    """What stands in an open warehouse against its ledger, and the ledger against itself."""
    return [
        *_asked(4, _ledger(store)),
        *_asked(8, _deliveries(store)),
        *_asked(10, _definitions(store)),
        *_asked(11, _values(store)),
        *_asked(11, _lineage(store)),
        *_asked(10, _settings(store)),
        *_asked(9, _seals(store)),
    ]


def _asked(number: int, found: Iterable[Difference]) -> list[Difference]:
    """The differences; that it cannot be asked at all, because tables are not what they should be, is one too."""
    got = list[Difference]()
    try:
        for one in found:
            got.append(one)
    except (duckdb.Error, TypeError, ValueError) as error:
        kind = next(k for k in Kind if k.number == number)
        got.append(Difference("schema", f"{ESTABLISHED[number]}: cannot be asked ({str(error).splitlines()[0]})", kind))
    return got


def _another_version(store: Store) -> bool:
    try:
        row = store.con.execute("SELECT value FROM registry.setting WHERE name = 'schema'").fetchone()
    except duckdb.Error:
        return False
    return row is not None and row[0] != store.fingerprint


def _lineage(store: Store) -> Iterator[Difference]:
    for gap in lineage_gaps(store)[:SHOWN]:
        yield Difference("values", gap, Kind.LINEAGE)


def _beside(
    store: Store, archive: Callable[[Store, Store | None], Iterable[tuple[str, str]]] | None, unchecked: dict[int, str]
) -> Iterator[Difference]:
    """The warehouse beside the release, and the archive that both know. What cannot be looked at goes to `unchecked`."""
    with ExitStack() as stack:
        later = None
        try:
            if store.home.warehouse.exists():
                later = stack.enter_context(looking(store.home))
                yield from _continued(store, later, unchecked)
            else:
                unchecked[13] = "there is no warehouse beside the release"
        except BusyError:
            unchecked[13] = "a run is writing the warehouse just now"
        except (StoreError, duckdb.Error, OSError) as error:
            yield Difference("warehouse", str(error).splitlines()[0], Kind.WAREHOUSE)
        if archive is None:
            unchecked[12] = "not asked"
            return
        if later is None:
            unchecked[12] = (
                "what came after the release is known to the warehouse alone, and it cannot be looked at: nothing was called foreign"
            )
        for kind, message in archive(store, later):
            if kind:
                yield Difference("archive", message, Kind[kind])
            else:
                unchecked.setdefault(12, message)


def _continued(store: Store, warehouse: Store, unchecked: dict[int, str]) -> Iterator[Difference]:
    seq, digest = ledger_head(store.con)
    if warehouse.con.execute("SELECT hash FROM audit.ledger WHERE seq = ?", [seq]).fetchall() != [(digest,)]:
        said = f"its ledger has another row {seq} than the release, or none: one of them is not what was published"
        yield Difference("warehouse", said, Kind.WAREHOUSE)
        return
    manifests = warehouse.con.execute(
        "SELECT detail FROM audit.ledger WHERE kind = 'manifest' AND subject = ?", [str(seq)]
    ).fetchall()
    if not manifests:
        unchecked[13] = f"the run that published row {seq} was stopped before it entered the manifest in the ledger"
    now = file_sha256(store.home.release / MANIFEST)
    if manifests and all(published.entered(detail).get(MANIFEST) != now for (detail,) in manifests):
        said = f"{MANIFEST} is not the one that was entered in the warehouse's ledger"
        yield Difference("release", said, Kind.WAREHOUSE)


def _ledger(store: Store) -> Iterator[Difference]:
    previous, expected = NOTHING, 1
    cursor = store.con.execute(
        "SELECT seq, epoch_us(recorded_at), kind, subject, run_id, detail, prev_hash, hash FROM audit.ledger ORDER BY seq"
    )
    epoch, broken = dt.datetime(1970, 1, 1, tzinfo=dt.UTC), 0
    while rows := cursor.fetchmany(10_000):
        for seq, micros, kind, subject, run_id, detail, prev_hash, digest in rows:
            if broken >= SHOWN:
                return
            if seq != expected:
                broken += 1
                yield Difference("ledger", f"rows {expected} to {seq - 1} are missing", Kind.LEDGER_GAP)
            if prev_hash != previous:
                broken += 1
                yield Difference(
                    "ledger", f"row {seq} ({kind} {subject}) does not follow the row before it", Kind.LEDGER_CHAIN
                )
            at = epoch + dt.timedelta(microseconds=micros)
            if ledger_hash(seq, at, kind, subject, run_id, detail, prev_hash) != digest:
                broken += 1
                yield Difference(
                    "ledger", f"row {seq} ({kind} {subject}) was changed: its hash differs", Kind.LEDGER_ROW
                )
            previous, expected = digest, seq + 1


def _deliveries(store: Store) -> Iterator[Difference]:
    rows = store.con.execute("""
SELECT d.delivery_id, d.file_name, CASE
    WHEN r.seq IS NULL THEN 'its registration is not in the ledger'
    WHEN (TRY(r.detail->>'$.sha256'), TRY(r.detail->>'$.table'), TRY(r.detail->>'$.system'), TRY(r.detail->>'$.scope'),
          TRY(r.detail->>'$.period'), TRY(r.detail->>'$.file'),
          TRY(r.detail->>'$.bytes')) <> (d.sha256, d.table_name, d.system, d.scope, d.period_id, d.file_name, d.bytes::VARCHAR)
        THEN 'what was received is recorded otherwise'
    WHEN d.state <> 'received' AND (l.seq IS NULL OR (TRY(l.detail->>'$.delivery_id'), TRY(l.detail->>'$.received'),
          TRY(l.detail->>'$.accepted'), TRY(l.detail->>'$.rejected'))
          <> (d.delivery_id::VARCHAR, d.received_rows::VARCHAR, d.accepted_rows::VARCHAR, d.rejected_rows::VARCHAR))
        THEN 'the decision on it is recorded otherwise'
    WHEN d.state = 'loaded' AND coalesce(x.rows, 0) <> d.rejected_rows THEN 'of ' || d.rejected_rows || ' rejected rows ' || coalesce(x.rows, 0) || ' are there'
    END AS why
FROM audit.delivery d
LEFT JOIN audit.ledger r ON r.seq = d.registered_seq AND r.kind = 'received' AND r.subject = d.receipt_id
LEFT JOIN audit.ledger l ON l.seq = d.loaded_seq AND l.kind = d.state AND l.subject = d.receipt_id
LEFT JOIN (SELECT delivery_id, count(*) AS rows FROM audit.rejected_row WHERE column_name IS NULL GROUP BY 1) x USING (delivery_id)
WHERE why IS NOT NULL ORDER BY 1""").fetchmany(SHOWN)
    for number, file, why in rows:
        yield Difference("deliveries", f"delivery {number} ({file}): {why}", Kind.DELIVERY)
    lost = store.con.execute("""
SELECT seq, subject FROM audit.ledger WHERE kind = 'received' AND subject NOT IN (SELECT receipt_id FROM audit.delivery) ORDER BY seq""").fetchmany(
        SHOWN
    )
    for seq, subject in lost:
        yield Difference(
            "deliveries", f"receipt {subject} (ledger row {seq}) has no delivery any more", Kind.DELIVERY_GONE
        )


def _definitions(store: Store) -> Iterator[Difference]:
    rows = store.con.execute("""
SELECT k.code, k.version, k.definition, k.definition_hash, TRY(l.detail->>'$.hash') FROM registry.kpi k
LEFT JOIN audit.ledger l ON l.seq = k.registered_seq AND l.kind = 'definition' ORDER BY ALL""").fetchall()
    for code, version, text, digest, entered in rows:
        try:
            same = fingerprint(Kpi.model_validate_json(text)) == digest == entered
        except ValidationError:
            same = False
        if not same:
            said = f"{code} version {version} is not the definition that was registered"
            yield Difference("definitions", said, Kind.DEFINITION)


def _values(store: Store) -> Iterator[Difference]:
    rows = store.con.execute(f"""
SELECT v.kpi_code, v.kato, v.period_id, v.value FROM (
    SELECT v.*, k.kind, (k.definition->>'$.scale')::BIGINT AS scale, CAST(v.numerator AS DOUBLE) AS n, CAST(v.denominator AS DOUBLE) AS d,
           v.sample_size AS s
    FROM kpi.value v JOIN registry.kpi k ON (k.code, k.version) = (v.kpi_code, v.definition_version)
    WHERE v.value IS NOT NULL AND k.kind <> 'quantile') v
WHERE v.value IS DISTINCT FROM {VALUE} ORDER BY ALL""").fetchmany(SHOWN)
    for code, kato, period, value in rows:
        said = f"{code} {kato} {period}: {value} does not follow from its numerator and denominator"
        yield Difference("values", said, Kind.VALUE)
    # `qala reperform` makes bounds again; here, that they hold the value, and are nothing else where no row is uncertain
    rows = store.con.execute("""
SELECT kpi_code, kato, period_id, value, value_low, value_high FROM kpi.value
WHERE value_low > value OR value_high < value OR (value_low IS NULL) <> (value_high IS NULL) OR (value IS NULL AND value_low IS NOT NULL)
   OR (rejected_rows + gap_rows = 0 AND (value_low, value_high) IS DISTINCT FROM (value, value)) ORDER BY ALL""").fetchmany(
        SHOWN
    )
    for code, kato, period, value, low, high in rows:
        said = f"{code} {kato} {period}: {value} does not lie between its bounds {low} and {high}"
        yield Difference("values", said, Kind.BOUNDS)


def _seals(store: Store) -> Iterator[Difference]:
    """The seals against the ledger, and all rows of the warehouse against the seals."""
    sealed: dict[str, dict[int, tuple[int, int, str]]] = {}  # what → first sequence → last, rows, hash
    entered = dict(
        store.con.execute("SELECT seq, TRY(detail->>'$.sha256') FROM audit.ledger WHERE kind = 'sealed'").fetchall()
    )
    found: dict[int, list[tuple[Any, ...]]] = {}
    anew = _sealed_anew(store)
    for seq, *row in store.con.execute(
        f"SELECT seq, {', '.join(SEAL_COLUMNS)} FROM audit.seal ORDER BY seq"
    ).fetchall():
        found.setdefault(seq, []).append(tuple(row))
        what, first, last, rows, digest = row
        if first in sealed.get(what, {}) and not what.startswith("registry.") and what not in anew.get(seq, ()):
            said = f"{what} of ledger row {first} were sealed a second time, at ledger row {seq}, by no upgrade"
            yield Difference("seals", said, Kind.SEAL)
        sealed.setdefault(what, {})[first] = (last, rows, digest)  # of a registry the newest stands last
    for seq in sorted({*entered, *found}):
        if seq not in found or entered.get(seq) != hash_of_seals(found[seq]):
            yield Difference("seals", f"those entered at ledger row {seq} were changed", Kind.SEAL)
    for name in (*REGISTRIES, *CATALOGUE):
        stands, now = sealed.pop(f"registry.{name}", {}), of_registry(store.con, name)
        if not stands and now[0]:
            yield Difference("registries", f"registry.{name} was never entered in the ledger", Kind.REGISTRY)
        elif stands and stands[max(stands)][1:] != now:
            said = f"registry.{name} is not what was entered at ledger row {max(stands)}"
            yield Difference("registries", said, Kind.REGISTRY)
    gone = _replaced_drafts(store)
    for what, one in all_sealed(store.tables.values()).items():
        expected = {
            first: rest
            for first, rest in sealed.pop(what, {}).items()
            if not (what.startswith("assessment") and first in gone)
        }
        for first, rows, digest in recomputed(store.con, what, one):
            last, wanted, sha256 = expected.pop(first, (first, 0, ""))
            if (rows, digest) != (wanted, sha256):
                yield _rows(store, what, first, last, wanted, rows)
        for first, (last, wanted, _) in expected.items():
            yield _rows(store, what, first, last, wanted, 0)
    for what in sealed:
        yield Difference("seals", f"there are seals of {what}, which this version of qala does not know", Kind.SEAL)


def _sealed_anew(store: Store) -> dict[int, tuple[str, ...]]:
    """Ledger rows that seal kinds of rows over again, as steps of an upgrade do: a step is taken once, and right before."""
    number, found, step = 0, dict[int, tuple[str, ...]](), -1
    kinds: tuple[str, ...] = ()
    for seq, kind, by, new, resealed in store.con.execute(
        "SELECT seq, kind, TRY(CAST(detail->>'$.resealed_by' AS BIGINT)), TRY(CAST(detail->>'$.number' AS INTEGER)), "
        "TRY(CAST(detail->'$.resealed' AS VARCHAR[])) FROM audit.ledger WHERE kind IN ('schema', 'upgraded', 'sealed') ORDER BY seq"
    ).fetchall():
        if kind == "sealed":
            if seq - 1 == step == by:
                found[seq] = kinds
            continue
        step, kinds = (seq, tuple(resealed or ())) if kind == "upgraded" and (new or 0) > number else (-1, ())
        number = max(number, new or 0)
    return found


def _rows(store: Store, what: str, first: int, last: int, wanted: int, rows: int) -> Difference:
    kind = Kind.ROWS_UNSEALED if first < 0 or wanted == 0 else Kind.ROWS_CHANGED if rows == wanted else Kind.ROWS_GONE
    return Difference(_SUBJECTS.get(what, what), _said(store, what, first, last, wanted, rows), kind)


def _said(store: Store, what: str, first: int, last: int, wanted: int, rows: int) -> str:
    if first < 0:
        return f"{what}: {rows} rows were never entered in the ledger"
    if wanted == 0:
        return f"{what}: {rows} rows claim ledger row {first}, which entered none"
    span = f"ledger rows {first} to {last}"
    if first == last:
        row = store.con.execute(
            """
SELECT l.kind || ' ' || coalesce(d.file_name || ', delivery ' || d.delivery_id, l.subject) FROM audit.ledger l
LEFT JOIN audit.delivery d ON d.loaded_seq = l.seq WHERE l.seq = ?""",
            [first],
        ).fetchone()
        span = f"ledger row {first}" + (f" ({row[0]})" if row else "")
    return f"{what}, {span}: " + ("changed since" if rows == wanted else f"of {wanted} rows {rows} are there")


def _replaced_drafts(store: Store) -> set[int]:
    """Ledger rows of draft assessments that a later draft replaced: they are gone by design."""
    rows = store.con.execute("""
SELECT seq FROM audit.ledger WHERE kind = 'assessed' AND TRY(detail->>'$.version') = '0'
QUALIFY seq < max(seq) OVER (PARTITION BY subject, TRY(detail->>'$.catalogue'))""").fetchall()
    return {row[0] for row in rows}


def _settings(store: Store) -> Iterator[Difference]:
    """What the file says it was made from, against the ledger."""
    found = dict(store.con.execute("SELECT name, value FROM registry.setting").fetchall())
    entered: dict[str, str] = {}
    for kind, digest in store.con.execute(
        "SELECT kind, TRY(detail->>'$.sha256') FROM audit.ledger WHERE kind IN ('schema', 'catalogue') ORDER BY seq"
    ).fetchall():
        if kind == "schema":  # a new one makes the next computation enter the catalogue anew
            entered.clear()
        entered[kind] = digest
    if found != entered:
        yield Difference("registries", "registry.setting is not what was entered in the ledger", Kind.SETTING)
