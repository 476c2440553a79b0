"""A release on the Git host for each version that was promoted, at the version's tag, with notes."""

from __future__ import annotations

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
    """Makes the releases that are missing, oldest first; the host leaves one alone that is there."""
    if HostFeature.RELEASES in host.missing:
        return
    versions = {each.version: each for each in found.believed if each.is_version}
    for record in found.believed:
        version = versions.get(record.version)
        if record.is_version or version is None or record.data.get("how") != "promote":
            continue
        key = f"{_RELEASED}{version.tag}"
        if journal.values.get(key) is None:
            url = host.create_release(
                version.tag, f"{record.model} version {record.version}", notes(project, journal, record)
            )
            journal.values.set(key, url)


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
