"""What is noted for the Git host, by podium.yaml; and what it is told when that begins."""

from __future__ import annotations

from ..domain.project import Project
from ..domain.runs import PIPELINE
from ..journal import Journal
from ..journal.telling import Subject


def subjects_of(project: Project) -> frozenset[Subject]:
    """Returns what the host of a project is told, and whether its repository gets tags."""
    host = project.git.host
    tags = frozenset({Subject.TAGS}) if project.git.tags else frozenset[Subject]()
    if host is None:
        return tags
    wanted = {
        Subject.STATUS: host.tell.statuses,
        Subject.QUARANTINE: host.tell.statuses,
        Subject.COMMENT: host.tell.comment,
        Subject.DEPLOYMENT: host.tell.deployments,
    }
    return tags | {subject for subject, told in wanted.items() if told}


def place_of(project: Project) -> str:
    """Returns whom messages are for, as one word."""
    return project.git.host.place if project.git.host is not None else "repository"


def follow(project: Project, journal: Journal) -> None:
    """Has the journal note what this project's host is told. What it was not told before is how things stand now: the
    newest run of each pipeline, what each environment serves, what is quarantined, and all that tags record."""
    subjects = subjects_of(project)
    with journal.transaction():
        if not journal.telling.follow(place_of(project), subjects) or not subjects:
            return
        for name in project.pipelines:
            for run in journal.runs.page(name=name, kind=PIPELINE, limit=1):
                journal.telling.run(run.id)
        for name in project.environments:
            if (serves := journal.ledger.current(name)) is not None:
                journal.telling.deployment(serves.id)
        journal.telling.versions()
        for entry in journal.quarantine.all():
            journal.telling.commit(entry.model, entry.version, entry.commit)
