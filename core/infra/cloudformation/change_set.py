"""What a change set says, as changes of resources: the worst first, nested stacks as parts of theirs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from ...domain.infra.plan import NONE, AttributeChange, Drift, ResourceChange
from ...domain.infra.rules import ChangeKind
from ...domain.text import one_line

NESTED = "AWS::CloudFormation::Stack"
MAX_ATTRIBUTES = 60
MAX_DEPTH = 8
_MAX_TEXT = 200
_EMPTY = ("didn't contain changes", "no updates are to be performed")

Document = Mapping[str, Any]
Mask = Callable[[str], str]


def is_empty(reason: str) -> bool:
    """Tells whether a change set failed because there is nothing to change."""
    return any(words in reason.lower() for words in _EMPTY)


def changes_of(
    document: Document, described: Callable[[str], Document], listed: Callable[[str], Iterable[Document]], mask: Mask
) -> list[ResourceChange]:
    """Returns the changes of a change set and of those of its nested stacks, which `described` returns by their id;
    `listed` returns the resources of a stack, of which all go with a nested one that is removed."""
    found = list(_changes(document, described, listed, mask, "", 0))
    return sorted(found, key=lambda each: (each.kind.rank, each.address))


def digest(documents: Sequence[Document]) -> str:
    """Returns the SHA-256 of what change sets will do, and of which ones they are."""
    seen = [[each.get("ChangeSetId", ""), each.get("Changes", [])] for each in documents]
    return hashlib.sha256(json.dumps(seen, sort_keys=True, default=str).encode()).hexdigest()


def drift_of(each: Document, mask: Mask, prefix: str = "") -> Drift:
    """Returns what differs of one resource (`StackResourceDrifts`)."""
    attributes = tuple(
        AttributeChange(
            one_line(str(one.get("PropertyPath", ""))).lstrip("/").replace("/", "."),
            _text(one.get("ExpectedValue"), mask),
            _text(one.get("ActualValue"), mask),
        )
        for one in each.get("PropertyDifferences", ())
    )
    return Drift(
        prefix + one_line(str(each.get("LogicalResourceId", ""))),
        one_line(str(each.get("ResourceType", ""))),
        each.get("StackResourceDriftStatus") == "DELETED",
        attributes[:MAX_ATTRIBUTES],
    )


def _changes(
    document: Document,
    described: Callable[[str], Document],
    listed: Callable[[str], Iterable[Document]],
    mask: Mask,
    prefix: str,
    depth: int,
) -> Iterator[ResourceChange]:
    for change in document.get("Changes", ()):
        each: Document = change.get("ResourceChange") or {}
        nested = str(each.get("ChangeSetId") or "")
        if each.get("ResourceType") == NESTED and nested and depth < MAX_DEPTH:
            name = one_line(str(each.get("LogicalResourceId", "")))
            yield from _changes(described(nested), described, listed, mask, f"{prefix}{name}.", depth + 1)
            if each.get("Action") == "Modify":
                continue  # what changes of it is what changes in it
        made = _change(each, mask, prefix)
        yield made
        physical = str(each.get("PhysicalResourceId") or "")
        if made.type == NESTED and made.kind is ChangeKind.DELETE and physical and not nested:
            yield from ended(physical, listed, f"{made.address}.")


def ended(
    stack: str, listed: Callable[[str], Iterable[Document]], prefix: str = "", depth: int = 0
) -> Iterator[ResourceChange]:
    """Yields the end of all resources of a stack, and of those of its nested stacks."""
    for each in listed(stack):
        if each.get("ResourceStatus") == "DELETE_COMPLETE":
            continue
        name = prefix + one_line(str(each.get("LogicalResourceId", "")))
        kind, physical = one_line(str(each.get("ResourceType", ""))), str(each.get("PhysicalResourceId") or "")
        yield ResourceChange(name, kind, ChangeKind.DELETE)
        if kind == NESTED and physical and depth < MAX_DEPTH:
            yield from ended(physical, listed, f"{name}.", depth + 1)


def _change(each: Document, mask: Mask, prefix: str) -> ResourceChange:
    kind, why = _kind(each)
    attributes = _attributes(each, mask)
    return ResourceChange(
        prefix + one_line(str(each.get("LogicalResourceId", ""))),
        one_line(str(each.get("ResourceType", ""))),
        kind,
        tuple(attributes[:MAX_ATTRIBUTES]),
        why,
        imported=each.get("Action") == "Import",
        more=max(0, len(attributes) - MAX_ATTRIBUTES),
    )


def _kind(each: Document) -> tuple[ChangeKind, str]:
    """Returns what becomes of a resource, the worse where CloudFormation does not know it yet, and why."""
    action, replacement = str(each.get("Action", "")), str(each.get("Replacement", ""))
    keeps = each.get("PolicyAction") == "Retain"
    if action in ("Add", "Import"):
        return ChangeKind.CREATE, ""
    if action == "Remove":
        return (ChangeKind.FORGET, "its deletion policy keeps it") if keeps else (ChangeKind.DELETE, "")
    if action == "Dynamic":
        return ChangeKind.REPLACE, "what becomes of it is known only while it is applied"
    if replacement == "True":
        return ChangeKind.REPLACE, ""
    if replacement == "Conditional":
        return ChangeKind.REPLACE, "it may be replaced: that is known only while it is applied"
    return ChangeKind.UPDATE, "what is real is taken over" if action == "SyncWithActual" else ""


def _attributes(each: Document, mask: Mask) -> list[AttributeChange]:
    found: dict[str, AttributeChange] = {}
    for detail in each.get("Details", ()):
        target: Document = detail.get("Target") or {}
        path = str(target.get("Path") or "").strip("/").replace("/", ".")
        path = path or ".".join(filter(None, (str(target.get("Attribute", "")), str(target.get("Name") or ""))))
        forces = target.get("RequiresRecreation") in ("Always", "Conditionally")
        before, after = _text(target.get("BeforeValue"), mask), _text(target.get("AfterValue"), mask)
        known = found.get(path)
        if known is not None:  # one value may have several causes
            forces = forces or known.forces
            before, after = (known.before, known.after) if before == after == NONE else (before, after)
        found[path] = AttributeChange(one_line(path), before, after, forces)
    return sorted(found.values(), key=lambda one: not one.forces)


def _text(value: Any, mask: Mask) -> str:
    if value is None:
        return NONE
    line = one_line(mask(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)))
    return line if len(line) <= _MAX_TEXT else f"{line[:_MAX_TEXT]}…"
