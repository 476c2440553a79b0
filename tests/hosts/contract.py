"""Gitea's published contract: which paths there are, what may be sent to them, and what they answer."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import jsonschema

FILE = Path(__file__).parent / "contracts" / "gitea.swagger.json"
# What Gitea answers though its description does not name it: the older word for `login`.
UNNAMED = {"username"}


@cache
def document() -> dict[str, Any]:
    found = json.loads(FILE.read_text(encoding="utf-8"))
    for definition in found["definitions"].values():
        allow_null(definition)
    return found


def allow_null(schema: dict[str, Any]) -> None:
    """Lets a value be null, as Go writes a pointer to nothing, and forbids fields that are not described."""
    for value in schema.get("properties", {}).values():
        allow_null(value)
        if isinstance(value.get("type"), str):
            value["type"] = [value["type"], "null"]
        if "enum" in value:
            value["enum"] = [*value["enum"], None]
        if "$ref" in value:
            value["anyOf"] = [{"$ref": value.pop("$ref")}, {"type": "null"}]
    if "properties" in schema:
        schema.setdefault("additionalProperties", False)
        for name in UNNAMED:
            schema["properties"].setdefault(name, {})


@cache
def paths() -> list[tuple[re.Pattern[str], dict[str, Any]]]:
    """Returns the paths with those first that have the fewest variables."""
    listed = sorted(document()["paths"].items(), key=lambda item: item[0].count("{"))
    return [
        (re.compile(re.sub(r"\\\{(\w+)\\\}", r"(.+)" if "filepath" in path else r"([^/]+)", re.escape(path))), found)
        for path, found in listed
    ]


def operation(method: str, path: str) -> dict[str, Any]:
    for expression, found in paths():
        if expression.fullmatch(path) and method.lower() in found:
            return found[method.lower()]
    raise AssertionError(f"the contract has no {method} {path}")


def resolved(found: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in found:
        _, group, name = found["$ref"].split("/")
        found = document()[group][name]
    return found


def check(schema: dict[str, Any], value: Any) -> None:
    jsonschema.validate(value, {**schema, "definitions": document()["definitions"]}, cls=jsonschema.Draft4Validator)


def check_call(answer: httpx.Response) -> None:
    """Checks what was sent, and what was answered."""
    request = answer.request
    path = request.url.path.removeprefix("/api/v1")
    found = operation(request.method, path)
    parameters = [resolved(each) for each in found.get("parameters", ())]
    known = {each["name"] for each in parameters if each["in"] == "query"}
    assert {name for name, _ in request.url.params.multi_items()} <= known, (path, known)
    body = next((each for each in parameters if each["in"] == "body"), None)
    if request.content:
        assert body is not None, path
        check(body["schema"], json.loads(request.content))
    promised = found["responses"].get(str(answer.status_code))
    assert promised is not None, f"{request.method} {path} does not answer {answer.status_code}"
    described = resolved(promised)
    if "schema" in described and described["schema"].get("type") != "file" and answer.content:
        check(described["schema"], answer.json())
