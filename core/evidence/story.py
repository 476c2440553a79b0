"""Gathers what is recorded of a version."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from ..domain.evidence.story import Cell, Section, Story
from ..domain.text.format import moment
from ..errors import PodiumError
from ..logs.masking import masked
from ..version import VERSION
from .sections import judged, origin, served, signed
from .subject import Subject

_SECTIONS: tuple[tuple[str, str, Callable[[Subject], Section]], ...] = (
    ("card", "Model card", origin.card),
    ("commit", "Commit", origin.commit),
    ("data", "Data", origin.data),
    ("runs", "Training", origin.runs),
    ("files", "Model", origin.files),
    ("gates", "Gates and replays", judged.gates),
    ("verdicts", "Verdicts", judged.verdicts),
    ("approvals", "Approvals", judged.approvals),
    ("signatures", "Signatures", signed.signatures),
    ("images", "Images", served.images),
    ("traffic", "Traffic", served.traffic),
    ("alerts", "Alerts", served.alerts),
    ("feedback", "Retrainings", served.feedback),
    ("audit", "Audit", judged.audit),
)


def told(subject: Subject) -> Story:
    """Returns everything that is recorded of a version. What cannot be read is said in its section."""
    written = time.time()
    sections = (_head(subject, written), *(_section(subject, *each) for each in _SECTIONS))
    hidden = tuple(_without_secrets(each, subject.project.secrets) for each in sections)
    project = subject.project.name
    return Story(project, subject.model, subject.number, subject.environment, subject.at, written, hidden)


def _without_secrets(section: Section, secrets: tuple[str, ...]) -> Section:
    """Returns the section with secrets masked: parameters and tags come from trainings, which may have logged one."""

    def hidden(value: Cell) -> Cell:
        return _plain(masked(value, secrets)) if isinstance(value, str) else value

    return replace(
        section,
        facts=tuple((name, hidden(value)) for name, value in section.facts),
        tables=tuple(
            replace(
                table, title=masked(table.title, secrets), rows=tuple(tuple(map(hidden, row)) for row in table.rows)
            )
            for table in section.tables
        ),
        text=_plain(masked(section.text, secrets)),
        missing=tuple(masked(words, secrets) for words in section.missing),
    )


def _plain(text: str) -> str:
    """Returns a text that UTF-8 can hold: what it cannot is written out."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _section(subject: Subject, key: str, title: str, make: Callable[[Subject], Section]) -> Section:
    try:
        return make(subject)
    except (PodiumError, OSError) as error:
        return Section(key, title, missing=(f"it cannot be read: {error}",))


def _head(subject: Subject, written: float) -> Section:
    version = subject.version
    facts: tuple[tuple[str, Cell], ...] = (
        ("project", subject.project.name),
        ("model", subject.model),
        ("version", version.version),
        ("aliases", ", ".join(version.aliases) or None),
        ("digest of its files", version.digest or None),
        ("environment", subject.environment or None),
        ("as of", moment(subject.at)),
        *([("stopped", subject.stopped)] if subject.stopped else []),
        ("written", moment(written)),
        ("written by", f"podium {VERSION}"),
        ("what this is", "a copy of what was recorded; sentences under `not recorded` say what was not"),
    )
    return Section("subject", "Version", facts)
