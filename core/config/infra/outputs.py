"""`${{ infra.NAME.outputs.X }}`: outputs of infrastructure in podium.yaml, which are known once that was applied.

Applying keeps the outputs that are not sensitive in the project's state, and whoever needs one reads it there: when the
file is loaded, and once more just before a step, so that what a pipeline makes serves in the same run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, cast

from ...domain.frozen import Frozen
from ...domain.project import Environment, Project
from ...errors import Refused

DIRECTORY = "infra"
KEPT = "outputs.json"
_ANY = re.compile(r"\$\{\{.*?\}\}")


class OutputName(Frozen):
    """One output, by name."""

    infra: str
    output: str

    def __str__(self) -> str:
        return f"infra.{self.infra}.outputs.{self.output}"


@cache
def _output() -> re.Pattern[str]:
    """Returns what an output looks like; made when a file has one, as that takes longer than to read a small file."""
    return re.compile(r"\$\{\{\s*infra\.([A-Za-z0-9_][A-Za-z0-9_-]{0,62})\.outputs\.([A-Za-z0-9_-]{1,200})\s*\}\}")


def names(text: str) -> list[OutputName]:
    """Returns the outputs that a text names, in order."""
    return [OutputName(*found) for found in _output().findall(text)] if "${{" in text else []


def others(text: str) -> list[str]:
    """Returns what stands in `${{ }}` and is no output."""
    return [each for each in _ANY.findall(text) if not _output().fullmatch(each)]


def kept(state: Path, infra: str) -> Mapping[str, str]:
    """Returns the outputs of an infrastructure as they were when it was last applied; those that are sensitive are not
    among them."""
    with suppress(OSError, ValueError):
        found = json.loads((state / DIRECTORY / infra / KEPT).read_text(encoding="utf-8"))
        if isinstance(found, dict):
            return {str(name): str(value) for name, value in cast("dict[str, Any]", found).items()}
    return {}


def fill(text: str, state: Path) -> str:
    """Returns a text with its outputs. Refused where one is not there, with what to do."""
    found: dict[str, Mapping[str, str]] = {}
    for each in names(text):
        values = found.setdefault(each.infra, kept(state, each.infra))
        if each.output not in values:
            raise missing(each)
    return _output().sub(lambda match: found[match[1]][match[2]], text)


def missing(name: OutputName) -> Refused:
    """Returns the refusal of whatever needs an output that is not known."""
    return Refused(
        f"{name} is not known: {name.infra} was not applied yet, has no such output, or the output is sensitive",
        hint=f"podium infra apply {name.infra}; `podium infra outputs {name.infra}` shows what there is",
    )


def with_outputs(project: Project) -> Project:
    """Returns the project with those environments filled in whose outputs are known by now."""
    if not any(each.awaits for each in project.environments.values()):
        return project
    return replace(
        project, environments={name: _filled(each, project.state) for name, each in project.environments.items()}
    )


def _filled(environment: Environment, state: Path) -> Environment:
    try:
        values = {key: fill(text, state) for key, text in environment.awaits.items()}
    except Refused:
        return environment
    for key, value in values.items():
        if problem := _CHECKS[key.partition(".")[0]](value):
            return replace(environment, unusable=f"{key} is {value!r}, from {environment.awaits[key]}: {problem}")
    hosts = tuple(
        replace(each, engine=values.pop(f"hosts.{index}", each.engine)) for index, each in enumerate(environment.hosts)
    )
    if len({each.name for each in hosts}) < len(hosts):
        return replace(environment, unusable="two of its hosts are the same machine")
    return replace(environment, **cast("Any", values), hosts=hosts, awaits={}, unusable="")


def _bad_host(value: str) -> str:
    good = re.fullmatch(r"(ssh|tcp|unix)://\S+", value, re.ASCII)
    return "" if good else "not an address such as ssh://user@machine"


def _bad_bind(value: str) -> str:
    return "" if re.fullmatch(r"[0-9A-Za-z.:-]+", value, re.ASCII) else "not an address"


_CHECKS: Mapping[str, Callable[[str], str]] = {"host": _bad_host, "hosts": _bad_host, "bind": _bad_bind}
