"""What the ways of sending have in common: how an attempt ended, and secrets. Does not belong here: the ways (webhook.py, mail.py)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from connectors.sources.secrets import HIDDEN, Reference, Secrets
from connectors.sources.source import SourceError
from pipelines.notifications.settings import FILE
from pipelines.notifications.trouble import quoted
from warehouse.home.home import Home


class SendError(RuntimeError):
    """Nobody took the message. `pause`: seconds that the server asks to wait, None if it does not say."""

    def __init__(self, said: str, pause: float | None = None):
        self.pause = pause
        super().__init__(said)


@dataclass(frozen=True)
class Taken:
    """The server took the message. `left`: recipients to be tried again; `lost`: those it refuses for good, and what it said."""

    answer: str
    left: tuple[str, ...] = ()
    lost: Mapping[str, str] = field(default_factory=dict)


class Hidden:
    """The secrets of a channel, which no text shows."""

    def __init__(self, home: Home):
        self._secrets = Secrets(FILE, home.root)

    def read(self, said: str | Reference, setting: str) -> str:
        """A text, or the secret it refers to. Raises SendError if it is not there, or others may read it."""
        if isinstance(said, str):
            return said
        try:
            return self._secrets.read(said, setting).reveal()
        except SourceError as error:
            raise SendError(f"{FILE}, {error.setting}: {error.said}; {error.remedy}") from None

    def clean(self, text: object) -> str:
        """A text of a server or library, without secrets."""
        return quoted(self._secrets.scrub(str(text))) or HIDDEN
