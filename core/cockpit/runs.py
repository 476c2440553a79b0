"""`cockpit.runs`: pipelines and operations, their steps, logs and shells."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..domain.runs import Approval, Run, RunDetail, RunState, Step, Trigger
from ..errors import JournalError, PodiumError
from ..identity.account import account, whoami
from .opened import OpenProject

if TYPE_CHECKING:
    from ..domain.engines.shells import LocalShell, ShellSession
    from ..domain.machines.cluster import ClusterStatus
    from ..domain.machines.machine import MachineStatus
    from ..domain.plans import Plan


class Runs:
    """Reads runs from the journal; starts, stops and approves them."""

    def __init__(self, opened: OpenProject) -> None:
        self._opened = opened

    def list(
        self,
        *,
        limit: int = 50,
        before: int | None = None,
        states: Collection[RunState] = (),
        name: str | None = None,
        search: str | None = None,
    ) -> Sequence[Run]:
        """Returns the runs with an id below `before`, newest first."""
        return self._opened.journal.runs.page(limit=limit, before=before, states=states, name=name, search=search)

    def active(self) -> Sequence[Run]:
        """Returns the runs that have not ended."""
        return self._opened.journal.runs.active()

    def count(self) -> int:
        """Returns how many runs there are."""
        return self._opened.journal.runs.count()

    def get(self, run_id: int) -> RunDetail:
        """Returns a run with its steps; one whose worker is gone is marked interrupted first, where that can be
        written. Raises NotFound if there is no such run."""
        journal = self._opened.journal
        run = journal.runs.get(run_id)
        if not run.state.finished:
            self.recover()
            run = journal.runs.get(run_id)
        return RunDetail(run, tuple(journal.steps.of(run_id)))

    def steps(self, run_id: int) -> Sequence[Step]:
        """Returns the steps of a run."""
        return self._opened.journal.steps.of(run_id)

    def recover(self) -> Sequence[int]:
        """Marks runs whose worker is gone as interrupted; returns their ids. Where nothing can be written (the disk is
        full, read-only, or fails) none is: whoever only looks sees the rows as they are."""
        from ..engine.recovery import recover

        try:
            return recover(self._opened.journal)
        except JournalError:
            return ()

    def start(
        self,
        pipeline: str,
        *,
        params: Mapping[str, str] | None = None,
        jobs: int | None = None,
        why: str = "",
        commit: str | None = None,
        fresh: bool = False,
        verify: bool = False,
    ) -> Run:
        """Writes a run of `pipeline` into the journal and starts its worker. `commit` runs it in a worktree of that
        commit; `fresh` ignores the cache, `verify` reads every input again."""
        from ..engine.submit import submit_pipeline

        self._opened.require_own()
        return submit_pipeline(
            self._opened.current,
            self._opened.journal,
            pipeline,
            params=params or {},
            jobs=jobs,
            trigger=Trigger.PERSON,
            who=whoami(),
            why=why,
            commit=commit,
            fresh=fresh,
            verify=verify,
        )

    def cancel(self, run_id: int, *, why: str = "") -> None:
        """Asks the run's worker to stop; an interrupted run is given up. Raises Refused if the run is already over."""
        from ..engine.submit import cancel

        self._opened.require_own()
        cancel(self._opened.journal, run_id, who=whoami(), why=why)
        self._remove_containers(run_id)

    def plan_resume(self, run_id: int) -> Plan:
        """Returns what the run would do if it went on now; it has changes where a step changes an environment."""
        self.recover()
        return self._plan("resume_run", run_id)

    def resume(self, run_id: int, *, plan: Plan | None = None, confirmed: str = "", why: str = "") -> Run:
        """Continues a run after its last finished step, by the plan that a person has seen or else a new one.

        Raises Refused if the run is still running or succeeded, if an environment that it would change has moved on,
        and if that is protected and `confirmed` is not its name.
        """
        from ..changes import apply

        self._opened.require_own()
        plan = plan or self.plan_resume(run_id)
        run = apply(self._opened.current, self._opened.journal, plan, who=whoami(), confirmed=confirmed, why=why)
        return run or self._opened.journal.runs.get(run_id)

    def plan_approve(self, run_id: int, step: str | None = None) -> Plan:
        """Returns what the step that waits would do. Raises Refused if none does; `step` may be left out when only one
        waits. Where the step asks for accounts of the Git host, the host is asked whose token this person has."""
        from ..run_plans import asks_host

        self.recover()
        login = ""
        if asks_host(self._opened.current, self._opened.journal, run_id, step):
            from ..scm.hosts.person import prove

            login = prove(self._opened.current).login
        return self._plan("approve", run_id, step=step, login=login)

    def approve(
        self, run_id: int, step: str | None = None, *, plan: Plan | None = None, confirmed: str = "", why: str = ""
    ) -> Approval:
        """Approves a waiting step, by the plan that a person has seen or else a new one. Raises Refused as `resume`
        does, and where this person may not."""
        from ..changes import apply

        self._opened.require_own()
        plan = plan or self.plan_approve(run_id, step)
        apply(self._opened.current, self._opened.journal, plan, who=whoami(), confirmed=confirmed, why=why)
        mine = plan.arguments.get("login") or account()
        given = self._opened.journal.runs.approvals(run_id, plan.arguments["step"])
        return next(each for each in given if each.account == mine)

    def approvals_missing(self, approval: Approval) -> int:
        """Returns how many more people have to approve the step."""
        from ..run_plans import approvals_missing

        return approvals_missing(self._opened.current, self._opened.journal, approval.run_id, approval.step)

    def _plan(self, verb: str, run_id: int, **arguments: Any) -> Plan:
        from ..changes import plan

        return plan(self._opened.current, self._opened.journal, verb, str(run_id), **arguments)

    def log(self, run_id: int, step: str) -> Path:
        """Returns the path of the step's log, which may not exist yet."""
        from ..engine.paths import step_log

        return step_log(self._opened.state, run_id, step)

    def worker_log(self, run_id: int) -> Path:
        """Returns the path of the log of the run's worker, which may not exist yet."""
        from ..engine.paths import worker_log

        return worker_log(self._opened.state, run_id)

    def files_gone(self, run_id: int) -> str:
        """Returns why an ended run has no logs (any more): its files were removed. Empty while they are there."""
        from ..domain.text.format import duration
        from ..engine.paths import run_directory

        if run_directory(self._opened.state, run_id).exists() or not self.get(run_id).run.state.finished:
            return ""
        age = duration(self._opened.config.retain.logs)
        return f"the logs of run {run_id} were removed: podium.yaml keeps them for {age} (retain.logs)"

    def shell(self, run_id: int, step: str | None = None) -> LocalShell | ShellSession:
        """Opens a shell in a step's container (the running one, or a copy of the one that the failed step kept), or
        returns how to start one in the directory of a step that was a process. `step` None means the only one that
        failed. Raises NotFound if no container or directory remains. Loads Docker; the caller closes the session."""
        from ..engine.shell import shell

        self._opened.require_own()
        return shell(self._opened.config, self._opened.journal, run_id, step)

    def shell_command(self, run_id: int, step: str, *, program: Sequence[str]) -> Sequence[str]:
        """Returns the command that opens that shell on a terminal of its own. `program` starts Podium's command
        line, which the front end knows."""
        return [*program, "-C", str(self._opened.home), "shell", str(run_id), step]

    def cluster(self) -> ClusterStatus | None:
        """Returns the nodes of the Ray cluster, who uses them, and what waits; None if podium.yaml names none. Asks the
        cluster: raises Unreachable."""
        address = self._opened.config.ray.address
        if not address:
            return None
        from ..engine.executors.ray.cluster import status

        return status(address)

    def machine(self) -> MachineStatus:
        """Returns what steps of all projects have of this machine, and what waits. Asks the driver of its GPUs."""
        from ..host_queue.view import status

        return status()

    def _remove_containers(self, run_id: int) -> None:
        """Starts the removal of the containers that a run kept for a later worker, in the background, once the run
        is over for good; it needs podium.yaml."""
        from ..engine.container_cleanup import tidy

        run = self._opened.journal.runs.get(run_id)
        if run.state.finished:
            with suppress(PodiumError):
                tidy(self._opened.config, run)
