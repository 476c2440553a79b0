"""Judges requests by a host's published contract, and answers them with what it says that an answer has.

It shares nothing with the clients and the fake forge but the contract, so that a field that all of them have wrong is
found here. The files in `contracts/` say where they are from.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.scm.hosts.conftest import Answer, Asked

SHA = "0123456789abcdef0123456789abcdef01234567"
MOMENT = "2026-11-28T12:00:00Z"
Schema = dict[str, Any]
# Hosts read these with every list, whether its description says so or not.
PAGING = {"page", "limit", "per_page"}
# What the last part of a path may have slashes in.
_WHOLE = ("{filepath}", "{branch}", "refs/{ref}", "{path}", "tags/{tag}")
_TYPES = {"string": str, "integer": int, "boolean": bool, "object": dict, "array": list, "number": int | float}


class Contract:
    def __init__(self, file: str, /, **values: Any) -> None:
        """`values` are those of fields in answers, by their names."""
        described = json.loads((Path(__file__).parent / "contracts" / file).read_text())
        self._paths: dict[str, dict[str, Any]] = described["paths"]
        self._prefix: str = described["prefix"]
        self._values = values
        self.broken: list[str] = []
        """What was asked against the contract."""
        self.asked: set[tuple[str, str]] = set()

    @property
    def calls(self) -> set[tuple[str, str]]:
        """Returns method and path of all calls that it describes."""
        return {(method.upper(), path) for path, methods in self._paths.items() for method in methods}

    def reply(self, asked: Asked) -> Answer:
        parts = urlsplit(asked.target)
        found = self._found(parts.path.removeprefix(self._prefix), asked.method.lower())
        if found is None or not parts.path.startswith(self._prefix):
            self.broken.append(f"{asked.method} {parts.path} is not in the contract")
            return 404, {}, b"{}"
        path, call = found
        self.asked.add((asked.method, path))
        where = f"{asked.method} {path}"
        known = {each["name"] for each in call["parameters"] if each["in"] == "query"} | PAGING
        self.broken += [f"{where}: there is no parameter {name}" for name in set(parse_qs(parts.query)) - known]
        if "body" in call:
            self.broken += [f"{where}: {wrong}" for wrong in breaches(asked.document or {}, call["body"])]
        elif asked.body:
            self.broken.append(f"{where} has no body")
        return self._answer(call)

    def _found(self, path: str, method: str) -> tuple[str, dict[str, Any]] | None:
        for template, methods in self._paths.items():
            whole = template.endswith(_WHOLE)
            pattern = re.sub(r"\{[^}]+\}$", ".+", template) if whole else template
            if re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", pattern), path) and method in methods:
                return template, methods[method]
        return None

    def _answer(self, call: dict[str, Any]) -> Answer:
        schema = call.get("answer")
        if call["status"] == 302:  # to where a log lies
            return 200, {"Content-Type": "text/plain"}, b"a log\n"
        if schema is None:
            return call["status"], {}, b""
        if schema.get("type") == "file":
            return call["status"], {"Content-Type": "text/plain"}, b"on: workflow_dispatch\n"
        return call["status"], {"Content-Type": "application/json"}, json.dumps(self.example(schema)).encode()

    def example(self, schema: Schema, name: str = "") -> Any:
        """Returns a value as the schema has it, which tells its name where it can."""
        if name in self._values:
            return self._values[name]
        if "oneOf" in schema:
            return self.example(schema["oneOf"][0], name)
        kind = schema.get("type", "object" if "properties" in schema else "string")
        if kind == "object":
            return {key: self.example(each, key) for key, each in schema.get("properties", {}).items()}
        if kind == "array":
            return [self.example(schema.get("items", {}), name)]
        if kind == "boolean":
            return True
        return 7 if kind in ("integer", "number") else text(schema, name)


def text(schema: Schema, name: str) -> str:
    if schema.get("format") == "date-time" or name.endswith("_at"):
        return MOMENT
    if "enum" in schema:
        return schema["enum"][0]
    if name.endswith("sha") or name == "id":
        return SHA
    return f"https://example.org/{name}" if name.endswith("url") else f"a {name}"


def breaches(value: Any, schema: Schema, name: str = "the body") -> list[str]:
    """Returns what is wrong with a value; of alternatives, the fewest breaches."""
    if "oneOf" in schema:
        return min((breaches(value, each, name) for each in schema["oneOf"]), key=len)
    kind = schema.get("type", "object" if "properties" in schema else "")
    if value is None:
        return [] if schema.get("nullable") else [f"{name} is null"]
    if kind and not isinstance(value, _TYPES[kind]):
        return [f"{name} is {value!r}, which is no {kind}"]
    if "enum" in schema and value not in schema["enum"]:
        return [f"{name} is {value!r}, which is none of {schema['enum']}"]
    if kind == "array":
        return [wrong for each in value for wrong in breaches(each, schema.get("items", {}), name)]
    if kind != "object" or "properties" not in schema:
        return []
    fields = schema["properties"]
    found = [f"there is no field {key} in {name}" for key in value if key not in fields]
    found += [f"the field {key} is missing" for key in schema.get("required", []) if value.get(key) is None]
    return found + [wrong for key in value if key in fields for wrong in breaches(value[key], fields[key], key)]
