"""`cockpit.infra`: infrastructure that Terraform or CloudFormation describes. To apply and to approve a plan are
changes (`cockpit.changes`, the verbs `infra-apply` and `infra-approve`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..identity.account import whoami
from .opened import OpenProject

if TYPE_CHECKING:
    from ..domain.infra.plan import InfraPlan, InfraStatus, Output
    from ..domain.runs import Run


class Infrastructure:
    """Shows infrastructure, has it planned and looked at."""

    def __init__(self, opened: OpenProject) -> None:
        self._opened = opened

    def list(self) -> Sequence[InfraStatus]:
        """Returns how all of it is, as far as it is known without asking a tool: what others need comes first."""
        from ..infra.status import status_of

        return [status_of(self._opened.config, self._opened.journal, name) for name in self.names()]

    def status(self, name: str) -> InfraStatus:
        """Returns how one is. Raises NotFound for an unknown name."""
        from ..infra.status import status_of

        return status_of(self._opened.config, self._opened.journal, name)

    def names(self, name: str | None = None) -> Sequence[str]:
        """Returns one name or all, so that each comes after those it needs. Raises NotFound for an unknown name."""
        from ..infra.order import in_order

        return in_order(self._opened.config, [name] if name else [])

    def plan(self, name: str, *, destroy: bool = False, why: str = "") -> Run:
        """Starts the run that makes a plan; a plan that waits is replaced. Raises NotFound for an unknown name."""
        return self._started("infra-plan", name, why, {"destroy": "true"} if destroy else {})

    def drift(self, name: str, *, why: str = "") -> Run:
        """Starts the run that looks at what differs from what was applied."""
        return self._started("infra-drift", name, why, {})

    def waiting(self, name: str) -> InfraPlan | None:
        """Returns the plan that waits to be applied; None for none, and where the outputs that it was made of have
        changed since."""
        from ..infra.changes import inputs_of
        from ..infra.order import of

        plan = self.status(name).plan
        current = inputs_of(self._opened.config, of(self._opened.config, name))
        return plan if plan is not None and plan.inputs == current else None

    def drifted(self, name: str) -> InfraPlan | None:
        """Returns what differed when that was last looked at; None where it never was."""
        from ..infra.order import of
        from ..infra.saved import Saved

        return Saved(self._opened.state, of(self._opened.config, name).name).drift()

    def runs(self, limit: int = 60) -> Sequence[Run]:
        """Returns the latest runs of plans, applies and looks for drift, the newest first."""
        kinds = ("infra-apply", "infra-plan", "infra-drift")
        found = [run for kind in kinds for run in self._opened.journal.runs.page(kind=kind, limit=limit)]
        return sorted(found, key=lambda run: run.id, reverse=True)[:limit]

    def outputs(self, name: str) -> Sequence[Output]:
        """Asks the tool for the outputs as they are now, keeps those that are not sensitive, and returns them."""
        from ..infra.changes import read_outputs
        from ..infra.order import of

        self._opened.require_own()
        return read_outputs(self._opened.current, self._opened.journal, of(self._opened.current, name), who=whoami())

    def _started(self, kind: str, name: str, why: str, params: dict[str, str]) -> Run:
        from ..engine.submit import submit_operation
        from ..infra.order import of

        self._opened.require_own()
        project = self._opened.current
        infra = of(project, name)
        return submit_operation(project, self._opened.journal, kind, infra.name, params=params, who=whoami(), why=why)
