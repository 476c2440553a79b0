"""Turns the records of these checks into the fields of a Check. Nothing is checked here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from ...domain.gates.checks import FAIRNESS_ROWS, CommandCheck, DataCheck, Limits, LoadCheck
from ..reader import Record


def _command(record: Record) -> dict[str, Any]:
    limits: Mapping[str, Record] = record.get("metrics", {})
    metrics = {name: Limits(**_given(each, "at_least", "at_most")) for name, each in limits.items()}
    return {"command": CommandCheck(record.get("run", ""), metrics, **_given(record, "timeout", "cpus", "memory"))}


def _logged(record: Record) -> dict[str, Any]:
    kept = _given(record, "at_least", "at_most", "compare", "margin")
    return {"metric": record.get("logged", ""), "goal": record.get("goal", "maximize"), **kept}


def _data(record: Record) -> dict[str, Any]:
    keys = tuple(each.name for each in fields(DataCheck) if each.name != "kinds")
    return {"data": DataCheck(record.get("data", ()), **_given(record, *keys))}


def _fairness(record: Record) -> dict[str, Any]:
    kept = _given(record, "fairness", "at_least", "at_most", "confidence")
    names = {"metric": record.get("of", ""), "slices": record.get("by", ())}
    return {**names, "min_rows": record.get("min_rows", FAIRNESS_ROWS), **kept}


def _load(record: Record) -> dict[str, Any]:
    sent: Record | None = record.get("load")
    where = (sent.get("environment", ""), sent.get("rate", 0.0), sent.get("for", 0.0)) if sent else ("", 0.0, 0.0)
    kept = _given(record, "p50", "p95", "p99", "errors", "memory", "compare", "max_slowdown")
    return {"load": LoadCheck(*where, **kept)}


def _given(record: Record, *keys: str) -> dict[str, Any]:
    return {key: record.values[key] for key in keys if key in record.values}


# By the key that makes a check one of these.
SPECS: Mapping[str, Callable[[Record], dict[str, Any]]] = {
    "run": _command,
    "logged": _logged,
    "data": _data,
    "fairness": _fairness,
    "load": _load,
}
CHECK_KINDS = ("metric", "latency", "schema", "replay", *SPECS)
