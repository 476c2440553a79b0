"""Checks of an alert's keys that need more than one of them."""

from __future__ import annotations

from ..domain.monitoring import ALERT_VALUES, OWN_LABELS
from ..errors import UsageError
from .reader import Reader, Record
from .sections import join

_CONDITIONS = ("above", "below", "false_alarms")


def check_alert(record: Record, reader: Reader) -> None:
    """Notes an alert that does not say exactly one thing that makes it fire, labels that say something else than what
    it is, and annotations that name no value of it."""
    written = [key for key in _CONDITIONS if record.has(key)]
    if not written:
        message, hint = "has none of `above`, `below` and `false_alarms`", "say what makes it fire"
        reader.problem(record.node, record.path, message, hint)
    elif len(written) > 1:
        message = f"has both `{written[0]}` and `{written[1]}`"
        hint = "keep one of them: a fixed band, or a rate of false alarms"
        reader.problem(record.at(written[1]), join(record.path, written[1]), message, hint)
    for name in record.get("labels", {}):
        if name in OWN_LABELS:
            node = record.at("labels").get(name) or record.at("labels")
            reader.problem(node, join(join(record.path, "labels"), name), "is Podium's own label", "name it otherwise")
    for name, text in record.get("annotations", {}).items():
        _template(record, name, text, reader)


def _template(record: Record, name: str, text: str, reader: Reader) -> None:
    if "${{" not in text:
        return
    from .expressions import check_template

    path = join(join(record.path, "annotations"), name)
    node = record.at("annotations").get(name) or record.at("annotations")
    known = [f"alert.{each}" for each in ALERT_VALUES]
    try:
        found = check_template(text, command=False)
    except UsageError as error:
        reader.problem(node, path, error.message, error.hint)
        return
    for each in dict.fromkeys(map(str, found)):
        if each not in known:
            reader.problem(node, path, f"unknown value `${{{{ {each} }}}}`", reader.suggest(each, known))
