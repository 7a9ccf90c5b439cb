"""The tools, by name, and how one is asked: without a client too, so that every answer can be made again by a command.

Does not belong here: what each answers (registers.py, values.py, rankings.py, gaps.py, origins.py), the protocol (server.py).
"""

from __future__ import annotations

import inspect
import json
import shlex
from collections.abc import Callable, Mapping
from functools import cache
from typing import Annotated, Any, Literal

import duckdb
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from warehouse.assistant.gaps import get_missing, get_plan
from warehouse.assistant.origins import get_origin, get_restatements
from warehouse.assistant.question import AnswerError, asking
from warehouse.assistant.rankings import get_ranking
from warehouse.assistant.registers import about_release, list_kpis, list_periods, list_places
from warehouse.assistant.shapes import Answer
from warehouse.assistant.values import get_trend, get_value
from warehouse.audit.explain import UnknownError
from warehouse.errors import StoreError
from warehouse.home.home import Home
from warehouse.messages.messages import language_of, sentence

TOOLS: Mapping[str, Callable[..., Answer]] = {
    tool.__name__: tool
    for tool in (
        about_release,
        list_kpis,
        list_places,
        list_periods,
        get_value,
        get_trend,
        get_ranking,
        get_plan,
        get_missing,
        get_origin,
        get_restatements,
    )
}
_Language = Annotated[
    Literal["kk", "ru", "en"] | None,
    Field(description="Language of names, reasons and sentences; left out: the server's"),
]


@cache
def signature(name: str) -> inspect.Signature:
    """The arguments of a tool: those of its function after the question, and the language to answer in."""
    given = inspect.signature(TOOLS[name], eval_str=True)
    language = inspect.Parameter("language", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_Language)
    return given.replace(parameters=[*list(given.parameters.values())[1:], language])


@cache
def _arguments(name: str) -> type[BaseModel]:
    fields: dict[str, Any] = {
        p.name: (p.annotation, ... if p.default is inspect.Parameter.empty else p.default)
        for p in signature(name).parameters.values()
    }
    return create_model("Arguments", __config__=ConfigDict(extra="forbid"), **fields)


def ask(home: Home, name: str, arguments: Mapping[str, Any], spoken: str | None = None) -> Answer:
    """The answer of a tool, in the language asked for, else in `spoken`, else in QALA_LANG's.

    Raises AnswerError in that language, StoreError, LanguageError.
    """
    language = language_of(spoken)
    if name not in TOOLS:
        raise AnswerError(f"no tool {name[:60]!r}; there are {', '.join(TOOLS)}")
    try:
        checked = _arguments(name).model_validate(dict(arguments)).model_dump(exclude_defaults=True)
    except ValidationError as error:
        said = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:5])
        raise AnswerError(sentence("assistant.arguments", language, tool=name, said=said)) from error
    language = checked.pop("language", language)
    with asking(home, language) as question:
        try:
            answer = TOOLS[name](question, **checked)
        except UnknownError as error:
            raise AnswerError(str(error)) from error
        except duckdb.Error as error:
            if isinstance(error, duckdb.InterruptException | duckdb.CatalogException | duckdb.BinderException):
                raise  # too long; of another version of qala
            raise StoreError(
                f"the release cannot be read ({str(error).splitlines()[0]}); check it: qala verify"
            ) from error
    again = json.dumps(checked | {"language": language}, ensure_ascii=False)
    answer.evidence.again.append(f"qala mcp --ask {name} --with {shlex.quote(again)}")
    return answer
