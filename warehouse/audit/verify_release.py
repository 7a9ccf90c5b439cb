"""Points 1 to 3 and 5 of verify.py: the release's files against its manifest, the manifest against ledger, signature and anchors.

Nothing here opens the released file; a connection to it is given. Does not belong here: rows and schema of the file (store/recorded.py,
verify_derived.py).
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from warehouse.errors import StoreError
from warehouse.home.copies import file_sha256
from warehouse.home.home import Home
from warehouse.release import anchors
from warehouse.release.anchors import Anchor
from warehouse.release.exports import EXPORTS
from warehouse.release.release import STATEMENT
from warehouse.store.differences import Difference, Kind
from warehouse.store.seals import hash_of_tables, sealed_by_table
from warehouse.store.store import Store
from warehouse.store.succession import MANIFEST

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

Manifest = dict[str, Any]
Former = Callable[
    [tuple[int, str]], tuple[bool, str] | None
]  # (sequence, hash) → whether it is of a former ledger, and what to say


def manifest_of(home: Home) -> tuple[Manifest | None, list[Difference]]:
    """The manifest, if it can be read. Raises StoreError if nothing was released."""
    path = home.release / MANIFEST
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found["seq"], int) or not isinstance(found["ledger_head"], str):
            raise TypeError
        if not all(isinstance(one, str) for pair in found["sha256"].items() for one in pair):
            raise TypeError
    except FileNotFoundError:
        raise StoreError(f"nothing has been released in {home.root} yet; run: qala run") from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None, [Difference("release", f"{path} cannot be read", Kind.MANIFEST_UNREADABLE)]
    return found, []


def file_differences(home: Home, manifest: Manifest) -> Iterator[Difference]:
    """The release's files against its manifest. Must run before the released file is opened: a planted log changes a file at opening."""
    named: dict[str, str] = manifest["sha256"]
    for name in sorted({home.released_file.name, anchors.FILE, *EXPORTS, *named}):
        path = home.release / name
        if name not in named:
            yield Difference("release", f"{MANIFEST} does not name {name}", Kind.FILE_CHANGED)
        elif path.name != name or not path.is_file() or path.is_symlink():
            yield Difference("release", f"{name} is missing", Kind.FILE_MISSING)
        elif file_sha256(path) != named[name]:
            said = f"{name} is not the file that was released: its SHA-256 differs from {MANIFEST}"
            yield Difference("release", said, Kind.FILE_CHANGED)
    for path in sorted(home.release.iterdir()):
        if path.name not in {MANIFEST, STATEMENT, *named}:
            planted = path.name.startswith(home.released_file.name + ".")
            said = f"{path.name} does not belong here; take it away before anybody opens the release"
            yield Difference("release", said, Kind.LOG_PLANTED if planted else Kind.FILE_FOREIGN)


def signature_differences(home: Home, manifest: Manifest, public: Ed25519PublicKey) -> Iterator[Difference]:
    """The signed statement beside the manifest, and the anchor's signature, by a public key from elsewhere."""
    from warehouse.release import signing

    path = home.release / STATEMENT
    try:
        statement = signing.opened_envelope(path.read_text(encoding="utf-8"), public)
        signed, predicate = signing.subjects(statement), statement.get("predicate")
    except FileNotFoundError:
        yield Difference("signature", f"the release is not signed: there is no {STATEMENT}", Kind.SIGNATURE_MISSING)
        return
    except signing.SignatureError as error:
        kind = Kind.SIGNATURE_OTHER_KEY if error.other_key else Kind.SIGNATURE_UNREADABLE
        yield Difference("signature", f"{STATEMENT}: {error}", kind)
        return
    except (OSError, ValueError) as error:
        yield Difference("signature", f"{STATEMENT} cannot be read ({error})", Kind.SIGNATURE_UNREADABLE)
        return
    found = {**manifest["sha256"], MANIFEST: file_sha256(home.release / MANIFEST)}
    for name in sorted({*signed, *found}):
        if signed.get(name) != found.get(name):
            said = f"{name} is not the file that was signed" if name in signed else f"{name} was not signed"
            yield Difference("signature", said, Kind.SIGNATURE_OTHER_CONTENT)
    if predicate != {name: value for name, value in manifest.items() if name != "sha256"}:
        yield Difference("signature", f"{MANIFEST} says otherwise than was signed", Kind.SIGNATURE_OTHER_CONTENT)
    try:
        (line,) = anchors.read(str(home.release / anchors.FILE))
        if not line.signature or not line.signed_by(public):
            yield Difference("signature", f"{anchors.FILE} is not signed by this key", Kind.SIGNATURE_OTHER_CONTENT)
    except (StoreError, ValueError):
        pass  # said with the files


def ledger_differences(store: Store, manifest: Manifest) -> Iterator[Difference]:
    """The manifest and the printed anchor against the ledger row of the release."""
    rows = store.con.execute(
        "SELECT kind, detail, epoch_us(recorded_at) FROM audit.ledger WHERE seq = ?", [manifest["seq"]]
    ).fetchall()
    if not rows:
        return  # said with the ledger: its last rows were dropped
    kind, detail, micros = rows[0]
    if kind != "released":
        said = f"{MANIFEST} names ledger row {manifest['seq']}, which is no release but {kind!r}"
        yield Difference("release", said, Kind.MANIFEST_OTHERWISE)
        return
    try:
        was = json.loads(detail)
        exports = was.pop("exports")
    except (ValueError, KeyError, AttributeError):
        yield Difference(
            "release", f"ledger row {manifest['seq']} does not say what was released", Kind.MANIFEST_OTHERWISE
        )
        return
    said_too = {name: value for name, value in manifest.items() if name not in ("seq", "ledger_head", "sha256")}
    sealed = said_too.get("sealed")
    if sealed is not None:
        said_too["sealed"] = hash_of_tables(sealed) if isinstance(sealed, dict) else None
        yield from _sealed_otherwise(store, sealed)
    for name in sorted({*was, *said_too}):
        if was.get(name) != said_too.get(name):
            said = f"{MANIFEST} says {name} {said_too.get(name)}, and the ledger {was.get(name)}"
            yield Difference("release", said, Kind.MANIFEST_OTHERWISE)
    for name in EXPORTS:
        if exports.get(name) != manifest["sha256"].get(name):
            said = f"{name}: {MANIFEST} names another SHA-256 than the ledger has for what was released"
            yield Difference("release", said, Kind.EXPORT_NOT_RELEASED)
    newest = store.con.execute("SELECT seq, kind FROM audit.ledger WHERE seq > ?", [manifest["seq"]]).fetchall()
    if newest:
        said = f"the released file has {len(newest)} ledger rows after the one it was released with"
        yield Difference("release", said, Kind.MANIFEST_OTHERWISE)
    yield from _printed(store, manifest, dt.datetime.fromtimestamp(0, dt.UTC) + dt.timedelta(microseconds=micros))


def _sealed_otherwise(store: Store, sealed: object) -> Iterator[Difference]:
    """The manifest's hashes by table against the seals in the file."""
    found = sealed_by_table(store.con)
    named = sealed if isinstance(sealed, dict) else {}
    for name in sorted({*found, *named}):
        if named.get(name) != found.get(name):
            yield Difference(
                "release",
                f"{MANIFEST} has another hash over the seals of {name} than the file",
                Kind.MANIFEST_OTHERWISE,
            )


def _printed(store: Store, manifest: Manifest, at: dt.datetime) -> Iterator[Difference]:
    path = store.home.release / anchors.FILE
    if not path.is_file():
        return  # said with the files
    try:
        (line,) = anchors.read(str(path))
    except (StoreError, ValueError):
        yield Difference("release", f"{anchors.FILE} is no anchor", Kind.MANIFEST_OTHERWISE)
        return
    file = manifest["sha256"].get(store.home.released_file.name, "")
    released = Anchor.of(manifest["seq"], manifest["ledger_head"], at, file, None)
    if replace(line, key="", signature="") != released:
        yield Difference("release", f"{anchors.FILE} says otherwise than {MANIFEST}", Kind.MANIFEST_OTHERWISE)


def anchor_differences(
    store: Store, manifest: Manifest, given: Sequence[Anchor], public: Ed25519PublicKey | None, former: Former | None
) -> Iterator[Difference]:
    """Heads and released files that were kept elsewhere against the ledger, and against the release if they are of it.

    `former`: whether a head is of the ledger before this one, if that was made anew, and what to say.
    """
    heads = {0: ""} | dict(store.con.execute("SELECT seq, hash FROM audit.ledger").fetchall())
    last = max(heads)
    ours = Anchor(manifest["seq"], manifest["ledger_head"])
    for what, one in ((MANIFEST, ours), *(("the anchored head", one) for one in given)):
        elsewhere = former((one.seq, one.head)) if former and heads.get(one.seq) != one.head else None
        if elsewhere and elsewhere[0]:
            continue  # told as what it is by the command
        if elsewhere:
            yield Difference("ledger", elsewhere[1], Kind.LEDGER_REWRITTEN)
        elif one.seq not in heads:
            said = f"{what} names row {one.seq}; the ledger ends at {last}: its last rows were dropped"
            yield Difference("ledger", said, Kind.LEDGER_CUT)
        elif heads[one.seq] != one.head:
            said = f"{what} names another hash for row {one.seq}: the ledger was rewritten"
            yield Difference("ledger", said, Kind.LEDGER_REWRITTEN)
        if one.file and one.seq == manifest["seq"]:
            known: set[str] = {manifest["sha256"].get(store.home.released_file.name, "")}
        elif one.file:
            known = _published_then(store, one.seq)
        else:
            continue
        if known and one.file not in known:
            said = f"the release anchored at row {one.seq} was another file than the one known of it"
            yield Difference("release", said, Kind.RELEASE_OTHER)
        # one without a signature is what whoever verifies kept themselves, from before there was a key
        if public and one.signature and not one.signed_by(public):
            yield Difference(
                "signature", f"the anchor of row {one.seq} is not signed by this key", Kind.SIGNATURE_OTHER_KEY
            )


def _published_then(store: Store, seq: int) -> set[str]:
    """SHA-256 of the file of an earlier release, as the ledger has it."""
    rows = store.con.execute(
        "SELECT detail FROM audit.ledger WHERE kind = 'manifest' AND subject = ?", [str(seq)]
    ).fetchall()
    return {digest for (detail,) in rows if (digest := entered_hashes(detail).get(store.home.released_file.name))}


def entered_hashes(detail: str) -> dict[str, str]:
    """File → SHA-256 of a ledger row `manifest`; none if it is no such row."""
    try:
        found: dict[str, str] = json.loads(detail)["sha256"]
        return found if isinstance(found, dict) else {}
    except (ValueError, TypeError, KeyError):
        return {}
