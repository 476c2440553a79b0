"""audit: who did what, when, on what and why; and whether somebody has changed that."""

from __future__ import annotations

import re
import time
from enum import StrEnum
from typing import Annotated

import typer

from ...core.cockpit import Cockpit
from ...core.domain.evidence.anchors import Anchored
from ...core.domain.frozen import Frozen
from ...core.domain.text import clean
from ...core.domain.text.durations import parse_moment
from ...core.domain.text.format import count, local, moment
from ...core.domain.watching import AuditEntry, AuditFilter
from ...core.errors import UsageError
from ..completion import complete_version
from ..options import VERSION_HELP, AnyEnvironment, Output
from ..text import diagnostics, evidence_shapes, output
from ..text.output import Column, Format

_AUDIT = (
    Column("ID", right=True),
    Column("AT"),
    Column("WHO", flexible=True),
    Column("ACTION"),
    Column("SUBJECT", flexible=True),
    Column("WHY", flexible=True),
)


def at(text: str) -> float:
    """Returns the moment of `--since` and `--until`. Raises UsageError."""
    found = parse_moment(text, time.time())
    if found is None:
        raise UsageError(f"{text!r} is no time", hint="say 2h, 7d, 2026-11-23, 2026-11-23T10:00 or 2026-11-23T10:00Z")
    return found


def head(text: str) -> tuple[int, str]:
    """Returns the number and the digest of `12:3f6a…`. Raises UsageError."""
    found = re.fullmatch(r"(\d{1,18}):([0-9a-f]{64}|)", text)
    if found is None:
        raise UsageError(f"{text!r} is no head", hint="`podium audit --verify` prints it: NUMBER:DIGEST")
    return int(found[1]), found[2]


def _text(name: str, help: str) -> typer.models.OptionInfo:
    return typer.Option(f"--{name}", metavar="TEXT", help=help, show_default=False)


def _moment(name: str, help: str) -> typer.models.OptionInfo:
    return typer.Option(f"--{name}", metavar="TIME", parser=at, show_default=False, help=help)


class _What(StrEnum):
    VERIFY = "verify"
    ANCHOR = "anchor"


class FilterOptions(Frozen):
    """Which entries are listed, as options."""

    environment: AnyEnvironment = None
    version: Annotated[
        str,
        typer.Option(
            "--version",
            metavar="VERSION",
            help=f"Only what was about this version. {VERSION_HELP}",
            autocompletion=complete_version,
            show_default=False,
        ),
    ] = ""
    who: Annotated[str, _text("who", "Only what was done by whom TEXT is a part of.")] = ""
    action: Annotated[str, _text("action", "Only this action: promote, run, approve, alias, …")] = ""
    search: Annotated[str, _text("search", "Only entries that mention TEXT.")] = ""
    since: Annotated[
        float | None, _moment("since", "Only later entries: 2h, 7d, 2026-11-23, 2026-11-23T10:00 (local), …Z (UTC).")
    ] = None
    until: Annotated[float | None, _moment("until", "Only earlier entries.")] = None


class CheckOptions(Frozen):
    """How the chain of digests is checked."""

    verify: Annotated[
        bool,
        typer.Option(
            "--verify", help="Compute the chain of digests again; the exit code is 1 if it is broken anywhere."
        ),
    ] = False
    head: Annotated[
        str,
        typer.Option(
            "--head",
            metavar="NUMBER:DIGEST",
            show_default=False,
            help="With --verify: the head that an earlier --verify printed, kept elsewhere. It has to be there.",
        ),
    ] = ""


def audit(
    cockpit: Cockpit,
    only: FilterOptions,
    check: CheckOptions,
    what: Annotated[
        _What | None,
        typer.Argument(
            metavar="[verify|anchor]",
            show_default=False,
            help="verify: as --verify. anchor: keep the head where evidence.anchor says, now.",
        ),
    ] = None,
    why: Annotated[
        str,
        typer.Option(
            "--why",
            metavar="REASON",
            show_default=False,
            help="With anchor: begin anew, although the audit is not what was anchored before.",
        ),
    ] = "",
    all_: Annotated[bool, typer.Option("--all", "-a", help="List all entries.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", metavar="N", min=1, help="List at most N.")] = 50,
    output_format: Output = Format.TABLE,
) -> int:
    """Show the audit, newest first: who did what, when, on what and why. It is append-only; --verify shows whether
    somebody went around that.

    \b
    Example:
      podium audit -e production --since 7d
      podium audit verify
    """
    wanted = _filter(cockpit, only)
    if what is _What.ANCHOR:
        return _anchor(cockpit, why, output_format)
    if why:
        raise UsageError("--why is a reason to anchor anew", hint="podium audit anchor --why TEXT")
    if check.verify or what is _What.VERIFY:
        if wanted != AuditFilter():
            raise UsageError("--verify checks the whole audit and takes no filter")
        return _verify(cockpit, check, output_format)
    if check.head:
        raise UsageError("--head is compared by --verify", hint="podium audit --verify --head NUMBER:DIGEST")
    found = cockpit.project.audit(limit=None if all_ else limit, only=wanted)
    cells = [] if output_format is Format.JSON else [_row(each) for each in found]
    output.rows(output_format, _AUDIT, cells, map(evidence_shapes.audit_entry, found))
    if not found:
        diagnostics.note("no entries" if wanted != AuditFilter() else "nothing was done yet", style="dim")
    return diagnostics.DONE


def _filter(cockpit: Cockpit, only: FilterOptions) -> AuditFilter:
    number = only.version.removeprefix("v")
    # A version that was deleted has entries all the same; only another name needs the registry.
    version = (
        None
        if not only.version
        else int(number)
        if re.fullmatch("[0-9]{1,18}", number)
        else cockpit.models.resolve(
            only.version, cockpit.environments.model_of(only.environment) if only.environment else None
        ).version
    )
    return AuditFilter(only.who, only.action, only.search, only.environment or "", version, only.since, only.until)


def _row(entry: AuditEntry) -> tuple[str, ...]:
    return (str(entry.id), moment(entry.at) or "", entry.who, entry.action, entry.subject, entry.why)


def _anchor(cockpit: Cockpit, why: str, output_format: Format) -> int:
    made = cockpit.project.anchor_audit(why)
    if output_format is Format.JSON:
        output.document(evidence_shapes.anchor(made))
    else:
        output.line(f"head {made.number}:{made.digest}")
    return diagnostics.DONE


def _tell(anchored: Anchored) -> None:
    """Says from when on and against what the audit is held."""
    if anchored.since is None:
        diagnostics.note(
            f"nothing is anchored in {clean(anchored.where)} yet: a chain that was computed anew cannot be told"
        )
        return
    diagnostics.note(
        f"held by {clean(anchored.where)} since {local(anchored.since)}: {count(anchored.anchors, 'anchor')},"
        f" the newest of {local(anchored.until)} with {count(anchored.entries, 'entry', 'entries')}",
        style="dim",
    )
    for words in anchored.began_anew:
        diagnostics.note(f"anchored anew {clean(words)}", style="yellow")


def _verify(cockpit: Cockpit, options: CheckOptions, output_format: Format) -> int:
    check = cockpit.project.check_audit(head(options.head) if options.head else None)
    if output_format is Format.JSON:
        output.document(evidence_shapes.audit_check(check))
    else:
        for problem in check.problems:
            output.line(clean(problem))
        output.line(f"head {check.entries}:{check.head}")
        if check.anchored is not None:
            _tell(check.anchored)
    if check.problems:
        diagnostics.note(f"the audit is broken: {count(len(check.problems), 'problem')}", style="red")
        diagnostics.hint("it was changed without Podium: compare .podium/journal.db with a backup")
        return diagnostics.FAILED
    diagnostics.note(f"the audit is unbroken: {count(check.entries, 'entry', 'entries')}", style="green")
    return diagnostics.DONE
