"""What a home tells by webhook and mail, over real servers on loopback: once, in the channel's language, at most so often, and through failures."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
from typer.testing import CliRunner

from kpi_definitions.documents import DocumentError
from pipelines.cli import app
from pipelines.definitions import build_defs
from pipelines.notifications import in_ledger, one_pass, outbox, webhook
from pipelines.notifications.message import Message, Told, compose
from pipelines.notifications.notes import note_command
from pipelines.notifications.one_pass import Passed, tell
from pipelines.notifications.sending import SendError, Taken
from pipelines.notifications.sensor import notifications_sensor
from pipelines.notifications.settings import read_notifications
from pipelines.notifications.trouble import Kind, Trouble
from pipelines.resources import Qala
from tests.support.homes import new_home
from tests.support.listening import USER, WORD, Post, Web, mail_server, web_server
from warehouse.home.home import Home
from warehouse.messages.messages import LANGUAGES

cli = CliRunner()
NOW = dt.datetime(2026, 11, 27, 6, 0, tzinfo=dt.UTC)
STORED = "disk is full"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return new_home(tmp_path / "home")


@pytest.fixture
def web() -> Iterator[Web]:
    with web_server() as server:
        yield server


def write(home: Home, text: str) -> None:
    (home.root / "notifications.yaml").write_text(text, encoding="utf-8")


def hook(web: Web, more: str = "") -> str:
    return f"webhooks:\n  duty:\n    language: en\n    url: {web.url}\n{more}"


def letters(post: Post, more: str = "") -> str:
    return (
        f"mail:\n  post:\n    language: en\n    host: 127.0.0.1\n    port: {post.port}\n    security: none\n"
        f"    sender: qala@city.kz\n    to: [a@city.kz, b@city.kz]\n{more}"
    )


def passed(home: Home, minutes: float = 0) -> Passed:
    settings = read_notifications(home)
    assert settings is not None
    return tell(home, settings, None, NOW + dt.timedelta(minutes=minutes))


def fails(home: Home, command: str = "backup", said: str = STORED) -> None:
    note_command(home, command, said)


def told(web: Web) -> list[list[str]]:
    """Keys of what each message told."""
    return [[one["key"] for one in body["troubles"]] for _, body in web.got]


def test_a_home_without_the_file_tells_nobody_and_nothing_is_written(home: Home) -> None:
    before = sorted(home.root.rglob("*"))
    fails(home)
    assert read_notifications(home) is None
    result = cli.invoke(app, ["notify", "--home", str(home.root)])
    assert (result.exit_code, "docs/notifications.md" in result.output) == (1, True)
    assert sorted(home.root.rglob("*")) == before


def test_what_is_wrong_is_told_once_and_again_only_if_it_was_mended_in_between(home: Home, web: Web) -> None:
    write(home, hook(web))
    assert passed(home).sent == []
    fails(home)
    assert len(passed(home, 1).sent) == 1
    for minutes in (2, 3):
        fails(home)
        assert passed(home, minutes).sent == []
    note_command(home, "backup", None)
    assert passed(home, 4).sent == []
    fails(home)
    assert len(passed(home, 5).sent) == 1
    ((headers, first), (_, second)) = web.got
    assert headers["idempotency-key"] == first["id"] != second["id"]
    assert first["troubles"][0]["what"] == f"qala backup: {STORED}"
    assert f"qala backup --home {home.root}" in first["text"]


def test_what_is_mended_is_told_where_it_is_wanted(home: Home, web: Web) -> None:
    write(home, hook(web, "    mended: true\n"))
    fails(home)
    passed(home)
    note_command(home, "backup", None)
    assert len(passed(home, 1).sent) == 1
    assert passed(home, 2).sent == []
    assert [body["troubles"][0]["ended"] for _, body in web.got] == [False, True]


def test_what_was_sent_is_in_the_ledger_when_the_warehouse_is_free(home: Home, web: Web) -> None:
    write(home, hook(web))
    fails(home)
    with duckdb.connect(str(home.warehouse)):  # somebody has it open
        passed(home)
        assert [path.suffix for path in (home.notifications / "sent").iterdir()] == [".json"]
    passed(home, 1)
    assert list((home.notifications / "sent").iterdir()) == []
    with duckdb.connect(str(home.warehouse), read_only=True) as con:
        ((subject, detail),) = con.execute(
            "SELECT subject, detail FROM audit.ledger WHERE kind = 'notified'"
        ).fetchall()
    (_, body) = web.got[0]
    assert (subject, json.loads(detail)["channel"]) == (body["id"], "duty")
    assert json.loads(detail)["troubles"] == told(web)[0]


@pytest.mark.parametrize("answer", [(500, {}), (404, {}), (302, {"Location": "http://127.0.0.1:9/other"})])
def test_what_a_web_server_does_not_take_is_sent_again_under_the_same_number(
    home: Home, web: Web, answer: tuple[int, dict[str, str]]
) -> None:
    write(home, hook(web))
    web.answers = [answer, answer]
    fails(home)
    assert str(answer[0]) in passed(home).failed[0][1]
    assert passed(home, 0.1).failed == []  # not at once
    assert web.asked == 1
    fails(home, "pull")
    passed(home, 1)
    (waiting,) = outbox.waiting(home)
    assert len(passed(home, 30).sent) == 1
    assert web.got[0][1]["id"] == waiting.id
    assert passed(home, 31).sent != []  # what came meanwhile, gathered
    assert told(web) == [["command/backup"], ["command/pull"]] or [len(one) for one in told(web)] == [1, 1]


def test_a_server_that_says_when_is_asked_then(home: Home, web: Web) -> None:
    write(home, hook(web))
    web.answers = [(429, {"Retry-After": "7200"})]
    fails(home)
    passed(home)
    passed(home, 60)
    assert web.asked == 1
    assert len(passed(home, 121).sent) == 1


def test_a_silent_server_and_one_that_is_not_there_hold_up_no_other(home: Home, web: Web) -> None:
    with web_server() as silent:
        silent.silent = 1.5
        more = f"  silent:\n    url: {silent.url}\n    timeout_seconds: 1\n  gone:\n    url: http://127.0.0.1:9/\n"
        write(home, hook(web, more))
        fails(home)
        assert [one.channel for one in passed(home).sent] == ["duty"]
        assert {name for name, _ in passed(home, 5).failed} == {"silent", "gone"}
    # that the two fail is told to the one that works
    passed(home, 6)
    assert sorted(key for keys in told(web)[1:] for key in keys) == ["channel/gone", "channel/silent"]


def test_no_more_messages_in_an_hour_than_wanted_and_nothing_is_dropped(home: Home, web: Web) -> None:
    write(home, hook(web, "    most_per_hour: 2\n"))
    for number in range(5):
        fails(home, said="cause " + "x" * number)
        passed(home, number)
        note_command(home, "backup", None)
    assert len(web.got) == 2
    result = passed(home, 61)
    assert len(result.sent) == 1
    assert len({key for keys in told(web) for key in keys}) == sum(map(len, told(web))) == 5
    assert all(one["ended"] for one in web.got[2][1]["troubles"])  # they are over, and are told all the same


def test_a_message_has_no_more_letters_than_the_channel_takes(home: Home, web: Web) -> None:
    write(home, hook(web, "    longest: 900\n"))
    for command in ("backup", "pull", "run", "publish", "report", "verify"):
        fails(home, command, "what was said " * 10)
    for minutes in range(6):
        passed(home, minutes)
    assert len(web.got) > 1
    assert all(len(body["text"]) <= 900 for _, body in web.got)
    assert sum(map(len, told(web))) == 6


def test_kinds_and_severity_choose(home: Home, web: Web) -> None:
    write(home, hook(web, "    kinds: [incident, overdue, disk]\n") + "disk_free: 1000PB\n")
    fails(home)
    passed(home)
    assert told(web) == [["disk"]]


def test_a_payload_of_ones_own(home: Home, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    more = "    headers: {Authorization: {env: QALA_TEST_TOKEN}}\n    payload: {chat: 7, parts: [{text: 'No {id}: {subject}'}]}\n"
    monkeypatch.setenv("QALA_TEST_TOKEN", "secret-token")
    write(home, hook(web, more))
    fails(home)
    passed(home)
    ((headers, body),) = web.got
    assert headers["authorization"] == "secret-token"
    assert body["parts"][0]["text"].startswith("No 2026")
    assert body["chat"] == 7


@pytest.mark.parametrize("moment", ["kept", "sent", "taken", "entered"])
def test_a_pass_killed_at_any_moment_tells_everything_and_nothing_twice_but_under_its_number(
    home: Home, web: Web, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    write(home, hook(web))
    fails(home)

    class KilledError(BaseException):
        pass

    def dies(*_: object, **__: object) -> None:
        raise KilledError

    def sends_and_dies(home: Home, channel: object, message: Message) -> Taken:
        real(home, channel, message)  # type: ignore[arg-type]
        raise KilledError

    real = webhook.send
    with monkeypatch.context() as patch:
        if moment == "kept":
            patch.setattr(webhook, "send", dies)
        elif moment == "sent":
            patch.setattr(webhook, "send", sends_and_dies)
        elif moment == "taken":
            patch.setattr("pipelines.notifications.one_pass._taken", _taken_and(dies))
        else:
            patch.setattr(in_ledger, "_detail", dies)
        with pytest.raises(KilledError):
            passed(home)
    for minutes in (1, 2, 3):
        passed(home, minutes)
    numbers = [body["id"] for _, body in web.got]
    assert len(set(numbers)) == 1
    assert len(numbers) == (2 if moment == "sent" else 1)
    with duckdb.connect(str(home.warehouse), read_only=True) as con:
        assert con.execute("SELECT count(*) FROM audit.ledger WHERE kind = 'notified'").fetchone() == (1,)


def _taken_and(dies: Callable[[], None]) -> Callable[..., None]:
    real = one_pass._taken

    def taken(*given: Any) -> None:
        real(*given)
        dies()

    return taken


def test_a_command_that_fails_by_a_faulty_document_is_told_as_that_document(home: Home, web: Web) -> None:
    write(home, hook(web))
    home.corrections.mkdir()
    (home.corrections / "COR-2026-007.yaml").write_text("id: COR-2026-007\n")
    assert cli.invoke(app, ["run", "--home", str(home.root)]).exit_code == 1
    assert [path.stem for path in (home.notifications / "notes").iterdir()] == ["command-run"]
    passed(home)
    assert told(web) == [["document/corrections/COR-2026-007.yaml"]]


def test_a_place_that_cannot_be_looked_at_hides_no_other(home: Home, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(_: object) -> None:
        raise ValueError("Could not convert string 'Иванова'")

    write(home, hook(web))
    fails(home)
    monkeypatch.setattr("pipelines.notifications.finders.in_home.documents", breaks)
    passed(home)
    (keys,) = told(web)
    assert sorted(key.rpartition("/")[0] for key in keys) == ["command/backup", "looking/documents"]
    assert "Иванова" not in json.dumps(web.got[0][1], ensure_ascii=False)


def test_the_sensor_tells_what_the_command_tells_and_does_nothing_without_the_file(home: Home, web: Web) -> None:
    qala = Qala(home_folder=str(home.root))
    with (
        dg.DagsterInstance.ephemeral() as instance,
        dg.build_sensor_context(instance=instance, resources={"qala": qala}) as context,
    ):
        assert "no notifications.yaml" in str(notifications_sensor(context))
        assert not home.notifications.exists()
        write(home, hook(web))
        fails(home)
        assert "1 messages sent" in str(notifications_sensor(context))
        assert "nothing to tell" in str(notifications_sensor(context))
    assert len(web.got) == 1
    assert notifications_sensor in list(build_defs(home).sensors or ())


def test_one_pass_at_a_time(home: Home, web: Web) -> None:
    write(home, hook(web))
    with outbox.one_at_a_time(home):
        result = cli.invoke(app, ["notify", "--home", str(home.root)])
    assert (result.exit_code, "another process is telling" in result.output) == (1, True)


def test_mail_goes_encrypted_and_signed_in_in_three_languages(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QALA_TEST_MAIL", WORD)
    with mail_server(tmp_path) as post:
        text = "name: Павлодар\nmail:\n" + "".join(
            f"  post-{language}:\n    language: {language}\n    host: 127.0.0.1\n    port: {post.port}\n    ca: {tmp_path / 'ca.pem'}\n"
            f"    user: {USER}\n    password: {{env: QALA_TEST_MAIL}}\n    sender: qala@city.kz\n    to: [{language}@city.kz]\n"
            for language in LANGUAGES
        )
        write(home, text)
        fails(home)
        assert len(passed(home).sent) == 3
        assert cli.invoke(app, ["notify", "--check", "--home", str(home.root)]).exit_code == 0
    assert post.encrypted == [True] * 6
    by_language = {to[0][:2]: mail for to, mail in post.got[:3]}
    for language, word in (("kk", "сәтсіз командалар"), ("ru", "сбои команд"), ("en", "failed commands")):
        assert word in str(by_language[language]["Subject"])
        assert word.upper() in by_language[language].get_content()
        assert by_language[language]["Message-ID"].endswith("@city.kz>")
    assert "пробное" in "".join(str(mail["Subject"]) for _, mail in post.got[3:])


def test_a_wrong_password_and_a_certificate_that_is_not_known_are_told_without_the_secret(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QALA_TEST_MAIL", "another-word")
    with mail_server(tmp_path) as post:
        base = f"    host: 127.0.0.1\n    port: {post.port}\n    sender: q@c.kz\n    to: [a@c.kz]\n    user: {USER}\n    password: {{env: QALA_TEST_MAIL}}\n"
        write(
            home,
            f"mail:\n  wrong:\n{base}    ca: {tmp_path / 'ca.pem'}\n  unknown:\n{base}  empty:\n{base.replace('TEST_MAIL', 'NO_SUCH')}",
        )
        fails(home)
        failed = dict(passed(home).failed)
    assert "535" in failed["wrong"]
    assert "certificate" in failed["unknown"]
    assert "variable QALA_NO_SUCH is not set" in failed["empty"]
    assert "another-word" not in str(failed)
    assert post.got == []


def test_a_recipient_that_is_refused_keeps_it_from_nobody_and_nobody_gets_it_twice(home: Home) -> None:
    with mail_server() as post, web_server() as web:
        write(home, letters(post) + hook(web))
        post.refuses = {"a@city.kz": ["451 later", "451 later"], "b@city.kz": []}
        fails(home)
        passed(home)
        passed(home, 1)
        passed(home, 5)
        assert [to for to, _ in post.got] == [["b@city.kz"], ["a@city.kz"]]
        assert len({mail["Message-ID"] for _, mail in post.got}) == 1
        post.refuses = {"a@city.kz": ["550 no such user"]}
        fails(home, "pull")
        passed(home, 10)
        assert post.got[-1][0] == ["b@city.kz"]
        passed(home, 11)  # that one is refused for good is told
        assert any("a@city.kz" in mail.get_content() and "550" in mail.get_content() for _, mail in post.got)
        assert ["channel/post/a@city.kz"] in told(web)
        assert outbox.waiting(home) == []


@pytest.mark.parametrize("answer", ["451 try later", "554 not taken"])
def test_mail_that_is_not_taken_is_sent_again(home: Home, answer: str) -> None:
    with mail_server() as post:
        write(home, letters(post))
        post.data = [answer]
        fails(home)
        assert answer[:3] in passed(home).failed[0][1]
        assert len(passed(home, 2).sent) == 1
        assert [sorted(to) for to, _ in post.got] == [["a@city.kz", "b@city.kz"]]


def test_a_password_is_never_sent_in_clear(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QALA_TEST_MAIL", WORD)
    with mail_server() as post:  # it has no STARTTLS
        more = f"    user: {USER}\n    password: {{env: QALA_TEST_MAIL}}\n"
        write(home, letters(post, more).replace("none", "starttls"))
        fails(home)
        assert "STARTTLS" in passed(home).failed[0][1]
        assert post.got == []


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("name: x\n", 1, "nobody is told anything"),
        ("webhooks:\n  duty:\n    url: ftp://x\n", 3, "is no address of a web server"),
        ("webhooks:\n  duty:\n    url: http://a:hunter22@x\n", 3, "has a password in it"),
        ("webhooks:\n  duty:\n    url: http://x\n    langauge: ru\n", 4, "unknown key webhooks.duty.langauge"),
        ("webhooks:\n  duty:\n    url: http://x\n    kinds: [incidents]\n", 4, "kinds"),
        ("webhooks:\n  duty:\n    url: http://x\n    payload: {text: '{txet}'}\n", 4, "there is no placeholder {txet}"),
        ("webhooks:\n  Duty:\n    url: http://x\n", 2, "no name of a channel"),
        ("mail:\n  a:\n    host: h\n    sender: q@c.kz\n    to: [nobody]\n", 5, "is no address of mail"),
        ("mail:\n  a:\n    host: h\n    to: [a@b.kz]\n", 2, "mail.a.sender is missing"),
        (
            "mail:\n  a:\n    host: h\n    sender: q@c.kz\n    to: [a@b.kz]\n    user: u\n    password: hunter22\n",
            7,
            "a secret is written out here",
        ),
        (
            "mail:\n  a:\n    host: h\n    sender: q@c.kz\n    to: [a@b.kz]\n    user: u\n",
            2,
            "user and password belong together",
        ),
        ("mail: [\n", 2, "not valid YAML"),
    ],
)
def test_faults_of_the_settings_have_their_line_and_repeat_no_secret(
    home: Home, text: str, line: int, said: str
) -> None:
    write(home, text)
    with pytest.raises(DocumentError) as raised:
        read_notifications(home)
    assert any(said in fault.message and fault.line == line for fault in raised.value.faults), raised.value
    assert "hunter22" not in str(raised.value)


def test_what_is_alike_in_many_places_is_told_once_with_the_places(home: Home) -> None:
    told = Told(home, "duty", "en", "City", NOW)
    waiting = {
        str(n): Trouble(Kind.DOCUMENT, {"code": "notification.document", "reason": "• it is"}, f"f{n}")
        for n in range(30)
    }
    message = compose(told, waiting)
    assert message.text.count("• it is") == 1
    assert "f11" in message.text
    assert "f12" not in message.text
    assert "18 more" in message.text
    assert len(message.troubles) == 30


def test_an_answer_that_breaks_off_is_no_answer(home: Home, web: Web) -> None:
    write(home, hook(web))
    settings = read_notifications(home)
    assert settings is not None
    web.silent = 1.2
    channel = settings.webhooks["duty"].model_copy(update={"timeout_seconds": 1})
    message = compose(
        Told(home, "duty", "en", "City", NOW),
        {"k": Trouble(Kind.DISK, {"code": "notification.document", "reason": "x"}, "")},
    )
    with pytest.raises(SendError, match="no answer: timed out"):
        webhook.send(home, channel, message)
