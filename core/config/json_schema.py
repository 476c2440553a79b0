"""The JSON Schema that editors use to complete and check podium.yaml; generated from the table of keys."""

from __future__ import annotations

from typing import Any

from .table import PROJECT


def make() -> dict[str, Any]:
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "podium.yaml", **PROJECT.schema()}
