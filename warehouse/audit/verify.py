"""Whether a release is still what was recorded and derived. Reads, never repairs.

What it establishes is numbered (ESTABLISHED in differences.py, and in the output of `qala verify`):

1. the release's folder holds the files its manifest names, and no other (verify_release.py);
2. the manifest is what the ledger says was released;
3. the manifest is signed by a key that is kept elsewhere, if it is given (warehouse/release/signing.py);
4. the ledger is a chain: each row is hashed with the one before it, so a row that was changed, taken out or put in breaks it;
5. it contains what was anchored outside: who rewrites the whole chain, or drops its last rows, is found by that and by nothing else;
6. schema, views and comments are what the code makes, and nothing else is there (verify_derived.py);
7. exports are what the tables give by the code's views, and the sentences of recorded messages what its catalogue says;
8. deliveries are what was entered;
9. every row is sealed: each transaction seals the rows it wrote (warehouse/store/seals.py), and the seals stand in the ledger;
10. definitions, registries and settings are what was entered;
11. values follow from their parts and can be walked back to deliveries;
12. archive and receipts are what the ledger knows (connectors/reconciliation.py, asked by the command line);
13. the warehouse beside the release goes on from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO

import duckdb

from warehouse.audit import verify_derived, verify_release
from warehouse.errors import BusyError, StoreError
from warehouse.home.copies import file_sha256
from warehouse.home.home import Home
from warehouse.release.anchors import Anchor
from warehouse.store.differences import ESTABLISHED, Difference, Kind, Verified
from warehouse.store.former_ledger import anchored_before, rebuilt_entry
from warehouse.store.ledger import ledger_head
from warehouse.store.recorded import asked, recorded
from warehouse.store.sessions import looking
from warehouse.store.store import Store
from warehouse.store.succession import MANIFEST

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def verify(
    home: Home,
    anchors: Sequence[Anchor] = (),
    public: Ed25519PublicKey | None = None,
    archive: Callable[[Store, Store | None], Iterable[tuple[str, str]]] | None = None,
    kept: Callable[[str], AbstractContextManager[BinaryIO]] | None = None,
) -> Verified:
    """Everything in ESTABLISHED. Raises StoreError if nothing was released.

    `archive` gives (kind, what differs) of archive and receipts, from the release and, if it can be read, the warehouse. `kept` opens
    archived bytes by their SHA-256: a ledger that was made anew keeps the one before it there. A file with a planted log or planted
    functions is not asked further, as its answers would be theirs.
    """
    manifest, found = verify_release.manifest_of(home)
    unchecked = {} if public else {3: "no public key was given (--key)"}
    if not anchors:
        unchecked[5] = "no anchor was given (--head); only the manifest's own head was looked at"
    if manifest is None:
        return Verified(tuple(found), dict.fromkeys(ESTABLISHED, "the manifest cannot be read"), None)
    found += verify_release.file_differences(home, manifest)
    if public:
        found += verify_release.signature_differences(home, manifest, public)
    if any(d.kind is Kind.LOG_PLANTED for d in found):
        why = "the released file was not opened: the log beside it would be applied"
        return Verified(tuple(found), _all_but({3}, why) | unchecked, None)
    try:
        con = duckdb.connect(str(home.released_file), read_only=True)
    except duckdb.Error as error:
        why = f"the released file cannot be opened ({str(error).splitlines()[0]})"
        found.append(Difference("release", why, Kind.FILE_CHANGED))
        return Verified(tuple(found), _all_but({3}, why) | unchecked, None)
    try:
        store = Store(con, home)
        if planted := verify_derived.planted_functions(con):
            why = "not asked: functions planted in the file may answer in place of DuckDB's own"
            return Verified((*found, *planted), _all_but({3, 6}, why) | unchecked, None)
        con.execute("SET TimeZone = 'UTC'")
        found += asked(2, verify_release.ledger_differences(store, manifest))
        found += asked(5, verify_release.anchor_differences(store, manifest, anchors, public, _former(store, kept)))
        found += recorded(store)
        found += _derived(store, manifest, unchecked)
        found += asked(12, _warehouse_and_archive(store, archive, unchecked))
        head = None
        with suppress(duckdb.Error):
            head = ledger_head(con)
        return Verified(tuple(found), unchecked, head)
    finally:
        con.close()


def _all_but(asked_already: set[int], why: str) -> dict[int, str]:
    """Number of each later point that cannot be checked → why."""
    return {number: why for number in range(2, len(ESTABLISHED) + 1) if number not in asked_already}


def _derived(store: Store, manifest: Mapping[str, Any], unchecked: dict[int, str]) -> Iterator[Difference]:
    """Points 6 and 7, unless another version of qala made the release; also says where the ledger was made anew."""
    if rebuilt := rebuilt_entry(store.con):
        seq, digest = rebuilt["head"]
        unchecked.setdefault(
            5,
            f"the warehouse was made anew: its ledger follows {seq}:{digest}, which the archive keeps, and heads before are of that",
        )
    if _another_version(store):
        by = f"{manifest.get('qala', 'another version of qala')}, DuckDB {manifest.get('duckdb', '?')}"
        yield Difference("schema", f"the release was made by {by}: {_OTHER}", Kind.VERSION)
        unchecked |= dict.fromkeys((6, 7), "made by another version")
        return
    yield from asked(6, verify_derived.schema_differences(store))
    yield from asked(7, verify_derived.sentence_differences(store))
    yield from asked(7, verify_derived.export_differences(store))


def _former(
    store: Store, kept: Callable[[str], AbstractContextManager[BinaryIO]] | None
) -> verify_release.Former | None:
    return partial(anchored_before, store.con, kept) if kept else None


_OTHER = (
    "schema, views and exports follow from its code and contracts, not from these; verify it with that version, or, where a contract of the home's "
    "own tables was changed since, publish anew: qala run"
)


def _another_version(store: Store) -> bool:
    try:
        row = store.con.execute("SELECT value FROM registry.setting WHERE name = 'schema'").fetchone()
    except duckdb.Error:
        return False
    return row is not None and row[0] != store.fingerprint


def _warehouse_and_archive(
    store: Store, archive: Callable[[Store, Store | None], Iterable[tuple[str, str]]] | None, unchecked: dict[int, str]
) -> Iterator[Difference]:
    """Points 12 and 13: the warehouse in the release's home, and the archive that both know. What cannot be looked at goes to `unchecked`."""
    with ExitStack() as stack:
        later = None
        try:
            if store.home.warehouse.exists():
                later = stack.enter_context(looking(store.home))
                yield from _continuation(store, later, unchecked)
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


def _continuation(store: Store, warehouse: Store, unchecked: dict[int, str]) -> Iterator[Difference]:
    """Whether the warehouse's ledger goes on from the release's, and knows its manifest."""
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
    if manifests and all(verify_release.entered_hashes(detail).get(MANIFEST) != now for (detail,) in manifests):
        said = f"{MANIFEST} is not the one that was entered in the warehouse's ledger"
        yield Difference("release", said, Kind.WAREHOUSE)
