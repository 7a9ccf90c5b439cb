"""The encrypted archive: what carries personal data is never kept in the clear, and no change to it goes unseen."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest
from typer.testing import CliRunner

from connectors.archive import encryption
from connectors.archive.archive import Archive
from connectors.archive.encryption import FRAME, HEAD, TAG, Decrypting, Encrypting, SealError
from connectors.ingest import ingest_table, register_pending
from connectors.mapping.read_contracts import parse_source
from connectors.receiving.deliver import DeclaredDelivery, DeliveryError, deliver
from connectors.receiving.inbox import collect
from kpi_definitions.catalogue import load_catalogues
from kpi_definitions.documents import DocumentError, read
from pipelines.cli import app
from tests.support.files import Desk, contract_text, query, states, text
from tests.support.rows import LATER, only
from tests.support.settlements import ASTANA
from warehouse.home import keys
from warehouse.home.account import account, shown
from warehouse.home.home import Home
from warehouse.home.keys import Key, MissingKeyError
from warehouse.kpi_values.compute import compute
from warehouse.loading.deliveries import Receipt
from warehouse.release.release import publish
from warehouse.store.sessions import writing
from warehouse.tables.contracts import load_tables

ROOT = Path(__file__).parents[2]
KEY = Key.of("archive", b"k" * 32)
TABLES = load_tables()
CANARY = b"001231650010"  # an IIN that cannot be


def sealed(content: bytes, key: Key = KEY, sha256: str | None = None) -> bytes:
    target = io.BytesIO()
    writer = Encrypting(target, key)
    for start in range(0, len(content), 300_000):
        writer.write(content[start : start + 300_000])
    writer.finish(sha256 or hashlib.sha256(content).hexdigest())
    return target.getvalue()


def opened(whole: bytes, sha256: str, key: Key = KEY, size: int = -1) -> bytes:
    found = Decrypting(io.BytesIO(whole), lambda _: key, sha256)
    if size < 0:
        return found.read()
    return b"".join(iter(lambda: found.read(size), b""))


def content_of(length: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(length)  # noqa: S311


LENGTHS = [0, 1, FRAME - 1, FRAME, FRAME + 1, 2 * FRAME, 3 * FRAME + 5]


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("size", [-1, 7777, FRAME, FRAME + TAG])
def test_what_is_encrypted_is_read_back_whatever_its_length_and_however_it_is_read(length: int, size: int) -> None:
    content = content_of(length)
    whole = sealed(content)
    digest = hashlib.sha256(content).hexdigest()
    assert opened(whole, digest, size=size) == content
    frames = max(-(-length // FRAME), 1)
    assert len(whole) == HEAD + length + frames * TAG
    assert content[:64] not in whole or length < 4
    assert sealed(content) != whole, "no two files are alike"


def frames_of(whole: bytes) -> tuple[bytes, list[bytes]]:
    size = FRAME + TAG
    return whole[:HEAD], [whole[i : i + size] for i in range(HEAD, len(whole), size)]


def test_a_file_cut_at_every_border_of_frames_and_beside_it_is_told() -> None:
    content = content_of(3 * FRAME + 5)
    whole, digest = sealed(content), hashlib.sha256(content).hexdigest()
    borders = [0, *(HEAD + n * (FRAME + TAG) for n in range(4)), len(whole)]
    cuts = {b + by for b in borders for by in (-TAG, -1, 0, 1, TAG)} - {len(whole)}
    for cut in sorted(c for c in cuts if 0 <= c < len(whole)):
        with pytest.raises(SealError):
            opened(whole[:cut], digest)
    with pytest.raises(SealError):
        opened(whole + b"\0", digest)
    with pytest.raises(SealError):
        opened(whole + whole[HEAD:], digest)


def test_frames_put_elsewhere_left_out_doubled_or_of_another_file_are_told() -> None:
    content, other = content_of(3 * FRAME), content_of(3 * FRAME, seed=2)
    digest = hashlib.sha256(content).hexdigest()
    head, (a, b, c) = frames_of(sealed(content))
    theirs, (x, y, z) = frames_of(sealed(other))
    again, (k, m, n) = frames_of(sealed(content))  # the same content, another file
    assert opened(b"".join((head, a, b, c)), digest) == content
    wrong = [
        (head, b, a, c), (head, a, c), (head, b, c), (head, a, b), (head, a, a, b, c), (head, a, b, c, c), (head, c, b, a), (head, c), (head,),
        (head, x, b, c), (head, a, y, c), (head, a, b, z), (theirs, a, b, c), (head, x, y, z), (again, a, b, c), (head, k, b, c), (head, a, m, c),
        (head, a, b, n),
    ]  # fmt: skip
    for parts in wrong:
        with pytest.raises(SealError):
            opened(b"".join(parts), digest)
    with pytest.raises(SealError, match="not that of this name"):  # whole and genuine, under another name
        opened(b"".join((theirs, x, y, z)), digest)


def test_every_flipped_bit_of_a_file_is_told() -> None:
    content = b"a small extract"
    whole, digest = sealed(content), hashlib.sha256(content).hexdigest()
    for position in range(len(whole)):
        for bit in (1, 0x80):
            changed = bytearray(whole)
            changed[position] ^= bit
            with pytest.raises(SealError):
                opened(bytes(changed), digest)


def test_another_key_does_not_open_it_and_a_missing_one_is_named() -> None:
    content = b"a small extract"
    with pytest.raises(SealError, match="frame 1"):
        opened(sealed(content), hashlib.sha256(content).hexdigest(), Key.of("archive", b"K" * 32))
    assert encryption.key_id(io.BytesIO(sealed(content))) == KEY.id
    with pytest.raises(SealError, match="version 2"):
        encryption.key_id(io.BytesIO(sealed(content).replace(b"QALAENC\x01", b"QALAENC\x02")))


# ---- in the archive


@pytest.fixture(autouse=True)
def no_key_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for purpose in keys.PURPOSES:
        monkeypatch.delenv(keys.variable(purpose), raising=False)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def archive(home: Home) -> Archive:
    home.root.mkdir()
    return Archive(home.archive)


def take(archive: Archive, content: bytes, key: Key | None = None, **declared: Any) -> Receipt:
    file = archive.root.parent / "in.csv"
    file.write_bytes(content)
    what = {"table": "fct_appeal", "system": "standard", "scope": ASTANA, "period": "2026-01"} | declared
    return archive.receive(file, **what, key=key)


def files(archive: Archive) -> list[str]:
    """The names of everything under the content folder."""
    return sorted(p.name for p in (archive.root / "sha256").rglob("*") if p.is_file())


def content(archive: Archive, sha256: str) -> bytes:
    with archive.open(sha256) as stream:
        return stream.read()


def overwrite(path: Path, content: bytes) -> None:
    path.chmod(0o600)
    path.write_bytes(content)


def test_the_same_bytes_in_the_clear_and_then_as_personal_end_encrypted_and_stay_so(archive: Archive) -> None:
    key = keys.make(archive.home, "archive")
    sha256 = take(archive, CANARY).sha256
    assert (files(archive), archive.encrypted(sha256)) == ([f"{sha256}.zst"], False)
    take(archive, CANARY, key)
    assert (files(archive), archive.encrypted(sha256)) == ([f"{sha256}.zst.enc"], True)
    take(archive, CANARY)
    assert files(archive) == [f"{sha256}.zst.enc"]
    assert content(archive, sha256) == CANARY
    assert archive.contents() == [(sha256, key.id)]
    assert archive.missing([sha256, "0" * 64]) == ["0" * 64]
    assert archive.damaged([sha256]) == []
    assert archive.path(sha256).stat().st_mode & 0o777 == 0o440


def test_who_is_stopped_between_encrypting_and_removing_the_clear_copy_goes_on_later(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = keys.make(archive.home, "archive")
    sha256 = take(archive, CANARY).sha256
    genuine = Path.unlink

    def killed(self: Path, missing_ok: bool = False) -> None:
        if self.suffix == ".zst":
            raise KeyboardInterrupt
        genuine(self, missing_ok)

    monkeypatch.setattr(Path, "unlink", killed)
    with pytest.raises(KeyboardInterrupt):
        take(archive, CANARY, key)
    monkeypatch.undo()
    assert {f"{sha256}.zst", f"{sha256}.zst.enc"} < set(files(archive))
    assert archive.encrypted(sha256)
    take(Archive(archive.root), b"anything else")
    assert f"{sha256}.zst" not in files(archive)
    assert [name for name in files(archive) if name.startswith(".")] == [f".begun-{sha256}"]  # it has no receipt
    assert content(archive, sha256) == CANARY


@pytest.mark.parametrize("encrypted", [True, False], ids=["encrypted", "clear"])
@pytest.mark.parametrize("harm", ["flipped", "cut", "emptied", "exchanged", "gone"])
def test_a_damaged_copy_is_mended_by_delivering_the_same_bytes_again(
    archive: Archive, encrypted: bool, harm: str
) -> None:
    key = keys.make(archive.home, "archive") if encrypted else None
    mine, other = content_of(3000), content_of(3000, seed=2)
    one, two = take(archive, mine, key), take(archive, other, key)
    path = archive.path(one.sha256)
    whole = path.read_bytes()
    if harm == "gone":
        path.unlink()
    elif harm == "exchanged":
        overwrite(path, archive.path(two.sha256).read_bytes())
    else:
        flipped = bytearray(whole)
        flipped[len(whole) // 2] ^= 1
        overwrite(path, {"flipped": bytes(flipped), "cut": whole[:-20], "emptied": b""}[harm])
    (told,) = archive.damaged([one.sha256])
    assert one.sha256 in told
    take(archive, mine, key)
    assert archive.damaged([one.sha256, two.sha256]) == []
    assert len(files(archive)) == 2
    assert content(archive, one.sha256) == mine


def test_a_copy_that_is_sound_is_left_alone(archive: Archive) -> None:
    sha256 = take(archive, b"1").sha256
    before = archive.path(sha256).stat()
    take(archive, b"1")
    assert archive.path(sha256).stat().st_ino == before.st_ino


def test_a_lost_key_is_named_with_its_remedy_and_delivering_again_mends_that_too(archive: Archive) -> None:
    lost = keys.make(archive.home, "archive")
    sha256 = take(archive, CANARY, lost).sha256
    keys.file_of(archive.home, "archive").unlink()
    with pytest.raises(MissingKeyError, match=f"archive key {lost.id} is not here"):
        content(archive, sha256)
    (told,) = archive.damaged([sha256])
    assert lost.id in told
    take(archive, CANARY, keys.make(archive.home, "archive"))
    assert content(archive, sha256) == CANARY


def test_no_byte_in_the_clear_is_ever_written_into_the_archive(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looked at before anything is renamed or removed, and when the receiving ends in the middle."""
    key = keys.make(archive.home, "archive")
    mark = b"the very letters"
    big = content_of(3 * FRAME) + mark
    seen: list[Path] = []

    def look() -> None:
        for path in (archive.root / "sha256").rglob("*"):
            if path.is_file():
                seen.append(path)
                whole = path.read_bytes()
                assert mark not in whole
                assert b"\x28\xb5\x2f\xfd" not in whole[:64], "a zstandard frame"

    genuine = os.fsync

    def fsync(handle: int) -> None:
        look()
        genuine(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    take(archive, big, key)
    take(archive, mark, key)
    assert any(p.name.startswith(".incoming-") for p in seen)
    look()
    monkeypatch.setattr(os, "fsync", lambda _: os.kill(os.getpid(), 0) or (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(OSError, match="full"):
        take(archive, mark + b"2", key)
    assert not [name for name in files(archive) if name.startswith(".")]


# ---- from the contract to the archive

PERSONAL = {"fct_participation", "fct_social_case", "dim_business", "fct_guest_stay"}


def of(table: str) -> str:
    """A file of a table in the exchange format: its header, and a line of nothing."""
    names = [c.name for c in TABLES[table].columns]
    return text([dict.fromkeys(names, "x")])


@pytest.mark.parametrize("table", sorted(PERSONAL))
def test_extracts_with_personal_data_are_refused_without_a_key_and_nothing_is_written(
    archive: Archive, table: str
) -> None:
    file = archive.home.root / "a.csv"
    file.write_text(of(table))
    declared = DeclaredDelivery(file, table, ASTANA, "2026-01")
    with pytest.raises(DeliveryError, match="qala keys new archive"):
        deliver(archive, declared, TABLES, {})
    assert not archive.root.exists() or files(archive) == []
    assert archive.pending() == []
    keys.make(archive.home, "archive")
    receipt = deliver(archive, declared, TABLES, {})
    assert archive.encrypted(receipt.sha256)
    assert content(archive, receipt.sha256).decode() == of(table)


def test_other_extracts_need_no_key(archive: Archive) -> None:
    file = archive.home.root / "a.csv"
    file.write_text(of("fct_appeal"))
    receipt = deliver(archive, DeclaredDelivery(file, "fct_appeal", ASTANA, "2026-01"), TABLES, {})
    assert not archive.encrypted(receipt.sha256)


def source(tmp_path: Path, table: str, said: str, left_out: tuple[str, ...] = ()) -> Any:
    columns = [c.name for c in TABLES[table].columns if c.name not in left_out]
    properties = "".join(f"      - {{name: {c}, logicalType: string, physicalName: {c}}}\n" for c in columns)
    file = tmp_path / "x.odcs.yaml"
    settings = {"archive": said} if said else {}
    file.write_text(contract_text("sys1", table, properties, settings=settings), encoding="utf-8")
    return parse_source(read(file), TABLES)


@pytest.mark.parametrize(("said", "kept"), [("", True), ("encrypted", True), ("refused", None)])
def test_a_contract_says_how_its_extracts_are_archived(
    archive: Archive, tmp_path: Path, said: str, kept: bool | None
) -> None:
    keys.make(archive.home, "archive")
    contract = source(tmp_path, "dim_business", said)
    file = tmp_path / "a.csv"
    file.write_text(of("dim_business"))
    declared = DeclaredDelivery(file, "dim_business", ASTANA, "2026-01", "sys1")
    if kept is None:
        with pytest.raises(DeliveryError, match="archive: refused"):
            deliver(archive, declared, TABLES, {("sys1", "dim_business"): contract})
        assert not archive.root.exists()
        return
    receipt = deliver(archive, declared, TABLES, {("sys1", "dim_business"): contract})
    assert archive.encrypted(receipt.sha256) is kept


def test_plain_is_a_fault_with_personal_data_and_none_without(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="carries personal data"):
        source(tmp_path, "dim_business", "plain")
    assert source(tmp_path, "fct_crash", "plain").archive == "plain"
    with pytest.raises(DocumentError, match="plain or encrypted or refused"):
        source(tmp_path, "fct_crash", "secret")


def test_what_is_not_personal_by_the_contract_may_be_encrypted_all_the_same(archive: Archive, tmp_path: Path) -> None:
    keys.make(archive.home, "archive")
    contract = source(tmp_path, "fct_crash", "encrypted")
    file = tmp_path / "a.csv"
    file.write_text(of("fct_crash"))
    receipt = deliver(archive, DeclaredDelivery(file, "fct_crash", ASTANA, "2026-01", "sys1"), TABLES, {("sys1", "fct_crash"): contract})  # fmt: skip
    assert archive.encrypted(receipt.sha256)


def drop(home: Home, *names: str) -> None:
    home.inbox.mkdir(exist_ok=True, parents=True)
    for name in names:
        (home.inbox / f"{name}.csv").write_text(of(name))
    entries = [{"file": f"{n}.csv", "table": n, "settlement": ASTANA, "period": "2026-01"} for n in names]
    (home.inbox / "a.manifest.json").write_text(json.dumps({"deliveries": entries}))


def test_a_drop_waits_for_the_key_and_leaves_nothing_in_the_clear_behind(archive: Archive) -> None:
    home = archive.home
    drop(home, "dim_business", "fct_appeal")
    for _ in range(2):
        (one,) = collect(home.inbox, archive, TABLES, {})
        assert one.waits
        assert "qala keys new archive" in one.told
        assert archive.pending() == []
    keys.make(home, "archive")
    (one,) = collect(home.inbox, archive, TABLES, {})
    assert (one.error, len(one.receipts)) == (None, 2)
    left = sorted(p.name for p in home.inbox.rglob("*") if p.is_file())
    assert left == [".receipts.json", "a.manifest.json", "fct_appeal.csv"]
    assert sorted(archive.encrypted(r.sha256) for r in archive.pending()) == [False, True]


def test_a_run_without_the_key_fails_and_refuses_nothing(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    key = keys.make(desk.home, "archive")
    desk.archive = cast(Any, _Sealing(desk.home.archive, key))
    desk.deliver(text([{c.name: "" for c in TABLES["fct_crash"].columns} | {
        "crash_id": "C1", "occurred_at": "2026-01-05 10:00:00", "deaths_30d": "0", "injured": "1"}]), "fct_crash")  # fmt: skip
    aside = keys.file_of(desk.home, "archive").rename(tmp_path / "aside")
    with desk.open() as store:
        with pytest.raises(MissingKeyError, match=key.id):
            desk.take(store)
        assert states(store) == {1: "received"}
        aside.rename(keys.file_of(desk.home, "archive"))
        report = desk.take(store)
        assert [o.state for o in report.outcomes] == ["loaded"]
        assert query(store, "SELECT count(*) FROM showcase.fct_crash") == [(1,)]


class _Sealing(Archive):
    """An archive that encrypts whatever it receives."""

    def __init__(self, root: Path, key: Key):
        super().__init__(root)
        self.key = key

    def receive(self, file: Path, **declared: Any) -> Receipt:
        return super().receive(file, **declared, key=self.key)


# ---- rotation


def cli(home: Home, *words: str) -> Any:
    return CliRunner().invoke(app, [*words, "--home", str(home.root)])


def test_rotation_brings_everything_to_the_key_in_force_and_what_should_be_encrypted_too(archive: Archive) -> None:
    first = keys.make(archive.home, "archive")
    old = [take(archive, b"old %d" % n, first, table="dim_business").sha256 for n in range(3)]
    clear = take(archive, b"clear", table="dim_business").sha256  # before qala knew how to encrypt
    open_ = take(archive, b"open", table="fct_crash").sha256
    second = keys.make(archive.home, "archive")
    mine = take(archive, b"mine", second, table="dim_business").sha256
    told = json.loads(cli(archive.home, "keys", "--json").output)
    assert [(k["id"], k["files"]) for k in told["keys"]] == [(first.id, 3), (second.id, 1)]
    assert (told["files_of_keys_not_here"], told["files_in_the_clear"]) == ({}, 1)
    assert "1 archived files with personal data lie in the clear" in cli(archive.home, "keys").output
    done = cli(archive.home, "keys", "rotate", "archive")
    assert done.exit_code == 0, done.output
    assert f"4 files encrypted with key {second.id}; 1 were before" in done.output
    assert "no file needs a former archive key" in done.output
    assert dict(archive.contents()) == dict.fromkeys([*old, clear, mine], second.id) | {open_: None}
    keys.file_of(archive.home, "archive").write_text(keys.file_of(archive.home, "archive").read_text().splitlines()[-1])
    assert archive.damaged([*old, clear, open_, mine]) == []
    again = cli(archive.home, "keys", "rotate", "archive")
    assert f"0 files encrypted with key {second.id}; 5 were before" in again.output
    with writing(archive.home) as store:
        kinds = query(store, "SELECT kind, count(*) FROM audit.ledger WHERE kind IN ('key', 'archive-encrypted') GROUP BY 1 ORDER BY 1")  # fmt: skip
        assert kinds == [("archive-encrypted", 2), ("key", 2)]


def test_rotation_leaves_what_it_cannot_read_and_tells_it(archive: Archive) -> None:
    lost = keys.make(archive.home, "archive")
    unreadable = take(archive, b"one", lost).sha256
    keys.file_of(archive.home, "archive").unlink()
    first = keys.make(archive.home, "archive")
    damaged = take(archive, b"two", first).sha256
    path = archive.path(damaged)
    overwrite(path, path.read_bytes()[:-1])
    before = path.read_bytes()
    keys.make(archive.home, "archive")
    assert json.loads(cli(archive.home, "keys", "--json").output)["files_of_keys_not_here"] == {lost.id: 1}
    done = cli(archive.home, "keys", "rotate", "archive")
    assert done.exit_code == 1
    said = " ".join(done.output.split())
    assert f"1 files still need key {lost.id}" in said
    assert f"1 files still need key {first.id}" in said
    assert path.read_bytes() == before
    assert dict(archive.contents()) == {unreadable: lost.id, damaged: first.id}


KILLED = """
import os, signal, sys
from pathlib import Path
from connectors.archive.archive import Archive
from connectors.rotation import rotate
from warehouse.home.keys import current
from warehouse.tables.contracts import load_tables
home, at, moment = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
count = [0]
genuine = getattr(os, moment) if moment == "fsync" else getattr(Path, moment)
def counted(*given, **more):
    count[0] += 1
    if count[0] == at:
        os.kill(os.getpid(), signal.SIGKILL)
    return genuine(*given, **more)
setattr(os if moment == "fsync" else Path, moment, counted)
archive = Archive(home / "archive")
rotate(archive, current(archive.home, "archive"), load_tables(), {})
"""


@pytest.mark.parametrize("moment", ["fsync", "replace", "unlink", "chmod"])
@pytest.mark.parametrize("at", [1, 3])
def test_a_rotation_killed_in_the_middle_loses_nothing_and_goes_on(archive: Archive, moment: str, at: int) -> None:
    first = keys.make(archive.home, "archive")
    contents = {take(archive, b"%d" % n, first, table="dim_business").sha256: b"%d" % n for n in range(4)}
    contents |= {take(archive, b"clear %d" % n, table="dim_business").sha256: b"clear %d" % n for n in range(2)}
    second = keys.make(archive.home, "archive")
    words = [sys.executable, "-c", KILLED, str(archive.home.root), str(at), moment]
    done = subprocess.run(words, check=False, cwd=ROOT, capture_output=True, timeout=120)  # noqa: S603
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert {s: content(archive, s) for s in contents} == contents
    assert cli(archive.home, "keys", "rotate", "archive").exit_code == 0
    assert dict(archive.contents()) == dict.fromkeys(contents, second.id)
    assert {s: content(archive, s) for s in contents} == contents
    left = [name for name in files(archive) if not name.endswith(".zst.enc")]
    assert all(name.startswith(".incoming-") for name in left), "swept a day later, and encrypted themselves"


# ---- the command


def test_keys_are_listed_without_their_secrets(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    home = archive.home
    first, second, signing = (keys.make(home, p) for p in ("archive", "archive", "signing"))
    done = cli(home, "keys")
    assert done.exit_code == 0
    lines = done.output.splitlines()
    assert [line.split()[:3] for line in lines if line.startswith("archive")] == [
        ["archive", first.id, "former"],
        ["archive", second.id, "in"],
    ]
    assert "BEGIN PUBLIC KEY" in done.output
    assert "pseudonym  none" in done.output
    rows = json.loads(cli(home, "keys", "--json").output)["keys"]
    assert [(r["id"], r["in_force"]) for r in rows] == [(first.id, False), (second.id, True), (signing.id, True)]
    for key in (first, second, signing):
        for form in (base64.b64encode(key.secret).decode(), key.secret.hex()):
            assert form not in done.output + json.dumps(rows)
    monkeypatch.setenv("QALA_ARCHIVE_KEY", base64.b64encode(b"e" * 32).decode())
    assert "environment QALA_ARCHIVE_KEY" in cli(home, "keys").output
    refused = cli(home, "keys", "new", "archive")
    assert refused.exit_code == 1


def test_who_made_a_key_is_in_its_file_and_in_the_ledger(archive: Archive) -> None:
    done = cli(archive.home, "keys", "new", "archive")
    assert done.exit_code == 0, done.output
    key = keys.current(archive.home, "archive")
    assert key is not None
    assert key.id in done.output
    whole = keys.file_of(archive.home, "archive").read_text()
    assert shown(account()) in whole
    with writing(archive.home) as store:
        (detail,) = query(store, "SELECT detail FROM audit.ledger WHERE kind = 'key'")[0]
        assert json.loads(detail) == {"purpose": "archive", "id": key.id, "account": account()}
    assert cli(archive.home, "keys", "new", "other").exit_code == 1
    assert cli(archive.home, "keys", "rotate", "signing").exit_code == 1


# ---- handed out


def test_a_pack_hands_out_personal_data_only_to_who_asks_for_it(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    keys.make(home, "archive")
    keys.make(home, "pseudonym")
    archive = Archive(home.archive)
    name = CANARY.decode()
    votes = text([{"vote_id": f"V{n}", "voted_at": "2026-01-05 08:00:00", "consultation_id": "C1", "participant_hash": name, "is_verified": "true"}
                  for n in range(60)])  # fmt: skip
    with writing(home) as store:
        file = tmp_path / "votes.csv"
        file.write_text(votes)
        deliver(archive, DeclaredDelivery(file, "fct_participation", ASTANA, "2026"), TABLES, {})
        register_pending(store, archive)
        ingest_table(store, archive, store.tables["fct_participation"], {})
        compute(store, only(load_catalogues(), "MGT04-2"), ["2026-12"], today=LATER)
    publish(home, lambda _: [])
    words = ["evidence", "MGT04-2", ASTANA, "2026", "--to", str(tmp_path / "pack")]
    refused = cli(home, *words, "--files")
    assert refused.exit_code == 1
    assert "votes.csv (fct_participation, standard)" in " ".join(refused.output.split())
    assert "--with-personal" in refused.output
    assert not (tmp_path / "pack").exists()
    assert cli(home, *words).exit_code == 0
    assert not (tmp_path / "pack" / "files").exists()
    given = cli(home, *words, "--files", "--with-personal")
    assert given.exit_code == 0
    assert "personal data in the clear: votes.csv" in " ".join(given.output.split())
    (handed,) = (tmp_path / "pack" / "files").iterdir()
    assert handed.read_text() == votes
    readme = (tmp_path / "pack" / "README.md").read_text()
    assert readme.count(f"`{handed.name[:12]}…`") == 2
    secrets = [k.secret for p in keys.PURPOSES for k in keys.keys(home, p)]
    for path in (p for p in home.root.rglob("*") if p.is_file() and p.parent.name != "keys"):
        whole = path.read_bytes()
        assert not [s for s in secrets if s in whole or s.hex().encode() in whole or base64.b64encode(s) in whole], path
        assert not path.is_relative_to(home.archive) or CANARY not in whole
    keys.file_of(home, "archive").unlink()
    failed = cli(home, *words, "--files", "--with-personal")
    assert failed.exit_code == 1
    assert "archive key" in failed.output
