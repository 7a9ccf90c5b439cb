"""`qala ui`: Dagster's own screens, and who reaches them. Does not belong here: what they may do (pipelines/read_only_ui.py)."""

from __future__ import annotations

import ipaddress
import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from pipelines.cli.common import HomeOption, app, err, fail, home_of, out
from pipelines.cli.serve import start_beside

LOOPBACK = "127.0.0.1"
# what is to come in its place needs a package of its own, and a project laid out for it; it starts the same processes
_SUPERSEDED = "Function `dev_command` is superseded"


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name may lead anywhere
        return False


@app.command()
def ui(
    port: Annotated[int, typer.Option(help="Port on this machine")] = 3000,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="For auditors: everything can be seen, nothing can be started")
    ] = False,
    host: Annotated[str, typer.Option(help="Address to serve on: by itself none that other machines reach")] = LOOPBACK,
    home_folder: HomeOption = None,
) -> None:
    """Open the Dagster UI with its daemon (schedule, sensor, back-fills) on http://localhost:PORT; --read-only without daemon."""
    from pipelines.checkout import CHECKOUT
    from pipelines.listening import ListeningError, refuse_port
    from pipelines.run import prepare
    from pipelines.structured_logs import as_json
    from warehouse.home.account import account, shown

    home = home_of(home_folder)
    try:
        refuse_port(host, port)
    except ListeningError as error:
        raise fail(error) from None
    prepare(home)
    where = [
        "-w",
        str((CHECKOUT or Path(__file__).parents[1]) / "workspace.yaml"),
    ]  # the wheel has it among its modules
    reach = "this machine alone" if is_loopback(host) else "EVERY MACHINE THAT REACHES THAT ADDRESS"
    out.print(f"http://{host}:{port} is served to {reach}", highlight=False)
    if not is_loopback(host):
        err.print(
            "[red]warning:[/red] the UI asks nobody who they are, and what is done in it is done as "
            f"{escape(shown(account()))}{'' if read_only else ': anybody may start, stop and delete runs'}; "
            "put a sign-in of your own before it (docs/operations.md)",
            highlight=False,
            soft_wrap=True,
        )
    dev = ["-W", f"ignore:{_SUPERSEDED}", "-m", "dagster", "dev"]
    command = [sys.executable, *(["-m", "pipelines.read_only_ui"] if read_only else dev)]
    if not read_only:
        start_beside(home)
    command += [*where, "-h", host, "-p", str(port)]
    if as_json():
        command = [sys.executable, "-m", "pipelines.logged", *command, "--log-format", "json"]
    # replaces this process: Ctrl-C reaches Dagster itself
    os.execv(command[0], command)  # noqa: S606
