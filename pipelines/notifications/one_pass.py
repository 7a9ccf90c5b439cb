"""One pass: look at everything, and tell every channel what it was not told. What a pass does not get to, the next one does.

The order keeps every promise through a crash: what is found is written down, then the message, then it is sent, then it leaves the outbox, then the
ledger has it. Does not belong here: each of these steps (the modules beside this one).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from connectors.personal_data.detection import harmless
from pipelines.error_messages import message_for
from pipelines.notifications import in_ledger, mail, outbox, webhook
from pipelines.notifications.finders import in_feeds, in_home, in_notes, in_release, in_sources, in_warehouse
from pipelines.notifications.finders.look import Look
from pipelines.notifications.message import Message, Told, compose, trial
from pipelines.notifications.sending import SendError, Taken
from pipelines.notifications.settings import Mail, Settings, Webhook
from pipelines.notifications.standing import State, failing_channels, read_state, write_state
from pipelines.notifications.trouble import Found, Kind, Trouble, command, quoted
from warehouse.home.home import Home

if TYPE_CHECKING:
    from dagster import DagsterInstance

_FIRST_PAUSE, _LONGEST_PAUSE = 25.0, 900.0  # seconds after a failure; doubled each time
_LONGEST_ASKED = 6 * 3600.0  # that a server may ask for
_GIVEN_UP = dt.timedelta(days=3)  # for which a recipient is tried whom others have overtaken


@dataclass
class Passed:
    """What came of a pass. `failed`: (channel, what its server said); `waiting`: by channel, how many troubles were not told yet."""

    new: int = 0
    sent: list[Message] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)
    waiting: dict[str, int] = field(default_factory=dict)

    @property
    def said(self) -> str:
        told = f"{len(self.sent)} messages sent" if self.sent else "nothing to tell"
        late = sum(self.waiting.values())
        rest = f", {late} troubles wait for their channels" if late else ""
        return f"{told}{rest}" + "".join(f"; {channel}: {said}" for channel, said in self.failed)


def tell(home: Home, settings: Settings, instance: DagsterInstance | None, now: dt.datetime | None = None) -> Passed:
    """Find, tell, enter in the ledger. Raises NotifyingError while another process does so."""
    now = now or dt.datetime.now(dt.UTC)
    with outbox.one_at_a_time(home):
        state = read_state(home, now)
        passed = Passed(find(home, settings, state, instance, now))
        _remember_messages(home, state)
        write_state(home, state)
        _send_all(home, settings, state, passed, now)
        state.forget(dict(settings.channels))
        passed.waiting = {
            name: number for name, one in settings.channels.items() if (number := len(state.waiting(name, one)))
        }
        write_state(home, state)
        in_ledger.enter(home)
    return passed


def find(home: Home, settings: Settings, state: State, instance: DagsterInstance | None, now: dt.datetime) -> int:
    """Take in all that is wrong now; returns how much of it is new."""
    look = Look(home, now, settings, state.seen, dt.datetime.fromisoformat(state.begun))
    new, faults = 0, dict[str, Callable[[], Trouble]]()
    for name, find_one in _finders(instance):
        before = dict(state.seen)
        look.causes = tuple(_causes(home, state))
        try:
            new += state.enter(name, find_one(look), now)
        except Exception as error:  # one place that cannot be looked at hides no other
            state.seen.clear()
            state.seen.update(before)
            faults[f"looking/{name}/{type(error).__name__}"] = partial(_fault, home, name, error, now)
    new += state.enter("looking", faults, now)
    look.failed = any(
        one.trouble is not None and one.trouble.kind in (Kind.RUN, Kind.COMMAND) for one in state.standing.values()
    )
    new += state.enter("unreleased", in_warehouse.unreleased(look), now)
    return new + state.enter("channels", _channels(home, state, now), now)


def try_channels(home: Home, settings: Settings, now: dt.datetime | None = None) -> Passed:
    """Send each channel a trial message. Raises NotifyingError."""
    now = now or dt.datetime.now(dt.UTC)
    passed = Passed()
    with outbox.one_at_a_time(home):
        trials = [trial(_told(home, settings, name, one, now)) for name, one in settings.channels.items()]
        for message, outcome in _sent(home, settings, trials):
            if isinstance(outcome, SendError):
                passed.failed.append((message.channel, str(outcome)))
                continue
            outbox.taken(home, message, dt.datetime.now(dt.UTC), outcome.answer)
            passed.sent.append(message)
            passed.failed += [(message.channel, f"{who}: {said}") for who, said in outcome.lost.items()]
            passed.failed += [(message.channel, f"{who}: not now") for who in outcome.left]
        in_ledger.enter(home)
    return passed


def drafts(home: Home, settings: Settings, state: State, now: dt.datetime, *, everything: bool) -> Iterator[Message]:
    """What each channel would be told. `everything`: also what it was told before."""
    for name, channel in settings.channels.items():
        if everything:
            for one in state.standing.values():
                one.told.pop(name, None)
        if waiting := state.waiting(name, channel):
            yield compose(_told(home, settings, name, channel, now, state), waiting)


def _finders(instance: DagsterInstance | None) -> Iterator[tuple[str, Callable[[Look], Found]]]:
    """By name, in the order in which they are asked: who delivered what is known once the warehouse was asked."""
    yield "warehouse", in_warehouse.in_warehouse
    yield "verification", in_notes.verification
    yield "release", in_release.in_release
    yield "documents", in_home.documents
    yield "commands", in_notes.failed_commands
    if instance is not None:
        from pipelines.notifications.finders.in_dagster import failed_runs

        yield "runs", partial(failed_runs, instance=instance)
    yield "inbox", in_home.turned_away
    yield "pulls", in_sources.failed_pulls
    yield "overdue", in_sources.overdue
    yield "feeds", in_feeds.overdue_feeds
    yield "disk", in_home.disk


def _causes(home: Home, state: State) -> Iterator[str]:
    """Files that are told as what is wrong, as an error would name them."""
    for key, one in state.standing.items():
        kind, _, name = key.partition("/")
        if one.gone:
            continue
        if kind == "document":
            yield name
        elif kind == "warehouse":
            yield str(home.warehouse)
        elif key == "release/unreadable":
            yield str(home.released_file)


def _fault(home: Home, place: str, error: Exception, now: dt.datetime) -> Trouble:
    reason = quoted(f"{place}: {type(error).__name__}: {message_for(error) or harmless(error)}")
    said = {"code": "notification.command", "command": "qala notify", "reason": reason}
    return Trouble(Kind.COMMAND, said, "", command(home, "notify"), now.isoformat())


def _channels(home: Home, state: State, now: dt.datetime) -> Found:
    """Channels that fail, for the others to tell."""
    found = {}
    for name, address, said in failing_channels(state):
        code = "notification.recipient" if address else "notification.channel"
        reason = f"{address}: {said}" if address else said
        message = {"code": code, "channel": name, "reason": reason}
        trouble = Trouble(Kind.CHANNEL, message, "", command(home, "notify --check"), now.isoformat())
        found[f"channel/{name}{f'/{address}' if address else ''}"] = partial(lambda one: one, trouble)
    return found


def _remember_messages(home: Home, state: State) -> None:
    """What messages of a pass that was killed tell is told by them."""
    for message in outbox.waiting(home):
        state.mark(message.channel, message.keys, message.id)
    for _, one in outbox.sent(home):
        state.mark(str(one["channel"]), list(one["keys"]), str(one["id"]))


def _send_all(home: Home, settings: Settings, state: State, passed: Passed, now: dt.datetime) -> None:
    due = _due(home, settings, state, now)
    for message in due:
        message.tries += 1
        message.after = (now + dt.timedelta(seconds=_pause(message.tries))).isoformat()
        outbox.keep(home, message)
    write_state(home, state)
    for message, outcome in _sent(home, settings, due):
        if isinstance(outcome, SendError):
            passed.failed.append((message.channel, str(outcome)))
            _not_taken(home, state, message, outcome, now)
        else:
            _taken(home, state, message, outcome, passed, now)


def _not_taken(home: Home, state: State, message: Message, error: SendError, now: dt.datetime) -> None:
    """It stays in the outbox. One that somebody has got is given up after some days, which its channel tells."""
    if error.pause is not None:
        message.after = (now + dt.timedelta(seconds=min(error.pause, _LONGEST_ASKED))).isoformat()
        outbox.keep(home, message)
    channel = state.channel(message.channel)
    if message.left is None:
        channel.failing, channel.tries = str(error), message.tries
    elif now - dt.datetime.fromisoformat(message.made) > _GIVEN_UP:
        message.lost |= dict.fromkeys(message.left, str(error))
        channel.refused |= dict.fromkeys(message.left, str(error))
        outbox.taken(home, message, now, "given up")


def _taken(home: Home, state: State, message: Message, outcome: Taken, passed: Passed, now: dt.datetime) -> None:
    first, channel = message.left is None, state.channel(message.channel)
    message.lost |= outcome.lost
    message.left = list(outcome.left)
    if outcome.left:
        outbox.keep(home, message)
    else:
        outbox.taken(home, message, now, outcome.answer)
    if first:
        passed.sent.append(message)
        channel.sent.append(now.isoformat())
        channel.failing, channel.tries, channel.refused = "", 0, {}
    channel.refused |= outcome.lost


def _due(home: Home, settings: Settings, state: State, now: dt.datetime) -> list[Message]:
    """What is to be sent now: messages of the outbox whose time has come, and of each channel that has none there, a new one."""
    there = outbox.waiting(home)
    due = [
        one
        for one in there
        if one.channel in settings.channels and (not one.after or dt.datetime.fromisoformat(one.after) <= now)
    ]
    # one that somebody took already, and is still to reach others, holds nothing up
    held_up = {one.channel for one in there if one.left is None}
    for name, channel in settings.channels.items():
        waiting = state.waiting(name, channel)
        if waiting and name not in held_up and state.may_send(name, channel, now):
            message = compose(_told(home, settings, name, channel, now, state), waiting)
            outbox.keep(home, message)
            state.mark(name, message.keys, message.id)
            due.append(message)
    return due


def _sent(home: Home, settings: Settings, messages: Sequence[Message]) -> Iterator[tuple[Message, Taken | SendError]]:
    """Each message with how sending it ended; a server that is silent holds up no other."""
    if not messages:
        return
    with ThreadPoolExecutor(max_workers=min(8, len(messages))) as pool:
        outcomes = pool.map(lambda one: _try(home, settings.channels[one.channel], one), messages)
        yield from zip(messages, outcomes, strict=True)


def _try(home: Home, channel: Webhook | Mail, message: Message) -> Taken | SendError:
    try:
        if isinstance(channel, Mail):
            return mail.send(home, channel, message)
        return webhook.send(home, channel, message)
    except SendError as error:
        return error


def _told(
    home: Home, settings: Settings, name: str, channel: Webhook | Mail, now: dt.datetime, state: State | None = None
) -> Told:
    ended = frozenset(key for key, one in state.standing.items() if one.gone) if state else frozenset[str]()
    return Told(home, name, channel.language, settings.name or home.root.name, now, channel.longest, ended)


def _pause(tries: int) -> float:
    return min(_FIRST_PAUSE * 2.0 ** min(tries - 1, 10), _LONGEST_PAUSE)
