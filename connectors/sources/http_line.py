"""One request to an HTTP server: sent to the server that is named and to no other, waited for, its body written down whole.

Does not belong here: how pages follow each other (pages.py), what is asked for (http.py).
"""

from __future__ import annotations

import logging
import random
import re
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urljoin, urlsplit

from connectors.sources.secrets import Secret, Secrets
from connectors.sources.source import SourceError

if TYPE_CHECKING:
    from requests import Response, Session

_BLOCK = 1 << 20
_BUSY = (429, 503)
_REDIRECTS, _MOST_REDIRECTS = (301, 302, 303, 307, 308), 5
_LONGEST_PAUSE = 60.0  # seconds, where the server does not say how long
_MARKUP = re.compile(rb"(\xef\xbb\xbf)?\s*(<!doctype html|<html)", re.IGNORECASE)


@dataclass(frozen=True)
class Answer:
    """An answer with its body written down. `address`: where it came from; `links`: relation → address; `whole`: its end was told."""

    file: Path
    address: str
    headers: Mapping[str, str]
    links: Mapping[str, str]
    whole: bool


@dataclass
class Line:
    """Requests to one server, and to no other. `left`: bytes that may still come."""

    source: str
    base: str
    session: Session
    secrets: Secrets
    parameter: tuple[str, Secret] | None  # a secret that goes with every request's parameters
    timeout: float
    patience: float  # seconds
    left: int

    def ask(self, address: str, sent: Mapping[str, Any], file: Path, not_yet: int | None) -> Answer | None:
        """The answer to a request, written into `file`; None: the server says `not_yet`. Raises SourceError.

        `sent`: method, and params or json, as requests has them.
        """
        with self.told():
            return self._asked(address, sent, file, not_yet)

    @contextmanager
    def told(self) -> Iterator[None]:
        """Whatever libraries raise within becomes a SourceError."""
        import requests

        try:
            yield
        except requests.exceptions.SSLError as error:
            self._fail(
                "connection.ca_file",
                f"the server's certificate is not one that is trusted: {_reason(error)}",
                "is the address right? if an authority of your own signed it, name its certificate: ca_file",
            )
        except requests.exceptions.Timeout:
            self._fail(
                "connection.address",
                f"the server said nothing for {self.timeout:g} seconds",
                "nothing was taken; it is asked again",
                passing=True,
            )
        except (requests.exceptions.RequestException, OSError) as error:
            if isinstance(error, OSError) and error.filename is not None:
                raise
            self._fail(
                "connection.address",
                f"the connection broke: {_reason(error)}",
                "nothing was taken; it is asked again. If it stays so: is the address right?",
                passing=True,
            )

    def status(self) -> int:
        """What the server answers at its address, whatever is there. Raises SourceError."""
        with self.told(), self._sent(self.base, {"method": "GET"}) as response:
            if response.status_code in (401, 403, 407):
                self._refused(response)
            return response.status_code

    def _asked(self, address: str, sent: Mapping[str, Any], file: Path, not_yet: int | None) -> Answer | None:
        address = self._own(address)
        waited = tries = redirects = 0.0
        while True:
            with self._sent(address, sent) as response:
                if response.status_code == not_yet:
                    return None
                if response.status_code in _REDIRECTS:
                    redirects += 1
                    target = self._own(urljoin(address, response.headers.get("Location", "")))
                    if redirects > _MOST_REDIRECTS or sent["method"] != "GET":
                        self._fail(
                            "connection.address", "the server sends us on and on", "name the address where it ends"
                        )
                    address, sent = target, {"method": "GET"}
                    continue
                if response.status_code not in _BUSY:
                    return self._answer(response, file)
                pause = _pause(response, int(tries))
            tries += 1
            waited += pause
            if waited > self.patience:
                self._fail(
                    "connection.patience_seconds",
                    f"the server is busy (status {response.status_code}) and wants to be asked again after {pause:.0f} seconds",
                    f"it was waited for no longer than {self.patience:.0f} seconds in all; it is asked again later",
                    passing=True,
                )
            sleep(pause)

    @contextmanager
    def _sent(self, address: str, sent: Mapping[str, Any]) -> Iterator[Response]:
        """A response of which only the headers have come."""
        if self.parameter is not None:
            name, secret = self.parameter
            sent = {**sent, "params": {**sent.get("params", {}), name: secret.reveal()}}
        loggers = [logging.getLogger(name) for name in ("urllib3.connectionpool", "urllib3.util.retry")]
        try:
            for logger in loggers:
                logger.addFilter(self._scrubbed)
            with self.session.request(
                url=address, stream=True, allow_redirects=False, timeout=self.timeout, **sent
            ) as response:
                yield response
        finally:
            for logger in loggers:
                logger.removeFilter(self._scrubbed)

    def _scrubbed(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = self.secrets.scrub(record.getMessage()), ()
        return True

    def _own(self, address: str) -> str:
        """The address, if it is of the server that is named: secrets are sent to no other."""
        wanted, found = urlsplit(self.base), urlsplit(address)
        if (found.scheme, found.netloc.lower()) != (wanted.scheme, wanted.netloc.lower()):
            self._fail(
                "connection.address",
                f"{wanted.scheme}://{wanted.netloc} sends us on to {found.scheme}://{found.netloc.rpartition('@')[2]}, another server",
                "nothing was sent there; if that is where the data is, name it as the address",
            )
        return address

    def _answer(self, response: Response, file: Path) -> Answer:
        if response.status_code != 200:
            self._refused(response)
        kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        whole = self._written(response, file)
        with file.open("rb") as handle:
            start = handle.read(200)
        if kind in ("text/html", "application/xhtml+xml") or _MARKUP.match(start):
            self._fail(
                "extracts.endpoint",
                "the answer is a page for people, of type text/html",
                "an address of a log-in? ask for the one of the data",
            )
        links = {name: str(link.get("url", "")) for name, link in response.links.items()}
        return Answer(file, self.secrets.scrub(str(response.url)), response.headers, links, whole)

    def _written(self, response: Response, file: Path) -> bool:
        """Write the body, unpacked; whether its end was told. Raises SourceError, and what requests does for a connection that breaks."""
        import requests
        import urllib3

        packing = response.headers.get("Content-Encoding", "identity").strip().lower()
        if packing not in ("identity", "gzip", "x-gzip", ""):
            self._fail(
                "extracts.endpoint",
                f"the answer is packed by {packing}, which was not asked for",
                "ask who runs the server",
            )
        unpack = _Gzip() if "gzip" in packing else None
        try:
            with file.open("xb") as target:
                for block in response.raw.stream(_BLOCK, decode_content=False):
                    for part in unpack.parts(block) if unpack else (block,):
                        self.left -= len(part)
                        if self.left < 0:
                            self._fail(
                                "extracts.largest_mb",
                                "the answer is larger than is allowed",
                                "raise the limit, or ask for less at once",
                            )
                        target.write(part)
        except (urllib3.exceptions.HTTPError, zlib.error) as error:
            raise requests.exceptions.ConnectionError(f"in the middle of the answer ({type(error).__name__})") from None
        if unpack is not None and not unpack.ended:
            raise requests.exceptions.ConnectionError("the packed answer ends in its middle")
        return (
            unpack is not None
            or "Content-Length" in response.headers
            or response.headers.get("Transfer-Encoding", "").lower() == "chunked"
        )

    def _refused(self, response: Response) -> NoReturn:
        """What a status that is no success means, by the setting it is about. Raises SourceError."""
        status = response.status_code
        said = next(response.iter_content(2000), b"").decode("utf-8", "replace") if response.raw else ""
        said = " ".join(self.secrets.scrub(said).split())[:200]
        told = f"the server answers with status {status}{f': {said}' if said else ''}"
        if status in (401, 403, 407):
            self._fail("connection.auth", told, "is the secret still the one it knows, and may it read this?")
        if status in (404, 410):
            self._fail(
                "extracts.endpoint", told, f"mend it; if it only means that there is none yet: not_yet: {status}"
            )
        if status == 405:
            self._fail("extracts.method", told, "write method: GET, or POST")
        if 400 <= status < 500 and status != 408:
            self._fail("extracts.parameters", told, "are they named and written as the server has them?")
        passing = status >= 500 or status == 408
        self._fail("connection.address", told, "nothing was taken; ask who runs the server", passing=passing)

    def _fail(self, setting: str, said: str, remedy: str, *, passing: bool = False) -> NoReturn:
        raise SourceError(self.source, setting, self.secrets.scrub(said), remedy, passing=passing) from None


class _Gzip:
    """Bytes packed by gzip, unpacked in parts of bounded size."""

    def __init__(self) -> None:
        self._one = zlib.decompressobj(31)

    def parts(self, block: bytes) -> Iterator[bytes]:
        while block:
            if self._one.eof:  # one after the other, as gzip allows
                self._one = zlib.decompressobj(31)
            yield self._one.decompress(block, _BLOCK)
            block = self._one.unused_data if self._one.eof else self._one.unconsumed_tail

    @property
    def ended(self) -> bool:
        return self._one.eof


def sleep(seconds: float) -> None:
    """Tests have another."""
    time.sleep(seconds)


def _pause(response: Response, tries: int) -> float:
    """Seconds until a busy server is asked again: as it says, but longer from time to time, and not all at the same moment."""
    longer = min(_LONGEST_PAUSE, 2.0**tries)
    said = response.headers.get("Retry-After", "").strip()
    try:
        if re.fullmatch(r"\d{1,9}(\.\d+)?", said):
            told = float(said)
        else:
            now = response.headers.get("Date")
            begun = parsedate_to_datetime(now) if now else datetime.now(UTC)
            told = (parsedate_to_datetime(said) - begun).total_seconds()
        return max(told, longer / 4)  # one that says 0 and stays busy is not asked without end
    except (ValueError, TypeError):
        return longer * random.uniform(0.5, 1.5)  # noqa: S311


def _reason(error: BaseException) -> str:
    """The innermost of what libraries wrap in each other, without addresses of objects."""
    while (
        inner := next((arg for arg in error.args if isinstance(arg, BaseException)), None)
        or getattr(error, "reason", None)
    ) and isinstance(inner, BaseException):
        error = inner
    return re.sub(r"<[^>]*>:? ?|\S*\(host=[^)]*\): ?", "", str(error)) or type(error).__name__
