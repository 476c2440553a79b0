"""Checks of infrastructure that need more than one of them: what needs what, and which outputs are named."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ...domain.graphs import find_cycle
from ...domain.infra.settings import CLOUDFORMATION, TERRAFORM, Infra
from ...domain.project import Project
from ..kinds import has_placeholder
from ..reader import Reader, Record
from ..sections import join
from .outputs import names, others

INFRA_TOOLS = (TERRAFORM, CLOUDFORMATION)


def check_infra(records: Mapping[str, Record], project: Project, reader: Reader) -> None:
    """Notes unknown names, circles, and values that no output is."""
    for name, record in records.items():
        _needs(record, project, reader)
        _values(record, project.infra[name], project, reader)
    loop = find_cycle({name: wanted(each) for name, each in project.infra.items()})
    if loop is not None and loop[0] in records:
        record = records[loop[0]]
        words = f"these need each other in a circle: {' → '.join(loop)}"
        reader.problem(record.at("needs"), join(record.path, "needs"), words, "take one need, or one output, out")


def check_environment(record: Record, project: Project, reader: Reader) -> None:
    """Notes outputs of infrastructure that podium.yaml does not have."""
    for key in ("host", "bind"):
        if isinstance(text := record.get(key), str):
            _known(record, key, key, text, project, reader)
    for index, host in enumerate(record.get("hosts", ())):
        if isinstance(host, str):
            _known(record, "hosts", f"hosts.{index}", host, project, reader)
        else:
            _known(host, "engine", "engine", host.get("engine", ""), project, reader)


def check_step(record: Record, uses: str, project: Project, reader: Reader) -> None:
    """Notes a step about infrastructure that is not there, or that another tool describes."""
    name: str = record.get("infra", "")
    infra = project.infra.get(name)
    place = join(record.path, "infra")
    if infra is None and name and not has_placeholder(name):
        hint = reader.suggest(name, project.infra) or "there is no infrastructure in this file"
        reader.problem(record.at("infra"), place, f"unknown infrastructure `{name}`", hint)
    elif infra is not None and infra.kind != uses:
        reader.problem(record.at("infra"), place, f"`{name}` is {infra.kind}'s", f"write uses: {infra.kind}")


def wanted(infra: Infra) -> tuple[str, ...]:
    """Returns what has to be applied before it: what it says, and those whose outputs it takes."""
    taken = (each.infra for text in infra.vars.values() for each in names(text))
    return tuple(dict.fromkeys((*infra.needs, *taken)))


def _needs(record: Record, project: Project, reader: Reader) -> None:
    needs: Iterable[str] = record.get("needs", ())
    for index, need in enumerate(needs):
        if need not in project.infra:
            node = record.at("needs", index)
            hint = reader.suggest(need, project.infra)
            reader.problem(node, join(record.path, "needs"), f"unknown infrastructure `{need}`", hint)


def _values(record: Record, infra: Infra, project: Project, reader: Reader) -> None:
    key = "vars" if record.has("vars") else "parameters"
    for name, text in infra.vars.items():
        _known(record, key, f"{key}.{name}", text, project, reader)


def _known(record: Record, key: str, path: str, text: str, project: Project, reader: Reader) -> None:
    node, where = record.at(key), join(record.path, path)
    for other in others(text):
        words = f"`{other}` is not an output of infrastructure"
        reader.problem(node, where, words, "write ${{ infra.NAME.outputs.X }}")
    for each in names(text):
        if each.infra not in project.infra:
            hint = reader.suggest(each.infra, project.infra) or "there is no infrastructure in this file"
            reader.problem(node, where, f"unknown infrastructure `{each.infra}` in `${{{{ {each} }}}}`", hint)
