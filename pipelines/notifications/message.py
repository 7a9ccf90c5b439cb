"""A message: which troubles it tells, worded in a channel's language, as text and as plain data.

What is alike in several places is told once, with the places. Does not belong here: what is wrong (finders/), sending (webhook.py, mail.py).
"""

from __future__ import annotations

import datetime as dt
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipelines.notifications.trouble import Trouble, command
from warehouse.home.home import Home
from warehouse.messages.messages import and_more, phrase, sentence

_MOST = 200  # troubles of a message
_PLACES = 12  # that are named of one thing


@dataclass
class Message:
    """One message to one channel. What it says does not change once it is made; `tries` and what follows is how sending it goes."""

    id: str
    channel: str
    made: str  # ISO 8601, UTC
    language: str
    name: str  # of the installation
    subject: str
    text: str
    keys: list[str]
    troubles: list[dict[str, Any]]  # each as plain data
    tries: int = 0
    after: str = ""  # not to be tried before
    left: list[str] | None = None  # recipients of mail that have not got it; None: nobody has
    lost: dict[str, str] = field(default_factory=dict)  # recipients that the server refuses for good, and what it said


@dataclass(frozen=True)
class Told:
    """What a message is made of. `ended`: keys of what is no longer so."""

    home: Home
    channel: str
    language: str
    name: str
    now: dt.datetime
    longest: int | None = None
    ended: frozenset[str] = frozenset()


def compose(told: Told, waiting: Mapping[str, Trouble]) -> Message:
    """A message of as many troubles as it may have; at least one."""
    number = f"{told.now:%Y%m%dT%H%M%S}-{secrets.token_hex(6)}"
    chosen = dict(list(waiting.items())[:_MOST])
    message = _of(told, number, chosen)
    while told.longest is not None and len(message.text) > told.longest and len(chosen) > 1:
        chosen = dict(list(chosen.items())[: len(chosen) // 2])
        message = _of(told, number, chosen)
    if told.longest is not None:
        message.text = message.text[: told.longest]
    return message


def trial(told: Told) -> Message:
    """A message that only shows that the channel works."""
    number = f"{told.now:%Y%m%dT%H%M%S}-{secrets.token_hex(6)}"
    subject = sentence("notification.trial_subject", told.language, name=told.name)
    text = sentence("notification.trial", told.language, channel=told.channel)
    return Message(number, told.channel, told.now.isoformat(), told.language, told.name, subject, text, [], [])


def _of(told: Told, number: str, chosen: Mapping[str, Trouble]) -> Message:
    language = told.language
    subject = sentence("notification.subject", language, name=told.name, counts=_counts(chosen, told.ended))
    do = command(told.home, "notify --dry-run --all")
    footer = sentence("notification.footer", language, id=number, when=f"{told.now:%Y-%m-%d %H:%M}", command=do)
    text = "\n\n".join([subject, *_sections(told, chosen), footer])
    data = [_data(told, key, one) for key, one in chosen.items()]
    return Message(number, told.channel, told.now.isoformat(), language, told.name, subject, text, list(chosen), data)


def _counts(chosen: Mapping[str, Trouble], ended: frozenset[str]) -> list[dict[str, Any]]:
    """Of each kind how many, as parts of a message."""
    kinds = [one.kind for key, one in chosen.items() if key not in ended]
    counts: list[dict[str, Any]] = [
        {"code": "notification.count", "kind": {"code": f"notification.kind.{kind}"}, "number": kinds.count(kind)}
        for kind in dict.fromkeys(kinds)
    ]
    gone = len(chosen) - len(kinds)
    return [*counts, {"code": "notification.ended_count", "number": gone}] if gone else counts


def _sections(told: Told, chosen: Mapping[str, Trouble]) -> list[str]:
    """A section for each kind, in it a paragraph for each thing with its places."""
    alike: dict[tuple[str, str, str, bool], list[Trouble]] = {}
    for key, one in chosen.items():
        said = json.dumps(one.said, ensure_ascii=False, sort_keys=True)
        alike.setdefault((one.kind, said, one.do, key in told.ended), []).append(one)
    sections: dict[str, list[str]] = {}
    for (kind, _, do, ended), several in alike.items():
        sections.setdefault(kind, []).append(_paragraph(told.language, several, do, ended=ended))
    return [
        "\n".join([sentence(f"notification.kind.{kind}", told.language).upper(), *paragraphs])
        for kind, paragraphs in sections.items()
    ]


def _paragraph(language: str, several: list[Trouble], do: str, *, ended: bool) -> str:
    first = f"• {phrase(several[0].said, language)}"
    lines = [f"{first} {sentence('notification.ended', language)}" if ended else first]
    places = [one.where for one in several if one.where]
    if places:
        lines.append(phrase(and_more(places[:_PLACES], len(places) - _PLACES, "; "), language, "; "))
    if do:
        lines.append(sentence("notification.do", language, command=do))
    return "\n  ".join(lines)


def _data(told: Told, key: str, one: Trouble) -> dict[str, Any]:
    return {
        "key": key,
        "kind": str(one.kind),
        "severity": str(one.kind.severity),
        "since": one.since,
        "what": phrase(one.said, told.language),
        "where": phrase(one.where, told.language),
        "do": one.do,
        "ended": key in told.ended,
    }
