"""A release on the Git host for each version that was promoted, at the version's tag, with notes."""

from __future__ import annotations

from collections.abc import Mapping

from ..domain.hosts import HostFeature
from ..domain.project import Project
from ..domain.text.format import when
from ..journal import Journal
from ..logs.masking import masked
from ..scm.hosts import GitHost
from .comment import gate_lines
from .markdown import code
from .records import Record, Records

_RELEASED = "released "


def tell_releases(host: GitHost, project: Project, journal: Journal, found: Records) -> None:
    """Makes the releases that are missing, oldest first; the host leaves one alone that is there. A host that has not
    got the tag yet would make one of that name of its own, at another commit: that release waits."""
    missing = [] if HostFeature.RELEASES in host.missing else _missing(journal, found)
    there: Mapping[str, str] = host.tags() if missing else {}
    for version, record in missing:
        if there.get(version.tag) == version.commit:
            title = f"{record.model} version {record.version}"
            url = host.create_release(version.tag, title, notes(project, journal, record))
            journal.values.set(f"{_RELEASED}{version.tag}", url)


def _missing(journal: Journal, found: Records) -> list[tuple[Record, Record]]:
    """Returns (version, its promotion) of what was promoted and has no release."""
    versions = {each.version: each for each in found.believed if each.is_version}
    promoted = {
        each.version: each for each in found.believed if not each.is_version and each.data.get("how") == "promote"
    }
    pairs = [(versions[number], record) for number, record in promoted.items() if number in versions]
    return [pair for pair in pairs if journal.values.get(f"{_RELEASED}{pair[0].tag}") is None]


def notes(project: Project, journal: Journal, record: Record) -> str:
    """Returns what a release says: who promoted the version, where, when and why, and its last gate's report."""
    why = masked(str(record.data.get("why", "")), project.secrets)
    who = code(str(record.data.get("who", "")))
    lines = [
        f"{code(record.model)} version {record.version} of commit {code(record.commit[:9])}, promoted to"
        f" {code(record.name.stage)} by {who} at {when(record.at)}" + (f": {code(why)}" if why else "") + "."
    ]
    report = journal.gates.latest(record.model, record.version)
    lines += gate_lines(report, project.secrets) if report is not None else []
    return "\n".join([*lines, "", f"More: `podium lineage {record.version}`"]) + "\n"
