"""The OpenAPI document against the running server."""

import json
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS
from tests.unit.backbone.live import LiveServer, live_server
from tests.unit.backbone.world import world

# Legal by the schema, and still refused: no schema can say which challenge this server has given out, or that
# certain bytes are a record.
NOT_BY_SCHEMA = ("positive_data_acceptance",)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with live_server(tmp_path_factory.mktemp("backbone")) as running:
        yield running


@schemathesis.serializer("application/cbor", "application/cose")
def _as_bytes(_context: Any, value: Any) -> bytes:
    return value if isinstance(value, bytes) else repr(value).encode()


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_every_answer_is_one_that_the_document_knows(server: LiveServer, mode: GenerationMode) -> None:
    schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json", wait_for_schema=5)
    excluded = [check for check in CHECKS.get_all() if check.__name__ in NOT_BY_SCHEMA]
    # 413 is a refusal as well, but not one that this check knows.
    size_checks = [check for check in CHECKS.get_all() if check.__name__ == "negative_data_rejection"]
    tried = 0
    for result in schema.get_all_operations():
        operation = result.ok()  # type: ignore[union-attr]

        @settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
        @given(operation.as_strategy(generation_mode=mode))
        def try_it(case: Any) -> None:
            nonlocal tried
            tried += 1
            response = case.call()
            too_large = response.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            case.validate_response(response, excluded_checks=[*excluded, *(size_checks if too_large else [])])

        try:
            try_it()
        except Unsatisfiable:
            assert mode is GenerationMode.NEGATIVE  # an operation without parameters has no wrong ones
    assert tried > 30


async def test_every_operation_says_how_it_refuses(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        answer = await w.transport().request("GET", "/openapi.json", {}, None)

    document = json.loads(answer.body)
    assert sorted(document["paths"]) == [
        "/v1/auth/challenge",
        "/v1/auth/login",
        "/v1/auth/renew",
        "/v1/auth/revoke",
        "/v1/directory",
        "/v1/health",
        "/v1/health/live",
        "/v1/health/ready",
        "/v1/peers/{peer}",
        "/v1/records",
    ]
    for operations in document["paths"].values():
        for operation in operations.values():
            assert "application/problem+json" in operation["responses"]["429"]["content"]
