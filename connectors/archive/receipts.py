"""Receipts as files: which wait, in what order they came, which cannot be read, which were taken back.

A receipt's number begins with a moment that is later than that of every receipt before it, whatever the clock says: order of
arrival is order of numbers. Does not belong here: moving receipts from folder to folder (archive.py), what is entered in the ledger
(warehouse/loading/).
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import MISSING, dataclass, fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

from filelock import FileLock

from warehouse.home.account import ACCOUNT
from warehouse.loading.deliveries import Receipt
from warehouse.periods import FIRST_YEAR, LAST_YEAR, parse_period

if TYPE_CHECKING:
    from pydantic import BaseModel

NOTE = "withdrawn"  # key under which a receipt that was taken back says by whom and why
_MOMENT = "%Y%m%dT%H%M%S.%f"
_LENGTH = 22  # letters of it
_NUMBER = re.compile(r"[0-9]{8}T[0-9]{6}\.[0-9]{6}-[A-Za-z0-9]+")
_NEWEST = ".newest"  # the moment given last; without it the receipts themselves are looked at
_LOCK_SECONDS = 60
_LARGEST = 2**63 - 1


@cache
def _strict() -> type[BaseModel]:
    """A receipt as pydantic checks it; made when the first one is read."""
    from pydantic import ConfigDict, create_model

    hints = get_type_hints(Receipt)
    known: dict[str, Any] = {
        f.name: (hints[f.name], ... if f.default is MISSING else f.default) for f in fields(Receipt)
    }
    return create_model("Receipt", __config__=ConfigDict(strict=True, extra="forbid"), **known)


@dataclass(frozen=True)
class Withdrawn:
    """A receipt that was taken back, by whom and why."""

    receipt: Receipt
    by: str
    reason: str
    account: dict[str, Any] | None = None  # of the operating system; receipts of former versions do not tell


def next_moment(folder: Path, now: dt.datetime) -> str:
    """Moment with which a receipt's number begins: now, or just after the newest one if the clock is behind it."""
    folder.mkdir(parents=True, exist_ok=True)
    note = folder / _NEWEST
    with FileLock(folder / ".lock", timeout=_LOCK_SECONDS):
        newest: dt.datetime | None
        try:
            newest = _moment(note.read_text(encoding="ascii"))
        except (OSError, ValueError):  # there is none, or half of one
            newest = max(map(_moment, _numbers(folder)), default=None)
        now = now.replace(tzinfo=None)
        moment = now if newest is None or now > newest else newest + dt.timedelta(microseconds=1)
        text = moment.strftime(_MOMENT)
        note.write_text(text, encoding="ascii")
    return text


def _moment(number: str) -> dt.datetime:
    if len(number) < _LENGTH:
        raise ValueError(f"{number!r} is no moment")
    return dt.datetime.strptime(number[:_LENGTH], _MOMENT)  # noqa: DTZ007  UTC, as every receipt's


def _numbers(folder: Path) -> Iterator[str]:
    return (p.stem for p in folder.glob("*/*.json") if _NUMBER.fullmatch(p.stem))


def place_of(folder: Path, receipt_id: str) -> Path | None:
    """The receipt of a number, wherever it is by now."""
    name = f"{receipt_id}.json"
    places = ("pending", "withdrawn", f"{receipt_id[:4]}-{receipt_id[4:6]}", "damaged")
    return next((folder / p / name for p in places if (folder / p / name).exists()), None)


def waiting(folder: Path) -> Iterator[tuple[Path, Receipt | str]]:
    """Every pending receipt in order of arrival, or what is wrong with its file."""
    for path in sorted(folder.glob("*.json")):
        try:
            yield path, read(path)
        except FileNotFoundError:
            continue  # settled just now
        except ValueError as error:
            yield path, str(error)


def beyond(folder: Path, known: Collection[str]) -> list[tuple[Receipt, bool]]:
    """Receipts that are not among the known, each with whether it was taken back; in order of arrival. Damaged ones are left out."""
    found = []
    for path in folder.glob("*/*.json"):
        if _NUMBER.fullmatch(path.stem) and path.stem not in known:
            with suppress(ValueError, FileNotFoundError):
                found.append((read(path), taken_back(path)))
    return sorted(found, key=lambda one: one[0].receipt_id)


def read(path: Path) -> Receipt:
    """A receipt of a file. Raises ValueError saying what is wrong with it."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is no receipt ({error})") from None
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise ValueError(f"it cannot be read ({error.strerror})") from None
    if not isinstance(content, dict):
        raise ValueError(f"it is no receipt but {type(content).__name__}")
    content.pop(NOTE, None)
    from pydantic import ValidationError

    try:
        found = Receipt(**_strict().model_validate(content).model_dump())
    except ValidationError as error:
        told = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise ValueError(f"it is no whole receipt ({'; '.join(told)})") from None
    _plausible(found, path)
    return found


def _plausible(one: Receipt, path: Path) -> None:
    period = parse_period(one.period)
    wrong = [
        what
        for what, holds in (
            ("its number is not that of its file", one.receipt_id == path.stem and _NUMBER.fullmatch(one.receipt_id)),
            ("its SHA-256 is none", re.fullmatch("[0-9a-f]{64}", one.sha256)),
            ("its bytes are out of range", 0 <= one.bytes <= _LARGEST),
            ("its rows are out of range", one.declared_rows is None or 0 <= one.declared_rows <= _LARGEST),
            ("its period is out of range", period.start.year >= FIRST_YEAR and period.end.year <= LAST_YEAR),
        )
        if not holds
    ]
    if wrong:
        raise ValueError("; ".join(wrong))
    dt.datetime.fromisoformat(one.received_at)


def withdrawn(folder: Path) -> list[Withdrawn]:
    """Receipts taken back whose withdrawal is not yet in the ledger."""
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            receipt, note = read(path), _note(path)
        except ValueError:
            continue  # nothing of it is loaded either way
        found.append(Withdrawn(receipt, note["by"], note["reason"], note.get(ACCOUNT)))
    return found


def taken_back(path: Path) -> bool:
    """Whether a receipt says that it was taken back; False for a damaged one."""
    try:
        return bool(_note(path))
    except (OSError, ValueError, AttributeError):
        return False


def _note(path: Path) -> dict[str, Any]:
    note: Any = json.loads(path.read_text(encoding="utf-8")).get(NOTE)
    if not isinstance(note, dict) or not all(isinstance(note.get(k), str) for k in ("by", "reason")):
        raise ValueError("it does not say who took it back")
    return note


def why_not(folder: Path, receipt_id: str, pending: Sequence[str]) -> str:
    """Why a receipt cannot be taken back, and what to do."""
    place = place_of(folder, receipt_id) if _NUMBER.fullmatch(receipt_id) else None
    if place is None:
        waits = f"waiting: {', '.join(pending[-5:])}" if pending else "none waits"
        return f"there is no receipt {receipt_id!r}; {waits}"
    if place.parent.name == "withdrawn" or NOTE in json.loads(place.read_text(encoding="utf-8")):
        return f"receipt {receipt_id} has been taken back before"
    if place.parent.name == "damaged":
        return f"receipt {receipt_id} could not be read and lies in {place.parent}: nothing of it is loaded"
    return (
        f"receipt {receipt_id} has been decided on (view deliveries, receipt_id): what is loaded is not taken back but corrected; "
        "deliver the right extract for the same system, territory and period"
    )
