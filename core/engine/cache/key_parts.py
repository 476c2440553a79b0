"""What the key of a step is made from, kept beside the run's logs, so that somebody can say later what changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...domain.frozen import Frozen
from ...replacing import replace_file
from ..paths import step_parts

# Of an input with more files only that it changed is known, not which of its files.
MAX_FILES = 500
MAX_SHOWN = 3


class KeyParts(Frozen):
    """Digests of all that is declared to matter. There is no value of a variable among them."""

    command: str
    inputs: Mapping[str, str]
    files: Mapping[str, Mapping[str, str]]
    """The files below each input, where they are not too many."""
    variables: Mapping[str, str]
    outputs: Sequence[str]
    executor: str
    fingerprint: str
    """The executor's own part, such as the image."""
    tracking: str


def digest(text: str) -> str:
    """Returns a short digest of a text."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:24]


def keep(parts: KeyParts, state: Path, run_id: int, step: str) -> None:
    """Writes the parts into the run's directory. Raises OSError if that fails."""
    replace_file(step_parts(state, run_id, step), json.dumps({name: getattr(parts, name) for name in _FIELDS}))


def read(state: Path, run_id: int, step: str) -> KeyParts | None:
    """Returns what the step's key was made from; None where nobody noted it, or it was removed with the run's files."""
    try:
        found: dict[str, Any] = json.loads(step_parts(state, run_id, step).read_bytes())
        return KeyParts(**{name: found[name] for name in _FIELDS})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def changes(before: KeyParts, now: KeyParts) -> tuple[str, ...]:
    """Returns what differs, in words: `train.py changed`; nothing if all is the same."""
    found = [*_inputs(before, now)]
    if before.command != now.command:
        found.append("its command changed")
    found += [f"the variable {name} {how}" for name, how in _differing(before.variables, now.variables)]
    if list(before.outputs) != list(now.outputs):
        found.append("its outputs changed")
    if before.executor != now.executor:
        found.append(f"it ran with {before.executor} before, and with {now.executor} now")
    elif before.fingerprint != now.fingerprint:
        found.append("what it runs in (such as its image) changed")
    if before.tracking != now.tracking:
        found.append("where MLflow's runs go changed")
    return tuple(found)


def _inputs(before: KeyParts, now: KeyParts) -> Iterable[str]:
    for path, how in _differing(before.inputs, now.inputs):
        old, new = before.files.get(path), now.files.get(path)
        if how != "changed" or old is None or new is None:
            yield f"{path} {how}"
            continue
        below = [
            f"{path.rstrip('/')}/{name} {each}" if name else f"{path} {each}" for name, each in _differing(old, new)
        ]
        yield from below[:MAX_SHOWN] or [f"{path} changed"]
        if len(below) > MAX_SHOWN:
            yield f"{len(below) - MAX_SHOWN} more files of {path} changed"


def _differing(before: Mapping[str, str], now: Mapping[str, str]) -> list[tuple[str, str]]:
    return [
        (name, "is new" if name not in before else "is gone" if name not in now else "changed")
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    ]


_FIELDS = ("command", "inputs", "files", "variables", "outputs", "executor", "fingerprint", "tracking")
