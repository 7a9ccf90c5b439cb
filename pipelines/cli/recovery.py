"""Losing nothing: what a warehouse says, bringing it up, making it anew, keeping it elsewhere and having it back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from pipelines.cli.common import HomeOption, JsonOption, app, fail, home_of, out, print_json
from warehouse.errors import StoreError


@app.command()
def content(
    released: Annotated[bool, typer.Option("--release", help="Of the release, not of the warehouse itself")] = False,
    as_json: JsonOption = False,
    home_folder: HomeOption = None,
) -> None:
    """A hash of what the warehouse says (rows, values, assessments), whatever the way it came to say it; by table with --json."""
    from dataclasses import asdict

    from warehouse.store.content import content as ask
    from warehouse.store.sessions import looking, reading

    home = home_of(home_folder)
    try:
        if not released and not home.warehouse.exists():
            raise fail(f"{home.warehouse} does not exist; nothing was loaded yet")
        with reading(home, hardened=False) if released else looking(home) as store:
            found = ask(store.con)
    except StoreError as error:
        raise fail(error) from None
    if as_json:
        print_json({"sha256": found.sha256, "history_sha256": found.history_sha256, **asdict(found)})
        return
    rows = sum(part.rows for part in found.current.values())
    out.print(
        f"content {found.sha256}   ({rows:,} rows that hold, in {len(found.current)} tables)",
        highlight=False,
        soft_wrap=True,
    )
    former = sum(part.rows for part in found.former.values())
    out.print(f"history {found.history_sha256}   ({former:,} former versions of rows)", highlight=False, soft_wrap=True)


@app.command()
def upgrade(
    check: Annotated[bool, typer.Option("--check", help="Only tell what would be done; 1 if anything is due")] = False,
    home_folder: HomeOption = None,
) -> None:
    """Bring a warehouse that an older version of qala made up to this one, step by step; a copy of it is kept."""
    from warehouse.store.fitting import due
    from warehouse.store.sessions import looking
    from warehouse.store.upgrade import upgrade as bring_up

    home = home_of(home_folder)
    try:
        if not check:
            steps = bring_up(home, lambda text: out.print(text, highlight=False, soft_wrap=True, markup=False))
            out.print(f"{len(steps)} steps taken" if steps else "nothing to do: no step is due", highlight=False)
            return
        if not home.warehouse.exists():
            raise fail(f"{home.warehouse} does not exist: there is nothing to upgrade")
        with looking(home) as store:
            steps = due(store.con)
    except StoreError as error:
        raise fail(error) from None
    for step in steps:
        out.print(f"step {step.number}: {step.what}; {step.instead}", highlight=False, soft_wrap=True, markup=False)
    out.print(f"{len(steps)} steps are due" if steps else "nothing to do: no step is due", highlight=False)
    if steps:
        raise typer.Exit(1)


@app.command()
def rebuild(
    source: Annotated[
        Path | None,
        typer.Option(
            "--from", help="Warehouse file whose ledger is followed; left out: the warehouse's own, else the release's"
        ),
    ] = None,
    accept: Annotated[
        bool, typer.Option("--accept", help="Put it in place even if it says something else than the old one")
    ] = False,
    home_folder: HomeOption = None,
) -> None:
    """Make the warehouse anew from archive, receipts, contracts, definitions and the old ledger; 1 if it says something else than the old one."""
    from connectors.archive.archive import ArchiveError
    from kpi_definitions.documents import DocumentError
    from pipelines.recovery.rebuild import rebuild as make_anew

    home = home_of(home_folder)
    try:
        with out.status("reading the old ledger") as spinner:
            done = make_anew(home, source=source, accept=accept, say=lambda text: spinner.update(Text(text)))
    except (StoreError, DocumentError, ArchiveError) as error:
        raise fail(error) from None
    for text in done.told:
        out.print(text, highlight=False, soft_wrap=True, markup=False)
    out.print(
        f"{done.deliveries:,} deliveries done again, by the ledger of {done.source} up to {done.head[0]}:{done.head[1]}",
        highlight=False,
        soft_wrap=True,
    )
    was = done.before.sha256 if done.before else "not to be read"
    out.print(f"content before {was}\ncontent after  {done.after.sha256}", highlight=False, soft_wrap=True)
    for name, (before, after) in done.differing.items():
        out.print(
            f"[red]{name}[/red] differs: {before:,} rows before, {after:,} after", highlight=False, soft_wrap=True
        )
    if not done.in_place:
        raise fail(
            "what was made says something else, so the warehouse stays as it was; if that is right: qala rebuild --accept"
        )
    if done.kept:
        out.print(f"the old warehouse is kept as {done.kept}", highlight=False, soft_wrap=True)
    out.print("the warehouse is in place, the release is still the old one; next: qala run", highlight=False)
    if done.differing:
        raise typer.Exit(1)


@app.command()
def backup(
    to: Annotated[
        Path,
        typer.Argument(
            help="Folder on another disk: backups of a home stand side by side in it, and share what did not change"
        ),
    ],
    check: Annotated[
        bool, typer.Option("--check", help="Only read the newest backup there, every byte; 1 if anything is damaged")
    ] = False,
    with_keys: Annotated[
        bool, typer.Option("--with-keys", help="The keys too: whoever has the backup can then read what they protect")
    ] = False,
    wait: Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait for a run that is writing")] = 3600.0,
    home_folder: HomeOption = None,
) -> None:
    """Keep warehouse, release, archive, receipts and what people configured, while runs go on; what was kept before is not copied again."""
    from pipelines.recovery.backup import back_up, damaged, read_backup
    from warehouse.home import last_done

    home = home_of(home_folder, needed=not check)
    try:
        with out.status("reading the backup" if check else "keeping the release") as spinner:

            def say(text: str) -> None:
                spinner.update(Text(text))

            done = read_backup(to) if check else back_up(home, to, with_keys=with_keys, wait=wait, say=say)
            wrong = damaged(done, say) if check else []
    except StoreError as error:
        raise fail(error) from None
    for text in wrong:
        out.print(text, style="red", highlight=False, soft_wrap=True, markup=False)
    head = f"ledger head {done.head[0]}:{done.head[1]}" if done.head else "no warehouse yet"
    out.print(
        f"{done.manifest}: {len(done.files):,} files, {done.bytes:,} bytes, {head}", highlight=False, soft_wrap=True
    )
    if check:
        out.print(f"{len(wrong)} files are damaged or missing", highlight=False)
        if wrong:
            raise typer.Exit(1)
        return
    last_done.note(home, "backed-up", {"bytes": done.bytes})
    out.print(f"{done.copied_bytes:,} bytes copied, the others were there", highlight=False)
    if done.left_out:
        out.print(f"left out: {', '.join(done.left_out)}", highlight=False, soft_wrap=True)
    if "keys" in done.left_out:
        out.print(
            "[bold red]THE KEYS ARE NOT IN THE BACKUP[/bold red]: without them encrypted files of the archive can never be read again, and persons get other "
            "pseudonyms. Keep the folder keys/ elsewhere, apart from the backup (or --with-keys)",
            highlight=False,
            soft_wrap=True,
        )


@app.command()
def restore(
    source: Annotated[
        Path, typer.Argument(metavar="FROM", help="Folder of backups (the newest is taken), or the manifest of one")
    ],
    only: Annotated[
        str | None,
        typer.Option(
            "--only",
            metavar="PATH",
            help="Put just this file back into a home that is there: archive/sha256/ab/….zst, warehouse.duckdb",
        ),
    ] = None,
    home_folder: HomeOption = None,
) -> None:
    """Have a backup back as a home that is not there yet; its bytes are checked before, and the release verified after."""
    from pipelines.cli.auditing import verify
    from pipelines.recovery.backup import read_backup
    from pipelines.recovery.restore import restore as have_back
    from pipelines.recovery.restore import restore_file

    home = home_of(home_folder, begins=True)
    try:
        with out.status("reading the backup") as spinner:
            found = read_backup(source)
            if only is not None:
                aside = restore_file(found, home, only)
                out.print(
                    f"{only} is back, as of {found.made_at}"
                    + (f"; what lay there is now {aside.name}" if aside else ""),
                    highlight=False,
                    soft_wrap=True,
                )
                return
            have_back(found, home, lambda text: spinner.update(Text(text)))
    except StoreError as error:
        raise fail(error) from None
    out.print(
        f"{home.root}: {len(found.files):,} files of {found.home}, as of {found.made_at}",
        highlight=False,
        soft_wrap=True,
    )
    if "keys" in found.left_out:
        out.print(
            "the keys were not in the backup: put the folder keys/ back before anything is run",
            highlight=False,
            soft_wrap=True,
        )
    if home.released_file.exists():
        verify(home_folder=home.root)
    out.print("next: qala run", highlight=False)
