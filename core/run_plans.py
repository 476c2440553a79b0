"""Plans of what a person asks of a run: that it goes on after it stopped (resume), or past a step that waits (approve).

A step of it that changes an environment is planned as that change would be by itself: it has the same plan, the same
typed name for a protected environment, and is refused if the environment is another one by now. What a person has
agreed to is kept per step (`Agreement`), and the step checks it once more before it changes anything.
"""

from __future__ import annotations

import inspect
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self

from . import plugins
from .delivery.environment.history import model_of
from .delivery.rollout import plans as rollouts
from .domain.access.proof import Proof
from .domain.access.roles import ROLE_OF, Role
from .domain.delivery import How
from .domain.frozen import Frozen
from .domain.infra.settings import CLOUDFORMATION, TERRAFORM
from .domain.plans import RESTS_ON_PREFIX, Change, Plan
from .domain.project import Project, StepSpec
from .domain.runs import Agreement, Approval, Run, Step, StepState
from .domain.text.format import ago, count
from .engine.approvals import Approver, counting, missing, why_not
from .engine.graph import PlannedStep, build
from .engine.plan import operation_step
from .engine.roles import behind
from .engine.roles import why_not as why_no_role
from .engine.run.checkout import is_isolated
from .engine.run.trusted import judge
from .engine.submit import approve, chosen_step, resume, stays
from .errors import NotFound, Refused
from .infra import plans as infra_plans
from .journal import Journal

RESUME = "resume_run"
APPROVE = "approve"
# Before what a plan of infrastructure rests on: no step has this name.
_INFRA = "infra plan."
_ROLLOUTS = frozenset(how.value for how in How)


class _StepChange(Frozen):
    """A step that will change an environment. `plan` is None as long as the version is not known; `next` says that
    everything before it is done. `approval` is the one that still counts, None where the step will wait for one."""

    step: PlannedStep
    environment: str
    protected: bool
    plan: Plan | None
    next: bool
    approval: Approval | None = None

    @property
    def waits(self) -> bool:
        return self.step.spec.approval and self.approval is None


class _RunNow(Frozen):
    """A run as it is now, read once for all its steps."""

    project: Project
    """The project as it is now."""
    own: Project
    """The project as the run has it."""
    journal: Journal
    run: Run
    steps: Sequence[PlannedStep]
    rows: Mapping[str, Step]
    """Name -> the step as the journal has it."""

    @classmethod
    def read(cls, project: Project, journal: Journal, run: Run) -> Self:
        own = _project_of(project, journal, run)
        rows = {row.name: row for row in journal.steps.of(run.id)}
        return cls(project, own, journal, run, _steps(own, run), rows)

    def stays(self, name: str) -> bool:
        return name in self.rows and stays(self.own, self.run, self.rows[name])

    def succeeded(self, name: str) -> Step | None:
        row = self.rows.get(name)
        return row if row is not None and row.state is StepState.SUCCEEDED else None

    def ancestors(self, step: PlannedStep) -> list[str]:
        """Returns the steps before this one, the nearest first."""
        needs = {each.name: each.needs for each in self.steps}
        found: dict[str, None] = {}
        waiting = list(step.needs)
        while waiting:
            name = waiting.pop(0)
            if name not in found:
                found[name] = None
                waiting += needs.get(name, ())
        return list(found)


# The planners of the table in core/plugins.py.


def plan_resume(project: Project, journal: Journal, target: str) -> Plan:
    """Returns what the run would do if it went on now. Refused, as the plan's refusal, where an environment that it
    would change is not what it was when the run stopped."""
    run = _run(journal, target)
    seen = _RunNow.read(project, journal, run)
    left = [step for step in seen.steps if not seen.stays(step.name)]
    changes = [each for step in left if (each := _change_of(seen, step)) is not None]
    now = [change for change in changes if not change.waits]
    plan = Plan(
        target=target,
        verb=RESUME,
        title=f"Resume run {run.id}, {run.title}",
        action="Resume",
        command=f"podium resume {run.id}",
        steps=tuple(_named(step) for step in left),
        kept_in="audit",
        refusal=run.why_not_resume() or next(_not_allowed(seen, now), "") or next(_moved_on(journal, run, now), ""),
        hint=_hint(run, now),
        warnings=(*_waiting(journal, run, changes), *_unready(now)),
    )
    return _with_changes(plan, now)


def plan_approve(project: Project, journal: Journal, target: str, *, step: str | None = None, login: str = "") -> Plan:
    """Returns what the step that waits would do. `step` may be left out where only one waits. `login` is the account
    that the Git host has proved; without it the approval is that of this process's account. Refused where no step
    waits; a refusal of the plan where this person may not approve it."""
    run = _run(journal, target)
    name = chosen_step(journal, run, step)
    seen = _RunNow.read(project, journal, run)
    found = next((each for each in seen.steps if each.name == name), None)
    if found is None:
        raise Refused(f"podium.yaml has no step {name} any more", hint=f"podium cancel {run.id}, then start a new run")
    change = _change_of(seen, found)
    plan = Plan(
        target=target,
        verb=APPROVE,
        title=f"Approve step {name} of run {run.id}",
        action="Approve",
        command=f"podium approve {run.id} {shlex.quote(name)}",
        steps=(_named(found),),
        kept_in="audit",
        arguments={"step": name, "login": login},
        refusal=_why_not_approve(seen, found.spec, change, _approver(login)),
        warnings=_more_approvals(seen, found, _approver(login)),
        hint=f"podium cancel {run.id} gives the run up",
    )
    plan = _with_changes(plan, [change] if change is not None else [])
    return _with_infra(seen, found, plan)


def _with_infra(seen: _RunNow, step: PlannedStep, plan: Plan) -> Plan:
    """Returns the plan with what a step changes of infrastructure. It rests on the plan that waits: another one by the
    time of the approval is refused."""
    infra = seen.own.infra.get(str(step.options.get("infra") or ""))
    if infra is None or step.spec.uses not in (TERRAFORM, CLOUDFORMATION):
        return plan
    found = infra_plans.plan_apply(seen.own, seen.journal, infra.name)
    return replace(
        plan,
        changes=found.changes,
        steps=(*plan.steps, *found.steps),
        warnings=(*plan.warnings, *found.warnings),
        refusal=plan.refusal or found.refusal,
        type_to_confirm=plan.type_to_confirm or found.type_to_confirm,
        rests_on={**plan.rests_on, **{f"{_INFRA}{key}": value for key, value in found.rests_on.items()}},
    )


def apply(project: Project, journal: Journal, plan: Plan, *, who: str, why: str = "") -> Run | None:
    """Carries out a plan that a person has agreed to; returns the run that goes on, None for an approval. Refused if
    the plan would be another one by now."""
    run_id, step = int(plan.target), plan.arguments.get("step")
    again = (
        plan_resume(project, journal, plan.target)
        if plan.verb == RESUME
        else plan_approve(project, journal, plan.target, step=step, login=plan.arguments.get("login") or "")
    )
    if again.refusal:
        raise Refused(again.refusal, hint=again.hint)
    if again.type_to_confirm not in ("", plan.type_to_confirm):
        message, hint = plan.protected_by_now(again.type_to_confirm)
        raise Refused(message, hint=hint)
    for key, before in {**again.rests_on, **plan.rests_on}.items():
        now = again.rests_on.get(key, "none")
        if now != plan.rests_on.get(key, "none"):
            raise Refused(
                f"run {run_id} would do something else by now: {key} was {before} and is {now}",
                hint=f"look at the plan again: {plan.command}",
            )
    agreements = tuple(_agreements(again, run_id, who, why))
    if plan.verb == APPROVE:
        approver = _approver(plan.arguments.get("login") or "")
        approve(journal, run_id, step, who=who, why=why, approver=approver, agreements=agreements)
        return None
    _withdraw(project, journal, journal.runs.get(run_id))
    return resume(project, journal, run_id, who, agreements=agreements)


# What the run would do


def _run(journal: Journal, target: str) -> Run:
    if not target.isdecimal() or len(target) > 18:
        raise NotFound(f"there is no run {target!r}", hint="`podium ps` lists the runs")
    return journal.runs.get(int(target))


def _project_of(project: Project, journal: Journal, run: Run) -> Project:
    """Returns the project as the run has it: a pushed commit's is in its own directory, and trusted in part."""
    workspace = Path(run.workspace or project.home)
    if not is_isolated(run, project.home) or not (workspace / "podium.yaml").is_file():
        return project
    return judge(project, journal, run, workspace).project


def _steps(project: Project, run: Run) -> Sequence[PlannedStep]:
    if run.is_operation:
        return (operation_step(run, project),)
    pipeline = project.pipelines.get(run.name)
    return build(pipeline, run.params) if pipeline is not None else ()


def _change_of(seen: _RunNow, step: PlannedStep) -> _StepChange | None:
    """Returns what the step will do to an environment; None for a step that changes none."""
    uses, name = step.spec.uses, str(step.options.get("environment") or "")
    if not plugins.known("planners", uses) or name not in seen.own.environments:
        return None
    ready = all(seen.succeeded(need) for need in seen.ancestors(step))
    # A commit must not take the protection away that the project has now.
    now = seen.project.environments.get(name)
    protected = seen.own.environments[name].protected or (now is not None and now.protected)
    change = _StepChange(step, name, protected, _planned(seen, step, name, ready=ready), ready)
    return replace(change, approval=_standing(seen.journal, seen.run, change)) if step.spec.approval else change


def _planned(seen: _RunNow, step: PlannedStep, name: str, *, ready: bool) -> Plan | None:
    own, journal, uses = seen.own, seen.journal, step.spec.uses
    if uses not in _ROLLOUTS:
        return _planned_by_verb(own, journal, uses, name, str(step.options.get("restart") or ""))
    version = rollouts.parse_version(step.options.get("version"))
    if version is None and uses in (How.DEPLOY, How.PROMOTE):
        version = _reported(seen, step, model_of(own, journal, name))
    if version is None and not ready:
        return None
    try:
        return rollouts.plan(own, journal, How(uses), name, version)
    except NotFound:
        return None  # the step says so; the typed name is asked for all the same


def _planned_by_verb(own: Project, journal: Journal, verb: str, name: str, replica: str) -> Plan | None:
    """Returns the plan of a change that is about no version; None where its planner wants more than is known here."""
    planner = plugins.load("planners", "restart" if replica else verb)
    given = {"replica": replica} if replica else {}
    try:
        inspect.signature(planner).bind(own, journal, name, **given)
    except TypeError:
        return None
    try:
        return planner(own, journal, name, **given)
    except NotFound:
        return None


def _reported(seen: _RunNow, step: PlannedStep, model: str) -> int | None:
    """Returns the version of the model that the nearest earlier step has reported; None where none has yet."""
    for name in seen.ancestors(step):
        row = seen.succeeded(name)
        if row is not None and "version" in row.results and row.results.get("model", model) == model:
            return rollouts.parse_version(row.results["version"])
    return None


def _forced(change: _StepChange) -> bool:
    return bool(change.step.options.get("force")) and change.plan is not None and change.plan.overridable


# Approvals


def _standing(journal: Journal, run: Run, change: _StepChange) -> Approval | None:
    """Returns the last of the step's approvals, if all that it needs still count: they have not expired, and what they
    were about is the same."""
    counted = counting(change.step.spec, journal.runs.approvals(run.id, change.step.name), time.time())
    agreement = journal.agreements.get(run.id, change.step.name)
    if missing(change.step.spec, counted):
        return None
    if agreement is not None and change.plan is not None and not agreement.fits(change.plan):
        return None
    return counted[-1]


def _approver(login: str) -> Approver:
    return Approver(login, Proof.HOST) if login else Approver.here()


def asks_host(project: Project, journal: Journal, run_id: int, step: str | None) -> bool:
    """Tells whether the step that waits takes accounts of the Git host only."""
    run = journal.runs.get(run_id)
    name = chosen_step(journal, run, step)
    seen = _RunNow.read(project, journal, run)
    return any(each.name == name and each.spec.approvers.proof is Proof.HOST for each in seen.steps)


def approvals_missing(project: Project, journal: Journal, run_id: int, step: str) -> int:
    """Returns how many more people have to approve a step of a run."""
    seen = _RunNow.read(project, journal, journal.runs.get(run_id))
    spec = next((each.spec for each in seen.steps if each.name == step), None)
    given = journal.runs.approvals(run_id, step)
    return missing(spec, counting(spec, given, time.time())) if spec is not None else 0


def _why_not_approve(seen: _RunNow, spec: StepSpec, change: _StepChange | None, approver: Approver) -> str:
    refusal = change.plan.refusal if change is not None and change.plan is not None and not _forced(change) else ""
    role = why_no_role(seen.own, change.environment, Role.APPROVE, [Approver.here()])[0] if change is not None else ""
    return refusal or role or why_not(spec.approvers, approver, seen.run, seen.project.home)


def _more_approvals(seen: _RunNow, step: PlannedStep, approver: Approver) -> tuple[str, ...]:
    """Says how many more people have to approve once this one has."""
    given = seen.journal.runs.approvals(seen.run.id, step.name)
    counted = counting(step.spec, given, time.time())
    mine = (approver.account, approver.proof)
    others = [each for each in counted if (each.account, each.proof) != mine]
    own = Approval(
        seen.run.id, step.name, approver.account, time.time(), account=approver.account, proof=approver.proof
    )
    left = missing(step.spec, [*others, own])
    if not left:
        return ()
    return (f"{count(left, 'more person has', 'more people have')} to approve it before the step starts",)


def _withdraw(project: Project, journal: Journal, run: Run) -> None:
    """Takes back the approvals that do not count any more: their steps wait for another one."""
    seen = _RunNow.read(project, journal, run)
    for step in seen.steps:
        change = _change_of(seen, step)
        if change is not None and change.waits:
            journal.runs.withdraw_approvals(run.id, step.name)


def _waiting(journal: Journal, run: Run, changes: Sequence[_StepChange]) -> Iterator[str]:
    for change in changes:
        if not change.waits:
            continue
        old = journal.runs.approval(run.id, change.step.name)
        given = f": the approval by {old.who}, {ago(old.at)}, does not count any more" if old is not None else ""
        yield f"{change.step.name} waits for an approval before it changes {change.environment}{given}"


# What is said of it


def _named(step: PlannedStep) -> str:
    return f"{step.name}: {step.spec.uses}" if step.spec.uses else f"{step.name}: {step.command.splitlines()[0]}"


def _with_changes(plan: Plan, changes: Sequence[_StepChange]) -> Plan:
    """Returns the plan with what its steps change. Several protected environments have to be typed one after the
    other."""
    planned = [change for change in changes if change.plan is not None]
    names = sorted({change.environment for change in changes if change.protected})
    only = planned[0].plan if len(planned) == 1 else None
    return replace(
        plan,
        changes=tuple(each for change in changes for each in _changes(change)),
        steps=(*plan.steps, *(only.steps if only is not None else ())),
        warnings=(*plan.warnings, *(text for change in planned if change.plan for text in change.plan.warnings)),
        differences=only.differences if only is not None else (),
        versions=only.versions if only is not None else None,
        expected_seconds=only.expected_seconds if only is not None else None,
        type_to_confirm=" ".join(names),
        rests_on=_rests_on(changes),
    )


def _rests_on(changes: Sequence[_StepChange]) -> dict[str, str]:
    """Returns `step.key` -> what each step rests on. What an earlier step of the run changes itself, its environment or
    its gate's verdict, cannot be held against a later one."""
    found: dict[str, str] = {}
    environments: set[str] = set()
    for change in changes:
        if change.plan is None:
            continue
        changing = {"serving", "deployment", "state"} if change.environment in environments else set[str]()
        changing |= set() if change.next else {"gate"}
        environments.add(change.environment)
        kept = {key: value for key, value in change.plan.rests_on.items() if key not in changing}
        found |= {f"{change.step.name}.{key}": value for key, value in {**_about(change.plan), **kept}.items()}
    return found


def _about(plan: Plan) -> dict[str, str]:
    version = plan.versions.version if plan.versions is not None else ""
    return {"environment": plan.target, "version": str(version)}


def _changes(change: _StepChange) -> Sequence[Change]:
    if change.plan is None:
        return (Change(f"traffic of {change.environment}", "what serves then", "the version that this run makes"),)
    return change.plan.changes


def _not_allowed(seen: _RunNow, changes: Sequence[_StepChange]) -> Iterator[str]:
    """Yields why this account, as which the run would go on, may not make its changes; an approval may stand for it."""
    for change in changes:
        role = ROLE_OF.get(change.step.spec.uses)
        if role is not None:
            people = behind(seen.own, seen.journal, seen.run, change.step.name, time.time())
            if message := why_no_role(seen.own, change.environment, role, people)[0]:
                yield message


def _moved_on(journal: Journal, run: Run, changes: Sequence[_StepChange]) -> Iterator[str]:
    """Yields why an environment is not what it was when the run stopped."""
    for change in changes:
        if change.plan is None:
            continue
        for key, now in change.plan.rests_on.items():
            before = run.params.get(RESTS_ON_PREFIX + key, now)
            if before != now:
                yield f"{change.environment} changed since this was planned: {key} was {before} and is {now}"
        current = journal.ledger.current(change.environment)
        stopped = run.ended or run.created
        if current is not None and current.run_id != run.id and (current.ended or current.at) > stopped:
            by = f"run {current.run_id}" if current.run_id is not None else current.who
            yield (
                f"{change.environment} has moved on since run {run.id} stopped: {by} brought version"
                f" {current.to_version} there {ago(current.ended or current.at)} ({current.how})"
            )
        if change.plan.refusal and change.next and not _forced(change):
            yield change.plan.refusal


def _unready(changes: Sequence[_StepChange]) -> Iterator[str]:
    """Yields what would refuse a step that is not next: what comes before it may change that."""
    for change in changes:
        if change.plan is not None and change.plan.refusal and not change.next:
            yield f"{change.step.name} would be refused as things are: {change.plan.refusal}"


def _hint(run: Run, changes: Sequence[_StepChange]) -> str:
    if not run.state.finished:
        return f"`podium logs -f {run.id}` follows it, `podium cancel {run.id}` ends it"
    if run.why_not_resume():
        return f"start a new one: podium run {run.name}"
    commands = [change.plan.command for change in changes if change.plan is not None]
    return f"plan it anew: {commands[0]}" if commands else ""


def _agreements(plan: Plan, run_id: int, who: str, why: str) -> Iterator[Agreement]:
    """Yields what was agreed to for each step that changes an environment."""
    steps: dict[str, dict[str, str]] = {}
    for key, value in plan.rests_on.items():
        step, _, name = key.rpartition(".")
        steps.setdefault(step, {})[name] = value
    steps.pop(_INFRA.rstrip("."), None)  # its step looks at the plan itself
    for step, seen in steps.items():
        environment, version = seen.pop("environment"), seen.pop("version")
        yield Agreement(run_id, step, plan.verb, who, time.time(), why, environment, version, seen)
