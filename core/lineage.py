"""The lineage row: links commit, run, MLflow run, version, files and replicas, found from any of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from .delivery.environment.history import model_of
from .delivery.environment.registry_view import RegistryView
from .domain.containers import Image
from .domain.delivery import Replica, ReplicaState
from .domain.models import Lineage, Version
from .domain.project import Project
from .domain.runs import Run
from .domain.scm import CommitVersion, Served
from .domain.verdicts import VersionVerdict
from .errors import NotFound
from .journal import Journal
from .journal.versions import MIN_COMMIT_LENGTH


def rows(journal: Journal, project: Project, of: str) -> list[Lineage]:
    """Returns the rows of a version (`3`, `v3`, an alias; `NAME:3` of one model, otherwise of each that podium.yaml
    names), a commit (seven characters or more), `run:12` or an environment's name; newest version first.

    A version that several environments serve has a row for each. Raises NotFound if nothing matches.
    """
    if of in project.environments:
        found = _in_environment(journal, project, of)
        if not found:
            raise NotFound(
                f"environment {of} serves nothing yet", hint="deploy a version with `podium deploy` or `podium promote`"
            )
        return found
    run = _run(journal, of)
    if run is not None:
        made = [each for model in project.models for each in journal.versions.made_by(model, run.id)]
        return _rows_of(journal, project, made) or [_bare(project, run.commit, run.id)]
    model, colon, text = of.rpartition(":")
    versions = [each for name in ([model] if colon else project.models) for each in _named(journal, name, text)]
    if versions:
        return _rows_of(journal, project, versions)
    runs = _runs_of_commit(journal, of)
    if runs:
        return [_bare(project, run.commit, run.id) for run in runs]
    raise NotFound(
        f"nothing is known of {of!r}",
        hint="name a version (3, v3), an alias, a commit (7 characters or more), run:12 or an environment",
    )


def made_from(journal: Journal, project: Project | None, commits: Collection[str]) -> dict[str, list[CommitVersion]]:
    """Returns commit -> the versions that were made from it, newest first, and where each serves. Without a project
    nothing is known of versions."""
    if project is None:
        return {}
    found: dict[str, list[CommitVersion]] = {}
    quarantined, several = journal.quarantine.all(), len(project.models) > 1
    for model in project.models:
        made = journal.versions.made_from(model, commits)
        replicas = _replicas(journal, project, model) if made else {}
        kept = {each.version: each.why or "quarantined" for each in quarantined if each.model == model}
        for commit, versions in made.items():
            found.setdefault(commit, []).extend(
                CommitVersion(
                    version, aliases, _served(replicas, version), kept.get(version, ""), model if several else ""
                )
                for version, aliases in versions
            )
    return found


def _replicas(journal: Journal, project: Project, model: str) -> dict[str, list[Replica]]:
    """Returns the replicas of each environment that serves the model."""
    names = (name for name in project.environments if model_of(project, journal, name) == model)
    return {name: journal.replicas.of(name) for name in names}


def _served(replicas: Mapping[str, Sequence[Replica]], version: int) -> tuple[Served, ...]:
    return tuple(
        Served(name, _share(each, version))
        for name, each in replicas.items()
        if any(replica.version == version for replica in each)
    )


def _share(replicas: Sequence[Replica], version: int) -> float:
    """Returns the version's share of an environment's traffic, from 0 to 1."""
    taking = [replica for replica in replicas if replica.state is ReplicaState.READY]
    total = sum(replica.weight for replica in taking)
    return sum(replica.weight for replica in taking if replica.version == version) / total if total else 0.0


def _named(journal: Journal, model: str, text: str) -> list[Version]:
    """Returns the versions that the text names. As many digits as a commit's beginning has are one."""
    number = text.removeprefix("v")
    if number.isdecimal() and len(number) < MIN_COMMIT_LENGTH:
        return journal.versions.some(model, [int(number)])
    return journal.versions.matching(model, text)


def _run(journal: Journal, of: str) -> Run | None:
    kind, colon, number = of.partition(":")
    if kind == "run" and colon and number.isdecimal() and len(number) <= 18:
        return journal.runs.get(int(number))
    return None


def _runs_of_commit(journal: Journal, commit: str) -> list[Run]:
    """Returns the runs at a commit that produced no version, newest first."""
    if len(commit) < MIN_COMMIT_LENGTH:
        return []
    return [run for run in journal.runs.page(limit=50, search=commit) if run.commit.startswith(commit)]


def _rows_of(journal: Journal, project: Project, versions: Sequence[Version]) -> list[Lineage]:
    found: list[Lineage] = []
    for model in dict.fromkeys(version.model for version in versions):
        own = [version for version in versions if version.model == model]
        replicas = _replicas(journal, project, model)
        images = _images(journal, model, {version.version for version in own})
        for version in own:
            served = [
                _row(version, name, each, images)
                for name, each in replicas.items()
                if any(replica.version == version.version for replica in each)
            ]
            found += served or [_row(version, "", (), images)]
    return _judged(journal, found)


def _judged(journal: Journal, rows: Sequence[Lineage]) -> list[Lineage]:
    """Returns the rows with what their versions met, which is read once for each model."""
    verdicts: dict[tuple[str, int], Sequence[VersionVerdict]] = {}
    for model in {row.model for row in rows}:
        numbers = [row.version for row in rows if row.version is not None and row.model == model]
        if numbers:
            met = journal.verdicts.between(model, min(numbers), max(numbers))
            verdicts |= {(model, number): each for number, each in met.items()}
    return [
        row if row.version is None else replace(row, verdicts=verdicts.get((row.model, row.version), ()))
        for row in rows
    ]


def _in_environment(journal: Journal, project: Project, environment: str) -> list[Lineage]:
    replicas = journal.replicas.of(environment)
    model = model_of(project, journal, environment)
    current = journal.ledger.current(environment)
    current = current if current is not None and current.model == model else None
    numbers = {replica.version for replica in replicas} | ({current.to_version} if current else set[int]())
    registry = RegistryView.load(journal, model)
    images = _images(journal, model, numbers)
    found: list[Lineage] = []
    for number in sorted(numbers, reverse=True):
        version = registry.version(number)
        if version is None and current is not None and current.to_version == number:
            # The registry forgot it, or was never seen: the ledger still knows what it put there.
            version = Version(
                current.model, number, current.at, commit=current.commit, run_id=current.run_id, digest=current.digest
            )
        found.append(_row(version or Version(model, number, 0.0), environment, replicas, images))
    return _judged(journal, found)


def _images(journal: Journal, model: str, versions: Collection[int]) -> list[Image]:
    """Returns the images of these versions on all engines. If several engines have a version's image, the last one in
    the list counts: a pushed one, else the newest."""
    found = [image for version in versions for image in journal.images.of(model, version)]
    return sorted(found, key=lambda image: (bool(image.digest), image.built))


def _image(version: Version, own: Sequence[Replica], images: Sequence[Image]) -> str:
    """Returns the image that the version's replicas run, else the one that they would be started from."""
    running = next((replica.image for replica in own if replica.image), "")
    named = [
        image.reference
        for image in images
        if image.version == version.version and running in ("", image.image_id, image.reference)
    ]
    return named[-1] if named else running


def _row(version: Version, environment: str, replicas: Sequence[Replica], images: Sequence[Image]) -> Lineage:
    own = [replica for replica in replicas if replica.version == version.version]
    digest = version.digest or next((replica.digest for replica in own if replica.digest), "")
    return Lineage(
        commit=version.commit,
        run_id=version.run_id,
        mlflow_run=version.mlflow_run,
        model=version.model,
        version=version.version,
        digest=digest,
        environment=environment,
        replicas=tuple(replica.id for replica in own),
        share=_share(replicas, version.version),
        aliases=version.aliases,
        verdict=version.verdict,
        image=_image(version, own, images),
        learned=version.learned,
    )


def _bare(project: Project, commit: str, run_id: int | None) -> Lineage:
    return Lineage(commit=commit, run_id=run_id, mlflow_run="", model=project.mlflow.model, version=None, digest="")
