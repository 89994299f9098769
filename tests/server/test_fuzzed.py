"""The OpenAPI document and the routes, held against each other by schemathesis.

It makes requests that the document allows, and requests that it does not, and looks at what comes:
no server error, no status and no content type that the document does not know.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)
from served_somewhere import server

EXAMPLES = 40
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
    unsupported_method,
]
QUICKEST = "sim:ttft=0ms,token=0ms,ttfb=0ms,speed=10000x,words=3"


OPERATIONS = (
    ("/v1/chat/completions", "POST"),
    ("/v1/audio/speech", "POST"),
    ("/v1/models", "GET"),
    ("/v1/models/{model}", "GET"),
    ("/tts/stream", "GET"),
    ("/tts/stream", "POST"),
    ("/health", "GET"),
    ("/metrics", "GET"),
)


@pytest.fixture(scope="module")
def schema() -> Iterator[BaseSchema]:
    """Return the document of a server that has to stay up through all of it."""
    with server(QUICKEST, most_running=8) as url:
        yield schemathesis.openapi.from_url(f"{url}/openapi.json")


def test_every_operation_of_the_document_is_tried(schema: BaseSchema) -> None:
    documented = {
        (operation.path, operation.method.upper())
        for result in schema.get_all_operations()
        if isinstance(result, Ok) and (operation := result.ok())
    }
    assert documented == set(OPERATIONS)


@pytest.mark.slow
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_no_request_breaks_the_server_or_contradicts_the_document(
    schema: BaseSchema, path: str, method: str, mode: GenerationMode
) -> None:
    operation = schema[path][method]
    if mode is GenerationMode.NEGATIVE and not (operation.body or operation.query):
        pytest.skip("there is nothing in it that could be wrong")

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=EXAMPLES,
        suppress_health_check=list(HealthCheck),
    )
    def try_out(case: Case[Any]) -> None:
        if mode is GenerationMode.POSITIVE and isinstance(case.body, dict) and "model" in case.body:
            # Any other name is refused before the rest is looked at.
            case.body |= {"model": "simulated"}
            case.body |= {"voice": "default"} if "voice" in case.body else {}
        case.call_and_validate(checks=CHECKS)

    try_out()
