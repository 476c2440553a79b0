"""Who has signed that a version may be served, here or on another machine."""

from __future__ import annotations

from ...domain.evidence.story import Section, Table
from ...domain.text.format import moment
from ...signatures import required
from ..subject import Subject


def signatures(subject: Subject) -> Section:
    """Returns the statements about the version that are kept here, and whether they count now."""
    found = required.seen(subject.project, subject.model, subject.number)
    columns = ("statement", "signed by", "why it does not count", "files", "images", "here since")
    rows = tuple(
        (each.name, each.signer or None, each.problem or None, each.files, each.images, moment(each.since))
        for each in found
    )
    tables = (Table("statements", "Signed that it may be served", columns, rows),) if rows else ()
    return Section("signatures", "Signatures", (("statements that it may be served", len(rows)),), tables)
