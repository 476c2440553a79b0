"""`cockpit.project`: podium.yaml, the audit, and the health of everything that the project depends on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from ..errors import ConfigError
from .opened import OpenProject

if TYPE_CHECKING:
    from pathlib import Path

    from ..domain.attention import Need
    from ..domain.delivery import EnvironmentStatus
    from ..domain.evidence.anchors import Anchor, Anchored
    from ..domain.plans import Plan
    from ..domain.project import Project
    from ..domain.watching import AuditCheck, AuditEntry, AuditFilter, Backup, Finding, KindUsage
    from ..errors import Problem


class ProjectFiles:
    """Reads the project's own files."""

    def __init__(self, opened: OpenProject) -> None:
        self._opened = opened

    @property
    def config(self) -> Project:
        """Returns the project as podium.yaml describes it, for reading: by its last good content while it is broken
        (see `problems`). Raises ConfigError with every problem found if there is none."""
        return self._opened.config

    @property
    def problems(self) -> Sequence[Problem]:
        """Returns what is wrong with podium.yaml now; empty while it can be used."""
        error = self._opened.latest.error()
        return error.problems if error is not None else ()

    def reload(self) -> Project:
        """Returns the project as podium.yaml describes it now. Raises ConfigError while it cannot be used."""
        return self._opened.current

    def missing(self) -> Sequence[Problem]:
        """Returns what podium.yaml names, is not there, and is written by nothing, and certificates that cannot be
        used: what needs them can only fail."""
        from ..config.presence import missing
        from ..delivery.environment.front import problems

        return [*missing(self._opened.current), *problems(self._opened.current)]

    def removed(self) -> Mapping[str, int]:
        """Returns, by name, the replicas of each environment that podium.yaml has no more although it serves."""
        from ..attention import removed

        return removed(self._opened.config, self._opened.journal)

    @property
    def copy_of(self) -> str:
        """Returns where the project is that this one is a copy of, which nobody has adopted; empty for any other."""
        return self._opened.settled.copy_of

    def plan_adoption(self) -> Plan:
        """Returns the plan that makes a copy a project of its own: what it gives up."""
        from ..adoption.copies import plan

        return plan(self._opened.home)

    def adopt(self, plan: Plan) -> None:
        """Applies that plan. Raises Refused if this is no copy."""
        from ..changes import ensure_agreed

        ensure_agreed(plan)
        self._opened.adopt()

    def name_server(self, address: str) -> str:
        """Notes that a person named the server at `address`: it may get credentials from this project. Returns the
        address as it is noted. UsageError if it is none."""
        from ..named_hosts import name

        return name(self._opened.home, address)

    def plan_unlock(self, name: str) -> Plan:
        """Returns the plan that takes a lock from its holder. Raises NotFound if nothing of that name is locked."""
        from ..unlock import plan

        self._opened.require_own()
        return plan(self._opened.journal, name)

    def unlock(self, plan: Plan, why: str = "") -> None:
        """Applies that plan. Raises Refused while the holder runs on this machine."""
        from ..changes import ensure_agreed
        from ..unlock import unlock

        self._opened.require_own()
        ensure_agreed(plan)
        unlock(self._opened.journal, plan, why)

    def needs(self, environments: Iterable[EnvironmentStatus]) -> Sequence[Need]:
        """Returns everything that needs a person's attention, the most urgent first. `environments` is the result of
        `environments.list()`, which the caller already has."""
        from ..attention import gather

        return gather(self._opened.config, self._opened.journal, environments, problems=self.problems)

    def audit(
        self, *, limit: int | None = 50, before: int | None = None, only: AuditFilter | None = None
    ) -> Sequence[AuditEntry]:
        """Returns the audit's entries with an id below `before`, newest first; `limit` None is all of them. Raises
        NotFound if `only` names an environment that neither podium.yaml nor the audit knows."""
        found = self._opened.journal.audit.page(limit, before, only)
        if not found and before is None and only is not None and only.environment:
            from ..domain.watching import AuditFilter

            if not self._opened.journal.audit.page(1, only=AuditFilter(environment=only.environment)):
                self._opened.config.environment(only.environment)
        return found

    def check_audit(self, known: tuple[int, str] | None = None) -> AuditCheck:
        """Computes the audit's whole chain again; returns where it is broken. `known` is a head that was kept
        elsewhere, as (number, digest)."""
        from ..domain.watching import AuditCheck

        audit = self._opened.journal.audit
        number, digest = audit.head()
        anchored = self._anchored()
        problems = (*audit.verify(known), *(anchored.problems if anchored is not None else ()))
        return AuditCheck(number, digest, problems, anchored)

    def _anchored(self) -> Anchored | None:
        from ..anchoring.anchoring import compared

        try:
            return compared(self._opened.config, self._opened.journal)
        except ConfigError:
            return None  # where the anchors are, nobody can tell

    def anchor_audit(self, why: str = "") -> Anchor:
        """Keeps the audit's head where podium.yaml says. With a reason, although the chain is not what was anchored
        before: then it begins anew, and everybody who verifies it is told."""
        from ..anchoring.anchoring import anchor
        from ..identity.account import whoami

        self._opened.require_own()
        if why:
            self._opened.journal.audit.add(whoami(), "anchor", "audit", why)
        return anchor(self._opened.config, self._opened.journal, whoami(), anew=why)

    def backup(self, file: Path, *, captures: bool = False) -> Backup:
        """Writes a backup of the project's state to a new file, consistent while everything runs. Refused if the file
        exists."""
        from ..backup.write import write

        return write(self._opened.config, file, captures=captures)

    def usage(self) -> Sequence[KindUsage]:
        """Returns what each kind of data below `.podium/` takes, the largest first."""
        from ..retention.usage import usage

        return usage(self._opened.config, self._opened.journal)

    def online(self) -> Sequence[Finding]:
        """Asks the servers that podium.yaml names whether they accept us; returns what they say."""
        from ..doctor import online

        return online(self._opened.current)

    def doctor(self) -> Sequence[Finding]:
        """Examines everything that the project depends on; returns the problems and what to do about them."""
        from ..doctor import examine

        return examine(self._opened)
