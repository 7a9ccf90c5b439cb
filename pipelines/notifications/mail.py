"""A message to a mail server, for one or several recipients. It keeps its Message-ID however often it is tried, and never goes to one who has it.

A recipient that the server refuses for good is given up if another one took the message, and told; all others are tried again.
"""

from __future__ import annotations

import base64
import datetime as dt
import smtplib
import ssl
from collections.abc import Mapping, Sequence
from contextlib import suppress
from email.message import EmailMessage
from email.utils import format_datetime

from pipelines.notifications.message import Message
from pipelines.notifications.sending import Hidden, SendError, Taken
from pipelines.notifications.settings import Mail
from warehouse.home.home import Home

_FOR_GOOD = range(500, 600)


def letter(channel: Mail, message: Message) -> EmailMessage:
    """The mail, the same whenever it is made."""
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = channel.sender, ", ".join(channel.to), message.subject
    mail["Date"] = format_datetime(dt.datetime.fromisoformat(message.made))
    mail["Message-ID"] = f"<{message.id}@{channel.sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail["Content-Language"] = message.language
    mail.set_content(message.text + "\n")
    return mail


def send(home: Home, channel: Mail, message: Message) -> Taken:
    """Send it to those who have not got it. Raises SendError if nobody took it, or the server did not say so."""
    hidden = Hidden(home)
    wanted = channel.to if message.left is None else tuple(message.left)
    password = hidden.read(channel.password, "password") if channel.password else ""
    server: smtplib.SMTP | None = None
    try:
        server = _connected(channel, home)
        if channel.user is not None:
            _sign_in(server, channel.user, password)
        refused = server.send_message(letter(channel, message), channel.sender, wanted)
        with suppress(OSError, smtplib.SMTPException):  # it was taken: how the server says good-bye changes nothing
            server.quit()
    except smtplib.SMTPRecipientsRefused as error:
        if message.left is not None and all(code in _FOR_GOOD for code, _ in error.recipients.values()):
            return Taken("nobody else", (), _said(hidden, error.recipients))
        raise SendError("; ".join(f"{who}: {said}" for who, said in _said(hidden, error.recipients).items())) from None
    except smtplib.SMTPResponseException as error:
        raise SendError(hidden.clean(f"{error.smtp_code} {_text(error.smtp_error)}")) from None
    except (OSError, smtplib.SMTPException, ValueError) as error:
        raise SendError(hidden.clean(f"{type(error).__name__}: {error}")) from None
    finally:
        if server is not None:
            server.close()
    later = tuple(who for who, (code, _) in refused.items() if code not in _FOR_GOOD)
    return Taken("250", later, _said(hidden, {who: said for who, said in refused.items() if who not in later}))


def _connected(channel: Mail, home: Home) -> smtplib.SMTP:
    """A connection as safe as the settings say, or none."""
    context = ssl.create_default_context(cafile=home.root / channel.ca if channel.ca else None)
    if channel.security == "tls":
        return smtplib.SMTP_SSL(channel.host, channel.port, timeout=channel.timeout_seconds, context=context)
    server = smtplib.SMTP(channel.host, channel.port, timeout=channel.timeout_seconds)
    try:
        if channel.security == "starttls":
            server.starttls(context=context)
    except BaseException:
        server.close()
        raise
    return server


def _sign_in(server: smtplib.SMTP, user: str, password: str) -> None:
    if f"{user}{password}".isascii():
        server.login(user, password)
        return
    said = base64.b64encode(f"\0{user}\0{password}".encode()).decode()  # smtplib writes ASCII alone
    server.ehlo_or_helo_if_needed()
    code, answer = server.docmd("AUTH", f"PLAIN {said}")
    if code != 235:
        raise smtplib.SMTPAuthenticationError(code, answer)


def _said(hidden: Hidden, refused: Mapping[str, tuple[int, bytes]]) -> dict[str, str]:
    return {who: hidden.clean(f"{code} {_text(said)}") for who, (code, said) in refused.items()}


def _text(said: bytes | str | Sequence[str]) -> str:
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
