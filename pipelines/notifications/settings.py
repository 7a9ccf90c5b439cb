"""Whom a home tells what is wrong: `<home>/notifications.yaml`, and what it may say.

The pydantic models are the single source: they validate the file and give editors their JSON Schema (`qala schemas`). Secrets are references.
Does not belong here: what is told (the modules that find it), how it is sent (webhook.py, mail.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, ByteSize, Field, ValidationError, model_validator

from connectors.sources.secrets import Reference
from connectors.sources.setting_faults import read_settings, setting_faults
from connectors.sources.settings import Strict, refused
from kpi_definitions.documents import DocumentError
from pipelines.notifications.trouble import Kind, Severity
from warehouse.home.home import Home

FILE = "notifications.yaml"
SCHEMA = Path(__file__).with_name("notifications.schema.json")
PAGE = "docs/notifications.md"
PLACEHOLDERS = ("id", "name", "subject", "text")  # of a payload
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_MAILBOX = re.compile(r"[^\s@<>,;:\"()\[\]\\]+@[^\s@<>,;:\"()\[\]\\]+")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_OWN_HEADERS = ("content-type", "content-length", "host", "idempotency-key")


def _channel(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise refused("this is no name of a channel", "write small Latin letters, digits, - and _")
    return name


def _address(said: Any) -> Any:
    if not isinstance(said, str):
        return said
    try:
        parts = urlsplit(said)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound:
        raise refused(
            "is no address of a web server", "write https://HOST/PATH, or {env: NAME} if the address is secret"
        )
    return said


def _mailbox(text: str) -> str:
    if not _MAILBOX.fullmatch(text):
        raise refused("is no address of mail", "write NAME@HOST")
    return text


def _one_line(text: str) -> str:
    if not text.isprintable():
        raise refused("has a sign that cannot be printed", "write it in one line")
    return text


def _payload(value: Any) -> Any:
    """As it is. Raises PydanticCustomError for a placeholder that is not known."""
    for text in texts_of(value):
        for found in re.findall(r"\{(\w+)\}", text):
            if found not in PLACEHOLDERS:
                known = ", ".join(f"{{{one}}}" for one in PLACEHOLDERS)
                raise refused(f"there is no placeholder {{{found}}}", f"there are {known}")
    return value


def texts_of(value: Any) -> Iterator[str]:
    """Every text in a payload, keys left out."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from texts_of(inner)


ChannelName = Annotated[str, AfterValidator(_channel)]
Mailbox = Annotated[str, AfterValidator(_mailbox)]
Line = Annotated[str, AfterValidator(_one_line)]


class Channel(Strict):
    """Whom a channel tells what, and how often."""

    language: Literal["kk", "ru", "en"] = Field(default="ru", description="In which language")
    kinds: tuple[Kind, ...] = Field(default=tuple(Kind), min_length=1, description="What is told; left out: all")
    least: Severity = Field(default=Severity.WARNING, description="The least severity that is told")
    mended: bool = Field(default=False, description="Whether it is told too that something no longer is so")
    most_per_hour: int = Field(
        default=30,
        ge=1,
        le=3600,
        strict=True,
        description="Messages in an hour; what comes beyond waits and goes into the next",
    )
    longest: int | None = Field(
        default=None,
        ge=500,
        strict=True,
        description="Letters that a message may have; what does not fit goes into the next",
    )
    timeout_seconds: int = Field(
        default=15, ge=1, le=60, strict=True, description="After which a server that is silent has failed"
    )


class Webhook(Channel):
    """A web server that takes messages as JSON, by POST."""

    url: Annotated[str | Reference, BeforeValidator(_address)] = Field(
        description="Its address; one that holds a secret is written {env: NAME} or {file: PATH}",
        union_mode="left_to_right",
    )
    headers: dict[str, Line | Reference] = Field(
        default={}, description="Further headers; a secret as {env: NAME} or {file: PATH}"
    )
    payload: Annotated[dict[str, Any], AfterValidator(_payload)] | None = Field(
        default=None,
        description="What the server wants instead of qala's own JSON, with {subject}, {text}, {name} and {id} in its texts",
    )

    @model_validator(mode="after")
    def _sound_headers(self) -> Self:
        for name in self.headers:
            if not _HEADER.fullmatch(name) or name.lower() in _OWN_HEADERS:
                raise refused(
                    f"header {name!r} cannot be set", f"leave out {', '.join(_OWN_HEADERS)}; write Latin letters and -"
                )
        return self


class Mail(Channel):
    """A mail server that takes messages for people."""

    host: Line = Field(min_length=1, description="The mail server")
    port: int = Field(default=587, ge=1, le=65535, strict=True, description="587 for starttls, 465 for tls")
    security: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="starttls, tls, or none: in clear, without a password"
    )
    ca: Path | None = Field(
        default=None,
        description="Certificates of the authority that the server's is checked by; left out: the system's",
    )
    user: Line | None = Field(default=None, description="Who signs in; left out: nobody")
    password: Reference | None = Field(default=None, description="Of that user: {env: NAME} or {file: PATH}")
    sender: Mailbox = Field(description="Who the mail is from")
    to: tuple[Mailbox, ...] = Field(min_length=1, description="Who it goes to")

    @model_validator(mode="after")
    def _sound_login(self) -> Self:
        if (self.user is None) != (self.password is None):
            raise refused("user and password belong together", "write both, or neither")
        if self.password is not None and self.security == "none":
            raise refused("security is none, and the password would go in clear", "write security: starttls, or tls")
        return self


class Settings(Strict):
    """What notifications.yaml says."""

    name: Line | None = Field(
        default=None, max_length=80, description="What messages call this installation; left out: its folder's name"
    )
    disk_free: ByteSize = Field(
        default=ByteSize(1 << 30), description="Less room than this on the disk is told: 1GiB, 500MiB"
    )
    webhooks: dict[ChannelName, Webhook] = Field(default={}, description="By a name of your own, web servers")
    mail: dict[ChannelName, Mail] = Field(
        default={}, description="By a name of your own, mail servers with those who get it"
    )

    @model_validator(mode="after")
    def _channels(self) -> Self:
        if not self.webhooks and not self.mail:
            raise refused("nobody is told anything", "write at least one channel under webhooks: or mail:")
        if both := sorted(set(self.webhooks) & set(self.mail)):
            raise refused(f"{both[0]} is a name of two channels", "give each a name of its own")
        return self

    @property
    def channels(self) -> dict[str, Webhook | Mail]:
        return {**self.webhooks, **self.mail}


def read_notifications(home: Home) -> Settings | None:
    """What a home's file says; None: there is none, and nobody is told anything. Raises DocumentError with every fault."""
    path = home.notification_settings
    if not path.exists() and not path.is_symlink():
        return None
    document = read_settings(path)
    if not isinstance(document.data, dict):
        raise DocumentError([document.fault((), "says nothing", f"write a channel, or take the file away; see {PAGE}")])
    try:
        return Settings.model_validate(document.data)
    except ValidationError as error:
        raise DocumentError(setting_faults(document, Settings, error, PAGE)) from None
