"""The JSON of the audit, of evidence and of its signatures."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ...core.domain.text.format import moment

if TYPE_CHECKING:
    from ...core.domain.evidence.anchors import Anchor, Anchored
    from ...core.domain.evidence.proof import Bundle, Proof, SignedVersion
    from ...core.domain.evidence.why import WhyLine
    from ...core.domain.watching import AuditCheck, AuditEntry


def bundle(one: Bundle) -> dict[str, Any]:
    return {**asdict(one), "files": list(one.files), "missing": list(one.missing)}


def proof(one: Proof) -> dict[str, Any]:
    return {
        **asdict(one),
        "standing": one.standing.value,
        "problems": list(one.problems),
        "checked": list(one.checked),
        "good": one.good,
    }


def signed_version(one: SignedVersion) -> dict[str, Any]:
    return asdict(one)


def why_line(one: WhyLine) -> dict[str, Any]:
    return {"what": one.what, "words": one.words, "command": one.command}


def audit_entry(entry: AuditEntry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "at": moment(entry.at),
        "who": entry.who,
        "action": entry.action,
        "subject": entry.subject,
        "why": entry.why,
        "digest": entry.digest,
    }


def audit_check(check: AuditCheck) -> dict[str, Any]:
    return {
        "intact": check.intact,
        "entries": check.entries,
        "head": check.head,
        "problems": list(check.problems),
        "anchored": None if check.anchored is None else _anchored(check.anchored),
    }


def _anchored(one: Anchored) -> dict[str, Any]:
    lists = {"began_anew": list(one.began_anew), "problems": list(one.problems)}
    return {**asdict(one), "since": moment(one.since), "until": moment(one.until), **lists}


def anchor(one: Anchor) -> dict[str, Any]:
    return {**asdict(one), "at": moment(one.at)}
