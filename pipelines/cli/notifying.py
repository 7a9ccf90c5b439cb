"""`qala notify`: tell people what is wrong. Does not belong here: what that is and how it is sent (pipelines/notifications/)."""

from __future__ import annotations

import datetime as dt
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from kpi_definitions.documents import DocumentError
from pipelines.cli.common import HomeOption, app, err, fail, home_of, out

if TYPE_CHECKING:
    from dagster import DagsterInstance

    from pipelines.notifications.one_pass import Passed
    from pipelines.notifications.settings import Settings
    from warehouse.home.home import Home

_UNITS = {"s": 1, "m": 60, "h": 3600}


@app.command()
def notify(
    check: Annotated[bool, typer.Option("--check", help="Send each channel a trial message")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be told, and tell nobody")] = False,
    all_: Annotated[bool, typer.Option("--all", help="With --dry-run: also what was told before")] = False,
    every: Annotated[
        str | None, typer.Option("--every", help="Stay, and look again after so long: 30s, 5m; where no daemon runs")
    ] = None,
    home_folder: HomeOption = None,
) -> None:
    """Tell the channels of <home>/notifications.yaml what is wrong and was not told. Ends with 1 if a channel did not take its message."""
    from pipelines.notifications.outbox import NotifyingError
    from pipelines.notifications.settings import PAGE, read_notifications

    home, seconds = home_of(home_folder), _seconds(every)
    try:
        settings = read_notifications(home)
        if settings is None:
            raise fail(f"{home.notification_settings} does not exist, so nobody is told anything; write one: {PAGE}")
        if dry_run:
            _show(home, settings, everything=all_)
            return
        with _instance(home) as instance:
            well = _pass(home, settings, instance, check=check)
            while seconds and not check:
                time.sleep(seconds)
                try:
                    settings = read_notifications(home) or settings
                    _pass(home, settings, instance, check=False)
                except (DocumentError, NotifyingError, OSError) as error:  # the next look may go well
                    err.print(f"[red]not looked:[/red] {escape(str(error))}", highlight=False, soft_wrap=True)
    except (DocumentError, NotifyingError) as error:
        raise fail(error) from None
    if not well:
        raise typer.Exit(1)


def _pass(home: Home, settings: Settings, instance: DagsterInstance | None, *, check: bool) -> bool:
    from pipelines.notifications.one_pass import tell, try_channels

    passed = try_channels(home, settings) if check else tell(home, settings, instance)
    _print(passed)
    return not passed.failed


def _print(passed: Passed) -> None:
    for message in passed.sent:
        out.print(f"{message.channel}: {escape(message.subject)} ({message.id})", highlight=False, soft_wrap=True)
    for channel, said in passed.failed:
        err.print(f"[red]{channel}: not taken:[/red] {escape(said)}", highlight=False, soft_wrap=True)
    for channel, number in passed.waiting.items():
        out.print(f"{channel}: {number} more wait for its next message", highlight=False, soft_wrap=True)
    if not (passed.sent or passed.failed or passed.waiting):
        out.print("nothing to tell", highlight=False)


def _show(home: Home, settings: Settings, *, everything: bool) -> None:
    """What each channel would be told; nothing of the home is written."""
    from pipelines.notifications.one_pass import drafts, find
    from pipelines.notifications.standing import read_state

    now = dt.datetime.now(dt.UTC)
    state = read_state(home, now)
    if everything:
        state.seen.clear()  # so that every place is looked at again
    with _instance(home) as instance:
        find(home, settings, state, instance, now)
    found = list(drafts(home, settings, state, now, everything=everything))
    for message in found:
        out.print(f"--- {message.channel}", highlight=False)
        out.print(message.text, highlight=False, markup=False, soft_wrap=True)
    if not found:
        out.print("nothing to tell", highlight=False)


@contextmanager
def _instance(home: Home) -> Iterator[DagsterInstance | None]:
    """The home's Dagster, which is imported only where there is one."""
    if not (home.root / "dagster" / "dagster.yaml").exists():
        yield None
        return
    from pipelines.run import prepare

    prepare(home)
    import dagster as dg

    with dg.DagsterInstance.get() as instance:
        yield instance


def _seconds(every: str | None) -> int:
    """Raises typer.BadParameter for what is no length of time; 0: only once."""
    if every is None:
        return 0
    found = re.fullmatch(r"([1-9]\d{0,4})([smh])", every)
    if found is None:
        raise typer.BadParameter(f"{every!r} is no length of time: write 30s, 5m or 1h")
    return int(found[1]) * _UNITS[found[2]]
