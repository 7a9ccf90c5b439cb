"""Which module has which command, so that a command imports its own module and no other; the help imports them all.

Does not belong here: what a command is, or says of itself (its module). `tests/pipelines/test_quick.py` holds that nothing is missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import copy
from importlib import import_module
from typing import Any

import typer

# module of this folder → its commands and groups of commands, in the order of --help
TABLE: Mapping[str, tuple[str, ...]] = {
    "delivering": ("deliver",),
    "running": ("run", "reread", "demo"),
    "sources": ("pull", "sources"),
    "status": ("status", "settlements"),
    "refusals": ("refusals",),
    "trying": ("try",),
    "ui": ("ui",),
    "serve": ("serve",),
    "auditing": ("explain", "verify", "anchor", "reperform", "incidents"),
    "reconciling": ("reconcile",),
    "evidence": ("rows", "evidence"),
    "lineage": ("openlineage", "provenance"),
    "metrics": ("metrics",),
    "reporting": ("report",),
    "publishing": ("publish", "contracts"),
    "methods": ("catalogue", "assess", "diff", "check", "fingerprint", "schemas", "docs"),
    "recovery": ("content", "upgrade", "rebuild", "backup", "restore"),
    "assistant": ("mcp",),
    "notifying": ("notify",),
    "keys": ("keys",),
    "new": ("new",),
    "engine": ("engine",),
}


class Loaded(Mapping[str, Any]):
    """Name → command, as click has them: made when it is looked up, of a module that is imported then and registers it with `app`.

    `bare`: they only tell their names and what they do, for a list of all of them.
    """

    def __init__(self, app: typer.Typer):
        self._app, self._made, self.bare = app, dict[str, Any](), False
        self._module = {name: module for module, names in TABLE.items() for name in names}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made or self.bare:
            import_module(f"{__package__}.{self._module[name]}")
            made = typer.main.get_group(self._alone(name)).commands[name]
            if self.bare:
                return made
            self._made[name] = made
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._module)

    def __len__(self) -> int:
        return len(self._module)

    def _alone(self, name: str) -> typer.Typer:
        """An application with this one of the registered commands: typer makes all that an application has."""
        one = typer.Typer(pretty_exceptions_enable=False)
        one.registered_commands = [
            _without_parameters(c) if self.bare else c for c in self._app.registered_commands if command_name(c) == name
        ]
        one.registered_groups = [g for g in self._app.registered_groups if g.name == name]
        return one


def _without_parameters(info: typer.models.CommandInfo) -> typer.models.CommandInfo:
    """The same command, of which typer makes no parameters: half the time of a list."""

    def bare() -> None: ...

    bare.__name__, bare.__doc__ = getattr(info.callback, "__name__", ""), info.callback.__doc__
    found = copy(info)
    found.callback = bare
    return found


def command_name(info: typer.models.CommandInfo) -> str:
    """What a registered command is called on the command line."""
    return info.name or typer.main.get_command_name(getattr(info.callback, "__name__", ""))
