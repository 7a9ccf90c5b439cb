"""An HTTP API, or files behind addresses: what is asked for, with which secret, page after page, each page's bytes a file.

A body is kept as it is after the transfer's own packing (chunks, gzip) is undone: that packing differs from one request to the next. Does
not belong here: sending a request and waiting (http_line.py), when pages end (pages.py).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, Self
from urllib.parse import quote, urlsplit

from pydantic import AfterValidator, Field, model_validator

from connectors.sources import settings
from connectors.sources.http_line import Line
from connectors.sources.pages import JsonPath, Paging, Range, Walk, alike, less, read_page
from connectors.sources.secrets import Reference, Secret, Secrets
from connectors.sources.settings import PeriodTemplate, Placeholder, Strict, Template, parts, refused
from connectors.sources.source import Asked, Fetched, SourceError

_HEADER = r"^[A-Za-z0-9-]+$"
_OWN_HEADERS = (
    "authorization",
    "cookie",
    "host",
    "content-length",
    "accept-encoding",
    "transfer-encoding",
    "proxy-authorization",
)


def _address(text: str) -> str:
    try:
        found = urlsplit(text)
        port = found.port
    except ValueError:
        port, found = None, urlsplit("")
    if found.scheme not in ("http", "https") or not found.hostname or port == 0:
        raise refused("is no address", "write https://HOST/PATH")
    if "@" in found.netloc or found.query or found.fragment:
        raise refused(
            "has a user, a query or a fragment in it", "who we are is said by auth:, parameters by the extracts"
        )
    return text.rstrip("/")


def _endpoint(text: str) -> str:
    if "://" in text or "?" in text or "#" in text or ".." in text.split("/"):
        raise refused(
            "must be a path below the address",
            "write it as appeals/{year}/{month}; what comes after ? is said by parameters:",
        )
    return text.strip("/")


class Auth(Strict):
    """Who we are to the server: bearer; or user and password; or a header, or a parameter, and its value."""

    bearer: Reference | None = Field(default=None, description="Where the token is")
    user: str | None = Field(default=None, min_length=1, description="The account, with password")
    password: Reference | None = Field(default=None, description="Where the account's password is")
    header: str | None = Field(
        default=None, pattern=_HEADER, description="The header that says a key: X-Api-Key; with value"
    )
    parameter: str | None = Field(
        default=None, min_length=1, description="Or the parameter, where the server knows no other way"
    )
    value: Reference | None = Field(default=None, description="Where the key is")

    @model_validator(mode="after")
    def _one(self) -> Self:
        named = {name for name in type(self).model_fields if getattr(self, name) is not None}
        if named not in ({"bearer"}, {"user", "password"}, {"header", "value"}, {"parameter", "value"}):
            raise refused(
                "must say one way to enter", "bearer; or user and password; or header and value; or parameter and value"
            )
        return self


class Settings(Strict):
    """An HTTP API, or files behind addresses."""

    address: Annotated[str, AfterValidator(_address)] = Field(
        description="What all addresses begin with: https://HOST/api"
    )
    auth: Auth | None = Field(default=None, description="Who we are to the server; left out: nobody")
    headers: Mapping[str, str] = Field(default_factory=dict, description="Headers to send; secrets belong into auth")
    ca_file: Path | None = Field(
        default=None, description="Certificate of the authority that signed the server's own; from the home's folder on"
    )
    unencrypted: bool = Field(
        default=False,
        strict=True,
        description="Whether the address may begin with http://: all can be read and changed on its way",
    )
    timeout_seconds: int = Field(
        default=60, ge=1, le=3_600, strict=True, description="The server is given up when it says nothing for so long"
    )
    patience_seconds: int = Field(
        default=600,
        ge=0,
        le=86_400,
        strict=True,
        description="How long a server that is busy is waited for, in all, for one page",
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.address.startswith("http://") and not self.unencrypted:
            raise refused(
                "the address begins with http://", "write https://; in a network of your own: unencrypted: true"
            )
        for name in self.headers:
            if not re.fullmatch(_HEADER, name) or name.lower() in _OWN_HEADERS:
                raise refused("headers: one of them is not to be written here", "who we are is said by auth:")
        return self


class Extract(settings.Extract):
    """Answers of an address; `changed_by` is the path of the change attribute in a row."""

    endpoint: Annotated[PeriodTemplate, AfterValidator(_endpoint)] = Field(
        description="The path below the address: appeals/{year}"
    )
    parameters: Mapping[str, Template] = Field(
        default_factory=dict, description="What is asked for: {since} is sent from the second pull on"
    )
    method: Literal["GET", "POST"] = Field(default="GET", description="With POST the parameters are sent as JSON")
    content: Literal["json", "file"] = Field(
        default="json", description="file: the answer is a file of any other format"
    )
    rows: JsonPath = Field(
        default="", description="Where in the answer the rows are: data.rows; left out: the answer is the list"
    )
    paging: Paging | None = Field(default=None, description="How the answer goes on; left out: it is one page")
    changed_header: str | None = Field(
        default=None,
        pattern=_HEADER,
        description="With content: file, the header that says the newest value of the change attribute",
    )
    largest_mb: int = Field(
        default=4_096, ge=1, strict=True, description="Megabytes that one pull of it may bring, unpacked"
    )
    not_yet: int | None = Field(
        default=None,
        ge=201,
        le=499,
        strict=True,
        description="The status by which the server says that there is none yet: 404",
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.content == "file" and (self.paging is not None or self.rows):
            raise refused(
                "content: file has no pages and no path to rows", "take paging and rows out, or write content: json"
            )
        if self.changed_by is not None and (self.content == "file") != (self.changed_header is not None):
            raise refused(
                "changed_by does not fit",
                "with content: file name the header that says the newest value: changed_header; with JSON take it out",
            )
        return self


def open_source(name: str, settings: Settings, secrets: Secrets) -> HttpSource:
    """Reads the secrets. Raises SourceError: one is not there."""
    said = settings.auth
    read = {
        field: secrets.read(reference, f"connection.auth.{field}")
        for field in ("bearer", "password", "value")
        if said is not None and (reference := getattr(said, field)) is not None
    }
    for field, secret in read.items():
        if field != "password" and not re.fullmatch(r"[!-~]+( [!-~]+)*", secret.reveal()):
            raise SourceError(
                name,
                f"connection.auth.{field}",
                f"{secret.told} has signs that a header cannot hold",
                "is it whole, and nothing else with it?",
            )
    return HttpSource(name, settings, secrets, read)


class HttpSource:
    """See connectors/sources/source.py."""

    def __init__(self, name: str, settings: Settings, secrets: Secrets, read: Mapping[str, Secret]):
        self.name, self.settings = name, settings
        self._secrets, self._read = secrets, read

    def fetch(self, asked: Asked, folder: Path) -> Fetched | None:
        extract = asked.extract
        assert isinstance(extract, Extract)
        with self._line(extract.largest_mb << 20) as line:
            if extract.content == "file":
                return self._file(line, extract, asked, folder)
            return self._pages(line, extract, asked, folder)

    def check(self) -> Sequence[str]:
        """Whether the server answers at all: what its extracts say is known when they are asked for."""
        with self._line() as line:
            return (f"{self.settings.address} answers, with status {line.status()}",)

    def _file(self, line: Line, extract: Extract, asked: Asked, folder: Path) -> Fetched | None:
        name = PurePosixPath(asked.fill(extract.endpoint)).name or "answer"
        answer = line.ask(self._address(asked, extract), self._sent(asked, extract, {}), folder / name, extract.not_yet)
        if answer is None:
            return None
        if not answer.whole:
            raise SourceError(
                self.name,
                "extracts.endpoint",
                "the server does not say how long its answer is: that it was cut could not be seen; nothing was taken",
                "have it send Content-Length, or in chunks",
            )
        until = answer.headers.get(extract.changed_header) if extract.changed_header else None
        return Fetched((answer.file,), until=until)

    def _pages(self, line: Line, extract: Extract, asked: Asked, folder: Path) -> Fetched | None:
        walk = Walk(self.name, extract.paging) if extract.paging is not None else None
        changed, files = Range(), list[Path]()
        address, sent = self._address(asked, extract), self._sent(asked, extract, walk.first() if walk else {})
        rows, first = 0, ""
        while True:
            file = folder / f"page-{len(files) + 1:05}.json"
            answer = line.ask(address, sent, file, extract.not_yet if not files else None)
            if answer is None:
                return None
            first = (
                first or answer.address
            )  # those of later pages may differ from one pull to the next, with the same rows
            files.append(file)
            page = read_page(self.name, file, extract.rows, extract.changed_by, extract.paging, answer.headers)
            rows += page.rows
            self._changed(asked, changed, page.oldest, page.newest)
            following = walk.following(page, address, answer.links) if walk else None
            if following is None:
                return Fetched(tuple(files), rows=rows, until=changed.newest or asked.since, about={"address": first})
            if following[0] is not None:
                address, sent = following[0], {"method": "GET"}
            else:
                sent = self._sent(asked, extract, following[1])

    def _changed(self, asked: Asked, changed: Range, oldest: str | None, newest: str | None) -> None:
        """Take a page's values of the change attribute. Raises SourceError: they cannot be compared, or are older than was asked for."""
        if oldest is None or newest is None:
            return
        if not (changed.take(oldest) and changed.take(newest)) or (
            asked.since is not None and not alike(asked.since, oldest)
        ):
            raise SourceError(
                self.name,
                "extracts.changed_by",
                "its values are not all written in one way",
                "name an attribute whose values are",
            )
        if asked.since is not None and less(oldest, asked.since):
            raise SourceError(
                self.name,
                "extracts.parameters",
                f"rows since {asked.since} were asked for, and one of {oldest} came",
                "is {since} in the parameter that the server has for it?",
            )

    def _address(self, asked: Asked, extract: Extract) -> str:
        """Values of placeholders are of settings and periods; what of them has a meaning in an address is written as it must be."""
        path = "".join(
            part if isinstance(part, str) else quote(asked.value(part), safe="") for part in parts(extract.endpoint)
        )
        return f"{self.settings.address}/{path}".rstrip("/")

    def _sent(self, asked: Asked, extract: Extract, more: Mapping[str, str]) -> Mapping[str, Any]:
        parameters = {
            name: asked.fill(text)
            for name, text in extract.parameters.items()
            if asked.since is not None or Placeholder("since") not in parts(text)
        }
        return {"method": extract.method, "params" if extract.method == "GET" else "json": parameters | dict(more)}

    @contextmanager
    def _line(self, left: int = 0) -> Iterator[Line]:
        import requests

        said = self.settings
        with requests.Session() as session:
            session.trust_env = False  # no secrets of a .netrc, no proxy that nobody named here
            session.verify = True if said.ca_file is None else str(self._secrets.root / said.ca_file)
            session.headers.update({"Accept-Encoding": "gzip", "User-Agent": "qala", **said.headers})
            parameter = None
            if said.auth is not None:
                if said.auth.bearer is not None:
                    session.headers["Authorization"] = f"Bearer {self._read['bearer'].reveal()}"
                elif said.auth.user is not None:
                    pair = f"{said.auth.user}:{self._read['password'].reveal()}".encode()
                    session.headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
                elif said.auth.header is not None:
                    session.headers[said.auth.header] = self._read["value"].reveal()
                else:
                    parameter = (str(said.auth.parameter), self._read["value"])
            yield Line(
                self.name,
                said.address,
                session,
                self._secrets,
                parameter,
                said.timeout_seconds,
                said.patience_seconds,
                left,
            )
