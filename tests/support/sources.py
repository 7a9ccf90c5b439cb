"""What tests ask of a source: settings from a mapping as its file has them, an extract, one pull, and all that it let out."""

from __future__ import annotations

import datetime as dt
import logging
import os
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import Any

from connectors.sources.secrets import Secrets
from connectors.sources.settings import Regulation
from connectors.sources.source import Asked, Fetched, Source
from warehouse.periods import parse_period

NAME = "exchange"


def opened(kind: str, root: Path, connection: Mapping[str, Any]) -> Source:
    """A source of a kind, by what its file would say under `connection`; files of secrets are below `root`."""
    module = import_module(f"connectors.sources.{kind}")
    source: Source = module.open_source(NAME, module.Settings.model_validate(connection), Secrets(NAME, root))
    return source


def asked(
    kind: str,
    extract: Mapping[str, Any],
    *,
    since: str | None = None,
    checksum: str | None = None,
    scope: str = "KZ",
    month: str = "2026-01",
) -> Asked:
    """A question for one month, by what the file would say of the extract beside table, settlements and first."""
    model = import_module(f"connectors.sources.{kind}").Extract
    said = model.model_validate({"table": "fct_appeal", "settlements": [scope], "first": month, **extract})
    return Asked(said, Regulation(checksum=checksum), scope, parse_period(month), since)


def contents(fetched: Fetched | None) -> list[bytes]:
    """The bytes of what was fetched, file by file."""
    assert fetched is not None
    return [path.read_bytes() for path in fetched.files]


@contextmanager
def everything_said() -> Iterator[StringIO]:
    """All that is logged meanwhile, by every library, down to DEBUG."""
    said = StringIO()
    handler, root = logging.StreamHandler(said), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield said
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


def told(error: BaseException) -> str:
    """Every way an error can be shown: message, repr, and the traceback with all that the house's and the libraries' functions hold."""
    trace = error.__traceback__
    while trace is not None and f"{os.sep}tests{os.sep}" in trace.tb_frame.f_code.co_filename:
        trace = trace.tb_next  # a test knows the secret
    shown = "".join(traceback.TracebackException(type(error), error, trace, capture_locals=True).format())
    return f"{error}\n{error!r}\n{vars(error)}\n{shown}"


def long_ago() -> float:
    """A time of change that no file of today has."""
    return dt.datetime(2026, 1, 1, tzinfo=dt.UTC).timestamp()
