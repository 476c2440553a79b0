"""What can be wrong with these checks although each of their values is right."""

from __future__ import annotations

from collections.abc import Mapping

from ...domain.project import Project
from ..reader import Reader, Record
from ..sections import join

_LIMITS = ("at_least", "at_most")


def check(record: Record, project: Project, reader: Reader) -> None:
    """Notes the problems of one check."""
    if record.has("run"):
        metrics: Mapping[str, Record] = record.get("metrics", {})
        for each in metrics.values():
            _limited(each, _LIMITS, reader)
            _order(each, reader)
    if record.has("logged"):
        _limited(record, (*_LIMITS, "compare"), reader)
        _order(record, reader)
        _beside_compare(record, ("margin", "goal"), reader)
    if record.has("data"):
        data_keys(record, "data", reader)
    if record.has("fairness"):
        _fairness(record, reader)
    if record.has("load"):
        _load(record, project, reader)


def data_keys(record: Record, kinds: str, reader: Reader) -> None:
    """Notes what a data check lacks. `kinds` is the key that says what is checked."""
    asked: tuple[str, ...] = record.get(kinds, ())
    needing = [kind for kind in asked if kind in ("ranges", "categories", "drift")]
    needing += ["schema"] if "schema" in asked and not record.has("pandera") else []
    needing += ["missing"] if "missing" in asked and not record.has("max_missing") else []
    if record.has("training"):
        return
    if needing:
        other = {"schema": " or `pandera`", "missing": " or `max_missing`"}.get(needing[0], "")
        words = f"`{needing[0]}` needs `training`{other}: there is nothing to compare with"
        reader.problem(record.at(kinds), join(record.path, kinds), words, "name the table that the model learned from")
    elif record.has("time"):
        words = "only means something beside `training`"
        reader.problem(
            record.at("time"), join(record.path, "time"), words, "name the table that the model learned from"
        )


def _fairness(record: Record, reader: Reader) -> None:
    worst = record.get("fairness") == "worst_group"
    _limited(record, _LIMITS if worst else ("at_most",), reader)
    _order(record, reader)
    if worst and not record.has("of"):
        reader.problem(record.node, record.path, "has no metric", "say which: `of: recall`")
    for key in () if worst else ("of", "at_least"):
        if record.has(key):
            words = "only means something beside `fairness: worst_group`"
            reader.problem(record.at(key), join(record.path, key), words, "a gap has at_most")


_MOST_REQUESTS = 300_000


def _load(record: Record, project: Project, reader: Reader) -> None:
    _limited(record, ("p50", "p95", "p99", "errors", "memory", "compare"), reader)
    _beside_compare(record, ("max_slowdown",), reader)
    sent: Record | None = record.get("load")
    if sent is None:
        return
    name = sent.get("environment")
    if name is not None and name not in project.environments:
        hint = reader.suggest(name, project.environments) or "there is no environment in this file"
        where = join(sent.path, "environment")
        reader.problem(sent.at("environment"), where, f"unknown environment `{name}`", hint)
    elif name is not None and project.environments[name].protected:
        words = f"`{name}` is protected: a load there would be one on what serves"
        reader.problem(sent.at("environment"), join(sent.path, "environment"), words, "stage versions elsewhere")
    if sent.get("rate", 0.0) * sent.get("for", 0.0) > _MOST_REQUESTS:
        words = f"is more than {_MOST_REQUESTS:,} requests in all"
        reader.problem(sent.at("for"), join(sent.path, "for"), words, "send for a shorter time")


def _limited(record: Record, keys: tuple[str, ...], reader: Reader) -> None:
    if not any(record.has(key) for key in keys):
        reader.problem(record.node, record.path, "checks nothing", f"add {' or '.join(keys)}")


def _order(record: Record, reader: Reader) -> None:
    low, high = record.get("at_least"), record.get("at_most")
    if low is not None and high is not None and low > high:
        reader.problem(record.at("at_least"), join(record.path, "at_least"), "is above `at_most`: nothing can pass")


def _beside_compare(record: Record, keys: tuple[str, ...], reader: Reader) -> None:
    for key in keys:
        if record.has(key) and not record.has("compare"):
            path = join(record.path, key)
            reader.problem(record.at(key), path, "only means something beside `compare`", "add compare: champion")
