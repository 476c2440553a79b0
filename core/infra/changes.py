"""Planning, applying and looking at one infrastructure, whatever its tool: what is kept, who has to agree, and that
nothing is applied twice."""

from __future__ import annotations

import hashlib
import json
import shlex
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from .. import plugins
from ..config.infra.outputs import kept, names
from ..config.infra.references import wanted
from ..domain.frozen import Frozen
from ..domain.infra.plan import InfraPlan, Judgement, Output
from ..domain.infra.rules import Decision
from ..domain.infra.settings import Infra
from ..domain.project import Project
from ..errors import PodiumError, Refused, RunFailed
from ..journal import Journal
from . import CutShort, InfraTool, Say, approvals
from .saved import Saved


class Agreed(Frozen):
    """What a person has agreed to."""

    digest: str = ""
    """SHA-256 of the plan; empty where nobody was asked about one."""
    who: str = ""
    """Empty where nobody agreed."""


class Applied(Frozen):
    """What an apply did."""

    plan: InfraPlan
    outputs: Sequence[Output] = ()
    done: Sequence[str] = ()
    """Addresses of the resources that were finished."""


class ApplyFailed(PodiumError):
    """An apply ended with an error. `results` are the step's results, which are kept."""

    def __init__(self, error: PodiumError, results: dict[str, object]) -> None:
        super().__init__(error.message, hint=error.hint)
        self.exit_code, self.results = error.exit_code, results


def tool_of(project: Project, infra: Infra, say: Say) -> InfraTool:
    """Returns the tool of an infrastructure. Raises MissingExtra where what it needs is not installed."""
    return plugins.load("infra", infra.kind)(project, infra, say)


@contextmanager
def held(journal: Journal, name: str, who: str, why: str) -> Generator[None]:
    """Holds an infrastructure: its tool runs once at a time. Refused, naming who holds it."""
    with journal.locks.take(f"infra {name}", who, why):
        yield


def make_plan(
    project: Project, journal: Journal, infra: Infra, say: Say, *, run: int, who: str, destroy: bool = False
) -> InfraPlan:
    """Makes a plan and keeps it; one that waited is replaced. What an apply that was cut short had done is said in
    it."""
    saved = Saved(project.state, infra.name)
    with held(journal, infra.name, who, f"plan, run {run}"):
        tool = tool_of(project, infra, say)
        cut = saved.interruption()
        for old in (saved.abandoned(), saved.any_plan()):
            if old is not None:
                tool.discard(old)
        saved.discard()
        given = inputs_of(project, infra)
        made = tool.plan(destroy=destroy)
        plan = replace(made, run=run, who=who, previous=cut.words() if cut else "", inputs=given)
        saved.keep(plan)
        if cut is not None:
            saved.finish()
    return plan


def look(project: Project, journal: Journal, infra: Infra, say: Say, *, run: int, who: str) -> InfraPlan:
    """Returns what differs from what was applied, and keeps that."""
    with held(journal, infra.name, who, f"drift, run {run}" if run else "drift"):
        found = replace(tool_of(project, infra, say).drift(), run=run, who=who)
        Saved(project.state, infra.name).keep_drift(found)
    return found


def read_outputs(project: Project, journal: Journal, infra: Infra, *, who: str) -> Sequence[Output]:
    """Returns the outputs as the tool has them now, and keeps those that are not sensitive."""
    with held(journal, infra.name, who, "outputs"):
        found = tool_of(project, infra, lambda _: None).outputs()
        Saved(project.state, infra.name).keep_outputs(found)
    return found


def why_not_apply(project: Project, infra: Infra, plan: InfraPlan | None) -> tuple[str, str]:
    """Returns why the saved plan must not be applied, whoever agrees, and what to do; empty texts if it may be."""
    again = f"podium infra plan {shlex.quote(infra.name)}"
    if plan is None:
        running = Saved(project.state, infra.name).under_way()
        if running:
            return f"run {running} is applying the plan of {infra.name}", f"podium logs -f {running}"
        return f"{infra.name} has no plan that waits: there is none, or it was used, or it has expired", again
    if plan.inputs != inputs_of(project, infra):
        return f"the plan of {infra.name} is stale: the outputs that it was made of have changed since", again
    never = plan.judged(infra.rules).never
    if never:
        words = Judgement(never=never).words()
        return f"podium.yaml never lets this be done to {infra.name}: {words}", "change `never:` of it, or the plan"
    return "", ""


def inputs_of(project: Project, infra: Infra) -> str:
    """Returns what tells whether the outputs that it takes of others are what they were; empty where it takes none."""
    taken = {str(each): kept(project.state, each.infra).get(each.output) for text in infra.vars.values()
             for each in names(text)}  # fmt: skip
    return hashlib.sha256(json.dumps(taken, sort_keys=True).encode()).hexdigest() if taken else ""


def pending_needs(project: Project, infra: Infra) -> list[str]:
    """Returns those that it needs and that have a plan with changes which waits, or were cut short."""
    found: list[str] = []
    for name in wanted(infra):
        saved = Saved(project.state, name)
        plan = saved.plan()
        if saved.interruption() is not None or (plan is not None and plan.applyable):
            found.append(name)
    return found


def carry_out(project: Project, journal: Journal, infra: Infra, say: Say, *, run: int, agreed: Agreed) -> Applied:
    """Applies the saved plan that `agreed` is about. Refused where that is not the one that waits, where podium.yaml
    asks for a person and none has agreed, and where it says never."""
    who = agreed.who or f"run {run}"
    with held(journal, infra.name, who, f"apply, run {run}"):
        saved = Saved(project.state, infra.name)
        plan = _the_plan(project, journal, infra, saved, agreed)
        tool = tool_of(project, infra, say)
        if not plan.applyable:
            tool.discard(plan)
            saved.discard()
            return Applied(plan)
        saved.begin(plan, run)
        journal.audit.add(who, "infra apply", f"{infra.name}, plan {plan.short}: {plan.words()} (run {run})")
        try:
            tool.apply(plan, saved)
        except PodiumError as error:
            done, left = saved.events()
            if not isinstance(error, CutShort):
                saved.finish()
            results: dict[str, object] = {"infra": infra.name, "plan": plan.digest, "done": done, "unfinished": left}
            raise ApplyFailed(error, results) from error
        done, _ = saved.events()
        saved.finish()
        saved.note_applied(run, time.time())
        try:
            outputs = tool.outputs()
        except PodiumError as error:
            again = f"podium infra outputs {shlex.quote(infra.name)}"
            told = RunFailed(f"{infra.name} is applied, and its outputs cannot be read: {error.message}", hint=again)
            raise ApplyFailed(told, {"infra": infra.name, "plan": plan.digest, "done": done}) from error
        saved.keep_outputs(outputs)
    return Applied(plan, outputs, done)


def _the_plan(project: Project, journal: Journal, infra: Infra, saved: Saved, agreed: Agreed) -> InfraPlan:
    cut = saved.interruption()
    plan = saved.plan()
    message, hint = why_not_apply(project, infra, plan)
    if plan is None or message:
        if plan is None and cut is not None:
            message, hint = f"{cut.words()}; its plan is used up", f"podium infra plan {shlex.quote(infra.name)}"
        raise Refused(message, hint=hint)
    if agreed.digest and agreed.digest != plan.digest:
        raise Refused(
            f"the plan of {infra.name} is another one by now: {plan.short}, and {agreed.digest[:12]} was agreed to",
            hint=f"look at it: podium infra show {shlex.quote(infra.name)}",
        )
    if not plan.reference:
        saved.ensure_whole(plan)
    judged = plan.judged(infra.rules)
    if judged.decision is Decision.ASK and not agreed.who and approvals.of(journal, plan) is None:
        raise Refused(
            f"{infra.name} needs an approval: {judged.words()}", hint=f"podium infra approve {shlex.quote(infra.name)}"
        )
    return plan
