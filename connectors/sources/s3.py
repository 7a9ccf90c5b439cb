"""A store that speaks S3, by pyarrow's own file system: the objects of a bucket under a key.

Only the key that the settings name is used: nothing of the environment, of a profile or of the machine, and nobody anonymous. Does not
belong here: what makes objects one extract (remote_files.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

from pydantic import AfterValidator, Field

from connectors.sources import folder
from connectors.sources.remote_files import SETTING, Facts, fetch_files, fits, fixed_part
from connectors.sources.secrets import Reference, Secret, Secrets
from connectors.sources.settings import Strict, refused
from connectors.sources.source import Asked, Fetched, SourceError

if TYPE_CHECKING:
    from pyarrow.fs import S3FileSystem

_BLOCK = 4 << 20
_TRIES = 3  # of one request, by the library: a store may say that it is busy
# what the store says → setting, what it means, what to do; the first that fits
_SAID = (
    ("NO_SUCH_BUCKET", "connection.bucket", "there is no bucket {bucket}", "mend the name; or ask who runs the store"),
    (
        "INVALID_ACCESS_KEY_ID",
        "connection.access_key",
        "the store knows no such access key",
        "is it the one of this store, and still in use?",
    ),
    (
        "SIGNATURE_DOES_NOT_MATCH",
        "connection.secret_key",
        "the secret key is not the one of the access key",
        "is it whole, and still the one in use? ask who runs the store",
    ),
    (
        "ACCESS_DENIED",
        "connection.bucket",
        "the access key may not read bucket {bucket}, or its secret key is another",
        "have it allowed to list and read what is under the extract's path",
    ),
    (
        r"PERMANENT_REDIRECT|PermanentRedirect|HTTP status 301",
        "connection.region",
        "bucket {bucket} is of another region than {region}",
        "name the region it is in",
    ),
    (
        r"(?i)NETWORK_CONNECTION.*(SSL|TLS|certificate)",
        "connection.scheme",
        "{endpoint} does not speak TLS as it should",
        "is its certificate signed by an authority this machine knows, or by ca_file? scheme: http only in a network of your own",
    ),
)


def _bucket(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", text):
        raise refused(
            "is no name of a bucket", "small letters, digits, - and .; what comes after a / belongs into path"
        )
    return text


def _endpoint(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9.-]+(:\d{1,5})?|\[[0-9A-Fa-f:]+\](:\d{1,5})?", text):
        raise refused("is no server", "write HOST or HOST:PORT: store.akimat.kz:9000; http or https is said by scheme")
    return text


class Settings(Strict):
    """A store that speaks S3."""

    bucket: Annotated[str, AfterValidator(_bucket)] = Field(description="The bucket that has the extracts")
    access_key: Reference = Field(description="Where the access key is: {env: NAME} or {file: PATH}")
    secret_key: Reference = Field(description="Where its secret key is")
    endpoint: Annotated[str, AfterValidator(_endpoint)] | None = Field(
        default=None, description="HOST:PORT of the store; left out: Amazon's"
    )
    scheme: Literal["https", "http"] = Field(
        default="https", description="http only within a network of your own: what is read could be changed on its way"
    )
    region: str = Field(default="us-east-1", pattern=r"^[a-z0-9-]+$", description="The bucket's region")
    addressing: Literal["path", "virtual"] = Field(
        default="path", description="Whether the bucket is said in the path or before the host's name"
    )
    ca_file: Path | None = Field(
        default=None, description="Certificate of the authority that signed the store's own; from the home's folder on"
    )
    timeout_seconds: int = Field(
        default=30, ge=1, le=3_600, strict=True, description="The store is given up when it says nothing for so long"
    )


class Extract(folder.Extract):
    """Objects of a period, by their keys; the path is the key, its pattern does not reach beyond a /."""


def open_source(name: str, settings: Settings, secrets: Secrets) -> S3Source:
    """Reads the secrets. Raises SourceError: one is not there."""
    return S3Source(
        name,
        settings,
        secrets,
        secrets.read(settings.access_key, "connection.access_key"),
        secrets.read(settings.secret_key, "connection.secret_key"),
    )


class S3Source:
    """See connectors/sources/source.py."""

    def __init__(self, name: str, settings: Settings, secrets: Secrets, access_key: Secret, secret_key: Secret):
        self.name, self.settings = name, settings
        self._secrets, self._access_key, self._secret_key = secrets, access_key, secret_key

    def fetch(self, asked: Asked, folder: Path) -> Fetched | None:
        # an object is there whole or not at all: nobody can be writing it still
        return fetch_files(self.name, self._store(), asked, folder, settled_seconds=0)

    def check(self) -> Sequence[str]:
        said = self.settings
        entries = self._store().entries("", recursive=False)
        return (
            f"bucket {said.bucket} of {said.endpoint or 'Amazon'} can be listed: {len(entries)} entries on its first level",
        )

    def _store(self) -> _Store:
        from pyarrow.fs import AwsStandardS3RetryStrategy, S3FileSystem

        said = self.settings
        more: dict[str, Any] = (
            {} if said.ca_file is None else {"tls_ca_file_path": str(self._secrets.root / said.ca_file)}
        )
        system = S3FileSystem(
            access_key=self._access_key.reveal(),
            secret_key=self._secret_key.reveal(),
            endpoint_override=said.endpoint,
            scheme=said.scheme,
            region=said.region,
            force_virtual_addressing=said.addressing == "virtual",
            connect_timeout=said.timeout_seconds,
            request_timeout=said.timeout_seconds,
            retry_strategy=AwsStandardS3RetryStrategy(max_attempts=_TRIES),
            allow_bucket_creation=False,
            allow_bucket_deletion=False,
            **more,
        )
        return _Store(self.name, said, self._secrets, system)


class _Store:
    """See remote_files.py."""

    def __init__(self, source: str, settings: Settings, secrets: Secrets, system: S3FileSystem):
        self._source, self._settings, self._secrets, self._system = source, settings, secrets, system

    def found(self, pattern: str) -> Iterator[str]:
        fixed = fixed_part(pattern)
        for name in self.entries(fixed.rpartition("/")[0], recursive=True):
            if fits(pattern, name):
                yield name

    def facts(self, name: str) -> Facts | None:
        try:
            told = self._system.open_input_stream(self._path(name)).metadata()
        except FileNotFoundError:
            return None
        except OSError as error:
            self._fail(error)
        return Facts(int(told["Content-Length"]), 0, f"{told.get('ETag')!r} {told.get('Last-Modified')!r}")

    def copy(self, name: str, size: int, target: Path) -> None:
        with target.open("xb") as copy:
            done = 0
            for block in self._blocks(name):
                done += len(block)
                if done > size:  # told by the caller, as a size that is another
                    break
                copy.write(block)

    def entries(self, below: str, *, recursive: bool) -> list[str]:
        """Keys of objects below a key; on the first level what they have in common up to the next / too."""
        from pyarrow.fs import FileSelector, FileType

        try:
            found = self._system.get_file_info(FileSelector(self._path(below), recursive=recursive))
        except FileNotFoundError:  # nothing is below it; of a bucket that is none the store says another thing
            return []
        except OSError as error:
            self._fail(error)
        start = len(self._path("")) + 1
        return [one.path[start:] for one in found if one.type == FileType.File or not recursive]

    def _blocks(self, name: str) -> Iterator[bytes]:
        try:
            with self._system.open_input_stream(self._path(name), buffer_size=0) as source:
                while block := source.read(_BLOCK):
                    yield block
        except OSError as error:
            self._fail(error)

    def _path(self, name: str) -> str:
        return f"{self._settings.bucket}/{name}".rstrip("/")

    def _fail(self, error: OSError) -> NoReturn:
        """What the store said, by the setting it is about. Raises SourceError."""
        said = self._settings
        text = self._secrets.scrub(str(error))
        parts = {"bucket": said.bucket, "region": said.region, "endpoint": said.endpoint or "Amazon's store"}
        for sign, setting, told, remedy in _SAID:
            if re.search(sign, text):
                raise SourceError(self._source, setting, told.format_map(parts), remedy) from None
        if isinstance(error, FileNotFoundError):
            raise SourceError(
                self._source,
                SETTING,
                "an object was there a moment ago and is gone",
                "the next pull asks again",
                passing=True,
            ) from None
        raise SourceError(
            self._source,
            "connection.endpoint",
            f"the store at {parts['endpoint']} did not answer as it should: {text[:300]}",
            "nothing was taken; it is asked again. If it stays so: are endpoint and scheme right?",
            passing=True,
        ) from None
