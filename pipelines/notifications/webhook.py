"""A message to a web server: one POST of JSON, with a key by which the server can tell that the same message comes again.

Only 2xx means that it was taken. A redirect is not followed: what is told would go to a server that nobody named.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import urllib.error
import urllib.request
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from typing import Any

from pipelines.notifications.message import Message
from pipelines.notifications.sending import Hidden, SendError, Taken
from pipelines.notifications.settings import Webhook
from warehouse.home.home import Home

_LONGEST_ANSWER = 300  # bytes that are read


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def body_of(channel: Webhook, message: Message) -> dict[str, Any]:
    """qala's own JSON, or the channel's payload with its placeholders filled in."""
    if channel.payload is not None:
        values = {"id": message.id, "name": message.name, "subject": message.subject, "text": message.text}
        filled: dict[str, Any] = _filled(channel.payload, values)
        return filled
    return {
        "id": message.id,
        "made": message.made,
        "name": message.name,
        "language": message.language,
        "subject": message.subject,
        "text": message.text,
        "troubles": message.troubles,
    }


def send(home: Home, channel: Webhook, message: Message) -> Taken:
    """Send it. Raises SendError if the server did not take it, or did not say so."""
    hidden = Hidden(home)
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": "qala",
        "Idempotency-Key": message.id,
        **{name: hidden.read(value, f"headers.{name}") for name, value in channel.headers.items()},
    }
    url = hidden.read(channel.url, "url")
    content = json.dumps(body_of(channel, message), ensure_ascii=False).encode()
    try:
        request = urllib.request.Request(url, content, headers, method="POST")  # noqa: S310  the settings say http or https
        opener = urllib.request.build_opener(_NoRedirect)
        with opener.open(request, timeout=channel.timeout_seconds) as answer:
            return Taken(str(answer.status))
    except urllib.error.HTTPError as error:
        with error:
            raise SendError(_refusal(hidden, error), _pause(error.headers.get("Retry-After"))) from None
    except (OSError, HTTPException, ValueError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise SendError(hidden.clean(f"no answer: {reason}")) from None


def _refusal(hidden: Hidden, error: urllib.error.HTTPError) -> str:
    if 300 <= error.code < 400:
        return f"{error.code}: the server sends elsewhere, which is not followed; write the address that it names"
    try:
        said = error.read(_LONGEST_ANSWER).decode("utf-8", "replace")
    except (OSError, HTTPException):
        said = ""
    return hidden.clean(f"{error.code} {error.reason} {said}")


def _pause(said: str | None) -> float | None:
    """Seconds of a Retry-After, which is a number or a date."""
    if said is None:
        return None
    if re.fullmatch(r"\d{1,9}", said.strip()):
        return float(said)
    try:
        return max(0.0, (parsedate_to_datetime(said) - dt.datetime.now(dt.UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def _filled(value: Any, values: dict[str, str]) -> Any:
    if isinstance(value, str):
        return re.sub(r"\{(\w+)\}", lambda found: values[found[1]], value)
    if isinstance(value, dict):
        return {key: _filled(inner, values) for key, inner in value.items()}
    return [_filled(inner, values) for inner in value] if isinstance(value, list) else value
