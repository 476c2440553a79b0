"""GitHub's published description of its API, cut down to the calls that Podium makes. The whole is 13 MB: with it Prism
took 88 s and 350 MB until it answered, with what is left 12 s and 160 MB, on the same busy machine."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

Document = dict[str, Any]
# The description says so of what may have slashes in it; OpenAPI itself has no word for it.
WHOLE = "x-multi-segment"
# The parts that a name with slashes has here at most.
SEGMENTS = 4
# What GitHub asks clients to accept, and answers with the ordinary kind to.
ASKED_FOR = "application/vnd.github+json"
ORDINARY = "application/json"


def cut(file: Path, calls: Iterable[tuple[str, str]], prefix: str) -> Document:
    """Returns a description with these calls (method, path) only, below `prefix`, and with what they refer to."""
    whole: Document = json.loads(file.read_text(encoding="utf-8"))
    paths: dict[str, Document] = {}
    for method, path in sorted(calls):
        call = whole["paths"][path][method.lower()]
        for widened, changed in _widened(whole, path, call):
            paths.setdefault(f"{prefix}{widened}", {})[method.lower()] = changed
    found: Document = {"openapi": whole["openapi"], "info": whole["info"], "paths": paths, "components": {}}
    left = list(_references(paths))
    while left:
        group, name = left.pop()
        kept = found["components"].setdefault(group, {})
        if name not in kept:
            kept[name] = whole["components"][group][name]
            left += _references(kept[name])
    _mend(found)
    return found


def _mend(found: Any) -> None:
    """Makes the description say what GitHub does: it answers the kind that it asks clients to accept, and an empty
    address where an address may be missing; and in a path a number is a text, too."""
    if isinstance(found, dict):
        content = found.get("content")
        if isinstance(content, dict) and ORDINARY in content:
            content.setdefault(ASKED_FOR, content[ORDINARY])
        if found.get("format") == "uri" and found.get("default") == "":
            del found["format"]
        schema = found.get("schema")
        if found.get("in") == "path" and isinstance(schema, dict) and "oneOf" in schema:
            schema["anyOf"] = schema.pop("oneOf")
        for value in found.values():
            _mend(value)
    elif isinstance(found, list):
        for value in found:
            _mend(value)


def _widened(whole: Document, path: str, call: Document) -> Iterator[tuple[str, Document]]:
    """Yields a path with its call; where its last part may have slashes, also with that part as two, three, …"""
    yield path, call
    last = re.search(r"\{(\w+)\}$", path)
    if last is None or not any(_resolved(whole, each).get(WHOLE) for each in call.get("parameters", ())):
        return
    names = [f"part{number}" for number in range(1, SEGMENTS)]
    for count in range(1, SEGMENTS):
        parts = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names[:count]]
        extended = {**call, "parameters": [*call["parameters"], *parts]}
        extended.pop("operationId", None)
        yield path + "".join(f"/{{{name}}}" for name in names[:count]), extended


def _resolved(whole: Document, found: Document) -> Document:
    while "$ref" in found:
        _, _, group, name = found["$ref"].split("/")
        found = whole["components"][group][name]
    return found


def _references(found: Any) -> Iterator[tuple[str, str]]:
    if isinstance(found, dict):
        if isinstance(found.get("$ref"), str) and found["$ref"].startswith("#/components/"):
            _, _, group, name = found["$ref"].split("/")
            yield group, name
        for value in found.values():
            yield from _references(value)
    elif isinstance(found, list):
        for value in found:
            yield from _references(value)
