"""What is noted for the Git host, by podium.yaml; and what it is told when that begins."""

from __future__ import annotations

from ..domain.project import Project
from ..domain.runs import PIPELINE
from ..journal import Journal
from ..journal.telling import Subject


def subjects_of(project: Project) -> frozenset[Subject]:
    """Returns what the host of a project is told."""
    host = project.git.host
    if host is None:
        return frozenset()
    wanted = {
        Subject.STATUS: host.tell.statuses,
        Subject.QUARANTINE: host.tell.statuses,
        Subject.COMMENT: host.tell.comment,
        Subject.DEPLOYMENT: host.tell.deployments,
    }
    return frozenset(subject for subject, told in wanted.items() if told)


def follow(project: Project, journal: Journal) -> None:
    """Has the journal note what this project's host is told. What it was not told before is how things stand now: the
    newest run of each pipeline, what each environment serves, and what is quarantined."""
    subjects = subjects_of(project)
    place = project.git.host.place if project.git.host is not None else ""
    with journal.transaction():
        if not journal.telling.follow(place, subjects) or not subjects:
            return
        for name in project.pipelines:
            for run in journal.runs.page(name=name, kind=PIPELINE, limit=1):
                journal.telling.run(run.id)
        for name in project.environments:
            if (serves := journal.ledger.current(name)) is not None:
                journal.telling.deployment(serves.id)
        for entry in journal.quarantine.all():
            journal.telling.commit(entry.model, entry.version, entry.commit)
