"""What all commands share: options, how things are said, and how a command ends: 0 done, 1 an error, 2 wrong usage, 130 Ctrl-C or SIGTERM."""

from __future__ import annotations

import datetime as dt
import os
import platform
import signal
import sys
import tempfile
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from typer.core import TyperGroup

from pipelines.cli.plain_values import take_plainly
from pipelines.cli.table import Loaded
from warehouse.home.file_modes import private
from warehouse.home.home import Home
from warehouse.messages.messages import LanguageError, language_of

if TYPE_CHECKING:
    from pipelines.cli.screens.common import Words
    from warehouse.store.store import Store

_USAGE: type[Exception] = typer.BadParameter.__mro__[
    2
]  # ClickException: that of click, or of the copy that newer versions of typer bring along
DEBUG = "QALA_DEBUG"  # 1: an error ends in its traceback


class Commands(TyperGroup):
    """The commands, and the one place where what goes wrong becomes a sentence."""

    def __init__(self, **given: Any):
        super().__init__(**given)
        self._loaded = self.commands = Loaded(app)  # type: ignore[assignment]  # nothing is added to it

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        self._loaded.bare = True
        return super().shell_complete(ctx, incomplete)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        self._loaded.bare = True
        super().format_help(ctx, formatter)

    def invoke(self, ctx: Any) -> Any:
        global _home, _failure
        _home = _failure = None
        former = signal.signal(signal.SIGTERM, signal.default_int_handler) if _is_main_thread() else None
        try:
            done = super().invoke(ctx)
            _note_end(ctx, well=True)
            return done
        except (typer.Exit, typer.Abort, _USAGE) as error:
            _note_end(ctx, well=getattr(error, "exit_code", 1) in (0, 3))
            raise
        except BaseException as error:
            if os.environ.get(DEBUG, "") not in ("", "0"):
                raise
            ended = _ended(error)
            _note_end(ctx, well=False)
            raise ended from None
        finally:
            if former is not None:
                signal.signal(signal.SIGTERM, former)


def _ended(error: BaseException) -> BaseException:
    """The exit that an error comes to, when it has been said."""
    # the last: what DuckDB makes of Ctrl-C in the middle of a statement
    if (
        isinstance(error, KeyboardInterrupt)
        or type(error).__name__ == "DagsterExecutionInterruptedError"
        or (isinstance(error, RuntimeError) and str(error) == "Query interrupted")
    ):
        err.print("stopped: nothing is half done; the next qala run goes on from here", highlight=False)
        return typer.Exit(130)
    if isinstance(error, SystemExit | BrokenPipeError) or not isinstance(error, Exception):
        return error
    from pipelines.error_messages import message_for

    if (said := message_for(error)) is not None:
        return fail(said)
    line = next(iter(str(error).splitlines()), "")
    return fail(f"{type(error).__name__}: {line}; this is a fault of qala, please report it: {_kept(error)}")


def _note_end(ctx: Any, *, well: bool) -> None:
    """Leave a note of how the command ended, for a home that tells people what is wrong."""
    if _home is not None and (well or _failure) and _home.notification_settings.exists():
        from pipelines.notifications.notes import note_command

        note_command(_home, str(ctx.invoked_subcommand), None if well else _failure)


def _kept(error: BaseException) -> str:
    """Where the traceback is now, or the traceback."""
    text = "".join(traceback.format_exception(error))
    name = f"qala-error-{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%S}-{os.getpid()}.txt"
    for folder in (_home.root / "errors" if _home and _home.root.is_dir() else None, Path(tempfile.gettempdir())):
        if folder is None:
            continue
        try:
            folder.mkdir(mode=0o750, exist_ok=True)
            with os.fdopen(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(text)
        except OSError:
            continue
        return f"the traceback is in {folder / name}"
    return text


def _is_main_thread() -> bool:
    import threading

    return threading.current_thread() is threading.main_thread()


take_plainly()
app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="KPI pipeline of a smart city: extracts in, KPI values out, every number explained.",
)
out = Console()
err = Console(stderr=True)
_home: Home | None = None  # of the command at work
_failure: str | None = None  # what it said that failed


def _version(asked: bool) -> None:
    """Say which version of qala this is, and of what it depends on most; nothing of that is imported for it."""
    if asked:
        from warehouse.version import qala_version, version_of

        beside = ", ".join(f"{name} {version_of(name.lower())}" for name in ("DuckDB", "Dagster"))
        out.print(f"qala {qala_version()} (Python {platform.python_version()}, {beside})", highlight=False)
        raise typer.Exit


VersionOption = Annotated[
    bool, typer.Option("--version", help="Say which version this is.", is_eager=True, callback=_version)
]


# what services and timers start: with QALA_LOG=json they log, and do not print
LOGGED = {"backup", "metrics", "notify", "pull", "reread", "run", "serve", "ui", "verify"}


@app.callback()
def _begin(ctx: typer.Context, version: VersionOption = False) -> None:  # noqa: ARG001  said before
    private()
    _spoken("")
    if os.environ.get("QALA_LOG") and ctx.invoked_subcommand in LOGGED:
        from pipelines.structured_logs import speak_json

        speak_json(out, err)


def _spoken(given: str) -> str:
    """The reader's language. Raises typer.BadParameter for one that qala does not speak."""
    try:
        return language_of(given)
    except LanguageError as error:
        raise typer.BadParameter(str(error)) from None


LanguageOption = Annotated[
    str, typer.Option("--lang", help="kk, ru or en; else QALA_LANG, else en", callback=_spoken, show_default=False)
]
HomeOption = Annotated[
    Path | None, typer.Option("--home", help="Home folder; else QALA_HOME, else ./qala-home", show_default=False)
]
AsOfOption = Annotated[
    int | None, typer.Option("--as-of", help="As it was published at this ledger sequence; left out: as it holds")
]
CatalogueOption = Annotated[
    str | None, typer.Option("--catalogue", help="Of a level or place: by which list, where several assessed the year")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Plain data instead of tables")]


def home_of(folder: Path | None, *, begins: bool = False, needed: bool = True) -> Home:
    """Where the command works. `begins`: the command may make it; `needed`: else it must be there; if not, only one named with --home must.

    Raises typer.Exit if that is no folder, or no home.
    """
    global _home
    home, given = Home(folder.resolve()) if folder else Home.default(), os.environ.get("QALA_HOME")
    if home.root.exists() and not home.root.is_dir():
        raise fail(f"{home.root} is no folder; name the home's folder with --home or QALA_HOME")
    if not begins and (needed or folder):
        _refuse_no_home(home.root, "--home" if folder else "QALA_HOME" if given else "by default")
    _home = home
    return home


def _refuse_no_home(root: Path, named: str) -> None:
    """Raises typer.Exit for a folder that is not there, or holds other things: a home is never begun by a slip. An empty one may be begun in."""
    if root.is_dir() and next(root.iterdir(), None) is None:
        return
    from warehouse.home.begun import is_home, no_home

    if not is_home(root):
        raise fail(no_home(root, named))


def words_of(store: Store, language: str) -> Words:
    """How screens speak in a language, with the names that the registries of the release give."""
    from pipelines.cli.screens.common import Words
    from warehouse.audit.names import names_of

    return Words(language, names_of(store, language))


def told_failure(message: object) -> None:
    """A failure that was told, and by which the command will end: for its note."""
    global _failure
    _failure = str(message)


def fail(message: object) -> typer.Exit:
    """Say what is wrong: a text, or an error, of which the machine's are told as everywhere."""
    said = str(message)
    if isinstance(message, Exception):
        from pipelines.error_messages import message_for

        said = message_for(message) or said
    told_failure(said)
    err.print(f"[red]error:[/red] {escape(said)}", highlight=False, soft_wrap=True)
    return typer.Exit(1)


def print_json(data: Any) -> None:
    from warehouse.audit.explain import as_json

    sys.stdout.write(as_json(data))
