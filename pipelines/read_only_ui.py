"""The Dagster UI without any way to change something: `python -m pipelines.read_only_ui`, with the options of dagster-webserver.

Dagster's own --read-only checks permissions mutation by mutation, and misses a few. Here no mutation is valid, no event can be reported, and
no file is served but logs of runs.
"""

from __future__ import annotations

import sys
from collections.abc import Collection
from typing import Any

from dagster_webserver import app
from dagster_webserver.cli import cli
from dagster_webserver.webserver import DagsterWebserver
from graphql import ASTValidationRule, GraphQLError, OperationDefinitionNode, OperationType
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response


class _Queries(ASTValidationRule):
    """GraphQL validation rule: a document with a mutation is not valid."""

    def enter_operation_definition(self, node: OperationDefinitionNode, *_: Any) -> None:
        if node.operation is OperationType.MUTATION:
            self.report_error(GraphQLError("this UI is read-only: nothing can be started or changed here", node))


class ReadOnlyWebserver(DagsterWebserver[Any, Any]):
    """Dagster's server without mutations and notebooks."""

    def build_graphql_validation_rules(self) -> Collection[type[ASTValidationRule]]:
        return [*super().build_graphql_validation_rules(), _Queries]

    async def download_notebook(self, request: Request) -> Response:  # noqa: ARG002
        """Dagster would read any notebook that it is given the path of; qala has none."""
        return PlainTextResponse("there are no notebooks here", status_code=404)


def main() -> None:
    """Serve until stopped."""
    vars(app)["DagsterWebserver"] = ReadOnlyWebserver  # what its command line makes
    sys.argv[1:] = ["--read-only", *sys.argv[1:]]
    cli(auto_envvar_prefix="QALA_NO_VARIABLE")  # nothing of the environment opens what the command line did not


if __name__ == "__main__":
    main()
