"""Keys of the installation: which there are, making a new one, bringing the archive to the one in force. Never their secrets."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from kpi_definitions.documents import DocumentError
from pipelines.cli.common import HomeOption, JsonOption, app, err, fail, home_of, out, print_json
from warehouse.errors import StoreError
from warehouse.home.home import Home
from warehouse.home.keys import PURPOSES, Key, Purpose

commands = typer.Typer(help="Keys of pseudonyms, of archived personal data, and of signatures (docs/keys.md).")
app.add_typer(commands, name="keys")

PurposeArgument = Annotated[str, typer.Argument(help="pseudonym, archive or signing")]


@commands.callback(invoke_without_command=True)
def keys(context: typer.Context, as_json: JsonOption = False, home_folder: HomeOption = None) -> None:
    """Which keys there are: purpose, id, whether it is in force, where it comes from; what needs them. Never a secret.

    Of signatures the public key; of the archive how many files each is needed for, and how many should be encrypted and are not.
    """
    if context.invoked_subcommand is not None:
        return
    from connectors.archive.archive import Archive
    from connectors.ingest import load_source_contracts
    from connectors.rotation import encryption_status
    from warehouse.home import keys as known
    from warehouse.release.signing import public_pem
    from warehouse.tables.home_tables import tables_of

    home = home_of(home_folder)
    try:
        tables = tables_of(home)
        found = {purpose: known.keys(home, purpose) for purpose in PURPOSES}
        files, clear = encryption_status(Archive(home.archive), tables, load_source_contracts(home, tables))
    except (StoreError, DocumentError, OSError) as error:
        raise fail(error) from None
    rows = [
        {
            "purpose": purpose,
            "id": key.id,
            "in_force": key is every[-1],
            "from": _origin(home, key, last=key is every[-1]),
            **({"public_key": public_pem(key)} if purpose == "signing" else {}),
            **({"files": files[key.id]} if purpose == "archive" else {}),
        }
        for purpose, every in found.items()
        for key in every
    ]
    if as_json:
        gone = {key_id: n for key_id, n in files.items() if key_id not in {k.id for k in found["archive"]}}
        print_json({"keys": rows, "files_of_keys_not_here": gone, "files_in_the_clear": clear})
        return
    for row in rows:
        state = "in force" if row["in_force"] else "former"
        needed = f"   {row['files']:,} files" if "files" in row else ""
        out.print(
            f"{row['purpose']:<9}  {row['id']}  {state:<8}  {row['from']}{needed}", highlight=False, soft_wrap=True
        )
        if row.get("public_key"):
            out.print(str(row["public_key"]).rstrip(), highlight=False, soft_wrap=True, markup=False)
    for purpose in (p for p in PURPOSES if not found[p]):
        out.print(f"{purpose:<9}  none   (qala keys new {purpose})", highlight=False)
    for key_id, number in files.items():
        if key_id not in {k.id for k in found["archive"]}:
            err.print(f"{number:,} archived files need the archive key {key_id}, which is not here", highlight=False)
    if clear:
        err.print(
            f"{clear:,} archived files with personal data lie in the clear; run: qala keys rotate archive",
            highlight=False,
        )


@commands.command()
def new(purpose: PurposeArgument, home_folder: HomeOption = None) -> None:
    """Make a key, in force from now on; former ones stay for what was made with them."""
    from warehouse.home import keys as known
    from warehouse.release.signing import public_pem
    from warehouse.store.key_entries import enter_keys
    from warehouse.store.sessions import locked, opened

    chosen, home = _purpose(purpose), home_of(home_folder, begins=True)
    if os.environ.get(known.variable(chosen)):
        raise fail(
            f"{known.variable(chosen)} is set, and its key is in force whatever the file holds; change it there, or take it out"
        )
    try:
        key = known.make(home, chosen)
    except (StoreError, OSError) as error:
        raise fail(error) from None
    out.print(f"{chosen} key {key.id} is in force: {known.file_of(home, chosen)}", highlight=False, soft_wrap=True)
    if chosen == "signing":
        out.print(f"give this to whoever verifies:\n{public_pem(key).rstrip()}", highlight=False, markup=False)
    out.print("keep a copy of that file, apart from the home and its backups: docs/keys.md", highlight=False)
    try:
        with locked(home, seconds=2), opened(home) as store:
            enter_keys(store)
    except StoreError as error:
        out.print(
            f"not yet in the ledger ({error}); the next run enters it", highlight=False, soft_wrap=True, markup=False
        )


@commands.command()
def rotate(purpose: PurposeArgument, home_folder: HomeOption = None) -> None:
    """Encrypt the archive anew with the key in force, and what by the contracts should be encrypted and is not. Goes on where it was stopped."""
    from connectors.archive.archive import Archive
    from connectors.ingest import load_source_contracts
    from connectors.rotation import rotate as encrypt
    from warehouse.home.account import ACCOUNT, account
    from warehouse.home.keys import needed
    from warehouse.store.key_entries import enter_keys
    from warehouse.store.ledger import EntryKind
    from warehouse.store.sessions import writing
    from warehouse.tables.home_tables import tables_of

    if _purpose(purpose) != "archive":
        raise fail(
            f"{purpose} keys are not rotated by a command: what they made cannot be made again in place; see docs/keys.md"
        )
    home = home_of(home_folder)
    try:
        tables = tables_of(home)
        key = needed(home, "archive", "the archive is encrypted with the key in force")
        with out.status("reading the archive") as spinner:
            done = encrypt(
                Archive(home.archive),
                key,
                tables,
                load_source_contracts(home, tables),
                lambda number, of: spinner.update(f"{number:,} of {of:,} files"),
            )
        with writing(home) as store:
            enter_keys(store)
            with store.transaction():
                detail = {"key": key.id, "files": done.encrypted, "failed": len(done.failed), ACCOUNT: account()}
                store.record([(EntryKind.ARCHIVE_ENCRYPTED, "archive", detail)])
    except (StoreError, DocumentError, OSError) as error:
        raise fail(error) from None
    out.print(f"{done.encrypted:,} files encrypted with key {key.id}; {done.before:,} were before", highlight=False)
    for text in done.failed:
        out.print(f"[red]left as it is[/red]: {text}", highlight=False, soft_wrap=True)
    for key_id, files in done.left.items():
        out.print(f"{files:,} files still need key {key_id}", highlight=False)
    if done.failed:
        raise typer.Exit(1)
    out.print("no file needs a former archive key any more", highlight=False)


def _purpose(given: str) -> Purpose:
    for purpose in PURPOSES:
        if given == purpose:
            return purpose
    raise fail(f"there are no {given} keys; the purposes are {', '.join(PURPOSES)}")


def _origin(home: Home, key: Key, *, last: bool) -> str:
    """Where a key comes from: that of the environment is in force before those of the file."""
    from warehouse.home import keys as known

    given = os.environ.get(known.variable(key.purpose))
    return f"environment {known.variable(key.purpose)}" if given and last else str(known.file_of(home, key.purpose))
