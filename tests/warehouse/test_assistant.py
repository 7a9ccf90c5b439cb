"""What an assistant is answered: equal to what `explain` and the views say, with evidence, in three languages, and never what is withheld."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from kpi_definitions.catalogue import load_catalogues
from pipelines.cli import app
from tests.support.asked import INJECTION, MONTHS, OPEN, RESTRICTED, build, catalogues, correct
from tests.support.settlements import ALMATY, ASTANA, AYAGOZ, SHYMKENT
from warehouse.assistant import lookups
from warehouse.assistant.question import ROWS, AnswerError, asking
from warehouse.assistant.tools import TOOLS, ask
from warehouse.audit.explain import explain
from warehouse.home.copies import file_sha256
from warehouse.home.home import Home
from warehouse.messages.messages import LANGUAGES
from warehouse.store.sessions import reading
from warehouse.tables.settlements import former_names

ARGUMENTS: Mapping[str, tuple[dict[str, Any], ...]] = {
    "about_release": ({},),
    "list_kpis": ({}, {"sphere": "mgt"}, {"initiative": "MGT02"}, {"text": "обращений срок"}),
    "list_places": ({}, {"group": "republican"}, {"region": "Pavlodar Region"}, {"text": "алматы"}),
    "list_periods": ({}, {"kpi": RESTRICTED}, {"kpi": OPEN, "settlement": SHYMKENT}),
    "get_value": tuple(
        {"kpi": kpi, "place": place, "period": period}
        for kpi in (OPEN, RESTRICTED)
        for place in (ASTANA, SHYMKENT, "republican")
        for period in ("2026-01", "2026")
    ),
    "get_trend": tuple(
        {"kpi": kpi, "place": place} for kpi in (OPEN, RESTRICTED) for place in (ASTANA, SHYMKENT, "KZ")
    ),
    "get_ranking": (
        {"kpi": OPEN, "group": "republican", "period": "2026-01"},
        {"kpi": RESTRICTED, "group": ASTANA, "period": "2026-01"},
        {"kpi": OPEN, "group": "republican", "period": "2026"},
        {"kpi": "level", "group": "republican", "period": "2026"},
    ),
    "get_plan": ({"settlement": ASTANA}, {"settlement": SHYMKENT, "year": 2026}, {"settlement": ALMATY}),
    "get_missing": (
        {"period": "2026-03"},
        {"period": "2026-01", "reasons": "all"},
        {"period": "2026-01", "place": "KZ", "kpi": OPEN},
    ),
    "get_origin": tuple(
        {"kpi": kpi, "place": place, "period": "2026-01"}
        for kpi in (OPEN, RESTRICTED)
        for place in (ASTANA, SHYMKENT, "republican")
    ),
    "get_restatements": ({}, {"kpi": RESTRICTED}, {"kpi": OPEN, "place": ASTANA, "period": "2026-01"}),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Two releases, the second with restated values."""
    made = Home(tmp_path_factory.mktemp("asked") / "home")
    build(made)
    correct(made)
    return made


def answered(home: Home, tool: str, **arguments: Any) -> dict[str, Any]:
    found: dict[str, Any] = ask(home, tool, arguments).model_dump(mode="json")
    return found


@pytest.fixture(scope="module")
def answers(home: Home) -> list[tuple[str, dict[str, Any]]]:
    """What every tool says to all of ARGUMENTS; the home is as before."""
    before = files(home)
    said = [(tool, answered(home, tool, **arguments)) for tool, several in ARGUMENTS.items() for arguments in several]
    assert files(home) == before
    return said


def within(answer: Any) -> Iterator[dict[str, Any]]:
    """Every object of an answer."""
    if isinstance(answer, dict):
        yield answer
        answer = list(answer.values())
    if isinstance(answer, list):
        for one in answer:
            yield from within(one)


def files(home: Home) -> dict[str, tuple[int, int]]:
    return {str(p): (p.stat().st_size, p.stat().st_mtime_ns) for p in sorted(home.root.rglob("*")) if p.is_file()}


# ---- evidence


def test_every_tool_is_asked() -> None:
    assert set(ARGUMENTS) == set(TOOLS)


def test_every_answer_carries_release_head_hash_standing_and_commands(
    home: Home, answers: list[tuple[str, dict[str, Any]]]
) -> None:
    with reading(home) as store:
        seq, digest = store.con.execute("SELECT seq, hash FROM audit.ledger ORDER BY seq DESC LIMIT 1").fetchall()[0]
    sha256 = file_sha256(home.released_file)
    for tool, answer in answers:
        evidence = answer["evidence"]
        assert (evidence["release"], evidence["ledger_head"]) == (seq, f"{seq}:{digest}"), tool
        assert evidence["file_sha256"] == sha256
        assert {one["standing"] for one in evidence["catalogues"]} == {"proposal, not appendix 2 of the order"}
        assert evidence["again"][-1].startswith(f"qala mcp --ask {tool} ")


def test_the_command_of_an_answer_makes_it_again(home: Home) -> None:
    for tool, several in ARGUMENTS.items():
        answer = answered(home, tool, **several[-1], language="ru")
        line = shlex.split(answer["evidence"]["again"][-1])
        said = CliRunner().invoke(app, [*line[1:], "--home", str(home.root)])
        assert said.exit_code == 0, said.output
        assert json.loads(said.stdout) == answer


def test_the_hash_of_the_file_is_told_only_if_the_manifest_is_of_this_release(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    build(home)
    manifest = home.release / "release.json"
    said = json.loads(manifest.read_text())
    manifest.unlink()
    assert answered(home, "about_release")["evidence"]["file_sha256"] is None
    manifest.write_text(json.dumps(said | {"ledger_head": "0" * 64}))
    assert answered(home, "about_release")["evidence"]["file_sha256"] is None
    manifest.write_text(json.dumps(said))
    assert answered(home, "about_release")["evidence"]["file_sha256"] == said["sha256"]["qala.duckdb"]


# ---- equal to explain and to the views


def test_a_value_is_that_of_explain(home: Home) -> None:
    compared = 0
    with reading(home) as store:
        rows = store.select("SELECT kpi_code, kato AS area, period_id FROM public_values WHERE value IS NOT NULL")
        rows += store.select(
            "SELECT kpi_code, area, period_id FROM rollups WHERE value IS NOT NULL AND sensitivity <> 'restricted' AND obs_status <> 'Q'"
        )
        explained = {
            tuple(row.values()): explain(store, catalogues(), row["kpi_code"], row["area"], row["period_id"])
            for row in rows[:: max(len(rows) // 40, 1)]
        }
    for (code, area, period), said in explained.items():
        answer = answered(home, "get_value", kpi=code, place=area, period=period)
        figure, bounds = (
            answer["figure"],
            said.get("bounds") or {"low": said.get("value_low"), "high": said.get("value_high")},
        )
        assert (figure["value"], figure["low"], figure["high"]) == (said["value"], bounds["low"], bounds["high"])
        for part in ("numerator", "denominator"):
            assert figure[part] == (None if said[part] is None else float(said[part]))
        assert (figure["obs_status"], figure["sample_size"]) == (said["obs_status"], said["sample_size"])
        assert answer["definition"]["hash"] == said["definition"]["hash"]
        assert answer["read_as_of"] == said["computed"]["as_of_seq"]
        compared += 1
    assert compared >= 8


def test_the_origin_of_a_value_is_that_of_explain(home: Home) -> None:
    answer = answered(home, "get_origin", kpi=OPEN, place=ASTANA, period="2026-01")
    with reading(home) as store:
        said = explain(store, load_catalogues(), OPEN, ASTANA, "2026-01")
    assert [
        (d["delivery_id"], d["sha256"], d["rows_in_this_number"], d["accepted_rows"]) for d in answer["deliveries"]
    ] == [(d["delivery_id"], d["sha256"], d["rows_in_this_number"], d["accepted_rows"]) for d in said["deliveries"]]
    assert sum(d["rows_in_this_number"] for d in answer["deliveries"]) == 41
    assert answer["sql"] == said["sql"]
    assert {d["file_name"] for d in answer["deliveries"]} == {"made-up.csv"}


def test_a_roll_up_is_told_with_its_cells_and_a_suppressed_one_among_them_is_not(home: Home) -> None:
    answer = answered(home, "get_origin", kpi=OPEN, place="republican", period="2026-01")
    cells = {one["kato"]: one["figure"] for one in answer["cells"]}
    assert cells[ASTANA]["numerator"] == 36
    assert cells[SHYMKENT]["withheld"]
    assert {cells[SHYMKENT][name] for name in ("value", "low", "numerator", "denominator", "sample_size")} == {None}


def test_ranking_gives_places_with_what_the_bounds_allow(home: Home) -> None:
    answer = answered(home, "get_ranking", kpi=OPEN, group="Алматы", period="2026-01")
    assert [(one["rank"], one["place"]["code"]) for one in answer["ranked"]] == [(1, ASTANA), (2, ALMATY)]
    assert all(one["rank_from"] <= one["rank"] <= one["rank_to"] for one in answer["ranked"])
    assert [(one["place"]["code"], one["state"]) for one in answer["not_ranked"]] == [(SHYMKENT, "suppressed")]
    level = answered(home, "get_ranking", kpi="LEVEL", group="republican", period="2026")
    with reading(home) as store:
        rows = store.select("SELECT kato, rank FROM scorecard WHERE item7_group = 'republican' AND year = 2026")
    assert {(one["place"]["code"], one["rank"]) for one in level["ranked"]} == {
        (row["kato"], row["rank"]) for row in rows if row["rank"] is not None
    }
    assert len(level["ranked"]) + len(level["not_ranked"]) == 3


def test_plan_stands_beside_fact(home: Home) -> None:
    targets = {one["kpi"]["code"]: one for one in answered(home, "get_plan", settlement="Астана")["targets"]}
    one = targets[OPEN]
    assert (one["plan"], one["baseline"], one["document"]) == (97.5, 61.25, "STRATEGY")
    assert one["progress"] == pytest.approx((one["fact"]["value"] - 61.25) / (97.5 - 61.25), abs=1e-6)


def test_what_is_missing_is_told_with_its_reason(home: Home) -> None:
    answer = answered(home, "get_missing", period="2026-03", kpi=OPEN)
    assert answer["with_value"] == 0
    assert answer["cells"] == sum(count["cells"] for count in answer["counts"])
    reasons = {one["kato"]: one["reason"] for one in answer["missing"]}
    assert "refused" in reasons[ASTANA]
    assert (len(answer["missing"]), answer["more"]) == (90, 0)
    assert ROWS >= 90


def test_restated_values_are_told_with_what_they_were(home: Home) -> None:
    (one,) = answered(home, "get_restatements", kpi=OPEN, place=ASTANA, period="2026-01")["restatements"]
    assert (one["former"]["value"], one["now"]["value"]) == (round(100 * 38 / 41, 6), round(100 * 36 / 41, 6))
    assert one["delivery_ids"]
    assert len(answered(home, "get_restatements")["restatements"]) > 1


def test_a_number_that_is_not_there_is_said_to_be_not_there(home: Home) -> None:
    for period in ("2026-05", "2026-Q1", "2026-01/2026-02", "2031"):
        answer = answered(home, "get_value", kpi=OPEN, place=ASTANA, period=period)
        assert (answer["published"], answer["figure"]) == (False, None)
        assert "2026-02" in answer["said"]
        assert not any(line.startswith("qala explain") for line in answer["evidence"]["again"])
    never = answered(home, "get_value", kpi=OPEN, place=AYAGOZ, period="2026-01")
    assert never["figure"]["value"] is None
    assert "not delivered" in never["figure"]["reason"]


# ---- withheld


def test_what_is_withheld_comes_out_of_no_tool(home: Home, answers: list[tuple[str, dict[str, Any]]]) -> None:
    with reading(home) as store:
        rows = store.select(
            "SELECT cell.* FROM (SELECT kpi_code, kato, value, value_low, value_high, numerator, denominator, sample_size, obs_status FROM kpi.value "
            "UNION ALL BY NAME SELECT kpi_code, value, value_low, value_high, numerator, denominator, sample_size, obs_status FROM kpi.rollup) AS cell"
        )
        progress = store.select("SELECT * FROM plan_beside_fact")
    names = ("value", "value_low", "value_high")
    hidden = {r[n] for r in rows if r["kpi_code"] == RESTRICTED for n in names if r[n] is not None}
    hidden |= {p["progress"] for p in progress if p["kpi_code"] == RESTRICTED and p["progress"] is not None}
    known = {r[n] for r in rows if r["kpi_code"] == OPEN and r["obs_status"] != "Q" for n in names if r[n] is not None}
    assert {r["kpi_code"] for r in rows if r["obs_status"] == "Q"} == {OPEN}
    assert len(hidden) >= 4
    secret = {f"{number:.6f}".rstrip("0") for number in hidden - known if len(f"{number:.6f}".rstrip("0")) > 5}
    secret |= {f"{number:.6g}" for number in hidden - known if len(f"{number:.6g}") > 5}
    assert secret
    for tool, answer in answers:
        told = set(re.findall(r"\d+\.\d+", json.dumps(answer)))
        assert not told & secret, (tool, told & secret)


def test_of_a_withheld_figure_nothing_but_state_and_reason_is_told(
    home: Home, answers: list[tuple[str, dict[str, Any]]]
) -> None:
    seen = 0
    for _, answer in answers:
        for one in within(answer):
            if one.get("withheld"):
                told = {name for name, value in one.items() if value is not None}
                assert told <= {"obs_status", "state", "reason", "withheld"}
                seen += 1
            if isinstance(one.get("fact"), dict) and one["fact"]["withheld"]:
                assert (one["progress"], one["baseline"]) == (None, None)
    assert seen > 20
    for place in (ASTANA, "republican", "KZ"):
        for period in ("2026-01", "2026"):
            assert answered(home, "get_value", kpi=RESTRICTED, place=place, period=period)["figure"]["withheld"]
    for kpi, place in ((RESTRICTED, ASTANA), (OPEN, SHYMKENT)):
        for delivery in answered(home, "get_origin", kpi=kpi, place=place, period="2026-01")["deliveries"]:
            assert delivery["sha256"]
            counts = ("rows_in_this_number", "received_rows", "accepted_rows", "rejected_rows")
            assert {delivery[name] for name in counts} == {None}
            assert delivery["rejected_by_rule"] == {}
    ranking = answered(home, "get_ranking", kpi=RESTRICTED, group="republican", period="2026-01")
    assert (ranking["ranked"], len(ranking["not_ranked"])) == ([], 3)
    assert not answered(home, "list_periods", kpi=RESTRICTED)["periods"][0]["values"]


# ---- languages, names


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_tool_speaks_the_language(home: Home, language: str) -> None:
    letters = {"kk": "әғқңөұүһі", "ru": "йцукенгшщзхъфывапролджэячсмитьбю", "en": "aeiou"}[language]
    with asking(home, language) as question:
        for tool, several in ARGUMENTS.items():
            said = TOOLS[tool](question, **several[0]).said
            assert any(letter in said.casefold() for letter in letters), said
    value = answered(home, "get_value", kpi=OPEN, place=ASTANA, period="2026-01", language=language)
    named = {"kk": "өтініш", "ru": "обращений", "en": "appeals"}[language]
    assert named in value["kpi"]["name"].casefold()


def test_a_settlement_is_known_by_its_names_old_and_new(home: Home) -> None:
    names = {name: kato for kato, names in former_names().items() for name in names}
    names |= dict.fromkeys(
        ("Astana", "АСТАНА", "г. Астана", "710000000", "Нур-Султан", "Nur-Sultan", "Целиноград"), ASTANA
    )
    with asking(home, "kk") as question:
        for name, kato in names.items():
            assert lookups.find_place(question, name).code == kato, name
        assert lookups.find_place(question, "Алма-Ата").note == "Алма-Ата — бұрынғы атауы"
        for name, code in (
            ("Павлодарская область", "550000000"),
            ("55", "550000000"),
            ("Қазақстан", "KZ"),
            ("regional", "regional"),
        ):
            assert lookups.find_place(question, name).code == code


def test_what_does_not_exist_is_refused_with_what_is_near(home: Home) -> None:
    for arguments, near in (
        ({"kpi": "MGT02-9", "place": ASTANA, "period": "2026-01"}, OPEN),
        ({"kpi": OPEN, "place": "Павлодор", "period": "2026-01"}, "551010000"),
        ({"kpi": OPEN, "place": ASTANA, "period": "January"}, "2025-06"),
    ):
        with pytest.raises(AnswerError, match=near):
            ask(home, "get_value", arguments)
    with pytest.raises(AnswerError, match="group"):
        ask(home, "get_ranking", {"kpi": OPEN, "group": "KZ", "period": "2026-01"})
    with pytest.raises(AnswerError, match="no tool 'sql'"):
        ask(home, "sql", {"query": "FROM kpi.value"})


# ---- hostile arguments, limits


@pytest.mark.parametrize(
    "text",
    [
        "'; DROP TABLE kpi.value; --",
        '" OR 1=1 --',
        "../../etc/passwd",
        "${kato}",
        "%s%n{0}",
        "x\x00y",
        INJECTION,
        "🙂" * 30,
        "710000000' OR kato <> '",
    ],
)
def test_hostile_text_names_nothing(home: Home, text: str) -> None:
    before = files(home)
    with asking(home) as question:
        for arguments in ({"kpi": text}, {"place": text}, {"period": text}):
            with pytest.raises(AnswerError):
                TOOLS["get_value"](question, **({"kpi": OPEN, "place": ASTANA, "period": "2026-01"} | arguments))
        for arguments in ({"text": text}, {"sphere": text}, {"initiative": text}):
            assert TOOLS["list_kpis"](question, **arguments).model_dump()["kpis"] == []
        with pytest.raises(AnswerError):
            TOOLS["get_missing"](question, period="2026-01", sphere=text)
        with pytest.raises(AnswerError):
            TOOLS["get_ranking"](question, kpi="LEVEL", group="republican", period="2026", catalogue=text)
        value = TOOLS["get_value"](question, kpi=OPEN, place=ASTANA, period="2026-01").model_dump()
    assert value["figure"]["numerator"] == 36
    assert files(home) == before


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"kpi": OPEN},
        {"kpi": 5, "place": ASTANA, "period": "2026"},
        {"kpi": OPEN, "place": "a" * 101, "period": "2026"},
        {"kpi": OPEN, "place": ASTANA, "period": "2026", "sql": "SELECT 1"},
        {"kpi": [OPEN], "place": ASTANA, "period": "2026"},
        {"kpi": OPEN, "place": ASTANA, "period": "2026", "language": "de"},
        {"kpi": "", "place": ASTANA, "period": "2026"},
    ],
)
def test_arguments_that_do_not_fit_are_refused(home: Home, arguments: dict[str, Any]) -> None:
    with pytest.raises(AnswerError, match="arguments of get_value do not fit"):
        ask(home, "get_value", arguments)


def test_text_of_data_stays_data(home: Home) -> None:
    answer = answered(home, "get_origin", kpi=OPEN, place=ASTANA, period="2026-01")
    assert {delivery["system"] for delivery in answer["deliveries"]} == {INJECTION}
    assert INJECTION not in answer["said"]


def test_rows_beyond_the_cap_are_counted_and_can_be_asked_for(home: Home) -> None:
    asked = {"period": "2026-01", "reasons": "all"}
    first = answered(home, "get_missing", **asked)
    rest = answered(home, "get_missing", **asked, skip=ROWS)
    assert len(first["missing"]) == ROWS
    assert first["more"] == len(rest["missing"]) + rest["more"] > 0
    assert not {(m["kpi"], m["kato"]) for m in first["missing"]} & {(m["kpi"], m["kato"]) for m in rest["missing"]}


def test_a_question_that_takes_too_long_is_broken_off_and_the_next_is_answered(home: Home) -> None:
    with pytest.raises(AnswerError, match="takes longer than"), asking(home, seconds=0.3) as question:
        question.store.con.execute(
            "SELECT sum(a.range * b.range) FROM range(1000000) AS a, range(1000000) AS b"
        ).fetchall()
    assert answered(home, "about_release")["evidence"]["release"]


def test_a_question_reaches_no_file_and_writes_nothing(home: Home) -> None:
    with asking(home) as question:
        for sql in (
            f"COPY (SELECT 1) TO '{home.root}/out.csv'",
            "FROM read_text('/etc/hostname')",
            "CREATE TABLE registry.mine (a INTEGER)",
            f"ATTACH '{home.warehouse}'",
            "SET lock_configuration = false",
        ):
            with pytest.raises(Exception, match=r"(?i)disabled|read-only|locked|cannot"):
                question.store.con.execute(sql)


def test_definitions_come_from_the_release_and_not_from_the_home(home: Home) -> None:
    broken = home.catalogues / "broken"
    broken.mkdir(parents=True)
    (broken / "catalogue.yaml").write_text("id: [")
    try:
        assert answered(home, "get_origin", kpi=OPEN, place=ASTANA, period=MONTHS[0])["deliveries"]
    finally:
        (broken / "catalogue.yaml").unlink()
        broken.rmdir()
