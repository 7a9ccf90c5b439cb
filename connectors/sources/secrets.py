"""Secrets of sources: where they come from, and that no text ever shows one.

A settings file says `{env: NAME}` or `{file: PATH}`, never the secret. Does not belong here: keys of the installation itself
(warehouse/home/keys.py), personal data (personal_data/).
"""

from __future__ import annotations

import base64
import html
import json
import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn, Self
from urllib.parse import quote, quote_plus

from pydantic import Field, field_validator, model_validator

from connectors.sources.settings import Strict, refused
from connectors.sources.source import SourceError

HIDDEN = "•••"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LEAST, _LARGEST = 4, 64 << 10  # letters, bytes
_WRITE = "write {env: NAME}, a variable of the environment of whoever runs qala, or {file: PATH}"


class Secret:
    """A text that shows itself to nobody but who calls `reveal`."""

    __slots__ = ("__reveal", "told")

    def __init__(self, value: str, told: str):
        # what debuggers and tracebacks show of it is the name of a function
        self.__reveal: Callable[[], str] = lambda: value
        self.told = told  # where it comes from, in words

    def reveal(self) -> str:
        return self.__reveal()

    def __repr__(self) -> str:
        return f"<{HIDDEN} of {self.told}>"

    def __format__(self, _: str) -> str:
        return repr(self)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not written anywhere")

    def __eq__(self, _: object) -> NoReturn:
        raise TypeError("a secret is not compared")

    __hash__ = None  # type: ignore[assignment]


class Reference(Strict):
    """Where a secret is: `{env: NAME}` or `{file: PATH}`."""

    env: str | None = Field(default=None, description="Variable of the environment of whoever runs qala")
    file: Path | None = Field(
        default=None, description="File that nobody but who runs qala may read; from the home's folder on"
    )

    @model_validator(mode="before")
    @classmethod
    def _no_literal(cls, said: Any) -> Any:
        if not isinstance(said, dict | cls):
            raise refused(
                "a secret is written out here; this file is copied and shown", f"take it out, change it, and {_WRITE}"
            )
        return said

    @field_validator("env", mode="after")
    @classmethod
    def _variable(cls, name: str | None) -> str | None:
        if name is not None and not _NAME.fullmatch(name):
            raise refused(
                "env is no name of a variable", "write letters, digits and _; if it was the secret itself, change it"
            )
        return name

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.env is None) == (self.file is None):
            raise refused("must say env or file, one of them", _WRITE)
        return self


class Secrets:
    """The secrets in use by one source. `scrub` knows all that were read."""

    def __init__(self, source: str, root: Path):
        self.source, self.root = source, root
        self._known: list[Secret] = []
        self._pattern: re.Pattern[str] | None = None

    def read(self, reference: Reference, setting: str) -> Secret:
        """The secret that a setting refers to. Raises SourceError if it is not there, or others may read it."""
        if reference.env is not None:
            told, value = f"variable {reference.env}", os.environ.get(reference.env, "")
            if not value:
                raise SourceError(
                    self.source,
                    setting,
                    f"{told} is not set or empty",
                    "set it in the environment of whoever runs qala",
                )
        else:
            assert reference.file is not None
            told, value = f"file {reference.file}", self._content(self.root / reference.file, setting)
        if len(value) < _LEAST:
            raise SourceError(
                self.source,
                setting,
                f"{told} has fewer than {_LEAST} letters, which no message could be kept free of",
                "have a longer secret",
            )
        secret = Secret(value, told)
        self._known.append(secret)
        self._pattern = None
        return secret

    def _content(self, path: Path, setting: str) -> str:
        try:
            with path.open("rb") as handle:
                mode = os.fstat(handle.fileno()).st_mode
                if not stat.S_ISREG(mode):
                    raise SourceError(self.source, setting, f"{path} is no file", "name the file that holds the secret")
                if mode & 0o007:
                    raise SourceError(
                        self.source,
                        setting,
                        f"{path} may be read by others (its mode is {stat.S_IMODE(mode):04o})",
                        f"run: chmod 600 {path}",
                    )
                content = handle.read(_LARGEST + 1)
        except OSError as error:
            raise SourceError(
                self.source, setting, f"{path} cannot be read ({error.strerror})", "name the file that holds the secret"
            ) from None
        if len(content) > _LARGEST:
            raise SourceError(
                self.source, setting, f"{path} has more than {_LARGEST:,} bytes", "name the file that holds the secret"
            )
        try:
            return content.decode("utf-8").rstrip("\r\n")
        except UnicodeDecodeError:
            raise SourceError(
                self.source, setting, f"{path} is no text in UTF-8", "write the secret into it as text"
            ) from None

    def scrub(self, text: str) -> str:
        """The text without any secret that was read, plain or as URLs, base64, JSON, HTML and Python's quotes write it."""
        if self._pattern is None:
            forms = {form for secret in self._known for form in _forms(secret.reveal()) if len(form) >= _LEAST}
            found = "|".join(re.escape(form) for form in sorted(forms, key=lambda form: (-len(form), form)))
            self._pattern = re.compile(found or r"(?!)")
        return self._pattern.sub(HIDDEN, text)


def _forms(value: str) -> Iterator[str]:
    """How a secret may be written somewhere; of one with several lines, as of a private key, each long line too."""
    yield from _written(value)
    lines = [line for line in value.splitlines() if len(line) >= 4 * _LEAST and not line.startswith("-----")]
    if len(lines) > 1 or lines != [value]:
        for line in lines:
            yield from _written(line)


def _written(value: str) -> Iterator[str]:
    yield value
    yield repr(value)[1:-1]
    yield repr(value.encode())[2:-1]
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield html.escape(value)
    yield value.replace("\\", "\\\\").replace("'", "\\'")
    yield value.replace("'", "''")
    yield value.encode().hex()
    for coded in (quote(value), quote(value, safe=""), quote_plus(value)):
        yield coded
        yield re.sub(r"%[0-9A-F]{2}", lambda found: found[0].lower(), coded)
    content = value.encode()
    for before in range(3):  # inside a longer text, as USER:PASSWORD, it begins at any of three places of a group
        coded = base64.b64encode(bytes(before) + content).decode()
        first = (before * 8 + 5) // 6
        last = len(coded) if before == 0 else None
        inside = (before + len(content)) * 8 // 6
        for end in {inside, last or inside}:
            yield coded[first:end]
            yield coded[first:end].translate(str.maketrans("+/", "-_"))
