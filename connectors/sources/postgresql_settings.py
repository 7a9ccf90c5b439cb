"""Where a PostgreSQL database is and how it is spoken to: the section `connection` of its file.

Does not belong here: what is asked of it (postgresql.py).
"""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import available_timezones

from pydantic import AfterValidator, Field, model_validator

from connectors.sources.secrets import Reference
from connectors.sources.settings import Strict, refused

_HOST = re.compile(r"[A-Za-z0-9._:-]+")


def _host(text: str) -> str:
    if not _HOST.fullmatch(text):
        raise refused("is no host", "write a name or an address, without port, user or scheme: db.akimat.kz")
    return text


def _zone(text: str) -> str:
    if text not in available_timezones():
        raise refused("is no time zone", "write one as Asia/Almaty, or UTC")
    return text


def near(host: str) -> bool:
    """Whether an address is of this machine or of a private network."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return address.is_loopback or (address.is_private and not address.is_unspecified)


class Settings(Strict):
    """A database of PostgreSQL, read by a user that may only read."""

    host: Annotated[str, AfterValidator(_host)] = Field(
        description="Its name, as its certificate has it, or its address"
    )
    port: int = Field(default=5432, ge=1, le=65_535, strict=True, description="Where it listens")
    database: str = Field(min_length=1, description="The database")
    user: str = Field(min_length=1, description="A user that may only read what is asked for")
    password: Reference = Field(description="{env: NAME} or {file: PATH}")
    tls: Literal["verify-full", "verify-ca", "off"] = Field(
        default="verify-full",
        description="verify-full: by a certificate of this host; verify-ca: of any host; 'off': in the clear, only here or in a private network",
    )
    certificate: Path | None = Field(
        default=None, description="Whom to trust (PEM); left out: whom this machine trusts"
    )
    time_zone: Annotated[str, AfterValidator(_zone)] = Field(
        default="UTC", description="In which moments with a time zone (timestamptz) are written, with their offset"
    )
    connect_seconds: int = Field(default=10, ge=1, le=300, strict=True, description="To connect")
    statement_seconds: int = Field(
        default=3600, ge=1, le=86_400, strict=True, description="For one query, all its rows sent"
    )
    row_security: bool = Field(
        default=False,
        strict=True,
        description="true: that policies hide rows from this user is meant; else such a query fails",
    )

    @model_validator(mode="after")
    def _private(self) -> Self:
        if self.tls == "off" and not near(self.host):
            raise refused(
                "tls is off for a host that may be anywhere",
                "leave tls out, or write the address of this machine or of a private network as host",
            )
        return self
