"""The registry in tags: one annotated tag per version and per change of what an environment serves, each with a record
that says what the journal knows, and names the tag made before it. The records are only ever added to."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from ..domain.delivery import Deployment, DeploymentState, How
from ..domain.finite import finite, time_of
from ..domain.frozen import Frozen
from ..domain.models import TAG_DIRTY, Version
from ..domain.project import Project
from ..errors import UNREADABLE
from ..journal import Journal
from ..logs.masking import masked
from ..scm import gto
from ..scm.tags import Tag

FORM = 1
_LINE = "Podium-Record: "
_LAST_VERSION = 2**31
MAX_QUARANTINED = 50


class Record(Frozen):
    """What one tag says."""

    tag: str
    sha: str
    """The hash of the tag."""
    commit: str
    name: gto.TagName
    model: str
    version: int
    at: float
    """When it happened, in seconds since the epoch."""
    data: Mapping[str, Any]
    after: tuple[str, str] | None = None
    """Name and hash of the tag that was made before; None for the first."""

    @property
    def is_version(self) -> bool:
        return self.name.version is not None

    @property
    def key(self) -> tuple[object, ...]:
        """Returns what makes it this record and no other one, whatever its tag is called."""
        if self.is_version:
            return ("version", self.version)
        return (self.name.stage, self.version, round(self.at, 3))


class Doubt(Frozen):
    """A tag that is not believed."""

    tag: str
    why: str


class Records(Frozen):
    """What the tags of a repository say: those that are believed in the order in which they were made, and doubts."""

    believed: tuple[Record, ...]
    doubts: tuple[Doubt, ...]

    @property
    def keys(self) -> frozenset[tuple[object, ...]]:
        return frozenset(each.key for each in self.believed)

    @property
    def last(self) -> Record | None:
        """Returns the record that the next one comes after."""
        named = {each.after[0] for each in self.believed if each.after is not None}
        ends = [each for each in self.believed if each.tag not in named]
        return max(ends, key=lambda each: each.at, default=None)


def patterns(artifact: str) -> tuple[str, str]:
    """Returns what the names of an artifact's tags match."""
    return (f"{artifact}@*", f"{artifact}#*")


def judged(tags: Mapping[str, Tag], model: str, *, made: Mapping[str, str] | None = None) -> Records:
    """Returns what is to be believed of tags. A tag is doubted if Podium did not make it, if it names another commit
    than its record, if a later record or `made` (name -> hash, of those that we made) knows another one of its name, or
    if the one before it is gone."""
    doubts: list[Doubt] = []
    read: list[Record] = []
    for tag in tags.values():
        found = read_record(tag, model)
        if isinstance(found, Record):
            read.append(found)
        elif found:
            doubts.append(Doubt(tag.name, found))
    known = dict(made or {})
    known |= {each.after[0]: each.after[1] for each in read if each.after is not None}
    believed: list[Record] = []
    for record in sorted(read, key=lambda each: (each.at, not each.is_version, each.name.counter, each.version)):
        if known.get(record.tag, record.sha) != record.sha:
            doubts.append(Doubt(record.tag, "it was moved: what was made under that name was another tag"))
        else:
            believed.append(record)
    gone = sorted(name for name in known if name not in tags)
    doubts += [Doubt(name, "it is gone: it was made, and nobody but a person removes it") for name in gone]
    return Records(tuple(believed), tuple(doubts))


def read_record(tag: Tag, model: str) -> Record | str:
    """Returns the record of a tag, or why there is none; empty for a tag that is about something else."""
    name = gto.parse(tag.name)
    artifact = gto.artifact_of(model)
    if name is None or name.artifact != artifact:
        return (
            "its name is not of a kind that Podium makes"
            if tag.name.startswith((f"{artifact}@", f"{artifact}#"))
            else ""
        )
    if not tag.annotated:
        return "it was not made by Podium: it is no annotated tag"
    line = next((each for each in tag.message.splitlines() if each.startswith(_LINE)), None)
    if line is None:
        return "it was not made by Podium: it has no record"
    try:
        return _read(tag, name, json.loads(line.removeprefix(_LINE)), model)
    except UNREADABLE:
        return "its record cannot be read"


def _read(tag: Tag, name: gto.TagName, data: Mapping[str, Any], model: str) -> Record | str:
    if data["form"] != FORM:
        return "its record was written by a newer Podium"
    version, at = _version(data["version"]), _time(data["at"])
    about = name.version == version if name.version is not None else name.stage == data["environment"]
    if data["model"] != model or not about:
        return "its record is about something else than its name"
    if not tag.commit or data["commit"] != tag.commit:
        return f"it was moved: its record names commit {str(data['commit'])[:9]}"
    after = cast("Sequence[Any] | None", data.get("after"))
    before = (str(after[0]), str(after[1])) if after else None
    found = Record(tag.name, tag.sha, tag.commit, name, model, version, at, data, before)
    if not found.is_version:
        _ensure_usable(found)
    return found


def _ensure_usable(record: Record) -> None:
    """Raises one of UNREADABLE for what a lost ledger could not be brought back from."""
    deployment_of(record)
    for each in record.data.get("quarantined", ()):
        _version(each["version"])
        _time(each["at"])


def _version(value: object) -> int:
    """Returns the number of a version. Raises ValueError for what is none."""
    found = finite(value)
    if found is None or not 0 < found < _LAST_VERSION or not found.is_integer():
        raise ValueError(f"{value!r} is no version")
    return int(found)


def _time(value: object) -> float:
    """Returns a moment in seconds since the epoch. Raises ValueError for what is none."""
    found = time_of(value)
    if found is None:
        raise ValueError(f"{value!r} is no time")
    return found


# -- writing


class Wanted(Frozen):
    """A record that there should be a tag of."""

    commit: str
    at: float
    data: Mapping[str, Any]
    headline: str

    @property
    def key(self) -> tuple[object, ...]:
        if "environment" not in self.data:
            return ("version", self.data["version"])
        return (self.data["environment"], self.data["version"], round(self.at, 3))

    def name(self, artifact: str, counter: int) -> str:
        if "environment" not in self.data:
            return gto.version_tag(artifact, int(self.data["version"]))
        return gto.stage_tag(artifact, str(self.data["environment"]), counter)

    def message(self, after: Record | None) -> str:
        data = {"form": FORM, **self.data, "after": None if after is None else [after.tag, after.sha]}
        return f"{self.headline}\n\n{_LINE}{json.dumps(data)}\n"


def wanted(project: Project, journal: Journal, model: str) -> list[Wanted]:
    """Returns what there should be tags of about a model, in the order in which it happened: versions that have a
    commit, and the deployments of the ledger that succeeded."""
    versions = [each for each in journal.versions.of(model) if each.commit and each.tags.get(TAG_DIRTY) != "true"]
    found = [_of_version(version) for version in versions]
    quarantined = [
        {"version": each.version, "commit": each.commit, "at": each.at, "who": each.who, "why": each.why}
        for each in journal.quarantine.all()[:MAX_QUARANTINED]
        if each.model == model
    ]
    for environment in project.environments:
        for row in journal.ledger.history(environment, limit=-1):
            if row.state is DeploymentState.SUCCEEDED and row.commit and row.model == model:
                found.append(_of_deployment(row, quarantined))
    return [_masked(each, project.secrets) for each in sorted(found, key=lambda each: each.at)]


def _of_version(version: Version) -> Wanted:
    data = {
        "model": version.model,
        "version": version.version,
        "commit": version.commit,
        "at": version.created,
        "run": version.run_id,
        "mlflow_run": version.mlflow_run,
        "digest": version.digest,
    }
    return Wanted(version.commit, version.created, data, f"{version.model} version {version.version}")


def _of_deployment(row: Deployment, quarantined: Sequence[Mapping[str, Any]]) -> Wanted:
    at = row.ended or row.at
    data = {
        "model": row.model,
        "version": row.to_version,
        "commit": row.commit,
        "at": at,
        "environment": row.environment,
        "how": str(row.how),
        "from": row.from_version,
        "began": row.at,
        "who": row.who,
        "why": row.why,
        "run": row.run_id,
        "digest": row.digest,
        "strategy": row.strategy,
        "forced": row.forced,
        "message": row.message,
        "quarantined": list(quarantined),
    }
    return Wanted(row.commit, at, data, f"{row.how} of {row.model} version {row.to_version} in {row.environment}")


def _masked(each: Wanted, secrets: Iterable[str]) -> Wanted:
    texts = {key: masked(value, secrets) for key, value in each.data.items() if isinstance(value, str)}
    kept = [{**entry, "why": masked(str(entry["why"]), secrets)} for entry in each.data.get("quarantined", ())]
    data = {**each.data, **texts, **({"quarantined": kept} if "quarantined" in each.data else {})}
    return replace(each, data=data)


def deployment_of(record: Record) -> Deployment:
    """Returns the row of the ledger that a record was made of, without its number."""
    data = record.data
    began = _time(data.get("began", record.at))
    return Deployment(
        0, record.name.stage, How(str(data["how"])), DeploymentState.SUCCEEDED, record.model, record.version,
        _version(data["from"]) if data.get("from") is not None else None, began, str(data.get("who", "")),
        str(data.get("why", "")), None, record.commit,
        str(data.get("digest", "")), str(data.get("strategy", "")), bool(data.get("forced")), ended=record.at,
        message=str(data.get("message", "")),
    )  # fmt: skip
