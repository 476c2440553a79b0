"""What `show -json` says of a saved plan, as an InfraPlan: the worst change first, real drift apart from noise, and
nothing sensitive."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

from ...domain.frozen import Frozen
from ...domain.infra.plan import DEPOSED, SENSITIVE, UNKNOWN, Drift, OutputChange, ResourceChange
from ...domain.infra.rules import ChangeKind
from ...domain.text import one_line
from ...errors import PodiumError
from .values import Side, differences, is_noise, secrets_in, shown

FORMAT = 1
MAX_ATTRIBUTES = 60

_KINDS: Mapping[tuple[str, ...], ChangeKind] = {
    ("create",): ChangeKind.CREATE,
    ("update",): ChangeKind.UPDATE,
    ("delete",): ChangeKind.DELETE,
    ("delete", "create"): ChangeKind.REPLACE,
    ("create", "delete"): ChangeKind.REPLACE,
    ("forget",): ChangeKind.FORGET,
    ("create", "forget"): ChangeKind.REPLACE,
}
_NO_CHANGE = {("no-op",), ("read",), ()}

# The tool's own words of why (`action_reason`), for people.
_REASONS: Mapping[str, str] = {
    "replace_because_tainted": "it is tainted",
    "replace_because_cannot_update": "it cannot be updated in place",
    "replace_by_request": "asked for",
    "replace_by_triggers": "one of its triggers changes",
    "delete_because_no_resource_config": "it is not in the configuration any more",
    "delete_because_no_module": "its module is not in the configuration any more",
    "delete_because_wrong_repetition": "count or for_each has changed",
    "delete_because_count_index": "count is lower",
    "delete_because_each_key": "for_each has it no longer",
    "delete_because_no_move_target": "nothing has the address that it moves to",
}


_STATE_ALONE = "only the state changes"


class Read(Frozen):
    """A plan's JSON, read."""

    changes: tuple[ResourceChange, ...] = ()
    drift: tuple[Drift, ...] = ()
    outputs: tuple[OutputChange, ...] = ()
    secrets: tuple[str, ...] = ()
    """Every text that the plan calls sensitive: for this process alone, never written anywhere."""
    applyable: bool = True


def read(document: Mapping[str, Any], *, refresh_only: bool = False) -> Read:
    """Reads a plan's JSON. Raises PodiumError for a format that is not known."""
    version = str(document.get("format_version", ""))
    if version.partition(".")[0] != str(FORMAT):
        raise PodiumError(
            f"the plan's JSON has the format {version or 'none'}, and {FORMAT}.x is what is read here",
            hint="use a Terraform or OpenTofu of another version, or a newer Podium",
        )
    if document.get("errored"):
        raise PodiumError("the plan is incomplete: an error ended it", hint="see its log for the error")
    changes = sorted(_changes(document), key=lambda each: (each.kind.rank, each.address))
    outputs = tuple(_outputs(document))
    applyable = document.get("applyable", bool(changes or outputs))
    return Read(
        tuple(changes),
        tuple(_drift(document, refresh_only=refresh_only)),
        outputs,
        tuple(dict.fromkeys(_secrets(document))),
        bool(applyable),
    )


def _changes(document: Mapping[str, Any]) -> Iterator[ResourceChange]:
    for each in _records(document.get("resource_changes")):
        change = _mapping(each.get("change"))
        actions = tuple(str(action) for action in change.get("actions") or ())
        imported = change.get("importing") is not None
        if each.get("mode") == "data" or (actions in _NO_CHANGE and not imported and not each.get("previous_address")):
            continue
        kind = _KINDS.get(actions) or _worst(actions)
        found = _differences(change, change.get("replace_paths") or () if kind is ChangeKind.REPLACE else ())
        address = one_line(str(each.get("address", "")))
        if each.get("deposed"):
            address += f"{DEPOSED}{one_line(str(each['deposed']))})"
        yield ResourceChange(
            address,
            one_line(str(each.get("type", ""))),
            kind,
            tuple(found[:MAX_ATTRIBUTES]),
            why=_REASONS.get(str(each.get("action_reason", "")), "") or (_STATE_ALONE if actions in _NO_CHANGE else ""),
            moved_from=one_line(str(each.get("previous_address") or "")),
            imported=imported,
            more=max(0, len(found) - MAX_ATTRIBUTES),
        )


def _worst(actions: Sequence[str]) -> ChangeKind:
    """Returns what actions come to that are not known together. What only moves or is only taken over is an update."""
    if "delete" in actions:
        return ChangeKind.REPLACE if "create" in actions else ChangeKind.DELETE
    return ChangeKind.FORGET if "forget" in actions else ChangeKind.UPDATE


def _differences(change: Mapping[str, Any], forcing: Iterable[Any] = ()) -> list[Any]:
    before = Side(change.get("before"), change.get("before_sensitive", False))
    after = Side(change.get("after"), change.get("after_sensitive", False), change.get("after_unknown", False))
    if after.value is None and not after.unknown:
        return []  # it ends as a whole: what it was is no news
    paths = [cast("Sequence[str | int]", path) for path in forcing if isinstance(path, list)]
    found = differences(before, after, paths)
    if before.value is None:  # everything of a new one is new; what it leaves out is not worth a line
        return [each for each in found if each.after != "(none)"]
    return sorted(found, key=lambda each: not each.forces)


def _drift(document: Mapping[str, Any], *, refresh_only: bool) -> Iterator[Drift]:
    """Yields what differs from the state. In a plan, what it depends on is real; without one (`-refresh-only`) there is
    nothing that could depend on it, and every value counts."""
    relevant = _relevant(document)
    changed = {
        one_line(str(each.get("address")))
        for each in _records(document.get("resource_changes"))
        if tuple(_mapping(each.get("change")).get("actions") or ()) not in _NO_CHANGE
    }
    for each in _records(document.get("resource_drift")):
        change = _mapping(each.get("change"))
        address = one_line(str(each.get("address", "")))
        gone = deleted = "delete" in (change.get("actions") or ())
        found = _differences(change)
        matters = [item for item in found if not is_noise(item)]
        if not refresh_only:
            names = relevant.get(address, set[str]()) | relevant.get(_without_keys(address), set[str]())
            matters = [item for item in matters if _names(item.path, names)]
            gone = gone and (bool(names) or address in changed)
        shown = sorted(found, key=lambda item: item not in matters)[:MAX_ATTRIBUTES]
        yield Drift(address, one_line(str(each.get("type", ""))), deleted, tuple(shown), gone or bool(matters))


def _relevant(document: Mapping[str, Any]) -> Mapping[str, set[str]]:
    """Returns for each resource the first names of the values that the plan depends on; "" for all of it."""
    found: dict[str, set[str]] = {}
    for each in _records(document.get("relevant_attributes")):
        path = each.get("attribute") or [""]
        found.setdefault(one_line(str(each.get("resource", ""))), set()).add(str(path[0]))
    return found


def _names(path: str, names: set[str]) -> bool:
    first = path.partition(".")[0].partition("[")[0]
    return first in names or "" in names


def _without_keys(address: str) -> str:
    """Returns an address without the key of its instance: `a.b[0]` -> `a.b`."""
    return address[: address.rfind("[")] if address.endswith("]") else address


def _outputs(document: Mapping[str, Any]) -> Iterator[OutputChange]:
    for name, change in _mapping(document.get("output_changes")).items():
        change = _mapping(change)
        if tuple(change.get("actions") or ()) in _NO_CHANGE:
            continue
        hidden = bool(change.get("before_sensitive")) or bool(change.get("after_sensitive"))
        before, after = shown(change.get("before")), shown(change.get("after"))
        if change.get("after_unknown"):
            after = UNKNOWN
        if hidden:
            before, after = (SENSITIVE if text not in ("(none)", UNKNOWN) else text for text in (before, after))
        yield OutputChange(one_line(name), before, after)


def _secrets(document: Mapping[str, Any]) -> Iterator[str]:
    for key in ("resource_changes", "resource_drift"):
        for each in _records(document.get(key)):
            yield from _of_change(_mapping(each.get("change")))
    for change in _mapping(document.get("output_changes")).values():
        yield from _of_change(_mapping(change))
    root = _mapping(_mapping(document.get("configuration")).get("root_module"))
    values = _mapping(document.get("variables"))
    for name, variable in _mapping(root.get("variables")).items():
        if _mapping(variable).get("sensitive"):
            yield from secrets_in(_mapping(values.get(name)).get("value"), True)
    state = _mapping(_mapping(document.get("prior_state")).get("values"))
    yield from secrets_of_state(state)


def secrets_of_state(values: Mapping[str, Any]) -> Iterator[str]:
    """Yields every text that a state (`values` of its JSON) calls sensitive."""
    for output in _mapping(values.get("outputs")).values():
        if _mapping(output).get("sensitive"):
            yield from secrets_in(_mapping(output).get("value"), True)
    yield from _of_module(_mapping(values.get("root_module")))


def _of_module(module: Mapping[str, Any]) -> Iterator[str]:
    for each in _records(module.get("resources")):
        yield from secrets_in(each.get("values"), each.get("sensitive_values"))
    for child in _records(module.get("child_modules")):
        yield from _of_module(child)


def _of_change(change: Mapping[str, Any]) -> Iterator[str]:
    for side in ("before", "after"):
        yield from secrets_in(change.get(side), change.get(f"{side}_sensitive", False))


def _records(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, list):
        for each in cast("list[Any]", value):
            if isinstance(each, dict):
                yield cast("dict[str, Any]", each)


def _mapping(value: Any) -> Mapping[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
