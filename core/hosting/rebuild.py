"""The change `rebuild`: brings ledger, quarantine and, on an MLflow server, aliases back from the repository's tags,
where the state directory was lost."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..delivery.environment.history import carries
from ..domain.delivery import Deployment
from ..domain.frozen import Frozen
from ..domain.models import CHAMPION, PREVIOUS
from ..domain.plans import RESTS_ON_PREFIX, Change, Plan
from ..domain.project import Project
from ..domain.text import one_line
from ..domain.text.format import count
from ..errors import PodiumError, Refused
from ..journal import Journal
from ..registry import open_registry
from ..scm import gto, tags
from ..scm.repository import Repository
from . import records
from .records import Doubt, Records

if TYPE_CHECKING:
    from ..engine.context import StepContext

LEDGER = "ledger"
MAX_DOUBTS = 20
_HINT = "fetch the tags first: git fetch --tags"


class Found(Frozen):
    """What the tags bring back."""

    records: Records
    rows: tuple[Deployment, ...]
    """Of environments that podium.yaml has, the oldest first."""
    quarantined: tuple[Mapping[str, Any], ...]
    """As it was when the last tag of each model was made; `model` says of which."""
    left_out: tuple[str, ...]
    """Environments that podium.yaml does not have any more."""

    @property
    def digest(self) -> str:
        """Returns what the plan rests on: another set of tags is another plan."""
        text = "\n".join(f"{each.tag} {each.sha}" for each in self.records.believed)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def find(project: Project) -> Found:
    """Reads the tags of the project's repository; NotFound without one. Where git signs tags, one without a good
    signature is not believed."""
    repository = Repository.open(project.home)
    found = [_of_model(repository, model) for model in project.models]
    judged = Records(
        tuple(sorted((each for one in found for each in one.believed), key=lambda each: each.at)),
        tuple(doubt for one in found for doubt in one.doubts),
    )
    deployed = [each for each in judged.believed if not each.is_version]
    rows = [records.deployment_of(each) for each in deployed if each.name.stage in project.environments]
    others = sorted({each.name.stage for each in deployed} - project.environments.keys())
    last = {each.model: each for each in deployed}
    quarantined = [
        {**entry, "model": model} for model, each in last.items() for entry in each.data.get("quarantined", ())
    ]
    return Found(judged, tuple(rows), tuple(quarantined), tuple(others))


def _of_model(repository: Repository, model: str) -> Records:
    judged = records.judged(tags.read(repository, records.patterns(gto.artifact_of(model))), model)
    return _signed(repository, judged) if tags.signs(repository) else judged


def _signed(repository: Repository, found: Records) -> Records:
    troubles = {each.tag: tags.signature_trouble(repository, each.tag) for each in found.believed}
    doubts = [Doubt(tag, f"its signature is not good: {words}") for tag, words in troubles.items() if words]
    believed = tuple(each for each in found.believed if not troubles[each.tag])
    return replace(found, believed=believed, doubts=(*found.doubts, *doubts))


# -- the plan


def plan_rebuild(project: Project, journal: Journal, target: str, **_: Any) -> Plan:
    """Returns what the tags would bring back. The target is the ledger."""
    found = find(project)
    aliases, trouble = _aliases(project, found)
    return Plan(
        target=LEDGER,
        verb="rebuild",
        title=f"Bring back {count(len(found.rows), 'deployment')} from {count(len(found.records.believed), 'tag')}",
        action="Bring back",
        command="podium history --rebuild",
        changes=(*_rows_by_environment(project, found), *_quarantine(project, found), *_moved(project, aliases)),
        steps=("nothing is started: `podium start -e ENV` has an environment serve again",),
        warnings=(*_warnings(project, found), *((trouble,) if trouble else ())),
        refusal=_refusal(journal),
        hint="only a lost ledger is brought back; `podium history` shows this one",
        nothing_to_do="" if found.rows else f"the repository's tags have no deployment to bring back; {_HINT}",
        kept_in="audit",
        rests_on={"tags": found.digest},
    )


def _refusal(journal: Journal) -> str:
    rows = journal.ledger.count()
    return f"the ledger is not lost: it has {count(rows, 'deployment')}" if rows else ""


def _rows_by_environment(project: Project, found: Found) -> list[Change]:
    changes: list[Change] = []
    for name in project.environments:
        rows = [row for row in found.rows if row.environment == name]
        if rows:
            after = f"{count(len(rows), 'deployment')}, the last: {rows[-1].how} of v{rows[-1].to_version}"
            changes.append(Change(name, "no deployment", after))
    return changes


def _quarantine(project: Project, found: Found) -> list[Change]:
    return [
        Change(
            f"quarantine {project.version(str(each['model']), int(each['version']))}",
            "none",
            one_line(str(each.get("why", ""))) or "no reason was given",
        )
        for each in found.quarantined
    ]


def _moved(project: Project, aliases: Moves) -> list[Change]:
    several = len(project.models) > 1
    return [
        Change(
            f"alias {alias}{f' of {model}' if several else ''}",
            f"v{before}" if before is not None else "none",
            f"v{after}",
        )
        for (model, alias), (before, after) in aliases.items()
    ]


def _warnings(project: Project, found: Found) -> list[str]:
    lines = [f"the tag {one_line(each.tag)} is not believed: {one_line(each.why)}" for each in found.records.doubts]
    if len(lines) > MAX_DOUBTS:
        lines = [*lines[:MAX_DOUBTS], f"and {len(lines) - MAX_DOUBTS} more tags are not believed"]
    if found.left_out:
        lines.append(f"podium.yaml has no environment {', '.join(found.left_out)}: its deployments stay in the tags")
    if project.mlflow.registry.embedded and found.rows:
        lines.append("the embedded MLflow store is below .podium too: a backup brings models back, tags do not")
    return lines


# -- aliases


def wanted_aliases(project: Project, found: Found, model: str) -> dict[str, int]:
    """Returns alias -> version of a model by the deployments that move them: what serves where promotions go to, and
    what served before it and is not quarantined."""
    carriers = [name for name in project.environments if carries(project, name) and project.model_of(name) == model]
    rows = [row for row in found.rows if row.model == model]
    moves = [row for row in rows if row.environment in carriers and row.how.moves_aliases]
    if not moves:
        return {}
    last = moves[-1]
    bad = {int(each["version"]) for each in found.quarantined if each["model"] == model}
    served = [row.to_version for row in rows if row.environment == last.environment]
    before = [each for each in served if each != last.to_version and each not in bad]
    return {CHAMPION: last.to_version, **({PREVIOUS: before[-1]} if before else {})}


# (model, alias) -> (version before, version after).
Moves = Mapping[tuple[str, str], tuple[int | None, int]]


def _aliases(project: Project, found: Found) -> tuple[Moves, str]:
    """Returns those that differ on the MLflow server, and why that is not known."""
    wanted = {model: aliases for model in project.models if (aliases := wanted_aliases(project, found, model))}
    if project.mlflow.registry.embedded or not wanted:
        return {}, ""
    registry = open_registry(project.mlflow, project.state)
    try:
        now = {model: registry.aliases(model) for model in wanted}
    except PodiumError as error:
        return {}, f"aliases are left as they are: {error.message}"
    finally:
        registry.close()
    moves = {
        (model, alias): (now[model].get(alias), to)
        for model, aliases in wanted.items()
        for alias, to in aliases.items()
        if now[model].get(alias) != to
    }
    return moves, ""


# -- carrying it out


def rebuild(context: StepContext) -> Mapping[str, Any]:
    """The built-in step `rebuild`: what was agreed to, if the tags are still those, and the ledger is still empty."""
    project, journal = context.project, context.journal
    found = find(project)
    agreed = context.options.get(f"{RESTS_ON_PREFIX}tags")
    if agreed is not None and str(agreed) != found.digest:
        raise Refused(
            "the tags changed since this was planned", hint="look at the plan again: podium history --rebuild"
        )
    with journal.transaction():
        if refusal := _refusal(journal):
            raise Refused(refusal)
        journal.ledger.bring_back(found.rows)
        for each in found.quarantined:
            _bring_quarantine_back(journal, str(each["model"]), each, context.run.who)
        journal.audit.add(context.run.who, "rebuild", f"{count(len(found.rows), 'deployment')} from tags", found.digest)
    for each in found.records.doubts:
        context.log(f"warning: the tag {one_line(each.tag)} is not believed: {one_line(each.why)}")
    moved = _move_aliases(project, found, context)
    return {"deployments": len(found.rows), "aliases": moved, "doubts": [each.tag for each in found.records.doubts]}


def _bring_quarantine_back(journal: Journal, model: str, entry: Mapping[str, Any], who: str) -> None:
    commit, why = str(entry.get("commit", "")), str(entry.get("why", ""))
    journal.quarantine.add(model, int(entry["version"]), commit, str(entry.get("who") or who), why)


def _move_aliases(project: Project, found: Found, context: StepContext) -> list[str]:
    moves, trouble = _aliases(project, found)
    if trouble:
        context.log(f"warning: {trouble}")
    if not moves:
        return []
    registry = open_registry(project.mlflow, project.state)
    try:
        for (model, alias), (_, to) in moves.items():
            registry.set_alias(model, alias, to)
            context.log(f"alias {alias} of {model} is on version {to}")
    finally:
        registry.close()
    return [f"{alias} v{to}" for (_, alias), (_, to) in moves.items()]
