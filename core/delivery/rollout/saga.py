"""A change of what an environment serves, as a saga: phases kept in the ledger, each with its undo, so that neither
a failure nor a crash leaves anything half done. The version that served before is never stopped before the new one
has been verified."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ...domain.delivery import Deployment, DeploymentState, How, Plan, Replica, ReplicaState
from ...domain.runs import Trigger
from ...errors import Interrupted, PodiumError, Refused, Unreachable, UsageError
from ...telemetry.windows import Reading
from ..environment import history
from ..environment.healing import tend
from ..environment.runtime import EnvironmentRuntime
from . import aliases, analysis, phases, plans, undo, verify
from .canary import KEY, Canary
from .strategies import FULL, Stage, stages

WATCH_SECONDS = 0.5
# In a ledger row's data: why it failed, where that could not be put back yet.
GIVEN_UP = "given_up"


@dataclass(frozen=True, slots=True)
class Order:
    """What a step was asked to do. `force` is a person's reason, empty without one. `seen` is what their plan rested
    on.

    `asked` is when (seconds since the epoch), for measuring how long it takes until traffic has moved.
    """

    how: How
    version: int
    who: str
    why: str = ""
    trigger: Trigger = Trigger.PERSON
    run_id: int | None = None
    force: str = ""
    seen: Mapping[str, str] = field(default_factory=dict[str, str])
    asked: float = 0.0


def check(runtime: EnvironmentRuntime, order: Order, *, holding: bool = False) -> Plan:
    """The plan as the world is now; `holding` when the environment's lock is ours.

    Refused when it must not be carried out, or when the world is not the one that was planned in.
    """
    plan = plans.plan(runtime.project, runtime.journal, order.how, runtime.name, order.version, holding=holding)
    for key, before in order.seen.items():
        now = plan.seen.get(key, before)
        if now != before:
            raise Refused(
                f"{runtime.name} changed since this was planned: {key} was {before} and is {now}",
                hint="look again, then plan anew",
            )
    entry = runtime.journal.quarantine.find(plan.model, order.version, runtime.version(order.version).commit)
    if entry is not None and order.trigger is not Trigger.PERSON and order.how is not How.ROLLBACK:
        raise Refused(
            f"version {order.version} or its commit is quarantined, and a {order.trigger} may not deploy it:"
            f" {entry.why or 'no reason was given'}",
            hint=f"a person can lift it: podium quarantine lift {entry.version}",
        )
    if plan.refusal and not (plan.force and order.force):
        hint = (
            "a person can do it all the same: --force --why REASON; both are kept in the ledger" if plan.force else ""
        )
        raise Refused(plan.refusal, hint=hint)
    return plan


def fetch(runtime: EnvironmentRuntime, version: int) -> str:
    """The digest of the version's files, brought here first where they are not. Asks the registry only then."""
    there = [*runtime.running(version), *runtime.stopped(version)]
    digest = (
        next((r.digest for r in there if r.digest), None) or runtime.fetched(version) or _download(runtime, version)
    )
    if len(there) < runtime.environment.replicas:
        runtime.driver.prepare(version)
    return digest


def _download(runtime: EnvironmentRuntime, version: int) -> str:
    from ...registry import open_registry

    runtime.say(f"fetching {runtime.project.mlflow.model} version {version}")
    registry = open_registry(runtime.project.mlflow, runtime.project.state)
    try:
        return registry.fetch(runtime.project.mlflow.model, version, runtime.files(version))
    finally:
        registry.close()


def begin(runtime: EnvironmentRuntime, order: Order, digest: str) -> Deployment:
    """The row of the ledger; the environment is ours."""
    commit = runtime.version(order.version).commit
    deployment = runtime.journal.ledger.begin(
        environment=runtime.name,
        how=order.how,
        model=runtime.project.mlflow.model,
        to_version=order.version,
        from_version=history.serving(runtime.journal, runtime.name),
        who=order.who,
        why=order.force or order.why,
        run_id=order.run_id,
        commit=commit,
        digest=digest,
        strategy="blue-green" if order.how is How.ROLLBACK else runtime.environment.strategy.kind,
        forced=bool(order.force),
    )
    runtime.journal.audit.add(
        order.who, str(order.how), f"{runtime.name} version {order.version}", order.force or order.why
    )
    return deployment


class Saga:
    """One deployment under way. `asked` as in Order."""

    def __init__(self, runtime: EnvironmentRuntime, deployment: Deployment, *, asked: float = 0.0) -> None:
        self.runtime = runtime
        self.deployment = deployment
        self.data: dict[str, object] = dict(deployment.data)
        self.asked = asked or deployment.at
        self.aliases = aliases.Apart(runtime.project)
        self.warnings: list[str] = []
        self.before = Reading()

    @property
    def version(self) -> int:
        return self.deployment.to_version

    @property
    def forced(self) -> bool:
        return self.deployment.forced

    def run(self) -> Deployment:
        """All phases that are not done yet. On any failure what was changed is put back and the failure raised
        again."""
        try:
            self._go_on()
        except BaseException as error:
            self.give_up(error)
            raise
        finally:
            self.aliases.close()
        self.runtime.journal.ledger.finish(self.deployment.id, DeploymentState.SUCCEEDED, "; ".join(self.warnings))
        return self.runtime.journal.ledger.get(self.deployment.id)

    def _go_on(self) -> None:
        for phase in phases.after(self.deployment.phase):
            getattr(self, phase)()
            self.note(phase)

    def note(self, phase: str) -> None:
        self.data = {**self.runtime.journal.ledger.get(self.deployment.id).data, **self.data}
        self.runtime.journal.ledger.phase(self.deployment.id, phase, self.data)
        self.deployment = replace(self.deployment, phase=phase)

    def give_up(self, error: BaseException) -> None:
        """Undo, unless it stays. Interrupted when that came while it was put back, or while what stays was brought
        to its end."""
        reason = str(error) or type(error).__name__
        if self._stays():
            self._leave(self._end(reason) if isinstance(error, Interrupted) else f"traffic has moved, but: {reason}")
            return
        self.runtime.say("putting back what was")
        try:
            problems = undo.undo(self.runtime, self.deployment, lambda row: self.aliases.order(row, "undo"))
        except (Unreachable, Interrupted) as cut:
            # The row stays open: whoever looks next, when the engine is there again, puts back what was.
            known = self.runtime.journal.ledger.get(self.deployment.id)
            self.runtime.journal.ledger.phase(self.deployment.id, known.phase, {**known.data, GIVEN_UP: reason})
            self.runtime.say(f"{cut.message}: not all could be put back; the agent or the next change does it")
            if isinstance(cut, Interrupted):
                raise
            return
        left = f" (not all could be put back: {'; '.join(problems)})" if problems else ""
        failed = isinstance(error, PodiumError) and error.exit_code != 130
        state = DeploymentState.FAILED if failed or problems else DeploymentState.UNDONE
        self.runtime.journal.ledger.finish(self.deployment.id, state, f"{reason}{left}")

    def _stays(self) -> bool:
        """Whether what is done stays, whatever fails now. A verified version serves, and the one before it may be
        stopped already; and a rollback whose traffic has moved has done what it was for: its version is what should
        serve from now on."""
        phase = self.deployment.phase
        return phases.reached(phase, phases.VERIFIED) or (
            self.deployment.how is How.ROLLBACK and phases.reached(phase, phases.SHIFTED)
        )

    def _end(self, reason: str) -> str:
        """Told to end where all that matters is done: the little that is left is done yet, since half of it is what
        nobody asked for. Told so once more, Interrupted, and the row stays open: whoever looks next goes on."""
        self.runtime.say(f"{reason}: traffic has moved already, so what is left is done first")
        try:
            self._go_on()
        except Interrupted:
            self.runtime.say("not all could be done; the agent or the next change does it")
            raise
        except PodiumError as error:
            return f"traffic has moved, but: {reason}; {error}"
        return f"{reason} when traffic had moved"

    def _leave(self, words: str) -> None:
        if self.deployment.how is How.ROLLBACK and not phases.reached(self.deployment.phase, phases.ALIASED):
            self._quarantine()
        self.runtime.journal.ledger.finish(
            self.deployment.id, DeploymentState.SUCCEEDED, "; ".join([*self.warnings, words])
        )

    # The phases, by the names in phases.py

    def read(self) -> None:
        """Note what the undo needs, before anything is changed."""
        rows = self.runtime.replicas()
        missing = [self.runtime.replica_id(self.version, n) for n in self.runtime.missing(self.version)]
        self.data |= {
            "weights": {row.id: row.weight for row in rows if row.weight or row.id not in missing},
            "new": missing,
            "proxy": self.runtime.proxy.alive(),
            "stopped": [row.id for row in rows if row.id in missing and row.state is ReplicaState.STOPPED],
        }

    def started(self) -> None:
        for number in self.runtime.missing(self.version):
            self.runtime.start(self.version, number, self.deployment.digest)
        # A rollback is in a hurry: its replicas have all of the CPU.
        if self.deployment.how is How.PROMOTE and self._carries() and self.data.get("new"):
            self.aliases.prepare()

    def healthy(self) -> None:
        """The new replicas answer, and the proxy knows them, with weight 0."""
        began = time.monotonic()
        new = self._new()
        if new:
            self.runtime.wait_healthy(new, tick=lambda: tend(self.runtime, skip=new))
            self.data["start_seconds"] = round(time.monotonic() - began, 3)
        if new or not self.runtime.proxy.fits(self.runtime.layout()):
            self.runtime.sync()

    def warmed(self) -> None:
        new = [row for row in self.runtime.replicas(self.version) if row.id in self._new()]
        if new:
            self.runtime.say(f"warm-up: {verify.warm_up(self.runtime, new, self.runtime.files(self.version))}")

    def shifted(self) -> None:
        """Traffic goes over, stage by stage."""
        new = [
            row for row in self.runtime.replicas(self.version) if self._number(row) <= self.runtime.environment.replicas
        ]
        old = [row for row in self.runtime.replicas() if row.weight and row.version != self.version]
        self.runtime.wait_up([row.slot for row in new])
        strategy = self.runtime.environment.strategy
        if self.deployment.how is How.ROLLBACK:
            strategy = replace(strategy, kind="blue-green")
        self.before = analysis.read(self.runtime)
        self._shift(stages(strategy, [r.id for r in new], [r.id for r in old]), new, old)
        took = time.time() - self.asked
        self.data |= {"share": FULL, "traffic_seconds": round(took, 3)}
        self.runtime.say(
            f"version {self.version} has all traffic of {self.runtime.name}, {took:.2f} s after it was asked for"
        )

    def aliased(self) -> None:
        """Quarantine what was rolled back, and move the aliases. A rollback goes on where the registry does not
        answer."""
        rollback = self.deployment.how is How.ROLLBACK
        if rollback:
            self._quarantine()
        if not self._carries():
            return
        try:
            for line in self.aliases.order(self.deployment, "finish"):
                self.runtime.say(line)
        except PodiumError as error:
            if not rollback:
                raise
            self._warn(f"the aliases were not moved: {error}")

    def drained(self) -> None:
        """Until the old replicas have answered what they were asked, `drain` seconds at most."""
        busy = self.runtime.drain([row for row in self.runtime.replicas() if row.state is ReplicaState.DRAINING])
        if busy:
            self._warn(
                f"{', '.join(sorted(busy))} still answered requests after {self.runtime.environment.strategy.drain:g} s"
            )
        for row in self.runtime.replicas():
            if row.state is ReplicaState.DRAINING:
                self.runtime.journal.replicas.put(replace(row, state=ReplicaState.WARM))

    def verified(self) -> None:
        rows = [row for row in self.runtime.replicas(self.version) if row.weight]
        if self.deployment.how is not How.ROLLBACK and rows:
            verify.watch(self.runtime, rows, self.before, seconds=WATCH_SECONDS)
        self.runtime.say(f"verified: {verify.verify(self.runtime, self.version)}")

    def kept(self) -> None:
        """Earlier versions beyond `keep` are stopped, those beyond `keep_stopped` removed; never the one that a
        rollback would bring back first."""
        back = history.good_before(self.runtime.project, self.runtime.journal, self.runtime.name, leaving=self.version)
        serving = history.serving(self.runtime.journal, self.runtime.name)
        ranked = [self._next_back(back, serving), serving, *history.earlier(self.runtime.journal, self.runtime.name)]
        try:
            self.runtime.settle_kept([version for version in ranked if version is not None], serving=self.version)
        except Interrupted:
            raise
        except PodiumError as error:
            self._warn(f"earlier versions were not all put away: {error}")

    # What the phases are made of

    def _carries(self) -> bool:
        """Whether aliases are to be moved."""
        return self.deployment.how is not How.DEPLOY and bool(history.carries(self.runtime.project, self.runtime.name))

    def _shift(self, ahead: Sequence[Stage], new: Sequence[Replica], old: Sequence[Replica]) -> None:
        canary = Canary(
            self.runtime, self.deployment, new, old, keep=self._keep_canary, tick=lambda: tend(self.runtime)
        )
        full = False
        for index, stage in enumerate(ahead):
            if full and stage.share < FULL:
                continue
            if stage.share == FULL:
                if KEY in self.data:
                    self.data[KEY] = None  # not taken out: what the ledger has would come back with the next note
                    self.note(self.deployment.phase)
                    canary.heed()
                self.runtime.weigh({**self._surplus(new), **stage.weights})
                continue
            self.runtime.weigh(stage.weights)
            self.data["share"] = stage.share
            self.note(self.deployment.phase)
            if not stage.hold:
                self._wait(0.2)
            else:
                full = not canary.hold(stage, index)

    def _surplus(self, wanted: Sequence[Replica]) -> dict[str, int]:
        """No weight for replicas of this version beyond those wanted: there were more of them once."""
        return {row.id: 0 for row in self.runtime.replicas(self.version) if row.id not in {each.id for each in wanted}}

    def _keep_canary(self, known: Mapping[str, object]) -> None:
        self.data[KEY] = dict(known)
        self.note(self.deployment.phase)

    def _new(self) -> list[str]:
        new = self.data.get("new")
        return [str(name) for name in new] if isinstance(new, list) else []  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]

    @staticmethod
    def _number(row: Replica) -> int:
        return int(row.slot.rpartition("-")[2])

    def _next_back(self, back: int | None, serving: int | None) -> int | None:
        """What a rollback from the new version will bring back: the one that served until now, unless it is the one
        being left."""
        if serving in (None, self.version) or self.runtime.journal.quarantine.find(self.deployment.model, serving):
            return back
        return serving

    def _warn(self, text: str) -> None:
        self.warnings.append(text)
        self.runtime.say(f"warning: {text}")

    def _quarantine(self) -> None:
        left = self.deployment.from_version
        if left is None or left == self.version:
            return
        why = self.deployment.why or f"rolled back from {self.runtime.name}"
        self.runtime.journal.quarantine.add(
            self.deployment.model, left, self.runtime.version(left).commit, self.deployment.who, why
        )
        self.runtime.say(f"version {left} is quarantined")

    def _wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while True:
            tend(self.runtime)
            left = deadline - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, 1.0))


def ensure_possible(runtime: EnvironmentRuntime) -> None:
    """UsageError before anything is fetched or started where the environment's port belongs to somebody else."""
    runtime.proxy.require(runtime.environment.bind, runtime.environment.port)
    if runtime.environment.replicas < 1:
        raise UsageError(f"environments.{runtime.name}.replicas is {runtime.environment.replicas}", hint="at least 1")
