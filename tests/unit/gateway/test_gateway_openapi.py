"""The OpenAPI document and the gateway agree: schemathesis asks for all that it allows, and for what it does not."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import hypothesis
import jsonschema
import pytest
import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import positive_data_acceptance

from newsmill.gateway import openapi
from newsmill.gateway.documents import Good, read
from schemas.jsonschema import schema_of
from schemas.raw import RawInput
from tests.support.gateway import FakeKafka, served_in_thread

TOKEN = "a-token-of-the-harbour"


@schemathesis.serializer("application/x-ndjson")
def ndjson(context: Any, value: Any) -> bytes:
    """An array as lines; whatever else is generated goes as JSON."""
    if isinstance(value, list):
        return b"".join(json.dumps(item).encode() + b"\n" for item in value)
    return json.dumps(value).encode()


LIMITS = {"gateway_request_documents": 5, "gateway_rate": 0.0}
CHECKED = hypothesis.settings(
    max_examples=12, deadline=None, derandomize=True, database=None, suppress_health_check=list(hypothesis.HealthCheck)
)


@pytest.fixture(scope="module")
def open_gateway() -> Iterator[str]:
    with served_in_thread(FakeKafka(), **LIMITS) as gateway:
        yield gateway.url


@pytest.fixture(scope="module")
def closed_gateway() -> Iterator[str]:
    with served_in_thread(FakeKafka(), gateway_tokens=f"harbour:{TOKEN}", **LIMITS) as gateway:
        yield gateway.url


def described(**options: Any) -> dict[str, Any]:
    return openapi.document(**{"request_documents": LIMITS["gateway_request_documents"], "tokens": True} | options)


# 207: the good ones among the items were accepted, the bad ones were not.
REFUSED = {"expected-statuses": [207, 400, 401, 413, 415, 422]}
CONFIG = SchemathesisConfig.from_dict({"checks": {"negative_data_rejection": REFUSED}})
open_api = schemathesis.openapi.from_dict(described(tokens=False), config=CONFIG)
closed_api = schemathesis.openapi.from_dict(described(), config=CONFIG)


@open_api.parametrize()
@CHECKED
def test_requests_are_answered_as_described(case: schemathesis.Case, open_gateway: str) -> None:
    case.call_and_validate(base_url=open_gateway)


@closed_api.parametrize()
@CHECKED
def test_requests_with_a_token_are_answered_as_described(case: schemathesis.Case, closed_gateway: str) -> None:
    case.call_and_validate(base_url=closed_gateway, headers={"Authorization": f"Bearer {TOKEN}"})


def test_what_is_described_is_what_is_served(open_gateway: str, closed_gateway: str) -> None:
    for url, tokens in ((open_gateway, False), (closed_gateway, True)):
        with urllib.request.urlopen(f"{url}/v1/openapi.json", timeout=10) as answer:
            assert json.load(answer) == json.loads(json.dumps(described(tokens=tokens)))


def test_it_is_an_openapi_document() -> None:
    schemathesis.openapi.from_dict(described()).validate()


def test_a_document_is_described_as_in_the_schemas_that_scrapers_have() -> None:
    schemas = described()["components"]["schemas"]
    text = json.dumps(schema_of(RawInput, "x")).replace("#/$defs/", "#/components/schemas/")
    raw = json.loads(text)
    described_raw = schemas["RawInput"]
    assert described_raw["properties"].keys() == raw["properties"].keys()
    assert described_raw["anyOf"] == raw["anyOf"]
    assert set(raw["$defs"]) <= set(schemas)


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"text": "x"},
        {"text": ["x"]},
        {"text": []},
        {"html": ["x"]},
        {"raw_html": "x"},
        {"body": "x", "text": " "},
        {"articleBody": ["x"], "url": None},
        {"text": "x", "authors": ["a", {"name": "b"}, None]},
        {"text": "x", "authors": {"name": 3}},
        {"text": "x", "source": {"name": "b", "more": 1}},
        {"text": "x", "source": []},
        {"text": "x", "published_at": {"any": "thing"}},
        {"text": "x", "language": 3},
        {"text": 3},
        [],
        "x",
    ],
)
def test_the_gateway_takes_what_the_schema_allows(value: Any) -> None:
    valid = jsonschema.Draft202012Validator(schema_of(RawInput, "x")).is_valid(value)
    (found,) = read(json.dumps(value).encode(), "application/x-ndjson", most=1)
    assert isinstance(found, Good) == valid


def test_positive_data_is_checked() -> None:
    assert positive_data_acceptance in schemathesis.checks.CHECKS.get_all()
