"""What is known to be wrong in a home, and to which channel it was told: `<home>/notifications/standing.json`, written whole after every pass.

If it is lost, what stands is told again. Does not belong here: finding (finders/), messages on their way (outbox.py).
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from connectors.archive.atomic_files import write_whole
from pipelines.notifications.settings import Channel
from pipelines.notifications.trouble import Found, Kind, Trouble
from warehouse.home.home import Home

_FILE = "standing.json"
_HOUR = dt.timedelta(hours=1)


@dataclass
class Standing:
    """One trouble. `told`, `ended`: by channel, the message that told it, and that it is no longer so; `gone`: since when, ISO 8601."""

    finder: str
    trouble: Trouble | None  # None: another trouble tells it
    told: dict[str, str] = field(default_factory=dict)
    ended: dict[str, str] = field(default_factory=dict)
    gone: str = ""


@dataclass
class Delivering:
    """How a channel does. `sent`: when messages went in the last hour; `failing`: what its server said last, and since how many tries."""

    sent: list[str] = field(default_factory=list)
    failing: str = ""
    tries: int = 0
    refused: dict[str, str] = field(default_factory=dict)  # recipient → what the server said


@dataclass
class State:
    """What a home knows of its troubles from pass to pass. `seen`: what finders remember."""

    begun: str  # ISO 8601, UTC
    standing: dict[str, Standing] = field(default_factory=dict)
    channels: dict[str, Delivering] = field(default_factory=dict)
    seen: dict[str, str] = field(default_factory=dict)

    def channel(self, name: str) -> Delivering:
        return self.channels.setdefault(name, Delivering())

    def enter(self, finder: str, found: Found, now: dt.datetime) -> int:
        """Take in what a finder found; returns how many are new. What it no longer finds is gone."""
        if found is None:
            return 0
        new = 0
        for key, make in found.items():
            if (known := self.standing.get(key)) is not None:
                known.gone, known.finder = "", finder
            else:
                self.standing[key] = Standing(finder, make())
                new += 1
        for key, one in self.standing.items():
            if one.finder == finder and key not in found and not one.gone:
                one.gone = now.isoformat()
        return new

    def waiting(self, name: str, channel: Channel) -> dict[str, Trouble]:
        """What a channel is still to be told, in the order of kinds, then as it was found."""
        order = list(Kind)
        found = {
            key: one.trouble
            for key, one in self.standing.items()
            if one.trouble is not None and wants(name, channel, key, one.trouble) and self._is_news(name, channel, one)
        }
        return dict(sorted(found.items(), key=lambda item: order.index(item[1].kind)))

    def mark(self, name: str, keys: list[str], message: str) -> None:
        """A message that tells these is kept for good: they are not put into another one."""
        for key in keys:
            if (one := self.standing.get(key)) is not None:
                one.told.setdefault(name, message)
                if one.gone:
                    one.ended.setdefault(name, message)

    def may_send(self, name: str, channel: Channel, now: dt.datetime) -> bool:
        """Whether the channel's hour has room for another message."""
        state = self.channel(name)
        state.sent = [when for when in state.sent if now - dt.datetime.fromisoformat(when) < _HOUR]
        return len(state.sent) < channel.most_per_hour

    def forget(self, channels: dict[str, Any]) -> None:
        """What is gone and needs no more telling, and channels that are no more."""
        self.channels = {name: one for name, one in self.channels.items() if name in channels}
        self.standing = {
            key: one
            for key, one in self.standing.items()
            if not one.gone or any(key in self.waiting(name, channel) for name, channel in channels.items())
        }

    def _is_news(self, name: str, channel: Channel, one: Standing) -> bool:
        if name not in one.told:
            return True
        return channel.mended and bool(one.gone) and name not in one.ended


def wants(name: str, channel: Channel, key: str, trouble: Trouble) -> bool:
    """Whether a channel is to be told a trouble; that it fails itself it is not told."""
    grave = trouble.kind.severity == "error" or channel.least == "warning"
    return grave and trouble.kind in channel.kinds and key != f"channel/{name}"


def failing_channels(state: State) -> Iterator[tuple[str, str, str]]:
    """(channel, recipient or nothing, what its server says) of channels that failed at least twice, and of recipients that are refused."""
    for name, one in state.channels.items():
        if one.tries > 1:
            yield name, "", one.failing
        for address, said in one.refused.items():
            yield name, address, said


def read_state(home: Home, now: dt.datetime) -> State:
    """As the last pass left it; a new one if there was none, or its file is no longer one."""
    try:
        said = json.loads((home.notifications / _FILE).read_text(encoding="utf-8"))
        standing = {
            key: Standing(
                one["finder"],
                _trouble(one["trouble"]) if one["trouble"] else None,
                one["told"],
                one["ended"],
                one["gone"],
            )
            for key, one in said["standing"].items()
        }
        channels = {name: Delivering(**one) for name, one in said["channels"].items()}
        return State(said["begun"], standing, channels, said["seen"])
    except (OSError, ValueError, KeyError, TypeError):
        return State(now.isoformat())


def _trouble(said: dict[str, Any]) -> Trouble:
    return Trouble(Kind(said["kind"]), said["said"], said["where"], said["do"], said["since"])


def write_state(home: Home, state: State) -> None:
    """Written whole, or not at all."""
    folder = home.notifications
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / _FILE, json.dumps(asdict(state), ensure_ascii=False, indent=1).encode())
