"""The OpenAPI 3.1 document of the gateway: made from the same types that read requests and write responses."""

from __future__ import annotations

import inspect
from functools import cache
from importlib.metadata import version
from typing import Any, Final

import msgspec

from newsmill.gateway.documents import REASONS
from newsmill.gateway.problems import CONTENT_TYPE as PROBLEM
from newsmill.gateway.problems import ProblemDetails
from newsmill.gateway.receipts import Receipt
from schemas.jsonschema import schema_of
from schemas.raw import RawInput

_COMPONENTS: Final = "#/components/schemas/"
_TOKEN: Final = "token"  # noqa: S105  (the name of the security scheme)

_ABOUT: Final = """\
Documents come in and go to Kafka. A response says of each document what became of it. Whatever the answer, the same
document may be sent again unchanged: it keeps its `id`, and further down it is recognised as the same article.
"""

_SEND: Final = f"""\
Answered when Kafka has acknowledged the documents (all replicas).

- 202: all were accepted.
- 207: some were accepted, the others rejected; sending those again unchanged helps nothing.
- 422: all were rejected.
- 429: this token sends too fast; 503: the gateway holds as much as it can, or Kafka is away. Send again after
  `Retry-After` seconds. If a 503 has a receipt, those that it calls `accepted` need not be sent again.

The body may be compressed (Content-Encoding: gzip). One without a Content-Type, or with one that says nothing
(`text/plain`), is taken for JSON or NDJSON by its first byte.

Reasons of a rejection: {", ".join(f"`{reason}`" for reason in REASONS)}.
"""


def document(*, request_documents: int, tokens: bool) -> dict[str, Any]:
    """Return the OpenAPI document as plain Python.

    Args:
        request_documents: most documents in a request.
        tokens: whether senders need a token.
    """
    articles: dict[str, Any] = {
        "operationId": "sendArticles",
        "summary": "Send documents",
        "description": _SEND,
        "requestBody": _request_body(request_documents),
        "responses": _responses(tokens=tokens),
    }
    if tokens:
        articles["security"] = [{_TOKEN: []}]
    components: dict[str, Any] = {"schemas": _schemas()}
    if tokens:
        components["securitySchemes"] = {_TOKEN: {"type": "http", "scheme": "bearer"}}
    metrics = _reading("metrics", "Metrics for Prometheus", "text/plain", {"200": "the metrics"})
    if tokens:
        metrics["security"] = [{_TOKEN: []}]
        metrics["responses"]["401"] = _problem("no token, or one that is not known")
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "newsmill gateway",
            "version": version("newsmill"),
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": {
            "/v1/articles": {"post": articles},
            "/v1/openapi.json": {"get": _reading("openapi", "This document", "application/json", {"200": "it"})},
            "/healthz": {
                "get": _reading("health", "Is it alive?", "text/plain", {"200": "it is", "503": "it is stuck"})
            },
            "/readyz": {
                "get": _reading("readiness", "Does it take documents?", "text/plain", {"200": "yes", "503": "not now"})
            },
            "/metrics": {"get": metrics},
        },
        "components": components,
    }


def _request_body(most: int) -> dict[str, Any]:
    one = {"$ref": f"{_COMPONENTS}{RawInput.__name__}"}
    many = {"type": "array", "items": one, "minItems": 1, "maxItems": most}
    return {
        "required": True,
        "description": "One document, an array of documents, or one document a line.",
        "content": {
            "application/json": {"schema": {"oneOf": [one, many]}},
            "application/x-ndjson": {"schema": many | {"description": "each item is a line of its own"}},
        },
    }


def _responses(*, tokens: bool) -> dict[str, Any]:
    found = {
        "202": _receipt("all documents were accepted"),
        "207": _receipt("some documents were accepted, the others rejected"),
        "400": _problem("the body holds no documents, or is damaged"),
        "408": _problem("the body did not arrive in time"),
        "413": _problem("the body is too large, or holds too many documents"),
        "415": _problem("the body is in a form that is not read"),
        "422": _receipt("all documents were rejected"),
        "429": _problem("this token sends too fast", retry=True),
        "503": {
            "description": "the gateway is full, or Kafka did not acknowledge all documents",
            "headers": _RETRY,
            "content": _content("application/json", Receipt) | _content(PROBLEM, ProblemDetails),
        },
    }
    if tokens:
        found["401"] = _problem("no token, or one that is not known")
    else:
        found["403"] = _problem("sent by a page in a browser, which is refused where no tokens are set")
    return dict(sorted(found.items()))


_RETRY: Final = {
    "Retry-After": {"description": "seconds", "required": True, "schema": {"type": "integer", "minimum": 1}}
}


def _receipt(what: str) -> dict[str, Any]:
    return {"description": what, "content": _content("application/json", Receipt)}


def _problem(what: str, *, retry: bool = False) -> dict[str, Any]:
    response: dict[str, Any] = {"description": what, "content": _content(PROBLEM, ProblemDetails)}
    return response | {"headers": _RETRY} if retry else response


def _content(media_type: str, kind: type[msgspec.Struct]) -> dict[str, Any]:
    return {media_type: {"schema": {"$ref": f"{_COMPONENTS}{kind.__name__}"}}}


def _reading(name: str, summary: str, media_type: str, responses: dict[str, str]) -> dict[str, Any]:
    kind = {"type": "object"} if media_type == "application/json" else {"type": "string"}
    return {
        "operationId": name,
        "summary": summary,
        "responses": {
            status: {"description": what, "content": {media_type: {"schema": kind}}}
            for status, what in responses.items()
        },
    }


@cache
def _schemas() -> dict[str, Any]:
    _, written = msgspec.json.schema_components([Receipt, ProblemDetails], ref_template=_COMPONENTS + "{name}")
    # As the JSON Schema of news.raw in schemas/json: what scrapers code against is one thing, not two.
    raw = schema_of(RawInput, "")
    definitions = raw.pop("$defs", {})
    for key in ("$schema", "$id"):
        raw.pop(key)
    read = {RawInput.__name__: raw, **definitions}
    found: dict[str, Any] = _tidy({**written, **read})
    return found


def _tidy(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_tidy(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    tidied = {key: _tidy(value) for key, value in schema.items()}
    if isinstance(reference := tidied.get("$ref"), str):
        tidied["$ref"] = reference.replace("#/$defs/", _COMPONENTS)
    if isinstance(description := tidied.get("description"), str):
        tidied["description"] = " ".join(inspect.cleandoc(description).split())
    return tidied
