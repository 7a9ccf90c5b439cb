"""Texts and paths of the command line taken as they are, without pydantic.

typer asks pydantic whether a text is a text, and about values that were not given: its import is a quarter of the time of `qala settlements`.
Everything else goes typer's own way, and everything does in a version of typer that has no such place (`tests/pipelines/test_quick.py` holds
that values come to be the same).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import typer

# what a path may be asked to be; of one that is asked nothing typer makes a Path, if it can be read or is not there
_ASKED = ("exists", "writable", "resolve_path", "allow_dash", "path_type", "parser", "click_type")


class Plain:
    """In the place of typer's RuntimeParam."""

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """The value of a parameter. Raises what typer raises of a value that is none."""
        descriptor, several = param.type_descriptor, param.multiple or param.nargs != 1
        if value is None:
            return () if param.multiple or param.nargs == -1 else None
        if type(value) is str and not several and descriptor.parameter_info.parser is None:
            if descriptor.annotation is str:
                return value
            if descriptor.annotation is Path and _any_path(descriptor.parameter_info) and _readable(value):
                return Path(value)
        from typer._coercion import build_runtime_param

        return build_runtime_param(descriptor).coerce(value, param=param, ctx=ctx)


def take_plainly() -> None:
    """Have the values of every parameter in this process taken as they are where they are plain."""
    parameter: Any = getattr(typer.core, "_TyperParameter", None)
    if hasattr(parameter, "get_runtime_param"):
        parameter.get_runtime_param = lambda _: Plain()


def _any_path(info: Any) -> bool:
    return info.file_okay and info.dir_okay and not any(getattr(info, name, None) for name in _ASKED)


def _readable(path: str) -> bool:
    return os.access(path, os.R_OK) or not Path(path).exists()
