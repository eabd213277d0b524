"""The API in OpenAPI's words: what the methods take and answer, made from their own types."""

from collections.abc import Iterable
from typing import Any, Final

from hubbub.gateway.api.methods import Method
from hubbub.gateway.api.requests import BatchRequest
from hubbub.gateway.api.results import ApiError
from hubbub.gateway.api.schemas import Schema, reference, schemas_of

SECURITY: Final[list[dict[str, list[str]]]] = [{"ApiKey": []}, {"Authorization": []}]
SCHEMES: Final[dict[str, object]] = {
    "ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "Authorization": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "The word `apikey`, a space and the key.",
    },
}
REFUSALS: Final[dict[str, str]] = {
    "400": "Not JSON, or not of this shape.",
    "401": "No key, or a wrong one.",
    "403": "From a page of another site, or no key is set on the server.",
    "408": "The body took too long.",
    "413": "The body is too large.",
    "415": "Content-Type is not application/json.",
    "503": "The hub is not running.",
}


def describe(methods: Iterable[tuple[str, Method]], path: str) -> dict[str, Any]:
    """`paths` and `components` of an OpenAPI 3.1 document.

    Args:
        methods: all of the API, by their names.
        path: where they are.
    """
    methods = list(methods)
    types = [kind for _, method in methods for kind in (method.request, method.result)]
    paths = {
        f"{path}/{name}": _operation(
            name,
            method.summary,
            reference(method.request),
            _either(result=reference(method.result), error=reference(ApiError)),
        )
        for name, method in methods
    }
    summary = "Carry out several requests, each an object with a method's name and its request."
    paths[f"{path}/batch"] = _operation("batch", summary, reference(BatchRequest), _replies(methods))
    schemas = schemas_of([*types, BatchRequest, ApiError])
    return {"paths": paths, "components": {"schemas": schemas, "securitySchemes": SCHEMES}}


def _operation(name: str, summary: str, request: Schema, response: Schema) -> Schema:
    text: Schema = {"text/plain": {"schema": {"type": "string"}}}
    responses: Schema = {status: {"description": said, "content": text} for status, said in REFUSALS.items()}
    responses["200"] = {"description": "The result, or why there is none.", "content": _json(response)}
    return {
        "post": {
            "tags": ["Server API"],
            "operationId": f"api_{name}",
            "summary": summary,
            "security": SECURITY,
            "requestBody": {"required": True, "content": _json(request)},
            "responses": responses,
        }
    }


def _json(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}


def _either(**alternatives: Schema) -> Schema:
    """An object with exactly one of these."""
    return {
        "oneOf": [
            {
                "type": "object",
                "properties": {name: schema},
                "required": [name],
                "additionalProperties": False,
            }
            for name, schema in alternatives.items()
        ]
    }


def _replies(methods: list[tuple[str, Method]]) -> Schema:
    """The reply to a batch, whose items have a method's name in place of ``result``."""
    named = {name: reference(method.result) for name, method in methods}
    replies = {"type": "array", "items": _either(**named, error=reference(ApiError))}
    return {"type": "object", "properties": {"replies": replies}, "required": ["replies"]}
